"""Stage 1. In: files. Out: an iterator of Abstract, Deletion, Rejection and Remark, one pass, bounded memory.

``fetch`` gets PubMed's files from a mirror.

Next: corpus stores them. A new format is one module with a ``read`` function and one row in ``source.FORMATS``.
"""

ROOMS = ("text", "values", "formats", "fetch")  # in data-flow order
