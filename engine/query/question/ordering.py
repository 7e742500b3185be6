"""Hits sorted by a field instead of by relevance: which of a ranking are sorted, and how."""

from __future__ import annotations

import numpy as np

from engine.corpus.ordering import order_ids
from engine.corpus.storage.store import Corpus
from engine.options import RELEVANCE, Query, parse_sort

_SORTED = 100  # best hits that are sorted where a ranking holds every record; more if more are asked for at once
_STARTS = {
    "year": ("oldest first", "newest first"),
    "added": ("oldest first", "newest first"),
    "author": ("A to Z", "Z to A"),
    "journal": ("A to Z", "Z to A"),
}


def is_selective(query: Query, *, is_search: bool) -> bool:
    """Return whether a query decides which records are in its ranking: by words, or by a minimum cosine.

    is_search: its text is a Boolean search.
    """
    return is_search or query.mode == "keyword" or query.min_score is not None


def count_sorted(query: Query, size: int, *, is_search: bool) -> int:
    """Return how many of the best hits, at most, a query on so many records sorts: 0 for the order by relevance."""
    if query.sort == RELEVANCE:
        return 0
    return size if is_selective(query, is_search=is_search) else max(_SORTED, query.top_k)


def sort_ids(corpus: Corpus, doc_ids: list[int], sort: str) -> list[int]:
    """Return doc ids in the order of a sort; those without a value come last, equal ones by id."""
    field, descending = parse_sort(sort)
    ordered: list[int] = order_ids(corpus, np.array(doc_ids, np.int64), field, descending=descending).tolist()
    return ordered


def describe_sort(sort: str) -> str:
    """Return a sort in words: "by year, newest first"."""
    field, descending = parse_sort(sort)
    return f"by {field}, {_STARTS[field][descending]}"


def note_sorted(query: Query, n_sorted: int, n_qualified: int) -> list[str]:
    """Return the note on hits of which only the best are sorted, if there are more."""
    if not n_sorted or n_sorted >= n_qualified:
        return []
    return [
        f"sorted {describe_sort(query.sort)}: the {n_sorted:,} most relevant of {n_qualified:,} records; all others "
        "follow by relevance. To sort all that match: a Boolean search, keyword mode or a minimum score"
    ]
