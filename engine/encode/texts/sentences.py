"""Sentence boundaries of an abstract, found by rules for medical prose."""

from __future__ import annotations

import re
from collections.abc import Iterator

from engine.records.answer import Span

_LONGEST = 600  # characters; a longer sentence is split at "; " or ", " near its middle
MOST_READ = 100_000  # characters of a text that are compared sentence by sentence; an abstract has some 2,000
_BEFORE = 24  # characters before a full stop that are searched for its word

_NEVER_LAST = frozenset(  # no sentence ends with these words
    "e.g eg i.e ie vs cf viz fig figs eq eqs dr drs prof mr mrs ms messrs st ste mt pp www et".split()
)
_SELDOM_LAST = frozenset(  # nor with these, unless the next word is in _OPENERS
    "al etc approx appr vit staph strep ca sp spp ssp subsp var cv resp incl excl inc ltd co corp jr sr dept univ ref "
    "refs sect vol tab min max avg temp conc wt hr hrs sec jan feb mar apr jun jul aug sept oct nov dec".split()
)
_BEFORE_NUMBERS = frozenset("no nos nr n p 0".split())  # nor with these, if a number follows
_OPENERS = frozenset(  # words that begin sentences and are rarely names
    "a after all although among an and as at because both but compared consequently despite during each finally first "
    "five for four from furthermore given he here his how however if in it its many mean median moreover most "
    "nevertheless no on one other our overall participants patients results second she several since six some studies "
    "subjects such that the their then there therefore these they third this those three thus to two under using we "
    "what when whereas whether which while with within".split()
)
_NAMES = (  # sections of an abstract
    "backgrounds?|introduction|objectives?|aims?|purpose|context|rationale|hypothes[ie]s|importance|(?:study )?design|"
    "setting|(?:materials?|patients|subjects|participants|data)(?: and | & |/)methods|methodology|"
    "methods?(?: and (?:results|findings|materials))?|study selection|data sources|participants|subjects|"
    "interventions?|measurements?|(?:main )?outcome measures?|outcomes?|results?|findings|discussion|conclusions?|"
    "interpretation|significance|relevance|limitations|summary"
)
_HEADING = re.compile(r"(?:[^\s:]+ ){0,5}[^\s:]+ ?:")
_STOPPED_LABEL = re.compile(rf"(?:{_NAMES}) ?\.|\(?(?:\w|\d\d|[ivx]+)\)?\.", re.IGNORECASE)
_STOPS = re.compile(
    r"(?=[\s.!?\u2026\u061f\u0964\u3002\uff01\uff1f\uff61])(?:"  # all begin with one: half of the time
    # Marks, closing quotes and brackets, references in brackets.
    r"(?<![.!?])(?P<mark>[.!?\u2026\u061f\u0964]+(?:[ \t]+[.!?]+(?=\s|$))*)"
    r"(?P<closed>[\"'\u2019\u201d\u00bb)\]]*)(?:\[\d[\d, \u2013-]*\])?(?=\s|$)"
    r"|[\u3002\uff01\uff1f\uff61]+[\u300d\u300f\uff09\u201d\u2019]*"  # scripts without spaces between words
    # The space after the mark is missing.
    r"|(?<=[a-zA-Z0-9)\]%])(?P<glued>[.!?][\"'\u2019\u201d)\]]*)(?=[A-Z](?:[a-z]|\s))"
    r"|(?:(?<=[a-z]{3})|(?<=[)\]]))(?P<before_capitals>\.)(?=[A-Z]{2})"
    rf"|(?<=[a-z0-9)%])\s+(?=(?:{_NAMES.upper()}) ?:))"  # the full stop is missing
)
_WORD = re.compile(r"[^\s(\[{\"'\u201c\u2018\u00ab]+$")
_NEXT = re.compile(r"\W{0,50}([^\W\d_]+|\d|$)(.?)", re.DOTALL)
_DOTTED = re.compile(r"(?:[^\W\d_]{1,2}\.)+[^\W\d_]{1,2}")  # U.S, i.v
_ORDINARY = re.compile(r"[a-z]{4,}|.*[)\]%]")  # may end a sentence, whatever follows


def split_sentences(text: str) -> list[Span]:
    """Find the sentences of a text: their spans, ascending, without white space around them.

    Together they contain everything that is not white space. A new line begins a new sentence; a heading ("METHODS:")
    belongs to the sentence after it. A text without any word is one span, a blank text has none.

    >>> [text[a:b] for text in ["Is it safe? RESULTS: P < .05 (Fig. 1)."] for a, b in split_sentences(text)]
    ['Is it safe?', 'RESULTS: P < .05 (Fig. 1).']
    """
    return [part for whole in _join_labels(text, _iterate_pieces(text)) for part in _split_long(text, whole)]


def split_beginning(text: str) -> list[Span]:
    """Find the sentences of a text, of a very long one those in its first MOST_READ characters, where the last is cut.

    >>> len(split_beginning("It is safe. " * 100_000))
    8334
    """
    return split_sentences(text[:MOST_READ])


def _iterate_pieces(text: str) -> Iterator[Span]:
    """Yield the spans between ends of lines and sentences; headings and numbers may stand alone."""
    lower = text == text.lower()
    start = 0
    for line in text.splitlines(keepends=True):
        begin, end = start, start + len(line)
        for stop in _STOPS.finditer(text, start, end):
            if _is_end(text, stop, end, lower):
                yield from _strip_span(text, begin, stop.end())
                begin = stop.end()
        yield from _strip_span(text, begin, end)
        start = end


def _strip_span(text: str, start: int, end: int) -> Iterator[Span]:
    """Yield the span without white space around it; nothing if it is blank."""
    piece = text[start:end]
    if piece and not piece.isspace():
        yield start + len(piece) - len(piece.lstrip()), end - len(piece) + len(piece.rstrip())


def _is_end(text: str, stop: re.Match[str], line_end: int, lower: bool) -> bool:
    """Return whether a sentence ends here; lower: the whole text is in lower case."""
    mark = stop["mark"] or (stop["glued"] or stop["before_capitals"] or "")[:1]
    if not mark:
        return True
    near = _WORD.search(text, max(0, stop.start() - _BEFORE), stop.start())
    word = near[0] if near else ""
    following = _NEXT.match(text, stop.end(), line_end)
    after, then = following.groups() if following else ("", "")
    if mark == "." and word and not _may_be_last(word.lower(), after, then):
        return False
    if lower or not after[:1].islower():
        return True
    if ")" in (stop["closed"] or "") or mark in ("...", "\u2026"):
        return False
    return not word or _ORDINARY.fullmatch(word) is not None


def _may_be_last(word: str, after: str, then: str) -> bool:
    """Return whether a sentence may end with a word and a full stop, given the word and the character after it."""
    if word.rpartition("/")[2] in _NEVER_LAST or (after.isdigit() and word in _BEFORE_NUMBERS):
        return False
    letter = len(word) == 1 and word.isalpha()
    if letter or word in _SELDOM_LAST or _DOTTED.fullmatch(word):
        return after.lower() in _OPENERS and then != "."
    return True


def _join_labels(text: str, pieces: Iterator[Span]) -> Iterator[Span]:
    """Put a piece that is only a heading or a number, or has no word, before the piece after it."""
    waiting: int | None = None  # start of the labels before the next sentence
    last = (0, 0)
    for start, end in pieces:
        label = _HEADING if text[end - 1] == ":" else _STOPPED_LABEL
        alone = label.fullmatch(text, start, end) is not None or not any(map(str.isalnum, text[start:end]))
        waiting, last = start if waiting is None else waiting, (start, end)
        if not alone:
            yield waiting, end
            waiting = None
    if waiting is not None:
        yield waiting, last[1]


def _split_long(text: str, whole: Span) -> Iterator[Span]:
    """Split a span of more than _LONGEST characters where possible; yield a shorter one unchanged."""
    start, end = whole
    if end - start <= _LONGEST:
        yield whole
        return
    middle, quarter = (start + end) // 2, (end - start) // 4
    for separator in "; ", ", ":
        before = text.rfind(separator, start + quarter, middle + 1)
        after = text.find(separator, middle, end - quarter)
        near = [at for at in (before, after) if at >= 0]
        if near:
            cut = min(near, key=lambda at: abs(at - middle)) + 1
            for part in (*_strip_span(text, start, cut), *_strip_span(text, cut, end)):
                yield from _split_long(text, part)
            return
    yield whole
