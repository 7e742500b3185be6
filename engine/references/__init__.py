"""Stage 6. In: hits with their records. Out: files that reference managers, screening tools and spreadsheets read.

``formats`` writes a file, whole or not at all, in the format of its suffix: each has a module. ``fields`` says what a
hit is as keys and cells, ``names`` puts family names first, ``beside`` keeps what a tagged format has no words for.
collect reads CSV, TSV, JSONL, RIS and MEDLINE back into the same records.
"""
