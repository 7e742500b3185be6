"""The records that a Boolean search finds.

Words are looked up as written in the index of words, headings and other names in the database. A part that can't be
looked up here is left out of its group and named in a note. What the index of words can't tell, proximity in any order
and words of the abstract alone, is verified on the texts of the records that may match.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from engine.corpus.boolean.matching import (
    Words,
    build_text_test,
    find_phrase,
    find_spans,
    list_below_nearness,
    list_branch,
)
from engine.corpus.boolean.names import select_named
from engine.corpus.boolean.tags import WORD_FIELDS, SearchField
from engine.corpus.boolean.tree import Expression, Kind, Line, Node, Search, SearchTerm
from engine.corpus.boolean.vocabulary import Vocabulary
from engine.corpus.boolean.wordquery import WordQuery, find_nearby, find_term, join_queries
from engine.corpus.selection.clauses import select_names
from engine.corpus.selection.meshtree import GET_IT, MeshTree
from engine.corpus.storage.docsets import read_members
from engine.corpus.storage.store import Corpus
from engine.corpus.words.folding import split_words
from engine.corpus.words.wordindex import TEXT, TITLE, WordIndex
from engine.deadline import CURRENT
from engine.errors import UsageError
from engine.phrases import pluralize
from engine.records.generation import DocIds

_Inside = NDArray[np.bool_]  # whether each doc id from 0 is in a set
_PAGE = 500  # texts read at once
_MAX_DEPTH = 30  # of queries in one another that tantivy is given
_SHOWN = 200  # characters of a line in a note
_NAMED = 20  # terms without a record that are named


@dataclass(frozen=True, slots=True)
class Matches:
    """The records that a search finds."""

    doc_ids: DocIds  # ascending
    notes: tuple[str, ...]  # for people: what was left out, what no record has
    counts: tuple[int, ...]  # of each line


@dataclass(frozen=True, slots=True, eq=False)
class _Check:
    """Records that are sure to match, and others whose texts must be read."""

    sure: WordQuery | None
    maybe: WordQuery
    is_match: Callable[[str, str], bool]  # of title and abstract


@dataclass(frozen=True, slots=True, eq=False)
class _Rest:
    """All records but those of the part."""

    part: _Set


_Set = WordQuery | _Inside | _Check | _Rest


def find_matches(corpus: Corpus, words: WordIndex, search: Search, tree: MeshTree | None = None) -> Matches:
    """Find the records that a search finds.

    tree: the MeSH tree, for headings with all those below them. Without it they stand for themselves, with a note.

    Raises:
        UsageError: nothing in the last line can be looked up here.
        BusyError: the deadline of the request has passed.
    """
    return _Evaluator(corpus, words, tree).evaluate(search)


@dataclass(slots=True, eq=False)
class _Evaluator:
    """One evaluation of a search."""

    corpus: Corpus
    words: WordIndex
    tree: MeshTree | None
    notes: dict[str, None] = field(default_factory=dict)
    alone: dict[str, None] = field(default_factory=dict)  # headings without those below them, for want of a tree
    empty: dict[str, None] = field(default_factory=dict)  # terms that no record has
    lines: dict[int, _Inside | None] = field(default_factory=dict)
    vocabularies: dict[str, Vocabulary] = field(default_factory=dict)
    ids: DocIds = field(init=False)
    size: int = field(init=False)

    def __post_init__(self) -> None:
        """Read the ids of all records."""
        self.ids = self.corpus.read_ids()
        self.size = int(self.ids[-1]) + 1 if len(self.ids) else 0

    def evaluate(self, search: Search) -> Matches:
        """Evaluate the lines in order.

        Raises:
            UsageError: nothing in the last line can be looked up here.
        """
        for line in search.lines:
            self.lines[line.number] = self.evaluate_line(line)
        last = self.lines[search.lines[-1].number]
        if last is None:
            reasons = "; ".join([*search.notes, *self.notes])
            raise UsageError(f"nothing in the search can be looked up here. {reasons}")
        counts = tuple(0 if inside is None else int(inside.sum()) for inside in self.lines.values())
        lines = []
        if search.is_numbered:
            lines = [self.describe_line(line, n) for line, n in zip(search.lines, counts, strict=True)]
        return Matches(
            np.flatnonzero(last),
            (*lines, *search.notes, *self.notes, *self.note_headings(), *self.note_empty()),
            counts,
        )

    def note_headings(self) -> Iterable[str]:
        """Return the note on headings that stand for themselves alone."""
        if self.alone:
            yield (
                f"headings below {_name_first(list(self.alone), _NAMED)} are not included: index.toml names no MeSH "
                f"tree. {GET_IT}"
            )

    def describe_line(self, line: Line, n: int) -> str:
        """Return the note on a line and the number of its records."""
        outcome = "left out" if self.lines[line.number] is None else pluralize(n, "record")
        return f"line {line.number}: {outcome}: {line.text[:_SHOWN]}"

    def note_empty(self) -> Iterable[str]:
        """Return the note on terms that no record has."""
        if self.empty:
            yield f"no record has {_name_first(list(self.empty), _NAMED)}"

    def evaluate_line(self, line: Line) -> _Inside | None:
        """Return the records of a line; None if nothing in it can be looked up."""
        values: dict[int, _Set | None] = {}
        expression = line.expression
        skipped = list_below_nearness(expression)
        for number, node in enumerate(expression.nodes):
            if number not in skipped:
                values[number] = self.evaluate_node(expression, number, [values.pop(part, None) for part in node.parts])
        root = values[len(expression.nodes) - 1]
        return None if root is None else self.list_inside(root)

    def evaluate_node(self, expression: Expression, number: int, parts: Sequence[_Set | None]) -> _Set | None:
        """Return the records of a node; None if it can't be looked up."""
        node = expression.nodes[number]
        there = [part for part in parts if part is not None]
        if node.term is not None:
            return self.find_term(node.term)
        if node.kind is Kind.LINE:
            return self.lines[node.line]
        if node.kind is Kind.NEAR:
            return self.find_near(expression, number)
        if not there:
            return None
        if node.kind is Kind.NOT:
            return there[0].part if isinstance(there[0], _Rest) else _Rest(there[0])
        return self.join_all(there) if node.kind is Kind.AND else self.join_some(there)

    def join_all(self, parts: Sequence[_Set]) -> _Set:
        """Return the records that are in every part."""
        wanted = [part for part in parts if isinstance(part, WordQuery)]
        unwanted = [part.part for part in parts if isinstance(part, _Rest) and isinstance(part.part, WordQuery)]
        if wanted and len(wanted) + len(unwanted) == len(parts):
            query = join_queries(wanted, (), unwanted)
            return query if query.depth <= _MAX_DEPTH else self.list_inside(query)
        masks = [part for part in parts if isinstance(part, np.ndarray)]
        inside = self.list_all() if not masks else np.logical_and.reduce(masks)
        if wanted:
            inside = inside & self.list_inside(join_queries(wanted, (), ()))
        if unwanted:
            inside = inside & ~self.list_inside(join_queries((), unwanted, ()))
        checks = [part for part in parts if isinstance(part, _Check)]
        found = [self.find_candidates(check) for check in checks]
        for sure, unsure in found:
            inside = inside & (sure | unsure)
        for check, (sure, unsure) in zip(checks, found, strict=True):
            inside = inside & (sure | self.verify(check, unsure & inside))
        for part in parts:
            if isinstance(part, _Rest) and not isinstance(part.part, WordQuery):
                inside = inside & ~self.list_inside(part.part, inside)
        return inside

    def join_some(self, parts: Sequence[_Set]) -> _Set:
        """Return the records that are in one part or several."""
        queries = [part for part in parts if isinstance(part, WordQuery)]
        others = [self.list_inside(part) for part in parts if not isinstance(part, WordQuery)]
        if queries:
            query = join_queries((), queries, ())
            if not others and query.depth <= _MAX_DEPTH:
                return query
            others.append(self.list_inside(query))
        inside: _Inside = np.logical_or.reduce(others)
        return inside

    def list_all(self) -> _Inside:
        """Return the set of all records."""
        return self.mark(self.ids)

    def mark(self, ids: DocIds) -> _Inside:
        """Return the set of some doc ids."""
        inside = np.zeros(self.size, np.bool_)
        inside[ids[ids < self.size]] = True
        return inside

    def list_inside(self, part: _Set, among: _Inside | None = None) -> _Inside:
        """Return the set of a part, looked up; what lies outside `among`, if given, may be missing."""
        if isinstance(part, WordQuery):
            return self.mark(self.words.list_matches(part.query))
        if isinstance(part, _Check):
            sure, unsure = self.find_candidates(part)
            return sure | self.verify(part, unsure if among is None else unsure & among)
        if isinstance(part, _Rest):
            return self.list_all() & ~self.list_inside(part.part)
        return part

    def find_candidates(self, check: _Check) -> tuple[_Inside, _Inside]:
        """Return the records that are sure to pass a check, and others that may."""
        sure = self.mark(self.words.list_matches(check.sure.query)) if check.sure else np.zeros(self.size, np.bool_)
        return sure, self.mark(self.words.list_matches(check.maybe.query)) & ~sure

    def verify(self, check: _Check, candidates: _Inside) -> _Inside:
        """Return the candidates whose texts pass a check."""
        passing, left = np.zeros(self.size, np.bool_), np.flatnonzero(candidates)
        for start in range(0, len(left), _PAGE):
            CURRENT.get().check()
            page = left[start : start + _PAGE].tolist()
            for doc_id, title, abstract in self.corpus.read_by_ids("title, abstract", page):
                passing[doc_id] = check.is_match(title, abstract)
        return passing

    def find_term(self, term: SearchTerm) -> _Set | None:
        """Return the records that have a term in one of its fields; None if no such field is stored."""
        found: list[_Set] = list(self.find_words(term))
        for one in term.fields:
            if one in WORD_FIELDS or one is SearchField.UNKNOWN:
                continue
            if one is SearchField.EXPLODED and self.tree is None:
                self.alone[term.text] = None
            selected, notes = select_named(one, term, self.tree, self.corpus)
            self.notes |= dict.fromkeys(notes)
            if selected is not None:
                found.append(self.mark(read_members(self.corpus, selected)))
        if not found:
            return None
        whole = found[0] if len(found) == 1 else self.join_some(found)
        if self.is_empty(whole):
            self.empty[term.written[:80]] = None
        return whole

    def is_empty(self, part: _Set) -> bool:
        """Return whether a part is known to hold no record without reading texts."""
        if isinstance(part, WordQuery):
            return self.words.is_without_match(part.query)
        return isinstance(part, np.ndarray) and not part.any()

    def find_words(self, term: SearchTerm) -> Iterable[_Set]:
        """Yield the records that have the words of a term in its fields of words."""
        fields = WORD_FIELDS & set(term.fields)
        if not fields or not term.words:
            return
        in_title, in_abstract = SearchField.TITLE in fields, SearchField.ABSTRACT in fields
        has_words = build_text_test(term.words)
        if in_title and in_abstract:
            yield self.look_up(TEXT, term.words, lambda title, abstract: has_words(title) or has_words(abstract))
        elif in_title:
            yield self.look_up(TITLE, term.words, lambda title, _: has_words(title))
        elif in_abstract:
            yield self.find_in_abstract(term.words)
        for one, kind in ((SearchField.HEADING_WORDS, "mesh"), (SearchField.KEYWORDS, "keyword")):
            if one in fields:
                yield self.find_in_names(kind, [term.words], lambda words: bool(find_phrase(term.words, words)))

    def look_up(self, where: str, words: Sequence[str], is_match: Callable[[str, str], bool]) -> _Set:
        """Return the records with words in title or text; a phrase with too many endings is verified on the texts."""
        query = find_term(self.words, where, words)
        if not query.is_costly:
            return query
        try:
            return self.list_inside(query)
        except UsageError:
            each = [find_term(self.words, where, [word]) for word in words]
            return _Check(None, join_queries(each, (), ()), is_match)

    def find_in_abstract(self, words: tuple[str, ...]) -> _Set:
        """Return the records with words in the abstract: in the text, but not in the title; or verified."""

        def is_match(_: str, abstract: str) -> bool:
            return build_text_test(words)(abstract)

        text, title = self.look_up(TEXT, words, is_match), self.look_up(TITLE, words, is_match)
        if isinstance(text, WordQuery) and isinstance(title, WordQuery):
            return _Check(join_queries([text], (), [title]), join_queries([text, title], (), ()), is_match)
        each = [find_term(self.words, TEXT, [word]) for word in words]
        return _Check(None, join_queries(each, (), ()), is_match)

    def find_in_names(self, kind: str, words: Sequence[Sequence[str]], is_match: Callable[[Words], bool]) -> _Inside:
        """Return the records with a name of a kind that matches and holds the first word of one of `words`."""
        if kind not in self.vocabularies:
            self.vocabularies[kind] = Vocabulary(self.corpus, kind)
        names = self.vocabularies[kind].find_names(words, is_match)
        if not names:
            return np.zeros(self.size, np.bool_)
        return self.mark(read_members(self.corpus, select_names(kind, names)))

    def find_near(self, expression: Expression, number: int) -> _Set | None:
        """Return the records in which the parts of a node stand near each other, in one of the fields.

        Raises:
            UsageError: a part is no word, phrase, OR or proximity.
        """
        fields = _share_fields(expression, number)
        near = expression.nodes[number]
        if not fields:
            raise UsageError(
                f"at character {near.position}, words near each other are looked up in different fields. Give one "
                "field tag to the whole in parentheses"
            )

        def is_near(text: Words) -> bool:
            return bool(find_spans(expression, number, text))

        def is_match(title: str, abstract: str) -> bool:
            return (SearchField.TITLE in fields and is_near(split_words(title))) or (
                SearchField.ABSTRACT in fields and is_near(split_words(abstract))
            )

        found: list[_Set] = []
        if fields & {SearchField.TITLE, SearchField.ABSTRACT}:
            where = TEXT if SearchField.ABSTRACT in fields else TITLE
            found.append(_Check(None, find_nearby(self.words, where, expression, number), is_match))
        terms = [expression.nodes[one].term for one in list_branch(expression, number)]
        words = [term.words for term in terms if term is not None]
        for one, kind in ((SearchField.HEADING_WORDS, "mesh"), (SearchField.KEYWORDS, "keyword")):
            if one in fields:
                found.append(self.find_in_names(kind, words, is_near))
        return found[0] if len(found) == 1 else self.join_some(found)


def _share_fields(expression: Expression, number: int) -> frozenset[SearchField]:
    """Return the fields that all terms near each other have in common.

    Raises:
        UsageError: a part is neither a word nor OR nor proximity.
    """
    near = expression.nodes[number]
    fields = WORD_FIELDS
    for one in list_branch(expression, number)[:-1]:
        node: Node = expression.nodes[one]
        if node.term is not None:
            fields &= set(node.term.fields)
        elif node.kind not in (Kind.OR, Kind.NEAR) or len(node.parts) > 2 and node.kind is Kind.NEAR:
            raise UsageError(
                f"at character {near.position}, words near each other hold {node.kind.value} at character "
                f"{node.position}, expected words, phrases in quotation marks and OR"
            )
    return fields


def _name_first(names: Sequence[str], most: int) -> str:
    """Return the first of many names, and how many more there are."""
    more = f" and {len(names) - most:,} more" if len(names) > most else ""
    return f"{', '.join(names[:most])}{more}"
