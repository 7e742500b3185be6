"""Downloads: the hits of a search, one record, and the search record."""

from __future__ import annotations

from dataclasses import replace
from urllib.parse import quote

from starlette.requests import Request
from starlette.responses import Response

from engine.errors import AbstractNotFoundError
from engine.options import Query, ValueKind
from engine.query.answers.answer import fetch_hits
from engine.query.answers.location import MAX_RANK, Located
from engine.query.index import Index, get_generation
from engine.query.question.plan import name_some
from engine.query.ranks.ranking import Candidate
from engine.query.searchlog import dump_record, make_record
from engine.records.answer import Answer
from engine.references.formats import FORMATS, render_records
from engine.references.values.citation import Cited, cite_hits, describe_search
from engine.serve.http.failures import classify_error
from engine.serve.http.limits import MAX_HITS, MAX_IDS
from engine.serve.pages.links import State
from engine.serve.pages.templates import render_page
from engine.serve.request.decisions import allow_own, find_reviewer, read_limits
from engine.serve.request.operations import FILES, Operation
from engine.serve.request.parameters import FILTERS, RECORD, SEARCH, Parameter
from engine.serve.request.queries import read_query
from engine.serve.request.site import HTML, JSON, get_site, read_pairs, read_values, respond

FORMAT = Parameter("format", "Format of the file.", choices=tuple(suffix[1:] for suffix in FORMATS), required=True)
_HITS = (
    *SEARCH,
    FORMAT,
    Parameter("tick", "Export only the hits with these ids.", most=MAX_IDS),
    Parameter("top", "Export this many of the first hits, ticked or not.", ValueKind.INTEGER, low=1, high=MAX_HITS),
)
_RECORD_FILE = (*RECORD, FORMAT)
_FILE_NAMES = ("format", "tick", "top")  # parameters of exports that pages don't have
_NARROWING = {parameter.name for parameter in FILTERS} | {"min_score"}
_LEFT_OUT = (
    "left out by a filter, a required word or the minimum score, or as an example, "
    f"or ranked below the first {MAX_RANK:,}"
)
_NAMED = 5  # ids named in a message


class _NoHitsError(AbstractNotFoundError):
    """Some of the ticked records are not hits of the search."""

    def __init__(self, located: Located, n_ticked: int) -> None:
        self.located, self.ids = located, {*located.absent, *located.left_out}
        reasons = ((located.absent, "no longer in the index"), (located.left_out, _LEFT_OUT))
        listing = "; ".join(f"{name_some(ids, _NAMED)} ({reason})" for ids, reason in reasons if ids)
        are_no_hits = "is not a hit" if len(self.ids) == 1 else "are not hits"
        super().__init__(
            f"No file was made: {len(self.ids):,} of the {n_ticked:,} ticked records {are_no_hits} of this search in "
            f"generation {located.answer.generation:06d}: {listing}."
        )


async def _export_hits(request: Request) -> Response:
    """Send hits of a search as a file: the ticked ones, those of the page, or the first `top`."""
    reviewer = find_reviewer(request)
    values = read_values(request, allow_own(reviewer, _HITS))
    index = get_site(request).shelf.get_index(values.get_text("i"))
    query = replace(read_query(values), explain=False, group_by=None)  # a file holds neither
    ticks = tuple(dict.fromkeys(values.get_texts("tick")))
    if top := values.get_whole("top"):
        query, ticks = replace(query, top_k=top, offset=0), ()
    suffix, limits = f".{values.get_text('format')}", read_limits(read_pairs(request))

    def work() -> bytes:
        only = reviewer.select(index, limits) if reviewer else None
        answer = _answer_ticked(index, query, ticks) if ticks else index.ask(query, only=only)
        return b"".join(render_records(suffix, cite_hits(index, answer), describe_search(answer)))

    try:
        response = await respond(request, [index], FORMATS[suffix].media_type, work, is_lasting=not limits)
        return name_attachment(response, make_file_name(index, suffix))
    except _NoHitsError as err:
        return _show_missing_ticks(request, err)


def _answer_ticked(index: Index, query: Query, ticks: tuple[str, ...]) -> Answer:
    """Return the answer with only the ticked hits, each with its rank and scores among all hits.

    Raises:
        _NoHitsError: some of the ticked records are not hits.
    """
    located = index.locate(query, ticks)
    if located.absent or located.left_out:
        raise _NoHitsError(located, len(ticks))
    return located.answer


def _show_missing_ticks(request: Request, err: _NoHitsError) -> Response:
    """Return the page that lists the ticked records that are not hits, with links to export the others or all."""
    failure = classify_error(err)
    pairs = read_pairs(request)
    rest = State(tuple(pair for pair in pairs if pair[0] != "tick" or pair[1] not in err.ids))
    present = tuple(pair for pair in pairs if pair[0] != "tick" or pair[1] not in err.located.absent)
    unfiltered = State(tuple(pair for pair in present if pair[0] not in _NARROWING))
    ways = []
    if n := len(rest.keep_names(["tick"]).pairs):
        ways.append((f"Export the {'other' if n == 1 else f'{n:,} others'}", rest.build_address("/export")))
    if err.located.left_out and unfiltered.pairs != present:
        ways.append(("Export without the filters", unfiltered.build_address("/export")))
    ways.append(
        ("Back to the hits", State(tuple(pair for pair in pairs if pair[0] not in _FILE_NAMES)).build_address("/"))
    )
    body = render_page("error", title="Not exported", here="error", failure=failure, ways=ways)
    return Response(body, status_code=failure.status, media_type=HTML)


async def _export_record(request: Request) -> Response:
    """Send one record as a file; as a hit, it has rank 1 and its cosine to itself."""
    values = read_values(request, _RECORD_FILE)
    index, suffix = get_site(request).shelf.get_index(values.get_text("i")), f".{values.get_text('format')}"

    def work() -> bytes:
        record, snapshot = index.get(values.get_text("id")), get_generation(index)
        (hit,) = fetch_hits(snapshot, [Candidate(snapshot.corpus.find_doc_id(record.record_id), 1.0)])
        line = f"{record.record_id} (generation {index.generation:06d})"
        return b"".join(render_records(suffix, [Cited(hit, record)], line))

    response = await respond(request, [index], FORMATS[suffix].media_type, work)
    return name_attachment(response, make_file_name(index, suffix))


async def _export_search_record(request: Request) -> Response:
    """Send the search record, as written by `engine search --record` and repeated by `engine rerun`."""
    values = read_values(request, SEARCH)
    query, index = replace(read_query(values), explain=False), get_site(request).shelf.get_index(values.get_text("i"))
    response = await respond(request, [index], JSON, lambda: dump_record(make_record(index, index.ask(query))))
    return name_attachment(response, "search.json")


def make_file_name(index: Index, suffix: str) -> str:
    """Return the name of a file, with the name and generation of its index."""
    return f"{index.name}-{index.generation:06d}{suffix}"


def name_attachment(response: Response, name: str) -> Response:
    """Return the response after marking it as a download with this file name."""
    response.headers["Content-Disposition"] = f'attachment; filename="{quote(name)}"'
    return response


OPERATIONS = (
    Operation("/export", _export_hits, _HITS, FILES, is_by_decision=True),
    Operation("/record/export", _export_record, _RECORD_FILE, FILES),
    Operation("/search-record.json", _export_search_record, SEARCH, (JSON,)),
)
