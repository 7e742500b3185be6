"""The tokens of a search expression, and the dialect that it is written in."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum

from engine.characters import DASHES, DOUBLE_MARKS, SINGLE_MARKS
from engine.corpus.boolean.tags import Dialect, find_nearness, find_tag, suggest_tag
from engine.errors import UsageError


class TokenType(Enum):
    """The type of a token."""

    OPEN = "("
    CLOSE = ")"
    OPERATOR = "an operator"
    WORD = "a word"
    QUOTED = "a phrase"
    HEADING = "a heading"  # of Ovid: exp *Gout/dt
    TAG = "a field tag"
    LIMIT = "a limit"  # of Embase: [english]/lim
    LINES = "numbers of lines"  # #1, or or/1-5
    END = "the end"


@dataclass(frozen=True, slots=True)
class Piece:
    """A token of an expression."""

    type: TokenType
    text: str  # without quotation marks, brackets and the punctuation of tags; operators in upper case
    position: int  # of its first character, from 1
    dialect: Dialect = Dialect.PLAIN  # of a tag
    written: str = ""


# What word processors and East Asian keyboards write, one character for one, so that positions stay as they are seen.
_SAME = {full: full - 0xFEE0 for full in range(0xFF01, 0xFF5F)} | str.maketrans(
    DOUBLE_MARKS + SINGLE_MARKS + "\u00a0\u3000\u2007\u202f",
    '"' * len(DOUBLE_MARKS) + "'" * len(SINGLE_MARKS) + " " * 4,
)
_INVISIBLE = "\0\u00ad\u200b-\u200d\u2060\ufeff\ud800-\udfff"
_INSIDE = re.compile(rf"(?<=\w)[{_INVISIBLE}]+(?=\w)|(?<=\w)[\u00ad\u00ac\x02\ufffe][^\S\n]*\n\s*(?=[^\W\d_])")
_OUTSIDE = re.compile(f"[{_INVISIBLE}]")
_QUOTED = re.compile(r"\"[^\"\n]*\"|(?<!\w)'[^'\n]*'(?=[/:\s)]|$)")
_BRACKET = re.compile(r"\[([^\[\]\n]{1,60})\]")
_COMMENT = re.compile(r"\[[^\[\]\n]{0,2000}\]")  # of Ovid: [mp=title, abstract, …]
_OVID_CODES = r"\.\s?\(?([a-z]{2}(?:\s?,\s?[a-z]{2}){0,40}|m_titl|pmid|sa_year)\)?\s*(?:\.|(?=[\s)]|$))"
_OVID_TAG = re.compile(_OVID_CODES, re.IGNORECASE)
_OVID_SURE = re.compile(
    r"(?<=[\w)\"'*$?#+:\]])\.(?=[^.]*\b(?:ti|ab|tw|mp|pt|kw|kf|hw|sh|af|au|yr|jn|la|lg|jw|m_titl)\b)"
    r"([a-z]{2}(?:\s*,\s*[a-z]{2})*|m_titl)(?:\.(?!\w)|(?=\s*(?:$|[\n)]|\b(?:and|or|not)\b)))",
    re.IGNORECASE,
)
_QUALIFIERS = (
    "ab ac ad ae ag ah ai al am an at be bi bl bs ca ch ci cf cl cn co ct cy de dg dh di dm dt du ec ed eh em en ep es "
    "et ge gd hi im in ip ir is ku lj ma me mi mo mt nu og os pa pc ph pk pl po pp ps px py rd re rh ri rt sc sd se sn "
    "st su sy tm th td tl tr to tu ul us ut ve vi"
).split()  # codes of subheadings
_SLASH = rf"/(?:\s*(?:{'|'.join(_QUALIFIERS)}|\*)(?:\s*,\s*(?:{'|'.join(_QUALIFIERS)}))*(?![\w/]))?(?=[\s).,;]|$)"
_HEADING_END = re.compile(rf"(?<=[\w)\"]){_SLASH}")
_HEADING_SURE = re.compile(
    rf"(?:^|[(\n]|\b(?:or|and|not)\s)\*?[A-Z][^/()\n.:]{{2,80}}/(?:{'|'.join(_QUALIFIERS)})(?:\s*,\s*[a-z]{{2}})*"
    r"(?=\s*(?:$|[)\n])|\s+(?:and|or|not|AND|OR|NOT)\b)"
    rf"|\bexp(?:lode)?\s+\*?[^/()\n]{{2,100}}{_SLASH}|[A-Za-z)]/(?=\s*(?:$|[)\n])|\s+(?:and|or|not|AND|OR|NOT)\b)"
)
_HEADING = re.compile(
    rf"(?P<exp>exp(?:lode)?\s+)?(?P<major>\*\s?)?\"?(?P<name>[^\W_](?:(?!\s(?:or|not|adj[0-9]*)\s)[^/()\[\]\n\":]){{1,100}}?)\"?(?P<slash>{_SLASH})"
    r"(?:\s*\[[^\]\n]*\])?",
    re.IGNORECASE,
)
_LINKS = r"[a-z]{2}_[a-z]{2}(?:\s?,\s?[a-z]{2}_[a-z]{2}){0,40}"  # subheadings of Embase: dm_dt,dm_th
_EMBASE_TAG = re.compile(
    r":\s?(?P<codes>[a-z]{2,5}(?:\s?,\s?[a-z]{2,5}){0,40})(?![\w'])"
    rf"|/(?P<heading>(?:exp|de|mj|br|syn|major)(?:/(?:exp|mj))?(?:/{_LINKS})?|{_LINKS})(?![\w/])"
    r"|(?<=['\"])/(?P<slashed>[a-z]{2,5}(?:\s?,\s?[a-z]{2,5}){0,40})(?![\w/])",
    re.IGNORECASE,
)
_DESCRIPTOR = re.compile(
    r"MeSH descriptor:?\s*\[?(?P<name>[^\]\[\n]{1,100}?)\]?,?\s+"
    r"(?:explode\s+(?:all\s+trees|trees?\s+[0-9]+(?:\s*(?:,|and)\s*[0-9]+)*)|(?P<only>this\s+term\s+only))"
    r"(?:\s+(?:and\s+)?with\s+qualifiers?(?:\(s\))?:\s*(?P<slash>\[[^\]\n]{0,200}\]))?"
    r"|\[mh\s+(?P<no_exp>\^)?\s*\"?(?P<short>[^\"\]\[/\n]{1,100})\"?\s*(?:/(?P<code>[^\]\[\n]{0,40}))?\]",
    re.IGNORECASE,
)  # a heading of the Cochrane Library
_EMBASE_SURE = re.compile(
    r"(?<=[\w)'\"*])/(?:exp|de|mj)(?![\w.])|\b(?:near|next)\s?/\s?[0-9]+|\]/(?:lim|py|sd)\b"
    r"|\bMeSH descriptor\b|\[mh\s|\{(?:or|and)\s+#?[0-9]",
    re.IGNORECASE,
)
_LIMIT = re.compile(r"\[([^\]\n]{0,200})\]\s*/\s*(lim|py|sd)\b", re.IGNORECASE)
_NEAR = re.compile(r"(near|next)/([0-9]{1,4})|(adj)([0-9]{1,4})", re.IGNORECASE)
_NEAR_ELSEWHERE = re.compile(r"(?:N|(?i:[nw]|pre)/|W)([0-9]{1,3})|(?:NEAR|NEXT)([0-9]{1,3})")
_NEAR_ALONE = re.compile(
    r"(?<!\bthe\s)(?<!\bof\s)(?<!\ba\s)(?<!\bin\s)(?<=[\w)\"'*$?#]\s)(?:(?P<capital>NEAR|NEXT|ADJ)(?:\s?/\s?)?[0-9]{0,3}|[NW]/[0-9]{1,3}|(?i:pre)/[0-9]{1,3})(?=\s+[\w(\"'*])"
)  # proximity between two words, which makes a text a search
_ADJACENT = re.compile(
    r"(?i)(?<!\band\s)(?<!\bor\s)(?<=[\w)\"*$?#]\s)adj(?:[0-9]{1,2}(?=\s+[\w(\"*])|(?=\s+[^\W\d]|\s+[(\"*]))"
)
_NEAR_APART = re.compile(
    r"(?i:(?P<word>near|next|adj))(?:\s?/\s?|\s)(?P<number>[0-9]{1,2})(?=\s+(?!(?i:and|or|not)\b)[\w(\"'*])"
)  # adj 3, NEAR /3
_ORDERED = ("W", "NEXT", "PRE")  # how proximity in this order begins, but W/3
_NEAR_WORDS = 6  # that NEAR without a number stands for in the Cochrane Library
_SPAN = rf"#?[0-9]{{1,5}}(?:\s*[{DASHES}]\s*#?[0-9]{{1,5}})?"
_LINES = re.compile(
    rf"(?:or|and)\s?/\s?{_SPAN}(?:\s*,\s*{_SPAN})*(?![\w-])|#[0-9]{{1,5}}(?![\w-])"
    rf"|\{{\s*(?:or|and)\s+{_SPAN}(?:\s*,\s*{_SPAN})*\s*\}}",
    re.IGNORECASE,
)
_NUMBER = re.compile(r"[0-9]{1,5}(?!\w)")
_AFTER_NUMBER = re.compile(r"\s*(?:$|\)|[.,;]\s*$|\s\[|\b(?:and|or|not)\b)", re.IGNORECASE)
_AFTER_TAG = re.compile(r"\s*(?:$|[)\n,;]|\b(?:and|or|not|near|next|in\s+trials)\b)", re.IGNORECASE)
_FREQUENCY = re.compile(r"\s*/\s*freq\s*=\s*[0-9]+", re.IGNORECASE)
_OPERATORS = {"AND": "AND", "OR": "OR", "NOT": "NOT", "&&": "AND", "||": "OR"}
_RUN = re.compile(r'[^\s()"\[\]]{1,60}')  # operators are shorter
_BETWEEN = re.compile(r"[,;](?=\s*(?:AND|OR|NOT)\b)|(?<=\")~[0-9]{1,2}(?!\w)")  # gout[ti], OR; "hip pain"~2
_FOLLOWING = re.compile(r"\s*(?!(?:and|or|not)\b)[^\s)\]]", re.IGNORECASE)  # an operand
_ADDRESS = re.compile(r"\b(?:https?|ftp)://[^\s()\"]+|\bwww\.[^\s()\"]+", re.IGNORECASE)


def fold_marks(text: str) -> str:
    """Return a text with plain quotation marks, parentheses, letters and blanks, as long as it is seen.

    What is not seen inside a word is dropped, also where the end of a line shows it as a hyphen.
    """
    return _OUTSIDE.sub(" ", _INSIDE.sub("", text.translate(_SAME)))


def has_nearness(text: str) -> bool:
    """Return whether a proximity operator stands between two words of a text with plain marks: hip NEAR pain.

    In a text that is all in capitals, NEAR and NEXT are words. N3 and W3 do not count, since stages have such names.
    """
    open_text = hide_quoted(text)
    return any(not match["capital"] or not text.isupper() for match in _NEAR_ALONE.finditer(open_text))


def guess_dialect(text: str) -> Dialect:
    """Return the dialect of a text with plain marks: that of most of its field tags; PLAIN without any."""
    counts = _count_tags(text)
    best = max(counts, key=lambda dialect: counts[dialect])
    return best if counts[best] else Dialect.PLAIN


def count_tags(text: str) -> int:
    """Count what looks like field tags, headings and proximity of a dialect in a text with plain marks."""
    return sum(_count_tags(text).values())


def _count_tags(text: str) -> dict[Dialect, int]:
    """Count the field tags, headings and proximity operators of each dialect."""
    open_text = _ADDRESS.sub(" ", hide_quoted(text))  # the slash at the end of an address is no heading's
    return {
        Dialect.PUBMED: sum(1 for match in _BRACKET.finditer(open_text) if _is_pubmed_tag(open_text, match)),
        Dialect.OVID: len(_OVID_SURE.findall(open_text))
        + len(_HEADING_SURE.findall(open_text))
        + sum(1 for match in _ADJACENT.finditer(text) if not match[0].isalpha() or match[0].islower()),
        Dialect.EMBASE: len(_EMBASE_SURE.findall(open_text)) + _count_colons(open_text),
    }


def hide_quoted(text: str) -> str:
    """Return a text with its quoted phrases replaced by as many letters, between the quotation marks."""
    return _QUOTED.sub(lambda match: f"{match[0][0]}{'x' * (len(match[0]) - 2)}{match[0][0]}", text)


def _is_pubmed_tag(text: str, match: re.Match[str]) -> bool:
    """Return whether brackets hold a field tag of PubMed, or nearly one right after a word."""
    name = match[1]
    near = find_nearness(name)
    if find_tag(Dialect.PUBMED, near[0] if near else name):
        return text[match.end() : match.end() + 1] != "/"
    before, after = text[max(match.start() - 1, 0) : match.start()], text[match.end() : match.end() + 1]
    is_attached = bool(before) and (before.isalnum() or before in '")*') and not after.isalnum()
    return is_attached and len(name) > 1 and name[:1].isalpha() and bool(suggest_tag(name))


def _count_colons(text: str) -> int:
    """Count the field tags of Embase that follow a colon and end an operand.

    In prose, a blank follows the colon, or a word follows what looks like a tag: "Amblyopia: is it permanent?"
    """
    return sum(
        1
        for match in _EMBASE_TAG.finditer(text)
        if match["codes"]
        and not match[0][1].isspace()
        and _AFTER_TAG.match(text, match.end())
        and match.start()
        and (text[match.start() - 1].isalnum() or text[match.start() - 1] in "'\")*")
        and find_tag(Dialect.EMBASE, match["codes"])
    )


def read_pieces(text: str, dialect: Dialect, *, numbered: int = 0) -> Iterator[Piece]:
    """Yield the tokens of an expression with plain marks, the last of type END.

    numbered: the number of lines of a numbered search, in which a bare number stands for a line; 0: it is no such line.

    Raises:
        UsageError: a quotation mark is not closed.
    """
    place, after_operand = 0, False
    while place < len(text):
        if text[place].isspace():
            place += 1
            continue
        piece, place = _read_piece(text, place, dialect, numbered, after_operand=after_operand)
        if piece is not None:
            after_operand = piece.type not in (TokenType.OPEN, TokenType.OPERATOR)
            yield piece
    yield Piece(TokenType.END, "", len(text) + 1)


def _read_piece(
    text: str, place: int, dialect: Dialect, numbered: int, *, after_operand: bool
) -> tuple[Piece | None, int]:
    """Return the token that begins at a place, None if it means nothing, and where the next one begins."""
    character = text[place]
    if character in "()":
        return Piece(TokenType(character), character, place + 1), place + 1
    if character == '"' or (character == "'" and _is_quotation(text, place, dialect)):
        if (quoted := _read_quoted(text, place)) is not None:
            return quoted
    if after_operand and (match := _BETWEEN.match(text, place)):
        return None, match.end()
    for found in (
        _read_tag(text, place, dialect) if after_operand else None,
        _read_nearness(text, place, dialect) if after_operand else None,
        _read_operand(text, place, dialect, 0 if after_operand else numbered),
    ):
        if found is not None:
            return found
    return _read_word(text, place, dialect)


def _is_quotation(text: str, place: int, dialect: Dialect) -> bool:
    """Return whether a single quotation mark opens a phrase, as on Embase.com, instead of being an apostrophe."""
    return dialect is Dialect.EMBASE or (dialect is Dialect.PLAIN and _QUOTED.match(text, place) is not None)


def _read_quoted(text: str, place: int) -> tuple[Piece, int] | None:
    """Return a quoted phrase; None if a single quotation mark is an apostrophe.

    Raises:
        UsageError: a double quotation mark is not closed.
    """
    quote = text[place]
    end = text.find(quote, place + 1)
    if end < 0:
        if quote == "'":
            return None
        raise UsageError(
            f"the quotation mark at character {place + 1} is not closed: {text[place : place + 40]!r}. Add another "
            "one, or leave it out"
        )
    return Piece(TokenType.QUOTED, text[place + 1 : end], place + 1, written=text[place : end + 1]), end + 1


def _read_tag(text: str, place: int, dialect: Dialect) -> tuple[Piece | None, int] | None:
    """Return the field tag that begins at a place, after an operand."""
    if text[place] == "[" and not _LIMIT.match(text, place) and not _DESCRIPTOR.match(text, place):
        match = _BRACKET.match(text, place)
        comment = _COMMENT.match(text, place) if dialect is Dialect.OVID else None
        if comment is not None and (match is None or not _is_pubmed_tag(text, match)):
            return None, comment.end()
        if match is not None:
            return Piece(TokenType.TAG, match[1].strip(), place + 1, Dialect.PUBMED, match[0]), match.end()
    if (match := _FREQUENCY.match(text, place)) is not None and dialect is Dialect.OVID:
        return Piece(TokenType.TAG, "freq", place + 1, Dialect.OVID, match[0].strip()), match.end()
    if text[place] == "." and (match := _match_ovid(text, place)):
        return Piece(TokenType.TAG, match[1], place + 1, Dialect.OVID, match[0]), match.end()
    if text[place] in ":/" and (match := _match_embase(text, place)):
        tag = f"/{match['heading']}" if match["heading"] else match["codes"] or match["slashed"]
        return Piece(TokenType.TAG, tag, place + 1, Dialect.EMBASE, match[0]), match.end()
    if text[place] == "/" and dialect is Dialect.OVID and (match := _HEADING_END.match(text, place)):
        return Piece(TokenType.TAG, "/", place + 1, Dialect.OVID, match[0]), match.end()
    return None


def _match_ovid(text: str, place: int) -> re.Match[str] | None:
    """Match a field tag of Ovid: of known codes, or between two points after an operand."""
    match = _OVID_TAG.match(text, place)
    if match is None or find_tag(Dialect.OVID, match[1]):
        return match
    is_whole = match[0].endswith(".") and not text[match.end() : match.end() + 1].isalnum()
    return match if is_whole and place and (text[place - 1].isalnum() or text[place - 1] in ")\"'*$?#:") else None


def _match_embase(text: str, place: int) -> re.Match[str] | None:
    """Match a field tag of Embase of known codes."""
    match = _EMBASE_TAG.match(text, place)
    if match is None or match["heading"]:
        return match
    return match if find_tag(Dialect.EMBASE, match["codes"] or match["slashed"]) else None


def _read_nearness(text: str, place: int, dialect: Dialect) -> tuple[Piece, int] | None:
    """Return the proximity operator that begins at a place after an operand, as NEAR/3, NEXT/3, ADJ3 or ADJ."""
    if apart := _NEAR_APART.match(text, place):
        word = apart["word"].upper()
        is_usual = dialect is Dialect.EMBASE or (dialect is Dialect.OVID and word == "ADJ")  # in lower case
        if is_usual or apart["word"].isupper() or "/" in apart[0]:
            name = f"{word}{'' if word == 'ADJ' else '/'}{apart['number']}"
            return Piece(TokenType.OPERATOR, name, place + 1, written=apart[0]), apart.end()
    run = _RUN.match(text, place)
    if run is None or not _FOLLOWING.match(text, run.end()):
        return None
    written, is_capital = run[0], run[0].isupper()
    name = ""
    if _NEAR.fullmatch(written):
        name = written.upper()
    elif match := _NEAR_ELSEWHERE.fullmatch(written):  # these count the words between
        is_ordered = written.upper().startswith(_ORDERED) and not written.upper().startswith("W/")
        name = f"{'NEXT' if is_ordered else 'NEAR'}/{int(match[1] or match[2]) + (match[2] is None)}"
    elif written.upper() == "ADJ" and (is_capital or dialect is Dialect.OVID):
        name = "ADJ"
    elif written.upper() in ("NEAR", "NEXT") and (is_capital or dialect is Dialect.EMBASE):
        name = "NEXT/1" if written.upper() == "NEXT" else f"NEAR/{_NEAR_WORDS}"
    return (Piece(TokenType.OPERATOR, name, place + 1, written=written), run.end()) if name else None


def _read_operand(text: str, place: int, dialect: Dialect, numbered: int) -> tuple[Piece | None, int] | None:
    """Return the limit, heading, operator or line numbers that begin at a place."""
    if text[place] == "[" and dialect is Dialect.PUBMED and (found := _read_tag(text, place, dialect)):
        return found
    if match := _LIMIT.match(text, place):
        kind = TokenType.LIMIT
        return Piece(kind, f"{match[1].strip()}/{match[2].lower()}", place + 1, Dialect.EMBASE, match[0]), match.end()
    run = _RUN.match(text, place)
    if run is None:
        match = _DESCRIPTOR.match(text, place)
        return (_build_heading(match, place), match.end()) if match else None
    spelled = run[0].upper() if run[0].isalpha() else run[0].rstrip(",;:")  # or, OR and "OR,"
    if (name := _OPERATORS.get(spelled)) and not _LINES.match(text, place):
        return Piece(TokenType.OPERATOR, name, place + 1, written=run[0]), run.end()
    if (near := _NEAR.fullmatch(run[0])) and (near[1] or dialect is Dialect.OVID):
        return Piece(TokenType.OPERATOR, near[0].upper(), place + 1, written=run[0]), run.end()
    if match := _LINES.match(text, place) or _match_number(text, place, numbered):
        return Piece(TokenType.LINES, match[0].strip("{} "), place + 1, written=match[0]), match.end()
    if match := _DESCRIPTOR.match(text, place):
        return _build_heading(match, place), match.end()
    if dialect is Dialect.OVID and (match := _HEADING.match(text, place)) and _is_heading(match):
        slash = match["slash"].strip("/ ")
        name = f"{'exp ' if match['exp'] else ''}{'*' if match['major'] else ''}{match['name'].strip()}/{slash}"
        return Piece(TokenType.HEADING, name, place + 1, Dialect.OVID, match[0]), match.end()
    return None


def _build_heading(match: re.Match[str], place: int) -> Piece:
    """Return a heading of the Cochrane Library as one of Ovid: exp Gout/DT."""
    is_alone = match["only"] or match["no_exp"]
    slash = (match["slash"] or match["code"] or "").strip("[] ")
    name = f"{'' if is_alone else 'exp '}{(match['name'] or match['short']).strip(' ,')}/{slash}"
    return Piece(TokenType.HEADING, name, place + 1, Dialect.EMBASE, match[0])


def _match_number(text: str, place: int, numbered: int) -> re.Match[str] | None:
    """Match a bare number that stands for a line: alone between operators."""
    match = _NUMBER.match(text, place) if numbered else None
    return match if match and 0 < int(match[0]) <= numbered and _AFTER_NUMBER.match(text, match.end()) else None


def _is_heading(match: re.Match[str]) -> bool:
    """Return whether a match is a heading of Ovid: " and " may stand only in one that begins with exp or a capital."""
    name = match["name"]
    if "." in name and _OVID_TAG.search(name):
        return False
    return " and " not in name.lower() or bool(match["exp"]) or name[:1].isupper()


def _read_word(text: str, place: int, dialect: Dialect) -> tuple[Piece, int]:
    """Return the word that begins at a place, up to a blank, parenthesis, quotation mark or field tag."""
    end = place
    while end < len(text) and not text[end].isspace() and text[end] not in '()"':
        if end > place and _is_at_tag(text, end, dialect):
            break
        end += 1
    end = max(end, place + 1)
    return Piece(TokenType.WORD, text[place:end], place + 1, written=text[place:end]), end


def _is_at_tag(text: str, place: int, dialect: Dialect) -> bool:
    """Return whether a field tag begins inside a run of characters."""
    character = text[place]
    if character == "[":
        match = _BRACKET.match(text, place)
        if match is None:
            return dialect is Dialect.OVID and _COMMENT.match(text, place) is not None
        return _is_pubmed_tag(text, match) or (dialect is not Dialect.PLAIN and _is_at_end(text, match))
    if character == ".":
        return _match_ovid(text, place) is not None and dialect is Dialect.OVID
    if character in ":/":
        return (_match_embase(text, place) is not None and dialect in (Dialect.EMBASE, Dialect.PUBMED)) or (
            character == "/" and dialect is Dialect.OVID and _HEADING_END.match(text, place) is not None
        )
    return False


def _is_at_end(text: str, match: re.Match[str]) -> bool:
    """Return whether brackets of two or more characters end a word."""
    after = text[match.end() : match.end() + 1]
    return len(match[1]) > 1 and match[1][:1].isalpha() and not after.isalnum()
