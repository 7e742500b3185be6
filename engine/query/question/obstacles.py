"""What left nothing: how many records each condition of a question lets through, and how many are left without it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import reduce
from itertools import chain, islice

import numpy as np

from engine.corpus.boolean.matching import list_branch
from engine.corpus.boolean.strategy import read_search
from engine.corpus.boolean.tree import Expression, Kind, Node, Search
from engine.corpus.words.wording import Term, Wording
from engine.errors import UsageError
from engine.options import FILTERS, Filters
from engine.phrases import pluralize
from engine.query.opening.generation import OpenGeneration
from engine.query.question.filterwords import describe_filters
from engine.query.question.hyphenation import join_divided_words
from engine.query.question.plan import Question
from engine.records.answer import Obstacle
from engine.records.generation import DocIds

_MOST = 30  # conditions that are looked at
_TEXT = "q"  # the parameter that the text is


@dataclass(frozen=True, slots=True)
class _Condition:
    """A condition of a question, and the records that meet it."""

    name: str  # of the parameter
    text: str  # for people
    doc_ids: DocIds  # ascending


def find_obstacles(snapshot: OpenGeneration, question: Question) -> tuple[Obstacle, ...]:
    """Return each condition of a question that no record meets, in its order: filters, then words."""
    all_conditions = chain(_list_filters(snapshot, question.query.filters), _list_words(snapshot, question))
    conditions = list(islice(all_conditions, _MOST))  # each is looked up only when it is taken
    return tuple(
        Obstacle(one.name, one.text, len(one.doc_ids), _count_without(snapshot, conditions, place))
        for place, one in enumerate(conditions)
    )


def note_obstacles(obstacles: tuple[Obstacle, ...]) -> Iterator[str]:
    """Yield notes on the conditions: those that no record meets, else those without which something is left."""
    if blocking := [one for one in obstacles if not one.n_alone]:
        yield from (f"no record meets this alone: {one.condition}" for one in blocking)
        return
    helping = [one for one in obstacles if one.n_without]
    for one in helping:
        yield f"without this, {pluralize(one.n_without, 'record')} would qualify: {one.condition}"
    if not helping and len(obstacles) > 1:
        alone = "; ".join(f"{one.condition} ({one.n_alone:,})" for one in obstacles)
        yield f"each condition alone has records, but no record meets all but one of them: {alone}"


def _count_without(snapshot: OpenGeneration, conditions: list[_Condition], place: int) -> int:
    """Count the records that meet all conditions but one."""
    others = [one.doc_ids for number, one in enumerate(conditions) if number != place]
    return len(reduce(np.intersect1d, others)) if others else snapshot.vectors.size


def _list_filters(snapshot: OpenGeneration, filters: Filters) -> Iterator[_Condition]:
    """Yield each filter that is set."""
    for option in FILTERS:
        value = getattr(filters, option.field)
        if value != option.default:
            alone = Filters(**{option.field: value})
            text = next(describe_filters(alone))
            yield _Condition(option.name, text, snapshot.find_qualified(alone).doc_ids)


def _list_words(snapshot: OpenGeneration, question: Question) -> Iterator[_Condition]:
    """Yield what the text of a question requires."""
    text, _ = join_divided_words(question.query.text, lambda word: snapshot.get_words().count_records(Term(word)))
    search = read_search(text) if question.is_search else None
    if search is not None:
        yield from _list_parts(snapshot, search)
    elif question.query.mode != "semantic":
        yield from _list_terms(snapshot, question)


def _list_terms(snapshot: OpenGeneration, question: Question) -> Iterator[_Condition]:
    """Yield the required and unwanted words; in keyword mode also that one of the others must occur."""
    wording, words = question.wording, snapshot.get_words()
    for term in wording.required:
        found = words.find_allowed(_require(term))
        yield _Condition(_TEXT, f"the word {_write_term(term)} is required", _read_ids(found))
    if wording.excluded:
        named = ", ".join(map(_write_term, wording.excluded))
        found = words.find_allowed(replace(wording, plain=(), required=()))
        yield _Condition(_TEXT, f"not one of the words {named}", _read_ids(found))
    if question.query.mode == "keyword" and wording.plain and not wording.required:
        each = [_read_ids(words.find_allowed(_require(term))) for term in wording.plain[:_MOST]]
        named = ", ".join(map(_write_term, wording.plain[:_MOST]))
        yield _Condition(_TEXT, f"one of the words {named}", reduce(np.union1d, each))


def _require(term: Term) -> Wording:
    """Return the wording that only requires a term."""
    return Wording((), (term,), (), term.written)


def _write_term(term: Term) -> str:
    """Return a term as it is written: a phrase in quotation marks."""
    text = f'"{term.written}"' if " " in term.text else term.written
    return f"title:{text}" if term.in_title else text


def _read_ids(found: DocIds | None) -> DocIds:
    """Return doc ids; there are always some to look up."""
    return np.empty(0, np.int64) if found is None else found


def _list_parts(snapshot: OpenGeneration, search: Search) -> Iterator[_Condition]:
    """Yield the parts of a Boolean search that are joined by AND; the whole search if it has no such parts."""
    numbers = list(_list_joined(search.expression, len(search.expression.nodes) - 1))
    for number in numbers:
        part = Expression(search.expression.nodes[: number + 1], search.expression.dialect)
        last = replace(search.lines[-1], expression=part)
        try:
            found = snapshot.find_matches(replace(search, lines=(*search.lines[:-1], last))).doc_ids
        except UsageError:  # a part that can't be looked up by itself
            continue
        yield _Condition(_TEXT, _write_node(part, number)[:200], found)


def _list_joined(expression: Expression, number: int) -> Iterator[int]:
    """Yield the numbers of the nodes that a node joins by AND, itself if it joins none."""
    node = expression.nodes[number]
    if node.kind is not Kind.AND:
        yield number
        return
    for part in node.parts:
        yield from _list_joined(expression, part)


def _write_node(expression: Expression, number: int) -> str:
    """Return a node as text."""
    texts: dict[int, str] = {}
    for one in list_branch(expression, number):  # parts before wholes
        node = expression.nodes[one]
        texts[one] = _join_node(node, [texts[part] for part in node.parts])
    return texts[number]


def _join_node(node: Node, parts: Sequence[str]) -> str:
    """Return a node as text, given the texts of its parts."""
    if node.term is not None:
        quoted = f'"{node.term.text}"' if node.term.is_quoted else node.term.text
        return replace(node.term, text=quoted).written
    if node.kind is Kind.LINE:
        return f"#{node.line}"
    if node.kind is Kind.NOT:
        return f"NOT {parts[0]}"
    operator = f"{'NEXT' if node.ordered else 'NEAR'}/{node.distance}" if node.kind is Kind.NEAR else node.kind
    return f"({f' {operator} '.join(parts)})"
