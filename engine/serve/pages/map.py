"""Handlers of the map page and of its script."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from engine.errors import AbstractNotFoundError
from engine.options import Query, ValueKind
from engine.query.index import Index, get_generation
from engine.query.question.plan import read_question
from engine.serve.api.bodies import dump_bytes
from engine.serve.pages.form import PAGE, canonicalise
from engine.serve.pages.links import State
from engine.serve.pages.maplist import list_region_links
from engine.serve.pages.templates import render_page
from engine.serve.pages.views import build_chips, build_hit_views
from engine.serve.request.operations import Operation
from engine.serve.request.parameters import INDEX, Parameter, RequestValues
from engine.serve.request.queries import read_query
from engine.serve.request.site import HTML, JSON, get_site, read_pairs, read_values, respond
from engine.serve.work.drawing import Drawing, draw_map_of
from engine.serve.work.regions import read_regions

_DEFAULT_HITS = 50  # hits drawn by default
POINTS = (INDEX, Parameter("g", "Generation.", ValueKind.INTEGER, low=0, high=999_999, required=True))
_AT = (*POINTS, Parameter("row", "Row of the point.", ValueKind.INTEGER, low=0, high=2**31, required=True))
BINARY = "application/octet-stream"


async def _show_map_page(request: Request) -> Response:
    """Send the map of the corpus, with the hits of a search marked."""
    index, state, query = read_map_request(request)
    names = get_site(request).shelf.names
    return await respond(request, [index], HTML, lambda: render_map(index, state, query, names=names))


def read_map_request(request: Request) -> tuple[Index, State, Query]:
    """Return the index of a request for the map, the state of the page, and the query whose hits are marked.

    Raises:
        UsageError: an unknown parameter, or an invalid value.
        UnknownIndexError: no such index is served.
    """
    state = canonicalise(read_pairs(request))
    values = RequestValues(state.pairs, PAGE)
    index = get_site(request).shelf.get_index(values.get_text("i"))
    query = replace(read_query(values, n=_DEFAULT_HITS), explain=False, group_by=None)  # it shows neither
    return index, state, query


def render_map(index: Index, state: State, query: Query, **values: Any) -> bytes:
    """Render the map page.

    values: template values; the names of the indexes to choose from, and those of the pages of a review.
    """
    drawing = draw_map_of(index)
    fields = {
        "title": "Map",
        "here": "map",
        "path": "/map",
        "review": "",
        "index": index,
        "names": (),
        "state": state,
        "drawing": drawing,
        "where": state.keep_names(("i",)).build_address(""),
    } | values
    fields["regions"] = list_region_links(index, state, str(fields["path"]))
    if not (query.text or query.like):
        return render_page("map", hits=[], rows=[], place=None, chips=[], **fields)
    answer = index.ask(query)
    corpus = get_generation(index).corpus
    rows = drawing.find_rows([corpus.find_doc_id(hit.id) for hit in answer.hits])
    return render_page(
        "map",
        hits=build_hit_views(index, answer, state),
        rows=rows,
        place=_locate_query(index, drawing, answer.query),
        chips=build_chips(state),
        **fields,
    )


def _locate_query(index: Index, drawing: Drawing, query: Query) -> tuple[float, float] | None:
    """Return the x and y of the text of a checked query, without its operators; None without a text."""
    text = read_question(get_generation(index), query).text
    return drawing.place(index.encode([text])[0]) if text else None


async def _send_points(request: Request) -> Response:
    """Send the place, year, journal and region of each point of a map, in the format of Drawing.dump_points."""
    index, drawing, _ = read_drawing_request(request, POINTS)
    return await respond(request, [index], BINARY, lambda: drawing.dump_points(read_regions(index).numbers))


async def _find_record_at(request: Request) -> Response:
    """Send id, title, journal and year of the record of a point.

    Raises:
        AbstractNotFoundError: there is no such point.
    """
    index, drawing, values = read_drawing_request(request, _AT)
    row = values.get_whole("row")
    if row >= len(drawing.map.doc_ids):
        raise AbstractNotFoundError(f"row {row:,} is not on the map, which has {len(drawing.map.doc_ids):,} points")

    def work() -> bytes:
        doc_id = int(drawing.map.doc_ids[row])
        record = get_generation(index).corpus.fetch([doc_id])[doc_id]
        fields = {"id": record.record_id, "title": record.title, "journal": record.journal, "year": record.year}
        return dump_bytes(fields)

    return await respond(request, [index], JSON, work)


def read_drawing_request(request: Request, allowed: tuple[Parameter, ...]) -> tuple[Index, Drawing, RequestValues]:
    """Return the index, its drawing and the parameters of a request of the script.

    Raises:
        AbstractNotFoundError: the generation of the request is no longer served.
    """
    values = read_values(request, allowed)
    index = get_site(request).shelf.get_index(values.get_text("i"))
    drawing = draw_map_of(index)
    if values.get_whole("g") != index.generation:
        raise AbstractNotFoundError(f"the map now shows generation {index.generation:06d}. Reload the page")
    return index, drawing, values


OPERATIONS = (
    Operation("/map", _show_map_page, PAGE, (HTML,)),
    Operation("/map/points", _send_points, POINTS, (BINARY,)),
    Operation("/map/at", _find_record_at, _AT, ("Point",)),
)
