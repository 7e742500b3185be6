"""Fields in front of what is looked up, as EBSCO, Web of Science and Scopus have them: TI gout, TS=(gout OR tophus)."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace

from engine.corpus.boolean.tags import Dialect
from engine.corpus.boolean.tokens import Piece, TokenType
from engine.errors import UsageError

_TAGS = {
    **dict.fromkeys(("TI", "TITLE"), "ti"),
    **dict.fromkeys(("AB", "ABS"), "ab"),
    "TITLE-ABS": "tiab",
    **dict.fromkeys(("TITLE-ABS-KEY", "TS", "TX", "ALL"), "tw"),
    **dict.fromkeys(("KW", "KEY", "AK", "AUTHKEY"), "ot"),
    **dict.fromkeys(("MH", "MM"), "mh:noexp"),  # with the headings below it if it ends in +
    "AU": "au",
    "SO": "ta",
    **dict.fromkeys(("PT", "DT", "DOCTYPE"), "pt"),
    **dict.fromkeys(("PY", "YR"), "dp"),
    **dict.fromkeys(("LA", "LANGUAGE"), "la"),
}
_NAMES = "|".join(sorted(_TAGS, key=len, reverse=True))
_PREFIX = re.compile(rf"(?P<name>{_NAMES})(?P<sign>=?)(?P<rest>.*)", re.DOTALL)
_REFUSED = re.compile(r"PUBYEAR|LIMIT-TO|EXCLUDE|(?:WC|SU|ZP|CU|OG|FO|AD|RS|SS|DE|SH)=.*", re.DOTALL)


def move_prefixes(pieces: Sequence[Piece]) -> tuple[list[Piece], list[str]]:
    """Write fields that stand before a word, phrase or group as field tags after it; return the rest and notes.

    Raises:
        UsageError: a field or limit of another database that has no counterpart.
    """
    kept, notes = list(pieces), []
    for place in range(len(pieces) - 2, -1, -1):
        piece, following = kept[place], kept[place + 1]
        if piece.type is not TokenType.WORD:
            continue
        if _REFUSED.fullmatch(piece.text) and (following.type is TokenType.OPEN or piece.text != "EXCLUDE"):
            raise UsageError(
                f"{piece.text[:20]} at character {piece.position} is a field or limit of another database. Leave it "
                "out, or write it with a field tag such as gout[tiab] or 2010:2020[dp]"
            )
        match = _PREFIX.fullmatch(piece.text)
        if match is None or not _is_prefix(match, kept, place):
            continue
        value = [replace(piece, text=match["rest"], written=match["rest"])] if match["rest"] else []
        end = place + 1 if value else _find_end(kept, place + 1)
        found = [*value, *kept[place + 1 : end]]
        written = f"{match['name']}{match['sign']}"
        kept[place:end] = [*_drop_plus(found), _build_tag(match["name"], found, piece, written)]
        notes.append(f"{written} at character {piece.position} was read as the field of what follows it")
    return kept, notes[::-1]


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


def _find_end(pieces: Sequence[Piece], place: int) -> int:
    """Return the place after the words, phrase or group that begin at a place."""
    depth, start = 0, place
    while pieces[place].type is not TokenType.END:
        kind = pieces[place].type
        depth += (kind is TokenType.OPEN) - (kind is TokenType.CLOSE)
        place += 1
        is_run = pieces[start].type is TokenType.WORD and pieces[place].type is TokenType.WORD
        if depth <= 0 and not is_run:
            break
    return place


def _drop_plus(pieces: Sequence[Piece]) -> list[Piece]:
    """Return a value without the + of a heading with those below it."""
    return [replace(one, text=one.text.rstrip("+")) if one.text.endswith("+") else one for one in pieces]


def _build_tag(name: str, pieces: Sequence[Piece], piece: Piece, written: str) -> Piece:
    """Return the field tag of PubMed that means the same."""
    is_exploded = _TAGS[name] == "mh:noexp" and any(one.text.endswith("+") for one in pieces)
    tag = "mh" if is_exploded else "majr:noexp" if name == "MM" else _TAGS[name]
    return Piece(TokenType.TAG, tag, piece.position, Dialect.PUBMED, written)
