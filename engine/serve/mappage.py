"""The page of the map, and what its script asks for."""

from __future__ import annotations

from dataclasses import replace

from starlette.requests import Request
from starlette.responses import Response

from engine.errors import AbstractNotFoundError
from engine.options import Query, ValueKind
from engine.query.index import Index, get_generation
from engine.serve.asked import query_of
from engine.serve.bodies import as_bytes
from engine.serve.drawing import Drawing, drawn_map
from engine.serve.form import PAGE, canonical
from engine.serve.links import State
from engine.serve.parameters import INDEX, Given, Parameter
from engine.serve.site import HTML, JSON, given_in, pairs_in, respond, site_of
from engine.serve.templates import page
from engine.serve.views import chips, hit_views

_DEFAULT_HITS = 50  # hits drawn where the address does not say how many
POINTS = (INDEX, Parameter("g", "Generation.", ValueKind.INTEGER, low=0, high=999_999, required=True))
AT = (*POINTS, Parameter("row", "Place among the points.", ValueKind.INTEGER, low=0, high=2**31, required=True))
BINARY = "application/octet-stream"


async def map_page(request: Request) -> Response:
    """The corpus in two dimensions, with the hits of a search drawn in."""
    state = canonical(pairs_in(request))
    given = Given(state.pairs, PAGE)
    index = site_of(request).shelf.index(given.text("i"))
    query = replace(query_of(given, n=_DEFAULT_HITS), explain=False)
    return await respond(request, [index], HTML, lambda: drawn_page(index, site_of(request).shelf.names, state, query))


def drawn_page(index: Index, names: list[str], state: State, query: Query) -> bytes:
    """The page of a map."""
    drawing = drawn_map(index)
    fields = {"title": "Map", "here": "map", "index": index, "names": names, "state": state, "drawing": drawing}
    fields["where"] = state.only(("i",)).at("")
    if not (query.text or query.like):
        return page("map", hits=[], rows=[], place=None, chips=[], **fields)
    answer = index.ask(query)
    corpus = get_generation(index).corpus
    rows = drawing.rows([corpus.doc_id(hit.id) for hit in answer.hits])
    return page(
        "map",
        hits=hit_views(index, answer, state),
        rows=rows,
        place=place_of(index, drawing, query),
        chips=chips(state),
        **fields,
    )


def place_of(index: Index, drawing: Drawing, query: Query) -> tuple[float, float] | None:
    """Where the text of a query lies; None for one without."""
    return drawing.place(index.encode([query.text])[0]) if query.text else None


async def points(request: Request) -> Response:
    """All points of a map, as Drawing.points lays them out."""
    index, drawing, _ = asked(request, POINTS)
    return await respond(request, [index], BINARY, lambda: drawing.points)


async def at(request: Request) -> Response:
    """The record that a point is.

    Raises:
        AbstractNotFoundError: there is no such point.
    """
    index, drawing, given = asked(request, AT)
    row = given.whole("row")
    if row >= len(drawing.map.doc_ids):
        raise AbstractNotFoundError(f"the map has {len(drawing.map.doc_ids):,} points, so none is number {row:,}")

    def work() -> bytes:
        doc_id = int(drawing.map.doc_ids[row])
        found = get_generation(index).corpus.fetch([doc_id])[doc_id]
        return as_bytes({"id": found.record_id, "title": found.title, "journal": found.journal, "year": found.year})

    return await respond(request, [index], JSON, work)


def asked(request: Request, allowed: tuple[Parameter, ...]) -> tuple[Index, Drawing, Given]:
    """The index and the drawing that a script asks about.

    Raises:
        AbstractNotFoundError: the generation it has is no longer served.
    """
    given = given_in(request, allowed)
    index = site_of(request).shelf.index(given.text("i"))
    drawing = drawn_map(index)
    if given.whole("g") != index.generation:
        raise AbstractNotFoundError(f"the map is of generation {index.generation:06d} now. Load the page again")
    return index, drawing, given
