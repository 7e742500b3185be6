"""Many queries to one index: in pages that fit into memory, and one by one where a page fails."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import TYPE_CHECKING, TypeVar

from engine.errors import AbstractNotFoundError, EncoderError, EncoderMismatchError, UsageError
from engine.options import Query
from engine.records.answer import Answer

if TYPE_CHECKING:
    from engine.query.index import Index

_MAX_QUERIES = 256  # encoded and compared together
_MAX_HITS = 50_000  # in memory at once

_Item = TypeVar("_Item")
QueryError = UsageError | AbstractNotFoundError | EncoderError  # that one query may have and others not


def split_pages(queries: Iterable[_Item], top_k: int) -> Iterator[list[_Item]]:
    """Yield queries in order, as many at once as are answered together: fewer where each has many hits."""
    left = iter(queries)
    while page := list(islice(left, max(1, min(_MAX_QUERIES, _MAX_HITS // top_k)))):
        yield page


def answer_each(index: Index, queries: Sequence[Query], *, judged: bool = False) -> Iterator[Answer | QueryError]:
    """Yield the answer to each query in order, or the error of one that can't be answered.

    Queries are answered together. Where that fails, each half is tried by itself, so that one bad query among many
    costs little. judged: whether the answers get verdicts.

    Raises:
        EncoderMismatchError: no query can be answered.
        EngineError: as Index.ask_batch, where it is not the fault of a query.
    """
    if not queries:
        return
    try:
        answers = index.ask_batch(queries, judged=judged)
    except EncoderMismatchError:
        raise
    except (UsageError, AbstractNotFoundError, EncoderError) as err:
        if len(queries) == 1:
            yield err
            return
    else:
        yield from answers
        return
    half = len(queries) // 2
    yield from answer_each(index, queries[:half], judged=judged)
    yield from answer_each(index, queries[half:], judged=judged)
