"""Fields in front of what is looked up, as EBSCO, Web of Science and Scopus have them: TI gout, TS=(gout OR tophus)."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace

from engine.corpus.boolean.tags import Dialect, find_front_tag
from engine.corpus.boolean.tokens import Piece, TokenType
from engine.corpus.boolean.values import read_years
from engine.errors import UsageError

_READ = (
    *("TI", "TITLE", "AB", "ABS", "TITLE-ABS", "TITLE-ABS-KEY", "TS", "TX", "ALL", "KW", "KEY", "AK", "AUTHKEY"),
    *("AU", "SO", "PT", "DT", "DOCTYPE", "PY", "YR", "LA", "LANGUAGE"),
)
_TAGS = {name: find_front_tag(name) for name in _READ}
_TAGS |= dict.fromkeys(("MH", "MM", "DE"), "mh:noexp")  # with the headings below it if it ends in +
_NAMES = "|".join(f"(?i:{name})" if "-" in name else name for name in sorted(_TAGS, key=len, reverse=True))
_PLUS = re.compile(r"(?<=\w)\+(?=$|/)")
_PREFIX = re.compile(rf"(?P<name>{_NAMES})(?P<sign>=?)(?P<rest>.*)", re.DOTALL)
_SURE = re.compile(
    rf"(?<![\w-])(?:(?:{_NAMES})=(?=[(\"])|(?:TITLE|(?i:TITLE-ABS(?:-KEY)?)|AUTHKEY)\(|(?:M[HM]|DE)\s+\""
    r"|(?:TI|AB|TX)\s+\((?=[^()]*\s[NW][0-9]{1,2}\s))"
)  # a field before a group or phrase
_REFUSED = re.compile(r"PUBYEAR|LIMIT-TO|EXCLUDE|(?:WC|SU|ZP|CU|OG|FO|AD|RS|SS|DE|SH)=.*", re.DOTALL)


def has_prefix(text: str) -> bool:
    """Return whether a text with plain marks has a field before a group or phrase that is nothing else: TS=(gout)."""
    return _SURE.search(text) is not None


def move_prefixes(pieces: Sequence[Piece]) -> tuple[list[Piece], list[str]]:
    """Write fields that stand before a word, phrase or group as field tags after it; return the rest and notes.

    Raises:
        UsageError: a field or limit of another database that has no counterpart.
    """
    ends, notes = _match_parentheses(pieces), []
    values: dict[int, list[Piece]] = {}  # what stands at the place of a word that holds a field
    tags: dict[int, list[Piece]] = {}  # after a place
    for place in range(len(pieces) - 2, -1, -1):
        piece, following = pieces[place], pieces[place + 1]
        if piece.type is not TokenType.WORD:
            continue
        if _REFUSED.fullmatch(piece.text) and (following.type is TokenType.OPEN or piece.text != "EXCLUDE"):
            raise UsageError(
                f"{piece.text[:20]} at character {piece.position} is a field or limit of another database. Leave it "
                "out, or write it with a field tag such as gout[tiab] or 2010:2020[dp]"
            )
        match = _PREFIX.fullmatch(piece.text)
        if match is None or not _is_prefix(match, pieces, place):
            continue
        rest = match["rest"]
        values[place] = [replace(piece, text=rest, written=rest)] if rest else []
        last = place if rest else _find_end(pieces, place + 1, ends)
        value = values[place] or pieces[place + 1 : place + 2]
        written = f"{match['name']}{match['sign']}"
        tag = _choose_tag(match["name"].upper(), value)
        tags.setdefault(last, []).append(Piece(TokenType.TAG, tag, piece.position, Dialect.PUBMED, written))
        notes.append(f"{written} at character {piece.position} was read as the field of what follows it")
    kept: list[Piece] = []
    for place, piece in enumerate(pieces):
        kept += [*values.get(place, [piece]), *tags.get(place, ())]
    return [_drop_plus(piece) for piece in kept] if tags else kept, notes[::-1]


def _choose_tag(name: str, value: Sequence[Piece]) -> str:
    """Return the tag of PubMed for a field before a value: with a +, a heading and those below it."""
    if name in ("MH", "MM") and any(_PLUS.search(one.text) for one in value):
        return "mh"
    if name == "DT" and value and read_years(value[0].text):  # a type in Web of Science, a date at EBSCO
        return "dp"
    return "majr:noexp" if name == "MM" else _TAGS[name]


def _match_parentheses(pieces: Sequence[Piece]) -> dict[int, int]:
    """Return the place of the closing parenthesis of each opening one that is closed."""
    found, stack = {}, []
    for place, piece in enumerate(pieces):
        if piece.type is TokenType.OPEN:
            stack.append(place)
        elif piece.type is TokenType.CLOSE and stack:
            found[stack.pop()] = place
    return found


def _is_prefix(match: re.Match[str], pieces: Sequence[Piece], place: int) -> bool:
    """Return whether a word is a field: with =, or in capitals before a phrase, a group or a word not in capitals."""
    if match["sign"]:
        return bool(match["rest"]) or pieces[place + 1].type in (TokenType.OPEN, TokenType.QUOTED, TokenType.WORD)
    following = pieces[place + 1]
    if match["rest"]:
        return False
    is_first = place == 0 or pieces[place - 1].type in (TokenType.OPEN, TokenType.OPERATOR)
    is_word = following.type is TokenType.WORD and not following.text.isupper()
    return is_first and (is_word or following.type in (TokenType.OPEN, TokenType.QUOTED))


def _find_end(pieces: Sequence[Piece], place: int, ends: Mapping[int, int]) -> int:
    """Return the last place of the words, phrase or group that begin at a place."""
    if pieces[place].type is TokenType.OPEN:
        return ends.get(place, place)
    while pieces[place].type is TokenType.WORD and pieces[place + 1].type is TokenType.WORD:
        place += 1
    return place


def _drop_plus(piece: Piece) -> Piece:
    """Return a value without the + of a heading with those below it: Gout+ or Gout+/DT."""
    is_value = piece.type in (TokenType.WORD, TokenType.QUOTED)
    return replace(piece, text=_PLUS.sub("", piece.text)) if is_value else piece
