"""Stage 6. In: source files and the current generation. Out: the next generation, verified and published.

``run`` is the whole of it; ``gather`` fills the corpus, ``encoders`` finds the encoder, ``vectorise`` encodes what
changed, ``verify`` checks a generation before it is published and whenever asked.
"""
