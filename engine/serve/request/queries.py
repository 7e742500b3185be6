"""A request as a query: the names of HTTP to the fields of Query and Filters."""

from __future__ import annotations

from typing import Any

from engine.errors import UsageError
from engine.options import FILTERS, QUESTION, RANKING, Filters, Query
from engine.serve.http.limits import MAX_DEPTH
from engine.serve.request.parameters import RequestValues


def read_query(given: RequestValues, *, n: int = 10, like: tuple[str, ...] = ()) -> Query:
    """Return the query that a request asks; n hits where it does not say how many.

    Raises:
        UsageError: years that can't be read, or hits too far down.
    """
    values: dict[str, Any] = {"top_k": n} | given.read_fields((*QUESTION, *RANKING))
    values |= {"like": like} if like else {}
    query = Query(**values, filters=Filters(**given.read_fields(FILTERS)))
    if (last := query.offset + query.top_k) > MAX_DEPTH:
        raise UsageError(
            f"offset {query.offset:,} and n {query.top_k:,} reach to rank {last:,}, expected {MAX_DEPTH:,} at most. "
            "Narrow the search with filters, or search from the command line"
        )
    return query
