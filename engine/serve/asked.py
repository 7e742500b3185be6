"""A request as a query: the names of HTTP to the fields of Query and Filters."""

from __future__ import annotations

from engine.corpus.filters import years_of
from engine.errors import UsageError
from engine.queries import Filters, Fusion, Mode, Query
from engine.serve.limits import MAX_DEPTH
from engine.serve.parameters import Given

# Parameter -> field of Filters, where several values are alternatives.
NAMES = {
    "journal": "journals",
    "mesh": "mesh",
    "mesh_tree": "mesh_trees",
    "type": "types",
    "keyword": "keywords",
    "author": "authors",
    "language": "languages",
    "source": "sources",
    "exclude": "exclude",
}


def query_of(given: Given, *, n: int = 10, like: tuple[str, ...] = ()) -> Query:
    """The query that a request asks; n hits where it does not say how many.

    Raises:
        UsageError: years that can't be read, or hits too far down.
    """
    top_k, offset = given.whole("n", n), given.whole("offset")
    if offset + top_k > MAX_DEPTH:
        raise UsageError(
            f"offset {offset:,} and n {top_k:,} reach to rank {offset + top_k:,}, expected {MAX_DEPTH:,} at most. "
            "Narrow the search with filters, or search from the command line"
        )
    return Query(
        text=given.text("q"),
        like=like or given.texts("like"),
        unlike=given.texts("unlike"),
        mode=Mode(given.text("mode") or Mode.SEMANTIC),
        filters=filters_of(given),
        top_k=top_k,
        offset=offset,
        min_score=given.number("min_score"),
        weight=given.number("weight"),
        fusion=Fusion(fusion) if (fusion := given.text("fusion")) else None,
        diversify=given.number("diversify"),
        explain=bool(given.flag("explain")),
        group_by=given.text("group_by") or None,
    )


def filters_of(given: Given) -> Filters:
    """The filters that a request asks for."""
    names = {field: given.texts(name) for name, field in NAMES.items()}
    return Filters(
        years=tuple(years_of(text) for text in given.texts("year")),
        retracted=given.flag("retracted"),
        has_abstract=given.flag("has_abstract"),
        ids=given.texts("ids") or None,
        where=given.text("where"),
        **names,
    )
