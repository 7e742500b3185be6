"""Copyright notices that publishers and databases put into abstracts."""

from __future__ import annotations

import re

_NOTICE = re.compile(r"\s*(?:©|\(c\)|copyright\b)", re.IGNORECASE)
_HINTS = ("©", "opyright", "OPYRIGHT", "(c)", "(C)", "( c", "( C", "eserved")  # one of these is in every notice
_MARK = r"(?:(?:crown\s+)?(?:copyright|\(copyright\)|Â?©|\(\s?c\s?\))[\s:,]*)+"
_YEAR = r"(?:1[89]|20)\d\d"
_OWNER = r"(?:[^.\n]|(?<=\b[A-Z])\.)"  # a character of a name; a full stop only after an initial
# The first sentence of a notice: the mark, then a year or its owner. The sign alone may have an owner of any name after
# it, or a journal's name before it.
_OPENING = re.compile(
    rf"{_MARK}(?:\(?{_YEAR}\b|(?:the |article )?author|{_OWNER}{{2,90}}\b(?:{_YEAR}|ltd|inc|llc)\.?$)"
    rf"|(?:(?:crown\s+)?copyright\s*)?(?:Â?©\s*)+(?-i:[A-Z]){_OWNER}{{1,80}}\.?$"
    rf"|(?-i:[A-Z])[\w'-]*(?:[ :,]+(?:(?-i:[A-Z0-9])[\w'-]*|and|of|the|in|for|&)){{0,8}} Â?© ?{_YEAR}\b"
    r"|all rights (?:are )?reserved\.?$|this article is protected by copyright\.?$",
    re.IGNORECASE,
)
_NO_NOTICE = re.compile(
    r"\b(?:was|were|had|has|have|showed|used|assessed|measured|scored?|we|patients)\b", re.IGNORECASE
)
# Sentences that go on with a notice.
_MORE = re.compile(
    r"rights (?:are )?reserved|diritti riservati|rechte vorbehalten|droits r[ée]serv[ée]s|derechos reservados"
    r"|©|copyright|permission|published (?:by|online|in|for)|on behalf of|licens"
    r"|creative commons|open access|no commercial use|\bwiley\b|elsevier|springer|\btaylor & francis"
    r"|public domain|government work|\bkgaa\b|\bsubsidiaries\b|\bjournal of\b"
    r"|(?:\b(?:inc|ltd|llc|gmbh|b\.v|plc|publishers?|society|association|press)\b[^.]{0,20}\.?$)"
    r"|^[A-Z][\w .:&-]{1,60} \d+[A-Z]?\s*[:(][\w():;,. \u2013-]*\d[\w.]*$|^(?:1[89]|20)\d\d[;:.]",
    re.IGNORECASE,
)
# Notices of databases, which may stand anywhere. EBSCO's ends with "(Copyright applies to all Abstracts.)", or is cut.
_EBSCO = re.compile(
    r"\s*\bcopyright\s+of\s.{1,300}?\sis\s+the\s+property\s+of\s"
    r"(?:.{1,300}?(?:may\s+not\s+be\s+copied|copyright\s+holder|written\s+permission)"
    r"(?:.*?\(copyright\s+applies\s+to\s+all\s+abstracts\.?\)|.*)|[^.]{1,200}\.?\s*$)",
    re.DOTALL | re.IGNORECASE,
)
_RECORD = (
    r"\(\s*psyc[a-z]+\s+database\s+record\s+(?:\(\s?c\s?\)|\(copyright\)|Â?©)\s*\d{4}"
    r"(?:[^()]|\([^()]*\)){0,200}\)?\.?"
)
_PSYCINFO = re.compile(rf"\s*{_RECORD}(?=\s*(?:\([^()]{{0,80}}\)\.?\s*)?$)|^\s*{_RECORD}\s*", re.IGNORECASE)
_SENTENCE = re.compile(
    r"(?<![\s.(][A-Z]\.)(?:(?<=[.!?])|(?<=[.!?][)\]]))\s+(?=\S)|\n\s*|(?<=[.!?)\]])(?=(?:Copyright )?Â?©)"
    rf"|(?<![Cc]rown)(?<![©)])\s+(?=(?:Â?©\s*)?Copyright\b[\s©Â]*{_YEAR})"
)
# Scopus may put the notice first, without a blank after it: "© 2016 Elsevier Ltd.Background: …".
_FIRST = re.compile(
    rf"\s*({_MARK}(?:1[89]|20)\d\d[^.\n]{{1,100}}?"
    r"(?:Ltd|Inc|LLC|B\.V|GmbH|Verlag|Society|Association|Authors?|Publish\w+|Press|Media|Group|University|Wilkins)\."
    r"(?:\s*All rights reserved\.)?)\s*(?=[A-Z])",
    re.IGNORECASE,
)
_LONGEST_SENTENCE = 250  # characters of the first sentence of a notice
_LONGEST = 600  # characters of a notice at the end


def is_notice(text: str) -> bool:
    """Return whether a text of a field for any use begins as a copyright notice does."""
    return _NOTICE.match(text) is not None


def split_rights(text: str) -> tuple[str, str]:
    """Split an abstract into its text and the copyright notices before and after it, one a line.

    A notice is cut only if all of it looks like one; otherwise the text is unchanged.

    >>> split_rights("Pain fell. © 2019 Elsevier Ltd. All rights reserved.")
    ('Pain fell.', '© 2019 Elsevier Ltd. All rights reserved.')
    """
    if not any(map(text.__contains__, _HINTS)):
        return text, ""
    leading = ""
    if (match := _FIRST.match(text)) and not _NO_NOTICE.search(match[1]):
        leading, text = match[1], text[match.end() :]
    notices: list[str] = []  # the last one first
    for pattern in (_EBSCO, _PSYCINFO):
        if match := pattern.search(text):
            notices.append(match[0].strip())
            text = text[: match.start()] + text[match.end() :].lstrip(" " * (not match.start()))
    start = _find_notice(text)
    if start < len(text):
        notices.append(text[start:].strip())
        text = text[:start].rstrip()
    return text, "\n".join(filter(None, [leading, *reversed(notices)]))


def _find_notice(text: str) -> int:
    """Return where the notice at the end of a text begins; the length of the text if it has none."""
    begin = max(0, len(text) - _LONGEST)
    starts = [0] * (not begin) + [match.end() for match in _SENTENCE.finditer(text, begin)]
    for index, start in enumerate(starts):
        ends = [*starts[index + 1 :], len(text)]
        if not _OPENING.match(text[start : ends[0]].strip()):
            continue
        first, *others = (text[a:b].strip() for a, b in zip([start, *ends[:-1]], ends, strict=True))
        is_short = len(first) <= _LONGEST_SENTENCE and not re.search(r"[a-z]\.[A-Z]", first)
        if is_short and not _NO_NOTICE.search(first) and all(_MORE.search(other) for other in others):
            return start
    return len(text)
