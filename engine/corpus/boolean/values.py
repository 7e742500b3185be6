"""The values of terms: folded words with wildcards, years and headings."""

from __future__ import annotations

import re

from engine.corpus.boolean.tags import Dialect
from engine.corpus.words.folding import fold_text

MANY, MAYBE, ONE = "*", "?", "#"  # any letters, one letter or none, one letter
_WILDCARDS = {
    Dialect.PLAIN: {"*": MANY},
    Dialect.PUBMED: {"*": MANY},
    Dialect.OVID: {"*": MANY, "$": MANY, "?": MAYBE, "#": ONE},
    Dialect.EMBASE: {"*": MANY, "$": MAYBE, "?": ONE},
}
_PIECES = re.compile(r"([*$?#])([0-9]{0,2})")
_COLON = re.compile(r"(?<=[^\W\d_]):(?=\s|$)")  # of Ovid: random:.tw.
_MOST_LETTERS = 20  # of a truncation with a limit
_DAY = r"([0-9]{4})(?:[/-][0-9]{1,2}){0,2}"
_SPAN = re.compile(rf"[^\w<]*{_DAY}\s*(?::|-|\u2013|to)\s*(?:{_DAY}|current|present)?[^\w]*", re.IGNORECASE)
_SINGLE = re.compile(rf"[^\w]*{_DAY}[^\w]*")
_UP_TO = re.compile(rf"[^\w]*(?:-|:|<\s*[0-9]{{4}}\s*-)\s*{_DAY}[^\w]*")  # Embase: <1966-2010
_OPEN_END = 2999  # PubMed's 3000 stands for today


def fold_words(text: str, dialect: Dialect) -> tuple[str, ...]:
    """Return the words of a term, folded, in order, with the wildcards *, ? and # of this module.

    >>> fold_words("TNF-alpha$", Dialect.OVID), fold_words("wom?n", Dialect.EMBASE), fold_words("gout?", Dialect.PUBMED)
    (('tnf', 'alpha*'), ('wom#n',), ('gout',))
    """
    if dialect is Dialect.OVID:
        text = _COLON.sub(MANY, text)
    meanings = _WILDCARDS[dialect]
    folded, last = "", 0
    for match in _PIECES.finditer(text):
        sign = meanings.get(match[1])
        if sign is None:
            continue
        folded += fold_text(text[last : match.start()])
        is_limited = bool(match[2]) and sign == MANY and dialect is Dialect.OVID
        if is_limited:
            folded += MAYBE * min(int(match[2]), _MOST_LETTERS)
        else:
            folded += sign + match[2]
        last = match.end()
    folded += fold_text(text[last:])
    return tuple(word for word in folded.split() if word.strip(MANY + MAYBE + ONE))


def read_years(text: str) -> tuple[int | None, int | None] | None:
    """Return the first and last year of a date or a range of dates, None for an open end; None if it is neither.

    >>> read_years("2010/01/01:2020"), read_years("2015 -Current"), read_years("2015"), read_years("soon")
    ((2010, 2020), (2015, None), (2015, 2015), None)
    """
    plain = text.replace('"', "").strip()
    if match := _SINGLE.fullmatch(plain):
        return int(match[1]), int(match[1])
    if match := _SPAN.fullmatch(plain):
        last = int(match[2]) if match[2] else None
        return int(match[1]), None if last is None or last > _OPEN_END else last
    if match := _UP_TO.fullmatch(plain):
        return None, int(match[1])
    return None


def split_heading(text: str) -> tuple[str, str]:
    """Return the heading and the subheading of Gout/drug therapy; "" for none."""
    heading, _, subheading = text.partition("/")
    return heading.strip(), subheading.strip()
