"""Words of a question that the end of a line has divided, as in text pasted from a PDF."""

from __future__ import annotations

import re
from collections.abc import Callable

# A letter follows at once where a browser has dropped the line break from a field.
_DIVIDED = re.compile(r"(?<![\w-])([^\W\d_]{2,})[-\u00ad\u2010\u2011](\s*)([^\W\d_]{2,})(?![\w-])")


def join_divided_words(text: str, is_known: Callable[[str], bool]) -> tuple[str, tuple[str, ...]]:
    r"""Return a text with its divided words joined, and notes on them.

    A word is joined if records hold it whole. Without a blank behind the hyphen, one of its parts must be in no record,
    too, so that a compound stays as it is.

    >>> known = {"arthritis", "anti", "inflammatory", "antiinflammatory"}.__contains__
    >>> join_divided_words("anti-inflammatory drugs in arth-\nritis", known)
    ('anti-inflammatory drugs in arthritis', ('"arth-ritis" is read as "arthritis"',))
    """
    notes: list[str] = []

    def join(found: re.Match[str]) -> str:
        first, blank, second = found.groups()
        whole = first + second
        if not is_known(whole) or (not blank and is_known(first) and is_known(second)):
            return found[0]
        notes.append(f'"{first}-{second}" is read as "{whole}"')
        return whole

    return _DIVIDED.sub(join, text), tuple(dict.fromkeys(notes))
