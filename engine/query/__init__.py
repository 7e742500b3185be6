"""Stage 5. In: a Query. Out: an Answer with ranked Hits, all from one consistent generation.

Next: ``references`` writes hits for reference managers, ``reindex`` makes the next generation. The command line and
Python users call ``index.Index``; ``opening`` opens the records of a generation. ``validation`` checks a query,
``plan`` resolves it against a generation, ``ranking`` ranks by meaning, by words or by both, ``answer`` builds the
hits, ``explanation`` explains them, and ``verdict`` judges by ``evidence`` whether they are about it;
``abbreviations`` finds what its abbreviations stand for. ``flows`` counts where records come from; ``searchlog``,
``rerun`` and ``prisma`` report a search; ``location`` finds the ranks of known records, and ``recordlist`` reads
files of records as lists of ids; ``queryfile`` and ``batches`` read and answer many queries. ``seedterms``
weighs the words of known records, and ``suggestion`` builds searches from them. ``storedvectors`` exports vectors.
"""
