"""Request parameters to the fields of Query and Filters."""

from __future__ import annotations

from typing import Any

from engine.errors import UsageError
from engine.options import BY_FIELD, FILTERS, QUESTION, RANKING, SIMILAR_MODE, Filters, Query
from engine.serve.http.limits import MAX_DEPTH
from engine.serve.request.parameters import RequestValues


def read_query(values: RequestValues, *, n: int = BY_FIELD["top_k"].default, like: tuple[str, ...] = ()) -> Query:
    """Return the query of a request; n is the default number of hits, like replaces the examples.

    With like, the default is to rank by meaning alone.

    Raises:
        UsageError: malformed years, or a last rank beyond MAX_DEPTH.
    """
    fields: dict[str, Any] = {"top_k": n} | values.read_fields((*QUESTION, *RANKING))
    if like:
        fields = {"mode": SIMILAR_MODE} | fields | {"like": like}
    query = Query(**fields, filters=Filters(**values.read_fields(FILTERS)))
    if (last := query.offset + query.top_k) > MAX_DEPTH:
        raise UsageError(
            f"offset {query.offset:,} and n {query.top_k:,} reach rank {last:,}, expected {MAX_DEPTH:,} at most. "
            "Narrow the search with filters, or search from the command line"
        )
    return query
