"""Queries of the index of words, with wildcards and proximity."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from typing import TYPE_CHECKING

from engine.corpus.boolean.matching import build_regex, has_wildcard
from engine.corpus.boolean.tree import Expression, Kind
from engine.corpus.words.wordindex import WordIndex

if TYPE_CHECKING:
    import tantivy

_MAX_PAIRS = 100  # of words near each other that are looked up in both orders


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

    Pairs of single words are looked up in both orders; otherwise it finds the records that have all parts.
    """
    from tantivy import Query

    node = expression.nodes[number]
    parts = [_list_alternatives(expression, part) for part in node.parts]
    is_plain = all(len(one) == 1 and not has_wildcard(one[0]) for part in parts for one in part)
    if len(parts) == 2 and is_plain and len(parts[0]) * len(parts[1]) <= _MAX_PAIRS:
        pairs = [pair for one, other in product(*parts) for pair in ((one[0], other[0]), (other[0], one[0]))]
        queries = [WordQuery(Query.phrase_query(words.schema, where, [*pair], node.distance - 1)) for pair in pairs]
        return join_queries((), queries, ())
    each = [join_queries((), [_find_words(words, where, one) for one in part], ()) for part in parts]
    return join_queries(each, (), ())


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
