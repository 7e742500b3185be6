"""Stage 5. In: a text, or the id of a record. Out: ranked Hits from one consistent generation.

Next: reindex makes the next generation; the command line and Python users call ``searcher.Index``.
"""
