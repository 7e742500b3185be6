"""The spellings that a name may stand for when it was copied from a PDF or a page."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable

_HIDDEN = re.compile("[\u00ad\u034f\u180e\u200b-\u200f\u202a-\u202e\u2060-\u2064\ufe00-\ufe0f\ufeff]")
_DIVISION = re.compile(r"(?<=\w)[-\u00ad\u2010\u2011][^\S\n]*\n\s*(?=\w)")  # a word at the end of a line


def list_copied_spellings(values: Iterable[str]) -> list[str]:
    r"""Return names with their other spellings: without hidden characters, ligatures and the ends of lines.

    Each name stands first, as it was given, since records may hold it so.

    >>> list_copied_spellings(["Gout", "Rheu-\nmatic\u00a0diseases"])[2:]
    ['Rheumatic diseases', 'Rheu-matic diseases']
    """
    found: dict[str, None] = {}
    for value in values:
        found[value] = None
        if value.isascii() and value == " ".join(value.split()):
            continue
        lines = "\n".join(value.splitlines())
        for between in ("", "-"):
            joined = _HIDDEN.sub("", _DIVISION.sub(between, lines))
            plain = " ".join(joined.split())
            found |= dict.fromkeys(unicodedata.normalize(form, plain) for form in ("NFC", "NFKC") if plain)
    return list(found)
