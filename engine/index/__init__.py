"""Stage 4. In: ids and vectors. Out: a FAISS index and the published, immutable generation that holds it.

Next: query opens generations. ``flat`` is the only module that sees FAISS; ``folder`` and ``publish`` know the disk.
"""
