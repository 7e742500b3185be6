"""The spellings that a name may stand for when it was copied from a PDF or a page."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable

from engine.characters import DIVIDERS

_HIDDEN = re.compile(
    "[\x00-\x08\x0e-\x1b\ufffe\u00ad\u034f\u180e\u200b-\u200f\u202a-\u202e\u2060-\u2064\ufe00-\ufe0f\ufeff]"
)
_DIVISION = re.compile(rf"(?<=\w)(?:[{DIVIDERS}][^\S\n]*\n\s*|\u00ac)(?=\w)")  # a word at the end of a line


def list_copied_spellings(values: Iterable[str]) -> list[str]:
    r"""Return names with their other spellings: without hidden characters, ligatures and the ends of lines.

    Each name stands first, as it was given, since records may hold it so.

    >>> list_copied_spellings(["Gout", "Rheu-\nmatic\u00a0diseases"])[2:]
    ['Rheumatic diseases', 'Rheu-matic diseases']
    """
    found: dict[str, None] = {}
    for value in values:
        found[value] = None
        if value.isascii() and value.isprintable() and value == " ".join(value.split()):
            continue
        lines = "\n".join(value.splitlines())
        for between in ("", "-"):
            joined = _HIDDEN.sub("", _DIVISION.sub(between, lines))
            plain = " ".join(joined.split())
            found |= dict.fromkeys(unicodedata.normalize(form, plain) for form in ("NFC", "NFKC") if plain)
    return list(found)
