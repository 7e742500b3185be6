"""Parser of search expressions. It uses stacks, so that no nesting is too deep.

PubMed, and expressions without a field tag: AND, OR and NOT are read from left to right.
Ovid and Embase: ADJ, NEAR and NEXT bind before NOT, NOT before AND, and AND before OR.
Words side by side are a phrase in Ovid and before a field tag of PubMed; elsewhere all of them must occur.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from engine.corpus.boolean.tags import (
    DEFAULT_FIELDS,
    HEADINGS,
    Dialect,
    SearchField,
    Tag,
    find_nearness,
    find_tag,
    suggest_tag,
)
from engine.corpus.boolean.tokens import Piece, TokenType, read_pieces
from engine.corpus.boolean.tree import Expression, Kind, Node, SearchTerm
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
    r"[NW][0-9]{1,2}|(?:w|pre|W|PRE)/[0-9]{1,2}|(?:TI|AB|TS|SU|MH|TX|SO|KW)=?|(?:AU|WC|ALL)=|TITLE(?:-ABS)?(?:-KEY)?|ABS|KEY"
)  # of EBSCO, Web of Science and Scopus
_SIGNED = re.compile(r"(?P<sign>[+-]?)(?P<title>title:)?(?P<rest>.*)", re.IGNORECASE | re.DOTALL)


@dataclass(slots=True, eq=False)
class _Draft:
    """A node while its expression is read."""

    kind: Kind
    position: int
    parts: list[_Draft] = field(default_factory=list)
    text: str = ""
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


def parse_expression(text: str, dialect: Dialect, *, numbered: int = 0) -> Expression:
    """Parse an expression with plain marks; numbered: lines of the search that it belongs to, 0 if it is no such line.

    Raises:
        UsageError: it can't be read; the message names the character.
    """
    pieces, notes = _drop_dangling(list(read_pieces(text, dialect, numbered=numbered)))
    return _ExpressionParser(pieces, dialect, notes).parse()


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

    def parse(self) -> Expression:
        """Return the expression.

        Raises:
            UsageError: it can't be read.
        """
        while (piece := self.pieces[self.place]).type is not TokenType.END:
            _READERS[piece.type](self, piece)
        if self.wants_operand:
            raise UsageError(_explain_missing(self.pieces, self.place))
        while self.operators:
            self.reduce()
        return _freeze_drafts(self.operands[0], self.dialect, self.notes)

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
        if not spoken:
            self.drop_marks(run)
        elif self.dialect is Dialect.OVID or (following.type is TokenType.TAG and following.dialect is Dialect.PUBMED):
            text = " ".join(one.text for one in run)
            self.add(_Draft(Kind.TERM, piece.position, text=text), piece, len(run))
        else:
            drafts = [self.build_word(one) for one in spoken]
            whole = drafts[0] if len(drafts) == 1 else _Draft(Kind.AND, piece.position, drafts)
            self.add(whole, piece, len(run))

    def is_sign(self, piece: Piece, following: Piece) -> bool:
        """Return whether a word is a sign or title: right before a phrase."""
        match = _SIGNED.fullmatch(piece.text)
        is_next = piece.position + len(piece.text) == following.position
        return self.dialect is Dialect.PLAIN and is_next and match is not None and not match["rest"]

    def build_word(self, piece: Piece) -> _Draft:
        """Return the draft of one word; in a plain expression, +, - and title: before it are operators."""
        match = _SIGNED.fullmatch(piece.text)
        if _FOREIGN.fullmatch(piece.text):
            self.notes[
                f"{piece.text} at character {piece.position} was read as a word. If it is an operator or a field of "
                "another database, write NEAR/3, [ti] or [tiab] instead"
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
        operator = "AND" if piece.text.lower().startswith("and/") else "OR"
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
        if near:
            self.operands[-1] = _build_nearness(self.operands[-1], near[1], self.dialect)
        _mark_drafts(self.operands[-1], tag, piece.written.strip())

    def find_tag(self, name: str, piece: Piece) -> Tag | None:
        """Return the meaning of a field tag; None and a note if it has none."""
        if name == "/":
            return HEADINGS["de"]
        if name == "freq":
            self.notes[f"{piece.written} can't be searched here, so one occurrence is enough"] = None
            return None
        found = HEADINGS.get(name[1:].lower()) if name.startswith("/") else find_tag(piece.dialect, name)
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
    if left.kind is not kind:
        left = _Draft(kind, left.position, [left])
    if right.kind is kind:
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
    for part in re.sub(r"^(?i:or|and)/|#|\s", "", text).split(","):
        first, _, last = part.partition("-")
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


def parse_limit(line: int, values: Sequence[str], dialect: Dialect) -> Expression:
    """Return the expression of a limit of Ovid: the records of a line that meet every value: english language."""
    drafts = [_build_limit(value, 1, is_year=value.lower().startswith("yr"), written=value) for value in values]
    whole = (
        _Draft(Kind.AND, 1, [_Draft(Kind.LINE, 1, line=line), *drafts]) if drafts else _Draft(Kind.LINE, 1, line=line)
    )
    return _freeze_drafts(whole, dialect, {})


def _build_limit(value: str, position: int, *, is_year: bool, written: str) -> _Draft:
    """Return the draft of a limit: a language, a publication type, years, humans, abstracts."""
    value = re.sub(r"(?i)^yr\s*=\s*", "", value)
    name = " ".join(value.lower().split())
    language = name.removesuffix(" language").removesuffix("/lim")
    tag, text = Tag((SearchField.UNKNOWN,), f"the limit {value} can't be searched here"), value
    if is_year or read_years(value):
        tag = Tag((SearchField.YEAR,))
    elif name in ("abstracts", "abstract"):
        tag = Tag((SearchField.HAS_ABSTRACT,))
    elif name in ("humans", "human", "animals", "animal", "female", "male"):
        tag, text = Tag((SearchField.HEADING,)), {"human": "humans", "animal": "animals"}.get(name, name)
    elif name.endswith(" language") or language in _LANGUAGES:
        tag, text = Tag((SearchField.LANGUAGE,)), language
    elif name in _TYPES:
        tag, text = Tag((SearchField.TYPE,)), name
    return _Draft(Kind.TERM, position, text=text, tag=tag, written=written)


_LANGUAGES = frozenset(
    "english german french spanish italian japanese chinese russian portuguese polish dutch turkish korean".split()
)
_TYPES = frozenset(
    (
        *("randomized controlled trial", "clinical trial", "controlled clinical trial", "review", "systematic review"),
        *("meta analysis", "meta-analysis", "editorial", "letter", "comment", "case reports", "guideline"),
        *("practice guideline", "journal article", "observational study", "comparative study", "multicenter study"),
    )
)


def _mark_drafts(draft: _Draft, tag: Tag, written: str) -> None:
    """Give a field tag to all terms of a group that have none."""
    stack = [draft]
    while stack:
        one = stack.pop()
        if one.kind is Kind.TERM and one.tag is None:
            one.tag, one.written = tag, written
        stack += one.parts


def _freeze_drafts(root: _Draft, dialect: Dialect, notes: dict[str, None]) -> Expression:
    """Return the expression of drafts, parts before wholes, in the order of the text."""
    nodes: list[Node] = []
    numbers: dict[int, int] = {}
    stack = [(root, False)]
    while stack:
        draft, is_done = stack.pop()
        if draft.parts and not is_done:
            stack.append((draft, True))
            stack += [(part, False) for part in reversed(draft.parts)]
            continue
        numbers[id(draft)] = len(nodes)
        term = _finish_term(draft, dialect, notes) if draft.kind is Kind.TERM else None
        parts = tuple(numbers[id(part)] for part in draft.parts)
        nodes.append(Node(draft.kind, draft.position, parts, term, draft.line, draft.distance, draft.ordered))
    return Expression(tuple(nodes), dialect, tuple(notes))


def _finish_term(draft: _Draft, dialect: Dialect, notes: dict[str, None]) -> SearchTerm:
    """Return the term of a draft.

    Raises:
        UsageError: it has no letter or digit.
    """
    fields, text = draft.tag.fields if draft.tag else DEFAULT_FIELDS, draft.text.strip()
    if draft.tag and draft.tag.note:
        notes[f"{_shorten(draft)}: {draft.tag.note}"] = None
    if {SearchField.HEADING, SearchField.EXPLODED} & set(fields):
        heading, subheading = split_heading(text)
        if subheading:
            notes[f"{_shorten(draft)}: subheadings are not stored here, so any subheading counts"] = None
        text = heading or text
    if SearchField.YEAR in fields:
        if read_years(text) is None:
            fields = (SearchField.UNKNOWN,)
            notes[f"{_shorten(draft)}: this is no year that can be read"] = None
        elif re.search(r"[0-9]{4}[/-][0-9]{1,2}\b", text):
            notes[f"{_shorten(draft)}: only the year of publication is compared"] = None
    words = fold_words(text, dialect)
    if not words and SearchField.UNKNOWN not in fields:
        raise UsageError(
            f"at character {draft.position}, {draft.text[:40]!r} has no letter or digit, expected a word to look for"
        )
    if dialect.reads_left_to_right and re.search(r"\w[?$#]\w", text) and SearchField.UNKNOWN not in fields:
        notes[f"{_shorten(draft)}: only * is a wildcard where no field tag of Ovid or Embase is"] = None
    if text.lower() == "hasabstract":
        fields = (SearchField.HAS_ABSTRACT,)
    return SearchTerm(text, words, fields, draft.written, draft.is_quoted)


def _shorten(draft: _Draft) -> str:
    """Return a term as it is named in a note."""
    text, tag = draft.text.strip(), draft.written
    whole = tag if text and text in tag else f"{text}{'' if tag.startswith(('[', '.', ':', '/')) else ' '}{tag}"
    return f"{whole.strip()[:80]} at character {draft.position}"
