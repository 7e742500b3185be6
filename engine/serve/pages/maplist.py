"""Handlers of what is chosen on the map: the list of its records, and their file."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from starlette.requests import Request
from starlette.responses import Response

from engine.errors import AbstractNotFoundError, UsageError
from engine.identifiers import build_doi_url, build_pubmed_url
from engine.options import ValueKind
from engine.phrases import pluralize
from engine.query.index import Index, get_generation
from engine.records.abstract import Abstract
from engine.references.formats import FORMATS, render_records
from engine.references.values.citation import Cited
from engine.serve.http.limits import MAX_DEPTH, MAX_IDS
from engine.serve.pages.downloads import FORMAT, make_file_name, name_attachment
from engine.serve.pages.links import State
from engine.serve.pages.templates import render_page
from engine.serve.pages.views import format_byline, list_badges
from engine.serve.request.operations import FILES, Operation
from engine.serve.request.parameters import INDEX, Parameter, RequestValues
from engine.serve.request.site import HTML, get_site, read_pairs, read_values, respond
from engine.serve.work.area import MAX_LENGTH, parse_area
from engine.serve.work.drawing import Drawing, draw_map_of
from engine.serve.work.regions import read_regions

_PER_PAGE = 50
CHOICE = (
    INDEX,
    Parameter("map", "Which map the choice was made on.", length=8),
    Parameter("region", "Number of a region.", ValueKind.INTEGER, low=1, high=65_535),
    Parameter("area", "Corners of an area, as x,y with spaces between them.", length=MAX_LENGTH),
)
LIST = (*CHOICE, Parameter("offset", "Records left out at the beginning.", ValueKind.INTEGER, low=0, high=10**9))
_FILE = (*CHOICE, FORMAT, Parameter("tick", "Export only the records with these ids.", most=MAX_IDS))


@dataclass(frozen=True, slots=True)
class _Chosen:
    """The records that were chosen on a map, the newest first."""

    title: str
    doc_ids: list[int]
    drawing: Drawing


@dataclass(frozen=True, slots=True)
class _RecordView:
    """A record of the list, ready to display."""

    record: Abstract
    byline: str
    badges: list[str]
    page: str
    pubmed: str
    doi: str


async def _show_map_list(request: Request) -> Response:
    """Send the list of the records that were chosen on the map."""
    values = read_values(request, LIST)
    index = get_site(request).shelf.get_index(values.get_text("i"))
    state = State(tuple(pair for pair in read_pairs(request) if pair[1].strip()))
    return await respond(request, [index], HTML, lambda: render_list(index, values, state))


def render_list(index: Index, values: RequestValues, state: State, **more: Any) -> bytes:
    """Render the list of chosen records.

    more: template values, those of the pages of a review; path is that of the map.
    """
    chosen, offset, where = find_chosen(index, values), values.get_whole("offset"), state.keep_names(("i",))
    fields = {"here": "map", "path": "/map", "review": ""} | more
    own = f"{fields['path']}/list"
    shown = chosen.doc_ids[offset : offset + _PER_PAGE]
    records = get_generation(index).corpus.fetch(shown)
    after = offset + _PER_PAGE
    return render_page(
        "maplist",
        title=chosen.title,
        index=index,
        chosen=chosen,
        views=[_build_view(records[doc_id], where) for doc_id in shown],
        first=offset + 1,
        n=len(chosen.doc_ids),
        too_many=len(chosen.doc_ids) > MAX_DEPTH,
        most=MAX_DEPTH,
        state=state.start_over(),
        before=state.set_value("offset", max(0, offset - _PER_PAGE)).build_address(own) if offset else "",
        after=state.set_value("offset", after).build_address(own) if after < len(chosen.doc_ids) else "",
        formats=[(suffix[1:], known.name) for suffix, known in FORMATS.items()],
        where=where.build_address(""),
        question=state.start_over().build_address("/map/list"),
        **fields,
    )


def _build_view(record: Abstract, where: State) -> _RecordView:
    """Return one record, ready to display."""
    page = where.set_value("id", record.record_id).build_address("/record")
    badges = list(list_badges(record))
    return _RecordView(
        record, format_byline(record.authors), badges, page, build_pubmed_url(record.pmid), build_doi_url(record.doi)
    )


def find_chosen(index: Index, values: RequestValues) -> _Chosen:
    """Return the records that a request names.

    Raises:
        UsageError: neither a region nor an area is named, or both, or an area can't be read.
        AbstractNotFoundError: there is no such region, or the map has been drawn anew.
    """
    drawing, number, area = draw_map_of(index), values.get_whole("region"), values.get_text("area")
    if bool(number) == bool(area):
        raise UsageError("name either a region or an area of the map")
    if values.get_text("map") not in ("", drawing.key):
        raise AbstractNotFoundError("the map was drawn anew since this was chosen. Open the map, and choose again")
    title, rows = _find_region_rows(index, number) if number else ("Chosen on the map", _find_area_rows(drawing, area))
    newest = np.lexsort((rows, -drawing.years[rows].astype(np.int64)))
    return _Chosen(title, drawing.map.doc_ids[rows[newest]].tolist(), drawing)


def _find_region_rows(index: Index, number: int) -> tuple[str, NDArray[np.int64]]:
    """Return the name of a region and the rows of its records.

    Raises:
        AbstractNotFoundError: there is no such region.
    """
    found = read_regions(index)
    if number > len(found.regions):
        raise AbstractNotFoundError(
            f"there is no region {number:,}: the map has {pluralize(len(found.regions), 'region')}"
        )
    return found.regions[number - 1].name, found.list_rows(number)


def _find_area_rows(drawing: Drawing, area: str) -> NDArray[np.int64]:
    """Return the rows of the records in an area.

    Raises:
        UsageError: the area can't be read.
    """
    return parse_area(area).find_rows(drawing.map.places)


async def _export_map_list(request: Request) -> Response:
    """Send the chosen records as a file: all, or the ticked ones.

    Raises:
        UsageError: there are more than fit in one file.
        AbstractNotFoundError: a ticked record is not one of them.
    """
    values = read_values(request, _FILE)
    index, suffix = get_site(request).shelf.get_index(values.get_text("i")), f".{values.get_text('format')}"

    def work() -> bytes:
        chosen, corpus = find_chosen(index, values), get_generation(index).corpus
        doc_ids = _keep_ticked(index, chosen.doc_ids, values.get_texts("tick"))
        if len(doc_ids) > MAX_DEPTH:
            raise UsageError(
                f"{len(doc_ids):,} records are chosen, a file can have {MAX_DEPTH:,}. Choose a smaller area"
            )
        line = f"{chosen.title} ({index.name}, generation {index.generation:06d})"
        cited = (Cited(None, record) for record in corpus.read_abstracts(np.array(doc_ids, np.int64)))
        return b"".join(render_records(suffix, cited, line))

    response = await respond(request, [index], FORMATS[suffix].media_type, work)
    return name_attachment(response, make_file_name(index, suffix))


def _keep_ticked(index: Index, doc_ids: list[int], ticks: tuple[str, ...]) -> list[int]:
    """Return those of some records that are ticked, in their order; all, if none is ticked.

    Raises:
        AbstractNotFoundError: a ticked record is not one of them.
    """
    if not ticks:
        return doc_ids
    wanted = {get_generation(index).corpus.find_doc_id(tick): tick for tick in ticks}
    if other := set(wanted) - set(doc_ids):
        raise AbstractNotFoundError(f"{wanted[min(other)][:80]} is not one of the chosen records")
    return [doc_id for doc_id in doc_ids if doc_id in wanted]


def list_region_links(index: Index, state: State, path: str) -> list[dict[str, Any]]:
    """Return the regions of the map at a path, each with the address of the list of its records."""
    where = state.keep_names(("i",)).set_value("map", draw_map_of(index).key)
    return [
        {"region": region, "list": where.set_value("region", region.number).build_address(f"{path}/list")}
        for region in read_regions(index).regions
    ]


OPERATIONS = (
    Operation("/map/list", _show_map_list, LIST, (HTML,)),
    Operation("/map/export", _export_map_list, _FILE, FILES),
)
