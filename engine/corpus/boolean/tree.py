"""Search expressions as trees. A tree is stored flat, so that no depth of nesting is too deep to be read or printed."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

from engine.corpus.boolean.tags import DEFAULT_FIELDS, WORD_FIELDS, Dialect, SearchField


class Kind(StrEnum):
    """What a node of an expression does."""

    TERM = "term"
    LINE = "line"  # stands for another line of a numbered search
    AND = "AND"
    OR = "OR"
    NOT = "NOT"  # of its one part
    NEAR = "NEAR"  # the parts follow each other within `distance` words


_BEFORE = re.compile(r"title:|[A-Z]{2,}(?:-[A-Z]+)*=?", re.IGNORECASE)  # a field in front of a term: TI, TS=
_AFTER = re.compile(r"\[[\w :~-]*\]|\.[a-z,]+\.?|:[a-z,]+", re.IGNORECASE)  # a field behind it: [tiab], .ti,ab., :ti,ab


def join_tag(text: str, tag: str) -> str:
    """Return a text with its tag, where it was written; the tag alone if it is the whole of a heading or limit.

    >>> join_tag("gout", "[ti]"), join_tag("English", "[english]/lim"), join_tag("gout", "title:")
    ('gout[ti]', '[english]/lim', 'title:gout')
    >>> join_tag("gout", "TI"), join_tag("TI", "[ti]")
    ('TI gout', 'TI[ti]')
    """
    name = text.split("/")[0]
    if name and not _AFTER.fullmatch(tag) and re.search(rf"(?<!\w){re.escape(name)}(?!\w)", tag, re.IGNORECASE):
        return tag.strip()
    if _BEFORE.fullmatch(tag):
        return f"{tag}{'' if tag.endswith((':', '=')) else ' '}{text}"
    return f"{text}{'' if tag.startswith(('[', '.', ':', '/')) else ' '}{tag}".strip()


@dataclass(frozen=True, slots=True)
class SearchTerm:
    """A word, phrase, heading or other value that is looked up in fields."""

    text: str  # as written, without quotation marks and field tag
    words: tuple[str, ...] = ()  # folded, in order; * is any letters, ? one letter or none, # one letter
    fields: tuple[SearchField, ...] = DEFAULT_FIELDS
    tag: str = ""  # as written; "" without one
    is_quoted: bool = False

    @property
    def written(self) -> str:
        """The term with its tag; a heading or limit as it is written."""
        return join_tag(self.text, self.tag)

    @property
    def is_textual(self) -> bool:
        """Whether it is looked up in words alone."""
        return WORD_FIELDS.issuperset(self.fields)


@dataclass(frozen=True, slots=True)
class Node:
    """A term, or an operator with its parts."""

    kind: Kind
    position: int  # of its first character, from 1; 0 for limits, which stand apart from the text
    parts: tuple[int, ...] = ()  # numbers of nodes, all lower than its own
    term: SearchTerm | None = None
    line: int = 0  # number of the line that it stands for
    distance: int = 0  # NEAR: 1 is next to each other; with more than two parts, of the whole span beyond its words
    ordered: bool = False  # NEAR: in the order of the parts


@dataclass(frozen=True, slots=True)
class Expression:
    """A parsed expression. The last node is the whole."""

    nodes: tuple[Node, ...]
    dialect: Dialect
    notes: tuple[str, ...] = ()  # for people: what was read in another way than it was written

    @property
    def terms(self) -> tuple[SearchTerm, ...]:
        """The terms, in order."""
        return tuple(node.term for node in self.nodes if node.term is not None)

    def walk_signs(self, sign: bool = True) -> Iterator[tuple[Node, bool]]:
        """Yield the terms and lines, in order, each with whether it is wanted; sign is that of the whole."""
        signs = {len(self.nodes) - 1: sign}
        for number in range(len(self.nodes) - 1, -1, -1):
            node = self.nodes[number]
            own = signs[number]
            signs |= dict.fromkeys(node.parts, own != (node.kind is Kind.NOT))
        for number, node in enumerate(self.nodes):
            if node.kind in (Kind.TERM, Kind.LINE):
                yield node, signs[number]


@dataclass(frozen=True, slots=True)
class Line:
    """A line of a numbered search, or the whole of a search of one line."""

    number: int
    text: str
    expression: Expression


@dataclass(frozen=True, slots=True)
class Search:
    """A Boolean search: the lines in order. The last one is what is searched for."""

    lines: tuple[Line, ...]
    is_numbered: bool  # whether it is a search of numbered lines
    remarks: tuple[str, ...] = ()  # notes on the search as a whole

    @property
    def expression(self) -> Expression:
        """The last line."""
        return self.lines[-1].expression

    @property
    def notes(self) -> tuple[str, ...]:
        """The notes of all lines, each once; with the number of the line if there are several."""
        return tuple(
            dict.fromkeys(
                (
                    *self.remarks,
                    *(
                        f"line {line.number}: {note}" if self.is_numbered else note
                        for line in self.lines
                        for note in line.expression.notes
                    ),
                )
            )
        )

    @property
    def has_exploded(self) -> bool:
        """Whether a heading stands for those below it, too."""
        return any(SearchField.EXPLODED in term.fields for line in self.lines for term in line.expression.terms)

    def list_wanted(self) -> tuple[SearchTerm, ...]:
        """Return the terms that records should have, in the order of the lines; not those after NOT."""
        by_number = {line.number: line for line in self.lines}
        wanted = {(self.lines[-1].number, True)}
        found: dict[int, list[SearchTerm]] = {}
        for line in reversed(self.lines):
            signs = [sign for number, sign in wanted if number == line.number]
            for node, is_wanted in (pair for sign in signs for pair in line.expression.walk_signs(sign)):
                if node.kind is Kind.LINE and node.line in by_number:
                    wanted.add((node.line, is_wanted))
                elif node.term is not None and is_wanted:
                    found.setdefault(line.number, []).append(node.term)
        return tuple(dict.fromkeys(term for line in self.lines for term in found.get(line.number, ())))
