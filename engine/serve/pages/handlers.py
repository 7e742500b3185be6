"""Handlers of the HTML pages, which work without scripts."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from engine.errors import AbstractNotFoundError, NoMeshTreeError, UnreadableQueryError, UsageError
from engine.options import Query
from engine.query.answers.grouping import find_among
from engine.query.index import Index, get_generation
from engine.query.prisma import list_appendix, write_paragraph
from engine.query.searchlog import make_record
from engine.references.formats import FORMATS
from engine.serve.http.failures import Failure, classify_error
from engine.serve.http.prefix import get_root
from engine.serve.pages.facets import build_facet_views, build_own_views
from engine.serve.pages.form import (
    FIELDS,
    FURTHER,
    HIDDEN,
    PAGE,
    UNSEEN,
    build_form,
    build_view_choices,
    canonicalise,
    is_canonical,
)
from engine.serve.pages.links import State
from engine.serve.pages.templates import render_page
from engine.serve.pages.views import (
    build_chips,
    build_group_views,
    build_headline,
    build_hidden_views,
    build_hit_views,
    build_paging,
    build_tries,
)
from engine.serve.pages.watch import build_watch_address
from engine.serve.request.decisions import allow_own, find_reviewer, read_limits
from engine.serve.request.operations import Operation
from engine.serve.request.parameters import RequestValues
from engine.serve.request.queries import read_query
from engine.serve.request.site import HTML, get_site, read_pairs, respond
from engine.serve.work.decisionsets import DecidedRecords
from engine.serve.work.facets import FieldCounts, count_qualified, read_facets

_SEE_OTHER = 303
EXPLAINED = 20  # explained hits per page; a hundred would take about 3 s


async def _show_search_page(request: Request) -> Response:
    """Send the search form with the hits of its query, if any; or the filled form with an error message."""
    try:
        reviewer = find_reviewer(request)
        allowed = allow_own(reviewer, PAGE)
        state = canonicalise(read_pairs(request), allowed)
        if not is_canonical(read_pairs(request)):
            return RedirectResponse(state.build_address("/"), _SEE_OTHER)
        values = RequestValues(state.pairs, allowed)
        shelf, query = get_site(request).shelf, read_query(values)
        index = shelf.get_index(values.get_text("i"))
        is_later = not values.get_text("explain") and _is_marked_later(request)
        query = replace(query, explain=query.explain if values.get_text("explain") else not is_later)

        def work() -> bytes:
            decided = reviewer.read_decided(index) if reviewer else None
            return _render_search_page(index, shelf.names, state, query, decided, is_later=is_later)

        return await respond(request, [index], HTML, work, is_lasting=reviewer is None)
    except (UsageError, NoMeshTreeError, AbstractNotFoundError, UnreadableQueryError) as err:
        return await run_in_threadpool(_show_refused, request, classify_error(err))  # the facets may need counting


def _is_marked_later(request: Request) -> bool:
    """Return whether the page is sent without marks, so that titles show at once: its script asks for them then."""
    return request.cookies.get("marks") == "later" and "engine-marks" not in request.headers


def _show_refused(request: Request, failure: Failure) -> Response:
    """Return the form as it was sent, with the error message."""
    shelf = get_site(request).shelf
    name = next((value for key, value in read_pairs(request) if key == "i" and value in shelf.names), "")
    kept = tuple(pair for pair in read_pairs(request) if pair[1].strip() and pair[0] != "i")
    index, state = shelf.get_index(name), State((*kept, ("i", name)) if name else kept)
    fields = _build_form_fields(index, shelf.names, state)
    body = render_page("search", title="Search", answer=None, problem=failure.message, facets={}, **fields)
    return Response(body, status_code=failure.status, media_type=HTML, headers=dict(failure.headers))


def _build_form_fields(index: Index, names: list[str], state: State) -> dict[str, Any]:
    """Return the template values of the form."""
    return {
        "form": build_form(index, state),
        "formats": [(suffix[1:], f"{kind.name}: {kind.programs}") for suffix, kind in FORMATS.items()],
        "here": "search",
        "index": index,
        "names": names,
        "state": state,
        "fields": FIELDS,
        "further": FURTHER,
        "hidden": HIDDEN,
        "lengths": {parameter.name: parameter.length for parameter in PAGE},
        "where": state.keep_names(("i",)).build_address(""),
    }


def _render_search_page(
    index: Index,
    names: list[str],
    state: State,
    query: Query,
    decided: DecidedRecords | None = None,
    *,
    is_later: bool = False,
) -> bytes:
    """Render the search page; for a reviewer, with the records by what they decided."""
    fields = _build_form_fields(index, names, state)
    if not query.text and not query.like:
        counts = FieldCounts(read_facets(index).lists, is_whole=True)
        facets = build_own_views(decided, None, state) if decided else {}
        facets, tries = facets | build_facet_views(counts, state), build_tries(index, state)
        return render_page("search", title="Search", answer=None, problem="", facets=facets, tries=tries, **fields)
    limits = read_limits(state.pairs)
    only = decided.select(limits) if decided else None
    answer = index.ask(query, n_explained=EXPLAINED, only=only)
    counts = count_qualified(index, answer.query, only)
    facets = {}
    if decided:
        among = find_among(get_generation(index), answer.query)
        among = only if among is None else among if only is None else np.intersect1d(among, only)
        facets = build_own_views(decided, among, state)
    fields |= {"facets": facets | build_facet_views(counts, state), "is_whole": counts.is_whole}
    return render_page(
        "search",
        title=query.text[:80] or "Similar records",
        answer=answer,
        hits=build_hit_views(index, answer, state),
        chips=build_chips(state),
        concealed=build_hidden_views(index, state),
        all_shown=state.drop_value("hide").build_address("/"),
        headline=build_headline(index, answer),
        watch=build_watch_address(state) if query.text and not query.like and not limits else "",
        views=(views := build_view_choices(state)),
        chosen_view=next(name for name, _, _, is_chosen in views if is_chosen),
        any_marks=is_later or any(hit.why for hit in answer.hits),
        is_later=is_later,
        unseen=state.drop_names(UNSEEN),
        groups=build_group_views(answer, state),
        paging=build_paging(answer, state),
        question=_name_question(index, query),
        record=write_paragraph(recorded := make_record(index, answer)),
        appendix=list_appendix(recorded),
        is_limited=bool(limits),
        examples=[(record_id, index.get(record_id).title) for record_id in query.like],
        **fields,
    )


def _name_question(index: Index, query: Query) -> str:
    """Return the key that ticks are stored under: the query without filters and paging."""
    pairs = [("i", index.name), ("q", query.text), ("mode", str(query.mode))]
    pairs += [("like", example) for example in query.like] + [("unlike", example) for example in query.unlike]
    return f"{get_root()}{State(tuple(pairs))}"  # sites of one host share the storage


OPERATIONS = (Operation("/", _show_search_page, PAGE, (HTML,), is_by_decision=True, redirects=True),)
