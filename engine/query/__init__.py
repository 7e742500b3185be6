"""Stage 5. In: a Query. Out: an Answer with ranked Hits, all from one consistent generation.

Next: ``references`` writes hits for reference managers, ``reindex`` makes the next generation. The command line and
Python users call ``index.Index``; ``batches`` answers many queries. ``searchlog``, ``rerun`` and ``prisma`` record,
repeat and report a search, and ``storedvectors`` exports vectors.

The rooms, in the order of the data. ``opening``: ``generation`` opens all of a generation, ``corpus`` its records
alone, ``rerankers`` its rerankers, and ``flows`` counts where the records come from. ``question``: ``validation``
checks a query, ``plan`` resolves it against a generation, ``ordering`` sorts hits, and ``obstacles`` finds the
condition that leaves nothing; ``queryfile`` reads queries, ``recordlist`` files of records as lists of ids. ``ranks``:
``ranking`` ranks by meaning, by words or by both, ``reranking`` orders the first hits anew, and ``evidence`` says how
near they are. ``answers``: ``answer`` builds the hits, ``explanation`` explains them, ``grouping`` counts them by a
field, and ``verdict`` judges whether they are about the question, with ``doubt`` and ``abbreviations``; ``location``
finds the ranks of known records. ``seeds``: ``seedterms`` weighs the words of known records, and ``suggestion`` builds
searches from them.
"""

ROOMS = ("opening", "question", "ranks", "answers", "seeds")  # in data-flow order
