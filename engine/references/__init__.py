"""Stage 6. In: hits with their records. Out: files that reference managers, screening tools and spreadsheets read.

``formats`` writes a file, whole or not at all, in the format of its suffix. The rooms, in the order of the data.
``values``: ``fields`` gives a hit as keys and cells, ``names`` puts family names first, ``beside`` keeps the fields
that a tagged format has no tag for, and ``places`` is the table of what each format holds. ``writers`` has a module for
each format. ``collect`` reads CSV, TSV, JSONL, RIS and MEDLINE back into the same records.
"""

ROOMS = ("values", "writers")  # in data-flow order
