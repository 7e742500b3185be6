"""Words of a question that the end of a line has divided, as in text pasted from a PDF."""

from __future__ import annotations

import re
from collections.abc import Callable

from engine.characters import DIVIDERS

_LONGEST = 100  # letters of a part; without a limit, a long word of many soft hyphens would be read again for each
_PART = rf"([^\W\d_](?:\u00ad?[^\W\d_]){{1,{_LONGEST - 1}}})"  # a soft hyphen inside is none of its ends
# A letter follows at once where a browser has dropped the line break from a field.
_DIVIDED = re.compile(rf"(?<![\w\u00ad-]){_PART}[{DIVIDERS}](\s*){_PART}(?![\w\u00ad-])")


def note_divided_words(text: str) -> tuple[str, ...]:
    r"""Return notes on the words of a text that a hyphen at the end of a line divides, where no index can join them.

    >>> note_divided_words("gout OR inflam-\nmation")
    ('"inflam-mation" was divided at the end of a line, and is read as two words. Write it as it is spelled',)
    """
    return tuple(
        f'"{first}-{second}" was divided at the end of a line, and is read as two words. Write it as it is spelled'
        for first, blank, second in dict.fromkeys(_DIVIDED.findall(text))
        if "\n" in blank or "\r" in blank
    )


def join_divided_words(text: str, count: Callable[[str], int]) -> tuple[str, tuple[str, ...]]:
    r"""Return a text with its divided words joined, and notes on them; count tells how many records hold a word.

    A word is joined if records hold it whole, and more of them than hold its parts with a hyphen. In that case only the
    blank is dropped. Without a blank behind the hyphen, one of its parts must be in no record, too, so that a compound
    stays as it is.

    >>> count = {"arthritis": 9, "anti": 5, "inflammatory": 5, "anti-inflammatory": 5, "antiinflammatory": 1}
    >>> join_divided_words("anti-\n inflammatory drugs in arth-\nritis", lambda word: count.get(word, 0))
    ('anti-inflammatory drugs in arthritis', ('"arth-ritis" is read as "arthritis"',))
    """
    notes: list[str] = []

    def join(found: re.Match[str]) -> str:
        first, blank, second = (part.replace("\u00ad", "") for part in found.groups())
        whole, compound = first + second, f"{first}-{second}"
        n_whole = count(whole)
        if not blank:
            is_divided = n_whole > 0 and not (count(first) and count(second))
        else:
            n_compound = count(compound)
            if n_compound > n_whole:
                return compound
            is_divided = n_whole > 0
        if not is_divided:
            return found[0]
        notes.append(f'"{compound}" is read as "{whole}"')
        return whole

    return _DIVIDED.sub(join, text), tuple(dict.fromkeys(notes))
