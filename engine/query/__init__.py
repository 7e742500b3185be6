"""Stage 5. In: a Query. Out: an Answer with ranked Hits, all from one consistent generation.

Next: ``references`` writes hits for reference managers, reindex makes the next generation; the command line and
Python users call ``searcher.Index``. ``asked`` checks a query, ``question`` reads it against a generation, ``ranking``
ranks by meaning, by words or by both (``fusion``), ``answering`` makes hits of it, ``explain`` says why. ``record``,
``rerun`` and ``prisma`` report a search, ``known`` checks it by papers that it must find.
"""
