"""Files: hits of a search, one record, and the record of a search."""

from __future__ import annotations

from dataclasses import replace
from urllib.parse import quote

from starlette.requests import Request
from starlette.responses import Response

from engine.errors import AbstractNotFoundError
from engine.options import Query, ValueKind
from engine.query.answer import fetch_hits
from engine.query.index import Index, get_generation
from engine.query.location import Located
from engine.query.plan import name_some
from engine.query.ranking import Candidate
from engine.query.searchlog import make_record, record_bytes
from engine.records.answer import Answer
from engine.references.citation import Cited, cite_hits, describe_search
from engine.references.formats import FORMATS, render_hits
from engine.serve.http.failures import classify_error
from engine.serve.http.limits import MAX_HITS, MAX_IDS
from engine.serve.pages.links import State
from engine.serve.pages.templates import render_page
from engine.serve.request.parameters import FILTERS, RECORD, SEARCH, Parameter
from engine.serve.request.queries import read_query
from engine.serve.request.site import HTML, JSON, get_site, read_pairs, read_values, respond

_FORMAT = Parameter("format", "Of the file.", choices=tuple(suffix[1:] for suffix in FORMATS), required=True)
_HITS = (
    *SEARCH,
    _FORMAT,
    Parameter("tick", "Only these of the hits.", most=MAX_IDS),
    Parameter("top", "So many of the first hits, ticked or not.", ValueKind.INTEGER, low=1, high=MAX_HITS),
)
_OF_FILES = ("format", "tick", "top", "group_by")  # mean nothing on a page
_NARROWING = {parameter.name for parameter in FILTERS} | {"min_score"}
_LEFT_OUT = "left out by filters, words, the least score or as examples, or below the first 10,000"
_NAMED = 5  # ids in a message
KINDS = {
    ".bib": "application/x-bibtex; charset=utf-8",
    ".csv": "text/csv; charset=utf-8",
    ".json": "application/json",
    ".jsonl": "application/jsonl",
    ".md": "text/markdown; charset=utf-8",
    ".nbib": "application/nbib; charset=utf-8",
    ".ris": "application/x-research-info-systems; charset=utf-8",
    ".tsv": "text/tab-separated-values; charset=utf-8",
    ".xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
}


class _NoHitsError(AbstractNotFoundError):
    """Records were ticked that are none of the hits."""

    def __init__(self, found: Located, n_ticked: int) -> None:
        self.found, self.ids = found, {*found.absent, *found.left_out}
        parts = ((found.absent, "not in the index any more"), (found.left_out, _LEFT_OUT))
        said = "; ".join(f"{name_some(ids, _NAMED)} ({why})" for ids, why in parts if ids)
        super().__init__(
            f"No hits of this search in generation {found.answer.generation:06d}: {said}. "
            f"That is {len(self.ids):,} of the {n_ticked:,} that were ticked, so no file was made."
        )


async def export_hits(request: Request) -> Response:
    """The hits of a search as a file: the ticked ones, those of a page, or the first so many."""
    given = read_values(request, _HITS)
    index = get_site(request).shelf.index(given.get_text("i"))
    query, ticks = replace(read_query(given), explain=False), tuple(dict.fromkeys(given.get_texts("tick")))
    if top := given.get_whole("top"):
        query, ticks = replace(query, top_k=top, offset=0), ()
    suffix = f".{given.get_text('format')}"

    def work() -> bytes:
        answer = _answer_ticked(index, query, ticks) if ticks else index.ask(query)
        return b"".join(render_hits(suffix, cite_hits(index, answer), describe_search(answer)))

    try:
        return _name_attachment(await respond(request, [index], KINDS[suffix], work), _make_file_name(index, suffix))
    except _NoHitsError as err:
        return _show_missing_ticks(request, err)


def _answer_ticked(index: Index, query: Query, ticks: tuple[str, ...]) -> Answer:
    """The answer to a query with the ticked hits alone, each with the rank and the scores that it has among all.

    Raises:
        _NoHitsError: some are no hits.
    """
    found = index.locate(query, ticks)
    if found.absent or found.left_out:
        raise _NoHitsError(found, len(ticks))
    return found.answer


def _show_missing_ticks(request: Request, err: _NoHitsError) -> Response:
    """The page that says which ticked records are no hits, with ways to a file of the others, or of all."""
    failure = classify_error(err)
    pairs = read_pairs(request)
    rest = State(tuple(pair for pair in pairs if pair[0] != "tick" or pair[1] not in err.ids))
    there = tuple(pair for pair in pairs if pair[0] != "tick" or pair[1] not in err.found.absent)
    unfiltered = State(tuple(pair for pair in there if pair[0] not in _NARROWING))
    ways = []
    if n := len(rest.keep_names(["tick"]).pairs):
        ways.append((f"Export the {'other' if n == 1 else f'{n:,} others'}", rest.build_address("/export")))
    if err.found.left_out and unfiltered.pairs != there:
        ways.append(("Export all that are hits without the filters", unfiltered.build_address("/export")))
    ways.append(
        ("Back to the hits", State(tuple(pair for pair in pairs if pair[0] not in _OF_FILES)).build_address("/"))
    )
    body = render_page("error", title="Not exported", here="error", failure=failure, ways=ways)
    return Response(body, status_code=failure.status, media_type=HTML)


async def export_record(request: Request) -> Response:
    """One record as a file; as a hit it has rank 1, and the cosine to itself."""
    given = read_values(request, (*RECORD, _FORMAT))
    index, suffix = get_site(request).shelf.index(given.get_text("i")), f".{given.get_text('format')}"

    def work() -> bytes:
        found, snapshot = index.get(given.get_text("id")), get_generation(index)
        (hit,) = fetch_hits(snapshot, [Candidate(snapshot.corpus.find_doc_id(found.record_id), 1.0)])
        line = f"{found.record_id} (generation {index.generation:06d})"
        return b"".join(render_hits(suffix, [Cited(hit, found)], line))

    return _name_attachment(await respond(request, [index], KINDS[suffix], work), _make_file_name(index, suffix))


async def search_record(request: Request) -> Response:
    """The record of a search, as `engine search --record` keeps it and `engine rerun` repeats it."""
    given = read_values(request, SEARCH)
    query, index = replace(read_query(given), explain=False), get_site(request).shelf.index(given.get_text("i"))
    found = await respond(request, [index], JSON, lambda: record_bytes(make_record(index, index.ask(query))))
    return _name_attachment(found, "search.json")


def _make_file_name(index: Index, suffix: str) -> str:
    """The name of a file: of which index and generation it is."""
    return f"{index.name}-{index.generation:06d}{suffix}"


def _name_attachment(response: Response, name: str) -> Response:
    """The same response as a file to be kept under a name."""
    response.headers["Content-Disposition"] = f'attachment; filename="{quote(name)}"'
    return response
