"""The page of the map, and what its script asks for."""

from __future__ import annotations

from dataclasses import replace

from starlette.requests import Request
from starlette.responses import Response

from engine.errors import AbstractNotFoundError
from engine.options import Query, ValueKind
from engine.query.index import Index, get_generation
from engine.serve.api.bodies import dump_bytes
from engine.serve.pages.form import PAGE, canonicalise
from engine.serve.pages.links import State
from engine.serve.pages.templates import render_page
from engine.serve.pages.views import build_chips, build_hit_views
from engine.serve.request.parameters import INDEX, Parameter, RequestValues
from engine.serve.request.queries import read_query
from engine.serve.request.site import HTML, JSON, get_site, read_pairs, read_values, respond
from engine.serve.work.drawing import Drawing, draw_map_of

_DEFAULT_HITS = 50  # hits drawn where the address does not say how many
_POINTS = (INDEX, Parameter("g", "Generation.", ValueKind.INTEGER, low=0, high=999_999, required=True))
_AT = (*_POINTS, Parameter("row", "Place among the points.", ValueKind.INTEGER, low=0, high=2**31, required=True))
_BINARY = "application/octet-stream"


async def map_page(request: Request) -> Response:
    """The corpus in two dimensions, with the hits of a search drawn in."""
    state = canonicalise(read_pairs(request))
    given = RequestValues(state.pairs, PAGE)
    index = get_site(request).shelf.index(given.get_text("i"))
    query = replace(read_query(given, n=_DEFAULT_HITS), explain=False)
    return await respond(request, [index], HTML, lambda: _show_map(index, get_site(request).shelf.names, state, query))


def _show_map(index: Index, names: list[str], state: State, query: Query) -> bytes:
    """The page of a map."""
    drawing = draw_map_of(index)
    fields = {"title": "Map", "here": "map", "index": index, "names": names, "state": state, "drawing": drawing}
    fields["where"] = state.keep_names(("i",)).build_address("")
    if not (query.text or query.like):
        return render_page("map", hits=[], rows=[], place=None, chips=[], **fields)
    answer = index.ask(query)
    corpus = get_generation(index).corpus
    rows = drawing.find_rows([corpus.find_doc_id(hit.id) for hit in answer.hits])
    return render_page(
        "map",
        hits=build_hit_views(index, answer, state),
        rows=rows,
        place=_place_of(index, drawing, query),
        chips=build_chips(state),
        **fields,
    )


def _place_of(index: Index, drawing: Drawing, query: Query) -> tuple[float, float] | None:
    """Where the text of a query lies; None for one without."""
    return drawing.place(index.encode([query.text])[0]) if query.text else None


async def send_points(request: Request) -> Response:
    """All points of a map, as Drawing.points lays them out."""
    index, drawing, _ = _read_drawing_request(request, _POINTS)
    return await respond(request, [index], _BINARY, lambda: drawing.points)


async def find_record_at(request: Request) -> Response:
    """The record that a point is.

    Raises:
        AbstractNotFoundError: there is no such point.
    """
    index, drawing, given = _read_drawing_request(request, _AT)
    row = given.get_whole("row")
    if row >= len(drawing.map.doc_ids):
        raise AbstractNotFoundError(f"the map has {len(drawing.map.doc_ids):,} points, so none is number {row:,}")

    def work() -> bytes:
        doc_id = int(drawing.map.doc_ids[row])
        found = get_generation(index).corpus.fetch([doc_id])[doc_id]
        return dump_bytes({"id": found.record_id, "title": found.title, "journal": found.journal, "year": found.year})

    return await respond(request, [index], JSON, work)


def _read_drawing_request(request: Request, allowed: tuple[Parameter, ...]) -> tuple[Index, Drawing, RequestValues]:
    """The index and the drawing that a script asks about.

    Raises:
        AbstractNotFoundError: the generation it has is no longer served.
    """
    given = read_values(request, allowed)
    index = get_site(request).shelf.index(given.get_text("i"))
    drawing = draw_map_of(index)
    if given.get_whole("g") != index.generation:
        raise AbstractNotFoundError(f"the map is of generation {index.generation:06d} now. Load the page again")
    return index, drawing, given
