"""Parser of search expressions. It uses stacks, so that no nesting is too deep.

PubMed, and expressions without a field tag: AND, OR and NOT are read from left to right.
Ovid and Embase: ADJ, NEAR and NEXT bind before NOT, NOT before AND, and AND before OR.
Words side by side are a phrase in Ovid and before a field tag of PubMed; elsewhere all of them must occur.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from engine.characters import DASHES
from engine.corpus.boolean.foreign import note_foreign
from engine.corpus.boolean.limits import read_limit, split_limits, strip_parentheses
from engine.corpus.boolean.prefixes import move_prefixes
from engine.corpus.boolean.tags import (
    ANY_SUBHEADING,
    DEFAULT_FIELDS,
    FILTER,
    HEADINGS,
    WORD_FIELDS,
    Dialect,
    SearchField,
    Tag,
    find_front_tag,
    find_heading_tag,
    find_nearness,
    find_tag,
    name_codes,
    suggest_tag,
)
from engine.corpus.boolean.tokens import Piece, TokenType, read_pieces
from engine.corpus.boolean.tree import Expression, Kind, Node, SearchTerm, join_tag
from engine.corpus.boolean.values import fold_words, read_years, split_heading
from engine.errors import UsageError

_MAX_DEPTH = 2000  # parentheses in one another
_MAX_NEAR = 50  # words near each other
_MAX_LINES = 9999  # that or/1-5 stands for
_TIGHT, _NEGATION, _NEARNESS, _OPEN = 9, 8, 5, 0  # how strongly operators bind
_LEVELS = {"OR": 1, "AND": 2, "NOT": 3}
_LOWER = "and, or and not in lower case were read as operators. Put them in quotation marks to look for these words"
_SIDE_BY_SIDE = (
    "AND and OR side by side were read from left to right, as PubMed reads them. Parentheses make it certain"
)
_MAJOR_NOTE = find_tag(Dialect.PUBMED, "majr")
_FOREIGN = re.compile(
    r"(?:TI|AB|TS|SU|MH|MM|TX|SO|KW)|(?i:title|abstract|author|journal|mesh|keywords?|year|language):"
)  # what may be a field of another database
_SIGNED = re.compile(r"(?P<sign>[+-]?)(?P<title>title:)?(?P<rest>.*)", re.IGNORECASE | re.DOTALL)


_EMTREE = {"human": "Humans", "animal": "Animals"}  # headings of Embase, and those of MeSH
_MOST_NAMED = 3  # terms in one note
_Remarks = dict[str, dict[str, None]]  # what is to be said, and the terms that it is said about


@dataclass(slots=True, eq=False)
class _Draft:
    """A node while its expression is read."""

    kind: Kind
    position: int  # of its first character, from 1; 0: a limit
    parts: list[_Draft] = field(default_factory=list)
    text: str = ""  # of a term, or of words side by side
    tag: Tag | None = None
    written: str = ""  # the tag
    is_quoted: bool = False
    line: int = 0
    distance: int = 0
    ordered: bool = False


@dataclass(slots=True, eq=False)
class _Operator:
    """An operator, or an open parenthesis, on the stack."""

    text: str
    position: int
    level: int
    joins: set[str] = field(default_factory=set)  # of an open parenthesis: the operators directly inside


def parse_expression(text: str, dialect: Dialect, *, numbered: int = 0, limits: str = "") -> Expression:
    """Parse an expression with plain marks.

    numbered: lines of the search that it belongs to, 0 if it is no such line.
    limits: what its records must meet besides, as in Ovid: english language and yr="2010 -Current".

    Raises:
        UsageError: it can't be read; the message names the character.
    """
    moved, notes = move_prefixes(list(read_pieces(text, dialect, numbered=numbered)))
    pieces, dropped = _drop_dangling(moved)
    foreign = note_foreign(text, is_search=True, dialect=dialect)
    return _ExpressionParser(pieces, dialect, (*dropped, *notes, *foreign)).parse(limits)


def _drop_dangling(pieces: Sequence[Piece]) -> tuple[list[Piece], list[str]]:
    """Leave out parentheses that hold nothing, and operators with nothing on one side; return the rest and notes."""
    kept: list[Piece] = []
    notes: list[str] = []

    def drop_operators(side: str) -> None:
        while kept and kept[-1].type is TokenType.OPERATOR:
            operator = kept.pop()
            notes.append(f"{operator.written} at character {operator.position} has nothing {side}, so it was left out")

    for piece in pieces:
        is_first = not kept or kept[-1].type is TokenType.OPEN
        if piece.type is TokenType.OPERATOR and piece.text != "NOT" and is_first:
            notes.append(f"{piece.written} at character {piece.position} has nothing before it, so it was left out")
            continue
        if piece.type in (TokenType.CLOSE, TokenType.END):
            drop_operators("after it")
        if piece.type is TokenType.CLOSE and kept and kept[-1].type is TokenType.OPEN:
            notes.append(f"the parentheses at character {kept.pop().position} hold nothing, so they were left out")
            drop_operators("after it")
            continue
        kept.append(piece)
    return kept, notes


class _ExpressionParser:
    """One pass over the tokens of an expression."""

    def __init__(self, pieces: Sequence[Piece], dialect: Dialect, notes: Sequence[str]) -> None:
        self.pieces = pieces
        self.dialect = dialect
        self.place = 0
        self.operands: list[_Draft] = []
        self.operators: list[_Operator] = []
        self.bottom = _Operator("", 0, _OPEN)  # what stands outside all parentheses
        self.depth = 0
        self.wants_operand = True
        self.notes: dict[str, None] = dict.fromkeys(notes)

    def parse(self, limits: str = "") -> Expression:
        """Return the expression, with limits.

        Raises:
            UsageError: it can't be read.
        """
        while (piece := self.pieces[self.place]).type is not TokenType.END:
            _READERS[piece.type](self, piece)
        if self.wants_operand:
            raise UsageError(_explain_missing(self.pieces, self.place))
        while self.operators:
            self.reduce()
        whole = self.operands[0]
        if limits:
            parts = whole.parts if whole.kind is Kind.AND else [whole]
            added = _build_limits(limits)
            whole = _Draft(Kind.AND, whole.position, [*parts, *(added.parts if added.kind is Kind.AND else [added])])
        return _freeze_drafts(whole, self.dialect, self.notes)

    def read_open(self, piece: Piece) -> None:
        """Read an opening parenthesis.

        Raises:
            UsageError: too many are open.
        """
        self.join_side_by_side(piece)
        self.depth += 1
        if self.depth > _MAX_DEPTH:
            raise UsageError(
                f"at character {piece.position}, more than {_MAX_DEPTH:,} parentheses are open, expected fewer. Write "
                "a part of the search as a line of its own, and name it by its number"
            )
        self.operators.append(_Operator("(", piece.position, _OPEN))
        self.wants_operand, self.place = True, self.place + 1

    def read_close(self, piece: Piece) -> None:
        """Read a closing parenthesis.

        Raises:
            UsageError: none is open, or nothing is between them.
        """
        if self.wants_operand:
            raise UsageError(_explain_missing(self.pieces, self.place))
        while self.operators and self.operators[-1].text != "(":
            self.reduce()
        if not self.operators:
            raise UsageError(
                f"the parenthesis ) at character {piece.position} closes none. Open one before it, or leave it out"
            )
        self.operators.pop()
        self.depth, self.place = self.depth - 1, self.place + 1

    def read_operator(self, piece: Piece) -> None:
        """Read an operator.

        Raises:
            UsageError: nothing is before it.
        """
        name = piece.text if piece.text in _LEVELS else "NEAR"
        if piece.written.islower() and name != "NEAR" and self.dialect.reads_left_to_right:
            self.notes[_LOWER] = None
        if name == "NEAR" and piece.text != piece.written.upper():
            self.notes[f"{piece.written} at character {piece.position} was read as {piece.text}"] = None
        if self.wants_operand:
            if name != "NOT":
                raise UsageError(_explain_missing(self.pieces, self.place))
            self.operators.append(_Operator("unary", piece.position, _NEGATION))
        else:
            self.add_operator(_Operator(piece.text, piece.position, self.weigh(name)), name)
        self.wants_operand, self.place = True, self.place + 1

    def weigh(self, name: str) -> int:
        """Return how strongly an operator binds."""
        if name == "NEAR":
            return _NEARNESS
        return 1 if self.dialect.reads_left_to_right else _LEVELS[name]

    def add_operator(self, operator: _Operator, name: str) -> None:
        """Put an operator on the stack, after those that bind at least as strongly."""
        while self.operators and self.operators[-1].level >= operator.level:
            self.reduce()
        joins = next((one for one in reversed(self.operators) if one.text == "("), self.bottom).joins
        joins.add(name)
        if self.dialect.reads_left_to_right and {"AND", "OR"} <= joins:
            self.notes[_SIDE_BY_SIDE] = None
        self.operators.append(operator)

    def join_side_by_side(self, piece: Piece) -> None:
        """Put AND between two operands without an operator."""
        if not self.wants_operand:
            while self.operators and self.operators[-1].level >= _TIGHT:
                self.reduce()
            self.operators.append(_Operator("AND", piece.position, _TIGHT))

    def add(self, draft: _Draft, piece: Piece, n: int) -> None:
        """Add an operand made of n tokens."""
        self.join_side_by_side(piece)
        self.operands.append(draft)
        self.wants_operand, self.place = False, self.place + n

    def reduce(self) -> None:
        """Combine the operands of the last operator.

        Raises:
            UsageError: it is an open parenthesis.
        """
        operator = self.operators.pop()
        if operator.text == "(":
            raise UsageError(
                f"the parenthesis ( at character {operator.position} is not closed. Close it, or leave it out"
            )
        right = self.operands.pop()
        if operator.text == "unary":
            self.operands.append(_Draft(Kind.NOT, operator.position, [right]))
            return
        self.operands.append(_join_drafts(operator, self.operands.pop(), right))

    def read_words(self, piece: Piece) -> None:
        """Read words that stand side by side."""
        run = [piece]
        while (following := self.pieces[self.place + len(run)]).type is TokenType.WORD:
            run.append(following)
        if following.type is TokenType.QUOTED and self.is_sign(run[-1], following):
            if len(run) == 1:
                draft = _Draft(Kind.TERM, piece.position, text=following.text, is_quoted=True)
                self.add(_apply_sign(piece.text, draft), piece, 2)
                return
            run.pop()
        spoken = [one for one in run if fold_words(one.text, self.dialect)]
        self.note_signs(spoken)
        before = self.operands[-1] if self.operands and not self.wants_operand else None
        if before and before.kind is Kind.TERM and before.tag and run[0].text.startswith(":") and spoken:
            before.text += "".join(one.text for one in run)  # the end of a range: 2010[dp]:2020[dp]
            self.place += len(run)
        elif not spoken:
            self.drop_marks(run)
        elif self.dialect is Dialect.OVID or (following.type is TokenType.TAG and following.dialect is Dialect.PUBMED):
            text = " ".join(one.text for one in run)
            self.add(_Draft(Kind.TERM, piece.position, text=text), piece, len(run))
        else:
            drafts = [self.build_word(one) for one in spoken]
            text = " ".join(one.text for one in run)
            whole = drafts[0] if len(drafts) == 1 else _Draft(Kind.AND, piece.position, drafts, text=text)
            self.add(whole, piece, len(run))

    def note_signs(self, run: Sequence[Piece]) -> None:
        """Note each minus before a word where it is no operator."""
        for one in run if self.dialect is not Dialect.PLAIN else ():
            if re.match(r"-[^\W\d_]", one.text):
                self.notes[
                    f"the minus before {one.text[1:41]} at character {one.position} was not read. To exclude it, write "
                    f"NOT {one.text[1:41]}"
                ] = None

    def is_sign(self, piece: Piece, following: Piece) -> bool:
        """Return whether a word is a sign or title: right before a phrase."""
        match = _SIGNED.fullmatch(piece.text)
        is_next = piece.position + len(piece.text) == following.position
        return self.dialect is Dialect.PLAIN and is_next and match is not None and not match["rest"]

    def build_word(self, piece: Piece) -> _Draft:
        """Return the draft of one word; in a plain expression, +, - and title: before it are operators."""
        match = _SIGNED.fullmatch(piece.text)
        if _FOREIGN.fullmatch(piece.text):
            tag = find_front_tag(piece.text.rstrip(":"))
            self.notes[
                f"{piece.text} at character {piece.position} was read as a word. If it is a field, write [{tag}] after "
                "the word instead"
            ] = None
        if self.dialect is not Dialect.PLAIN or match is None or not fold_words(match["rest"], self.dialect):
            return _Draft(Kind.TERM, piece.position, text=piece.text)
        return _apply_sign(piece.text, _Draft(Kind.TERM, piece.position, text=match["rest"]))

    def drop_marks(self, run: Sequence[Piece]) -> None:
        """Skip punctuation; a colon between two dates of PubMed makes them a range.

        Raises:
            UsageError: a wildcard stands alone.
        """
        alone = next((one for one in run if one.text.strip("*?$#") == ""), None)
        if alone is not None:
            raise UsageError(
                f"at character {alone.position}, found {alone.text[:20]!r} alone, expected letters before it, such as "
                "arthrit*"
            )
        if run[0].text == ":" and self.operands and not self.wants_operand:
            self.operands[-1].text += ":"
        self.place += len(run)

    def read_quoted(self, piece: Piece) -> None:
        """Read a phrase in quotation marks.

        Raises:
            UsageError: it is empty.
        """
        before = self.operands[-1] if self.operands and not self.wants_operand else None
        if before is not None and before.kind is Kind.TERM and before.text.endswith(":") and before.tag:
            before.text += piece.text  # the end of a range of dates; its tag is that of the beginning
            self.place += 1
            return
        if not piece.text.strip():
            raise UsageError(f"the quotation marks at character {piece.position} hold nothing, expected a phrase")
        self.add(_Draft(Kind.TERM, piece.position, text=piece.text, is_quoted=True), piece, 1)

    def read_heading(self, piece: Piece) -> None:
        """Read a subject heading of Ovid."""
        name, slash, subheading = piece.text.partition("/")
        is_exploded = name.startswith("exp ")
        name = name.removeprefix("exp ")
        tag = HEADINGS["exp" if is_exploded else "de"]
        if name.startswith("*"):
            tag = replace(tag, note=_MAJOR_NOTE.note if _MAJOR_NOTE else "")
        text = f"{name.lstrip('* ')}{slash}{subheading}" if subheading else name.lstrip("* ")
        self.add(_Draft(Kind.TERM, piece.position, text=text, tag=tag, written=piece.written), piece, 1)

    def read_lines(self, piece: Piece) -> None:
        """Read the number of a line, or a list of numbers after or/ or and/."""
        operator = "AND" if piece.text.lower().startswith("and") else "OR"
        drafts = [_Draft(Kind.LINE, piece.position, line=number) for number in _list_numbers(piece.text)]
        whole = drafts[0] if len(drafts) == 1 else _Draft(Kind[operator], piece.position, drafts)
        self.add(whole, piece, 1)

    def read_limit(self, piece: Piece) -> None:
        """Read a limit of Embase: [english]/lim or [2010-2020]/py."""
        value, _, kind = piece.text.rpartition("/")
        self.add(_build_limit(value, piece.position, is_year=kind == "py", written=piece.written), piece, 1)

    def read_tag(self, piece: Piece) -> None:
        """Read a field tag, which applies to the word, phrase or group before it.

        Raises:
            UsageError: nothing is before it.
        """
        if self.wants_operand:
            raise UsageError(
                f"the field tag {piece.written or piece.text} at character {piece.position} follows nothing, expected "
                "a word or a parenthesis before it"
            )
        self.place += 1
        near = find_nearness(piece.text) if piece.dialect is Dialect.PUBMED else None
        tag = self.find_tag(near[0] if near else piece.text, piece)
        if tag is None:
            return
        operand = self.operands[-1]
        is_range = operand.kind is Kind.TERM and operand.tag is not None and ":" in operand.text
        if near:
            self.operands[-1] = operand = _build_nearness(operand, near[1], self.dialect)
        if tag is FILTER:
            _apply_filters(operand, piece.written.strip())
        if not _mark_drafts(operand, tag, piece.written.strip()) and not is_range and tag is not FILTER:
            self.notes[
                f"the field tag {piece.written} at character {piece.position} was left out, since what is before it "
                "has one"
            ] = None

    def find_tag(self, name: str, piece: Piece) -> Tag | None:
        """Return the meaning of a field tag; None and a note if it has none."""
        if name == "/":
            return HEADINGS["de"]
        if name == "freq":
            self.notes[f"{piece.written} can't be searched here, so one occurrence is enough"] = None
            return None
        found = find_heading_tag(name[1:]) if name.startswith("/") else find_tag(piece.dialect, name)
        if found is None and piece.dialect is Dialect.OVID:
            return name_codes(name)
        if found is None:
            near = suggest_tag(name)
            maybe = f" (did you mean [{near}]?)" if near else ""
            self.notes[
                f"the field tag {piece.written} at character {piece.position} is unknown{maybe}, so its words are "
                "looked up in title and abstract"
            ] = None
        return found


_READERS = {
    TokenType.OPEN: _ExpressionParser.read_open,
    TokenType.CLOSE: _ExpressionParser.read_close,
    TokenType.OPERATOR: _ExpressionParser.read_operator,
    TokenType.WORD: _ExpressionParser.read_words,
    TokenType.QUOTED: _ExpressionParser.read_quoted,
    TokenType.HEADING: _ExpressionParser.read_heading,
    TokenType.TAG: _ExpressionParser.read_tag,
    TokenType.LIMIT: _ExpressionParser.read_limit,
    TokenType.LINES: _ExpressionParser.read_lines,
}


def _explain_missing(pieces: Sequence[Piece], place: int) -> str:
    """Return the error message for a place where a term is missing."""
    found, before = pieces[place], pieces[place - 1] if place else None
    if found.type is TokenType.END and before is None:
        return "the search is empty, expected a word. For example: gout AND colchicine"
    if found.type is TokenType.CLOSE and before is not None and before.type is TokenType.OPEN:
        return f"the parentheses at character {before.position} hold nothing, expected a word in them"
    if found.type is TokenType.END and before is not None:
        found, expected = before, "a word after it"
    elif found.type is TokenType.OPERATOR:
        expected = "a word before it"
    else:
        expected, found = "a word after it", before or found
    hint = (
        f' To look for the word itself, put it in quotation marks: "{found.written.lower()}"' if found.written else ""
    )
    name = found.written or found.text
    return f"at character {found.position}, found {name}, expected {expected}.{hint}"


def _join_drafts(operator: _Operator, left: _Draft, right: _Draft) -> _Draft:
    """Combine two operands; chains of one operator become one node."""
    if operator.text not in _LEVELS:
        distance, ordered = _read_nearness(operator.text)
        return _Draft(Kind.NEAR, left.position, [left, right], distance=distance, ordered=ordered)
    kind = Kind.OR if operator.text == "OR" else Kind.AND
    if operator.text == "NOT":
        right = _Draft(Kind.NOT, operator.position, [right])
    if left.kind is not kind or left.text:
        left = _Draft(kind, left.position, [left])
    if right.kind is kind and not right.text:
        left.parts.extend(right.parts)
    else:
        left.parts.append(right)
    return left


def _read_nearness(text: str) -> tuple[int, bool]:
    """Return the distance and the order that ADJ3, NEAR/3, NEXT/3 or ADJ ask for."""
    digits = re.sub(r"[^0-9]", "", text)
    return max(1, int(digits or 1)), text.startswith("NEXT") or not digits


def _list_numbers(text: str) -> list[int]:
    """Return the numbers of "or/1-3,7" or "#4"."""
    numbers: list[int] = []
    for part in re.sub(r"^(?i:or|and)\s?[/\s]|#|\s", "", text).split(","):
        first, last = (re.split(f"[{DASHES}]", part) + [""])[:2]
        low, high = sorted((int(first), int(last or first)))
        numbers += range(low, min(high, low + _MAX_LINES) + 1)
    return numbers


def _apply_sign(written: str, draft: _Draft) -> _Draft:
    """Apply +, - and title: in front of a word or phrase."""
    match = _SIGNED.fullmatch(written)
    if match and match["title"]:
        draft.tag, draft.written = find_tag(Dialect.PUBMED, "ti"), "title:"
    return _Draft(Kind.NOT, draft.position, [draft]) if match and match["sign"] == "-" else draft


def _build_nearness(draft: _Draft, n_between: int, dialect: Dialect) -> _Draft:
    """Return the words of a phrase near each other, with at most n_between others between them.

    Raises:
        UsageError: there are too many words.
    """
    words = draft.text.split()
    if draft.kind is not Kind.TERM or len(words) < 2:
        return draft
    if len(words) > _MAX_NEAR:
        raise UsageError(
            f"at character {draft.position}, {len(words)} words are to be near each other, expected {_MAX_NEAR} at most"
        )
    parts = [_Draft(Kind.TERM, draft.position, text=word) for word in words if fold_words(word, dialect)]
    return _Draft(Kind.NEAR, draft.position, parts, distance=n_between + 1)


def _build_limits(text: str) -> _Draft:
    """Return the draft of limits joined by and, or and parentheses: english and (review or letter)."""
    plain = strip_parentheses(text)
    for operator, kind in (("or", Kind.OR), ("and", Kind.AND)):
        parts = split_limits(plain, operator)
        if len(parts) > 1:
            return _Draft(kind, 0, [_build_limits(part) for part in parts])
    return _build_limit(plain, 0, written=plain)


def _build_limit(text: str, position: int, *, is_year: bool = False, written: str) -> _Draft:
    """Return the draft of a limit: a language, a publication type, years, humans, abstracts."""
    tag, values = read_limit(text, is_year=is_year)
    drafts = [_Draft(Kind.TERM, position, text=value, tag=tag, written=written) for value in values]
    return drafts[0] if len(drafts) == 1 else _Draft(Kind.OR, position, drafts)


def _apply_filters(draft: _Draft, written: str) -> None:
    """Read the terms of a group that have no field tag as filters of PubMed: humans[Filter]."""
    stack = [draft]
    while stack:
        one = stack.pop()
        stack += one.parts
        if one.kind is Kind.TERM and one.tag is None:
            limit = _build_limit(one.text, one.position, written=f"{one.text.strip()}{written}")
            if limit.tag is None or SearchField.UNKNOWN not in limit.tag.fields:
                one.kind, one.parts, one.text = limit.kind, limit.parts, limit.text
                one.tag, one.written = limit.tag, limit.written


def _mark_drafts(draft: _Draft, tag: Tag, written: str) -> bool:
    """Give a field tag to all terms of a group that have none; return whether there are any.

    Words side by side are one name where a field holds whole names: AU=(Smith J).
    """
    stack, is_used = [draft], False
    is_name = WORD_FIELDS.isdisjoint(tag.fields)
    while stack:
        one = stack.pop()
        if is_name and one.text and all(part.kind is Kind.TERM and part.tag is None for part in one.parts):
            one.kind, one.parts = Kind.TERM, []
        if one.kind is Kind.TERM and one.tag is None:
            one.tag, one.written, is_used = tag, written, True
        stack += one.parts
    return is_used


def _freeze_drafts(root: _Draft, dialect: Dialect, notes: dict[str, None]) -> Expression:
    """Return the expression of drafts, parts before wholes, in the order of the text."""
    nodes: list[Node] = []
    numbers: dict[int, int] = {}
    remarks: _Remarks = {}
    stack = [(root, False)]
    while stack:
        draft, is_done = stack.pop()
        if draft.parts and not is_done:
            draft.parts = [one for part in draft.parts for one in _list_parts(draft, part)]
            stack.append((draft, True))
            stack += [(part, False) for part in reversed(draft.parts)]
            continue
        numbers[id(draft)] = len(nodes)
        term = _finish_term(draft, dialect, remarks) if draft.kind is Kind.TERM else None
        parts = tuple(numbers[id(part)] for part in draft.parts)
        nodes.append(Node(draft.kind, draft.position, parts, term, draft.line, draft.distance, draft.ordered))
    merged = [f"{', '.join(_name_some(list(names)))}: {remark}" for remark, names in remarks.items()]
    return Expression(tuple(nodes), dialect, (*notes, *merged))


def _list_parts(whole: _Draft, part: _Draft) -> list[_Draft]:
    """Return a part, or its words side by side, where all of the whole must occur, too."""
    is_same = whole.kind is Kind.AND and part.kind is Kind.AND and bool(part.text)
    return part.parts if is_same else [part]


def _name_some(names: Sequence[str]) -> list[str]:
    """Return the first of many names, and how many more there are."""
    more = len(names) - _MOST_NAMED
    return [*names[:_MOST_NAMED], f"and {more:,} more"] if more > 0 else list(names)


def _finish_term(draft: _Draft, dialect: Dialect, remarks: _Remarks) -> SearchTerm:
    """Return the term of a draft; adds its name to what is to be said about it.

    Raises:
        UsageError: it has no letter or digit.
    """
    fields, text = draft.tag.fields if draft.tag else DEFAULT_FIELDS, draft.text.strip()
    said = [draft.tag.note] if draft.tag and draft.tag.note else []
    if {SearchField.HEADING, SearchField.EXPLODED} & set(fields):
        text, more = _finish_heading(text, dialect)
        said += more
    if SearchField.YEAR in fields and read_years(text) is None:
        fields = (SearchField.UNKNOWN,)
        said.append("this is no year that can be read, so it was left out")
    elif SearchField.YEAR in fields and re.search(r"[0-9]{4}[/-][0-9]{1,2}\b", text):
        said.append("only the year of publication is compared")
    is_known = SearchField.UNKNOWN not in fields
    if dialect.reads_left_to_right and re.search(r"\w(?:[?$#]\w|[$#])", text) and is_known:
        said.append("only * is a wildcard where no field tag of Ovid or Embase is")
    for remark in said:
        remarks.setdefault(remark, {})[_shorten(draft)] = None
    words = fold_words(text, dialect)
    if not words and is_known:
        raise UsageError(
            f"at character {draft.position}, {draft.text[:40]!r} has no letter or digit, expected a word to look for"
        )
    if text.lower() == "hasabstract":
        fields = (SearchField.HAS_ABSTRACT,)
    return SearchTerm(text, words, fields, draft.written, draft.is_quoted)


def _finish_heading(text: str, dialect: Dialect) -> tuple[str, list[str]]:
    """Return a heading without its subheading, as MeSH has it, and what is to be said about it."""
    heading, subheading = split_heading(text)
    said = [ANY_SUBHEADING] if subheading else []
    text = heading or text
    if dialect is Dialect.EMBASE and text.lower() in _EMTREE:
        text = _EMTREE[text.lower()]
        said.append(f"in MeSH this heading is {text}")
    return text, said


def _shorten(draft: _Draft) -> str:
    """Return a term as it is named in a note."""
    where = f" at character {draft.position}" if draft.position else ""
    return f"{join_tag(draft.text.strip(), draft.written)[:80]}{where}"
