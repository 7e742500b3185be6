"""What looks like an operator, a field or a wildcard in a plain question, where it is read as a word."""

from __future__ import annotations

import re
from collections.abc import Iterator

from engine.corpus.boolean.foreign import note_foreign
from engine.corpus.boolean.prose import find_operators, is_prose
from engine.corpus.boolean.strategy import read_search
from engine.corpus.boolean.tags import find_front_tag
from engine.corpus.boolean.tokens import count_tags, fold_marks, hide_quoted

_MOST = 3  # notes
_SMALL = r"(?:a|an|and|the|of|in|on|at|to|or|for|from|with|by|than|was|were|is|are|between)\b"
_NEAR = re.compile(
    rf"(?<![\w*-])(?!{_SMALL}|[a-z]{{0,2}}T[0-9])(?P<left>[\w*]++) "
    rf"(?P<operator>[NW]1?[0-9]|[nw]/[0-9]{{1,2}}) (?!{_SMALL})"
    r"(?P<right>[\w*]+)(?![\w-])"
)
_BEFORE = re.compile(r"^\s*+(?:\(\s*+)?(?P<field>TI|AB|TS|TX|SO|AU)\s+(?P<word>[a-z][\w*-]+)")
_COLON = re.compile(
    r"(?<![\w:])(?:(?P<field>ti|ab|tiab|au|author|abstract|ta|journal|mh|mesh|kw):(?P<word>[^\W\d_][\w*-]+)"
    r"|(?P<year>year):(?P<number>[0-9]{4})(?![\w:]))"
)
_TAG = re.compile(r"(?<!\w)(?P<word>\w++)\[(?P<field>[A-Za-z][A-Za-z /:-]{1,30})\](?!\w)")
_WILDCARD = re.compile(
    r"(?<!\w)(?P<word>[a-z]{2,}(?:[?#$](?!(?:and|or|is|are|it|how|what|who|why|when)\b)[a-z]+|\$[0-9]?(?!\w)|#(?!\w))"
    r"[\w?#$]*)"
)


def note_reading(text: str) -> tuple[str, ...]:
    """Return notes on how a text is read, whatever an index holds.

    >>> note_reading("gout N3 pain"), note_reading("gout AND")
    (('N3 was read as a word. If it is an operator, write "gout pain"[tiab:~3]',), \
('AND at character 6 has nothing after it, so it was left out',))

    Raises:
        UsageError: it is a Boolean search that can't be read.
    """
    search = read_search(text)
    return note_lookalikes(text) if search is None else search.notes


def note_lookalikes(text: str) -> tuple[str, ...]:
    """Return notes on what was read as a word in a plain question, each with what to write instead.

    >>> note_lookalikes("au:smith on gout")
    ('au: was read as a word. If it is a field, write smith[au]',)
    """
    plain = fold_marks(text)
    open_text = hide_quoted(plain)
    if is_prose(open_text, count_tags(plain)):
        return _note_operators(open_text)
    return tuple(dict.fromkeys(_list_notes(plain)))[:_MOST]


def _note_operators(text: str) -> tuple[str, ...]:
    """Return the note on operators that were read as words, since a text is prose."""
    if not (found := list(dict.fromkeys(find_operators(text)))):
        return ()
    names = " and ".join(found) if len(found) < 3 else "AND, OR and NOT"
    were = "was read as a word" if len(found) == 1 else "were read as words"
    return (f"{names} {were}, since this is prose. For a Boolean search, add field tags, as in gout[tiab]",)


def _list_notes(text: str) -> Iterator[str]:
    """Yield a note for each lookalike of a text with plain marks."""
    for match in _NEAR.finditer(text):
        left, operator, right = match["left"], match["operator"], match["right"]
        digits = operator.lstrip("NWnw/")
        other = f"{left} PRE/{digits} {right}" if operator[:1] == "W" else f'"{left} {right}"[tiab:~{digits}]'
        yield f"{operator} was read as a word. If it is an operator, write {other}"
    yield from note_foreign(text, is_search=False)
    for match in _BEFORE.finditer(text):
        yield _note_field(match["field"], match["field"], match["word"])
    for match in _COLON.finditer(text):
        name = match["field"] or match["year"]
        yield _note_field(f"{name}:", name, match["word"] or match["number"])
    for match in _TAG.finditer(text):
        yield f"[{match['field']}] was read as a word, since it is no field tag. For title and abstract, write [tiab]"
    for match in _WILDCARD.finditer(text):
        word = match["word"]
        yield f"{word} was read as words: ?, # and $ are wildcards before a field tag, as in {word}.ti,ab."


def _note_field(written: str, name: str, word: str) -> str:
    """Return the note on what may be a field in front of a word."""
    return f"{written} was read as a word. If it is a field, write {word}[{find_front_tag(name)}]"
