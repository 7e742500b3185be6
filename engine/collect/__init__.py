"""Stage 1: read source files. In: files. Out: an iterator of Abstract, Deletion, Rejection and Remark.

Files are read in one pass, in bounded memory; large ones by further processes (``readers``). ``fetch``
downloads PubMed's update files from a mirror, and records by a query.

Next: corpus stores the entries. ``source`` detects the format. To add one, write a module with a ``read`` function in
the room of its kind (``xmlfiles``, ``tagfiles``, ``jsonfiles`` or ``tables``) and add it to ``source.FORMATS``.
"""

ROOMS = ("text", "values", "xmlfiles", "tagfiles", "jsonfiles", "tables", "fetch")  # in data-flow order
