"""Stage 1: read source files. In: files. Out: an iterator of Abstract, Deletion, Rejection and Remark.

Files are read in one pass, in bounded memory. ``fetch`` downloads PubMed's update files from a mirror.

Next: corpus stores the entries. To add a format, write a module with a ``read`` function and add it to
``source.FORMATS``.
"""

ROOMS = ("text", "values", "formats", "fetch")  # in data-flow order
