"""Characters that a terminal or a reader would act on instead of showing them, and those that divide words."""

from __future__ import annotations

import re

# What ends a line in the middle of a word: hyphens, and what PDF viewers and word processors copy in their place.
DIVIDERS = "-\u00ad\u2010\u2011\u00ac\x02\ufffe"

# What word processors and languages write for " and for ', and the primes that PDFs have in their place.
DOUBLE_MARKS = "\u201c\u201d\u201e\u201f\u00ab\u00bb\u2033"
SINGLE_MARKS = "\u2018\u2019\u201a\u201b\u2032"

# Between two numbers, as they stand in a class of a pattern.
DASHES = "\u2010-\u2015\u2212-"

# C0 but tab and newline, DEL, C1, and the marks that reorder text on screen.
UNPRINTABLE = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]")
