"""Copyright notices that publishers and databases put into abstracts."""

from __future__ import annotations

import re

_NOTICE = re.compile(r"\s*(?:©|\(c\)|copyright\b)", re.IGNORECASE)
# A notice has one of these: most abstracts are looked at once.
_HINTS = ("©", "opyright", "OPYRIGHT", "(c)", "(C)")
_MARK = r"(?:(?:copyright|\(copyright\)|Â?©|\(c\))[\s:,]*)+"
# The first sentence of a notice: the mark, then a year or its owner.
_OPENING = re.compile(
    rf"{_MARK}(?:\(?(?:1[89]|20)\d\d\b|(?:the |article )?author"
    r"|[^.\n]{2,90}\b(?:(?:1[89]|20)\d\d|ltd|inc|llc)\.?$)",
    re.IGNORECASE,
)
_NO_NOTICE = re.compile(
    r"\b(?:was|were|had|has|have|showed|used|assessed|measured|scored?|we|patients)\b", re.IGNORECASE
)
# Sentences that go on with a notice.
_MORE = re.compile(
    r"all rights reserved|rights reserved|©|copyright|permission|published (?:by|online|in|for)|on behalf of|licens"
    r"|creative commons|open access|no commercial use|\bwiley\b|elsevier|springer|\btaylor & francis"
    r"|(?:\b(?:inc|ltd|llc|gmbh|b\.v|plc|publishers?|society|association|press)\b[^.]{0,20}\.?$)"
    r"|^[A-Z][\w .&-]{1,50} \d+\s*[:(][\w():;,. \u2013-]*\d[\w.]*$|^(?:1[89]|20)\d\d[;:.]",
    re.IGNORECASE,
)
# Notices of databases, which may follow anything.
_EBSCO = re.compile(r"\s*\bCopyright of .{1,300}? is the property of\b.*", re.DOTALL)
_PSYCINFO = re.compile(
    r"\s*\(\s*Psyc[A-Za-z]+ Database Record (?:\(c\)|©) \d{4}"
    r"(?:[^()]|\([^()]*\)){0,200}\)?\.?(?=\s*(?:\([^()]{0,80}\)\.?\s*)?$)"
)
_SENTENCE = re.compile(r"(?<![\s.(][A-Z]\.)(?:(?<=[.!?])|(?<=[.!?][)\]]))\s+(?=\S)|\n\s*")
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
            text = text[: match.start()] + text[match.end() :]
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
