"""A record, and the hit that it was: what a file of references is made of."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from engine.records.abstract import Abstract
from engine.records.answer import Answer, Hit

if TYPE_CHECKING:
    from engine.query.index import Index


@dataclass(frozen=True, slots=True)
class Cited:
    """All that is stored of one record, and its hit; without a hit, the record was not searched for."""

    hit: Hit | None
    record: Abstract
    further: tuple[tuple[str, str], ...] = ()  # names and cells of further columns of tables, the same names for all


def cite_hits(index: Index, answer: Answer) -> list[Cited]:
    """Return the hits of an answer of this index, each with its stored record.

    Raises:
        AbstractNotFoundError: the index has moved to a generation in which one is gone.
    """
    return [Cited(hit, record) for hit, record in zip(answer.hits, index.get_records(answer.hits), strict=True)]


def format_locator(record: Abstract) -> str:
    """Return where a record stands in its journal; "" if that is unknown.

    >>> format_locator(Abstract("a", "T", "", volume="28", issue="3", pages="253-8"))
    '28(3):253-8'
    """
    issue = f"({record.issue})" if record.issue else ""
    return ":".join(filter(None, (record.volume + issue, record.pages)))


def describe_search(answer: Answer) -> str:
    """Return a line that says what was searched."""
    query = answer.query
    like = f"like {', '.join(query.like)}" if query.like else ""
    return " ".join(filter(None, (query.text, like))) + f" (generation {answer.generation:06d})"
