"""Stage 7. In: source files and the current generation. Out: the next generation, verified and published.

``run`` makes the next generation from files (``order`` has its input and its report), ``filegroups`` several of them in
one run. ``update`` reindexes: ``sources`` lists the files that index.toml names, ``plan`` selects the new ones and
guards against mass changes. In a run, ``gather`` fills the corpus, ``encoders`` finds the encoder and ``vectorise``
encodes new and changed texts; ``shards`` keep their vectors if the run stops, ``spool`` keeps memory bounded, and
``vectorsource`` has vectors that were computed elsewhere.
``merges`` chooses the old segments that the new one replaces, ``generationfiles`` opens those of the current and the
next generation, and ``words`` writes the words.
``compaction`` merges all segments. ``searchable`` builds and ``tune`` tunes a large index; ``retune`` tunes it
alone. ``calibrate`` measures random cosines, ``standards`` what ``otherfields`` reach, ``corpusmap`` draws the map,
``seal`` and ``verify`` check, ``rollback`` goes back to an older generation. ``history`` and ``summary`` describe what
was done. ``nightly`` is the nightly run, ``nights`` its log, and ``gaps`` finds missing update files.
"""
