"""Queries of the index of words, with wildcards and proximity."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from typing import TYPE_CHECKING

from engine.corpus.boolean.matching import build_regex, build_test, cut_beginning, has_wildcard, list_branch
from engine.corpus.boolean.tree import Expression, Kind, Node
from engine.corpus.words.wordindex import WordIndex

if TYPE_CHECKING:
    import tantivy

_MAX_PAIRS = 1_000  # of words that are looked up near each other
_Terms = Sequence[tuple[str, ...]]


@dataclass(frozen=True, slots=True, eq=False)
class WordQuery:
    """A query of tantivy."""

    query: tantivy.Query
    depth: int = 1  # queries in one another
    is_costly: bool = False  # it may be refused because a truncated phrase has too many endings


def find_term(words: WordIndex, where: str, term: Sequence[str]) -> WordQuery:
    """Return the query for the records with words next to each other in a field of the index of words."""
    from tantivy import Query

    if not any(map(has_wildcard, term)):
        if len(term) == 1:
            return WordQuery(Query.term_query(words.schema, where, term[0], "freq"))
        return WordQuery(Query.phrase_query(words.schema, where, list(term)))
    if len(term) == 1:
        return WordQuery(Query.regex_query(words.schema, where, build_regex(term[0])))
    return WordQuery(Query.regex_phrase_query(words.schema, where, [build_regex(one) for one in term]), is_costly=True)


def join_queries(wanted: Sequence[WordQuery], some: Sequence[WordQuery], unwanted: Sequence[WordQuery]) -> WordQuery:
    """Return the query for the records of all `wanted`, of one of `some`, if there are any, and of no `unwanted`."""
    from tantivy import Occur, Query

    clauses = [(Occur.Must, one.query) for one in wanted]
    clauses += [(Occur.Should, one.query) for one in some]
    clauses += [(Occur.MustNot, one.query) for one in unwanted]
    parts = (*wanted, *some, *unwanted)
    if len(parts) == 1 and not unwanted:
        return parts[0]
    return WordQuery(Query.boolean_query(clauses), 1 + max(one.depth for one in parts))


def find_nearby(words: WordIndex, where: str, expression: Expression, number: int) -> WordQuery:
    """Return a query for the records in which the parts of a proximity may stand near each other.

    The outer words of two parts are looked up in both orders, with their endings; if these are too many, or there are
    more parts, it finds the records that have all parts.
    """
    from tantivy import Query

    node = expression.nodes[number]
    parts = [_list_alternatives(expression, part) for part in node.parts]
    each = [join_queries((), [_find_words(words, where, one) for one in part], ()) for part in parts]
    pairs = _list_pairs(words, *parts) if _is_pair(expression, node) else []
    if not pairs:
        return join_queries(each, (), ())
    queries = [WordQuery(Query.phrase_query(words.schema, where, [*pair], node.distance - 1)) for pair in pairs]
    return join_queries([*each, join_queries((), queries, ())], (), ())


def _is_pair(expression: Expression, node: Node) -> bool:
    """Return whether a proximity has two parts without a proximity in them."""
    below = [one for part in node.parts for one in list_branch(expression, part)]
    return len(node.parts) == 2 and all(expression.nodes[one].kind is not Kind.NEAR for one in below)


def _list_pairs(words: WordIndex, left: _Terms, right: _Terms) -> list[tuple[str, str]]:
    """Return the words that may follow each other where two parts are near; empty if they are too many."""
    ends = [[_list_endings(words, [term[place] for term in part]) for place in (0, -1)] for part in (left, right)]
    (first, last), (other_first, other_last) = ends
    if len(last) * len(other_first) + len(other_last) * len(first) > _MAX_PAIRS:
        return []
    return list(dict.fromkeys((*product(last, other_first), *product(other_last, first))))


def _list_endings(words: WordIndex, patterns: Sequence[str]) -> list[str]:
    """Return the words of an index that match one of several words of terms."""
    found: dict[str, None] = {}
    for pattern in patterns:
        if has_wildcard(pattern):
            test = build_test(pattern)
            found |= dict.fromkeys(one for one, _ in words.list_words(cut_beginning(pattern)) if test(one))
        else:
            found[pattern] = None
    return list(found)


def _find_words(words: WordIndex, where: str, term: Sequence[str]) -> WordQuery:
    """Return the query for the records with all words of a term; next to each other if it has no wildcard."""
    if any(map(has_wildcard, term)):
        return join_queries([find_term(words, where, [word]) for word in term], (), ())
    return find_term(words, where, term)


def _list_alternatives(expression: Expression, number: int) -> list[tuple[str, ...]]:
    """Return the terms of which a part needs one; of a proximity in it, those of its first part."""
    found: list[tuple[str, ...]] = []
    stack = [number]
    while stack:
        node = expression.nodes[stack.pop()]
        if node.term is not None:
            found.append(node.term.words)
        stack += node.parts[:1] if node.kind is Kind.NEAR else node.parts
    return list(dict.fromkeys(found))
