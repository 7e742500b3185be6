"""The pages. They are whole without a script."""

from __future__ import annotations

from dataclasses import replace
from http import HTTPStatus
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from engine.errors import AbstractNotFoundError, NoMeshTreeError, UnreadableQueryError, UsageError
from engine.identifiers import build_doi_url, build_pubmed_url
from engine.options import Query
from engine.query.index import Index
from engine.query.prisma import paragraph
from engine.query.searchlog import record_of
from engine.references.formats import FORMATS
from engine.serve.asked import query_of
from engine.serve.bodies import status_object
from engine.serve.failures import Failure, failure_of
from engine.serve.form import FIELDS, HIDDEN, PAGE, canonical, form_of, is_canonical
from engine.serve.links import State
from engine.serve.parameters import RECORD, Given
from engine.serve.site import HTML, given_in, pairs_in, respond, site_of
from engine.serve.templates import page
from engine.serve.views import badges, chips, hit_views, paging

SEE_OTHER = 303
NEIGHBOURS = 10
EXPLAINED = 20  # hits of a page; a hundred of them would take some 3 s


async def search(request: Request) -> Response:
    """The form, and the hits where something is asked. What makes no sense is said below the form, still filled."""
    try:
        state = canonical(pairs_in(request))
        if not is_canonical(pairs_in(request)):
            return RedirectResponse(state.at("/"), SEE_OTHER)
        given = Given(state.pairs, PAGE)
        shelf, query = site_of(request).shelf, query_of(given)
        index = shelf.index(given.text("i"))
        query = replace(query, explain=query.explain if given.text("explain") else True)
        return await respond(request, [index], HTML, lambda: search_page(index, shelf.names, state, query))
    except (UsageError, NoMeshTreeError, AbstractNotFoundError, UnreadableQueryError) as err:
        return await run_in_threadpool(refused, request, failure_of(err))  # the form may have to be counted first


def refused(request: Request, failure: Failure) -> Response:
    """The form as it was sent, with what was wrong about it."""
    shelf = site_of(request).shelf
    name = next((value for key, value in pairs_in(request) if key == "i" and value in shelf.names), "")
    kept = tuple(pair for pair in pairs_in(request) if pair[1].strip() and pair[0] != "i")
    index, state = shelf.index(name), State((*kept, ("i", name)) if name else kept)
    fields = form_fields(index, shelf.names, state)
    body = page("search", title="Search", answer=None, problem=failure.message, **fields)
    return Response(body, status_code=failure.status, media_type=HTML, headers=dict(failure.headers))


def form_fields(index: Index, names: list[str], state: State) -> dict[str, Any]:
    """What the form is laid out from."""
    return {
        "form": form_of(index, state),
        "formats": [suffix[1:] for suffix in FORMATS],
        "here": "search",
        "index": index,
        "names": names,
        "state": state,
        "fields": FIELDS,
        "hidden": HIDDEN,
        "lengths": {parameter.name: parameter.length for parameter in PAGE},
        "where": state.only(("i",)).at(""),
    }


def search_page(index: Index, names: list[str], state: State, query: Query) -> bytes:
    """The page of a search."""
    fields = form_fields(index, names, state)
    if not query.text and not query.like:
        return page("search", title="Search", answer=None, problem="", **fields)
    answer = index.ask(query, n_explained=EXPLAINED)
    return page(
        "search",
        title=query.text[:80] or "Similar records",
        answer=answer,
        hits=hit_views(index, answer, state),
        chips=chips(state),
        paging=paging(answer, state),
        question=question_of(index, query),
        record=paragraph(record_of(index, answer)),
        examples=[(given, index.get(given).title) for given in query.like],
        **fields,
    )


def question_of(index: Index, query: Query) -> str:
    """What ticks belong to, however it is spelled in an address: the question without filters and places."""
    pairs = [("i", index.name), ("q", query.text), ("mode", str(query.mode))]
    pairs += [("like", one) for one in query.like] + [("unlike", one) for one in query.unlike]
    return str(State(tuple(pairs)))


async def record(request: Request) -> Response:
    """One record whole, with those that are nearest to it."""
    given = given_in(request, RECORD)
    index = site_of(request).shelf.index(given.text("i"))
    return await respond(request, [index], HTML, lambda: record_page(index, given))


def record_page(index: Index, given: Given) -> bytes:
    """The page of a record."""
    found = index.get(given.text("id"))
    where = State(tuple(("i", name) for name in given.texts("i")))
    near = index.ask(Query(like=(found.record_id,), top_k=NEIGHBOURS)) if len(index) > 1 else None
    cite = where.having("id", found.record_id)
    return page(
        "record",
        title=found.title or found.record_id,
        here="record",
        index=index,
        record=found,
        badges=list(badges(found)),
        sources=index.sources(found.record_id),
        pubmed=build_pubmed_url(found.pmid),
        doi=build_doi_url(found.doi),
        near=hit_views(index, near, where) if near else [],
        similar=where.having("like", found.record_id).at("/"),
        where=where.at(""),
        exports=[(suffix[1:], cite.having("format", suffix[1:]).at("/record/export")) for suffix in FORMATS],
    )


async def status(request: Request) -> Response:
    """What is served."""
    given_in(request, ())
    shelf = site_of(request).shelf
    indexes = [shelf.index(name) for name in shelf.names]

    def work() -> bytes:
        found = [status_object(one, shelf.problems) for one in indexes]
        return page("status", title="Status", here="status", indexes=found)

    return Response(await run_in_threadpool(work), media_type=HTML)


def failed(request: Request, failure: Failure) -> Response:
    """The page of a failure."""
    ways = [("Start again", "/")]
    if failure.status == HTTPStatus.SERVICE_UNAVAILABLE:
        ways.insert(0, ("Ask again", State(pairs_in(request)).at(request.url.path)))
    body = page("error", title="That did not work", here="error", failure=failure, ways=ways)
    return Response(body, status_code=failure.status, media_type=HTML, headers=dict(failure.headers))
