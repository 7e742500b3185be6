"""Stage 6. In: hits with their records. Out: files that reference managers, screening tools and spreadsheets read.

``formats`` writes a file, whole or not at all, in the format of its suffix: each has a module. ``fields`` gives a hit
as keys and cells, ``names`` puts family names first, ``beside`` keeps the fields that a tagged format has no tag for.
``collect`` reads CSV, TSV, JSONL, RIS and MEDLINE back into the same records.
"""
