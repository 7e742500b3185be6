"""Stage 7. In: source files and the current generation. Out: the next generation, verified and published.

``run`` makes the next generation from files; ``update`` finds the files that index.toml names and are new, ``plan``
decides, ``sources`` lists. Of a run, ``gather`` fills the corpus, ``encoders`` finds the encoder, ``vectorise`` encodes
what changed, ``shards`` keep that from being lost and ``spool`` from filling the memory; ``searchable`` and ``tune``
make a large index quick, ``retune`` by itself; ``seal`` and ``verify`` check. ``history`` tells what became of it.
``nightly`` does one night's work, ``nights`` keeps its record, ``gaps`` finds missing update files.
"""
