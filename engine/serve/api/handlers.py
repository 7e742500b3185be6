"""The API below /api/v1. Nothing can be written through it; every answer is of one generation and names it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from engine.errors import EngineError, UsageError
from engine.options import Query
from engine.query.batches import answer_each
from engine.query.index import Index
from engine.records.answer import Answer
from engine.serve.api.bodies import build_answer_body, build_next_path, build_status_body, dump_bytes, record_object
from engine.serve.http.limits import MAX_BATCH, MAX_BATCH_HITS, MAX_EXAMPLES, MAX_EXPLAINED
from engine.serve.request.parameters import (
    FILTERS,
    INDEX,
    QUESTION,
    RANKING,
    RECORD,
    SEARCH,
    Parameter,
    RequestValues,
)
from engine.serve.request.queries import read_query
from engine.serve.request.site import JSON, get_site, read_given, read_pairs, respond, run_while_connected

SIMILAR = (
    INDEX,
    Parameter("id", "Find records like these: record ids, PMIDs or DOIs.", most=MAX_EXAMPLES, required=True),
    *(one for one in QUESTION if one.name != "like"),
    *RANKING,
    *FILTERS,
)
NEW = (
    INDEX,
    Parameter("since", "A generation's number, or a date or time (ISO 8601, UTC).", required=True),
    *SEARCH[1:],
)
STATUS = (INDEX,)
BATCH = (INDEX, *RANKING, *FILTERS)


async def search(request: Request) -> Response:
    """The abstracts nearest to a text, best first."""
    given = read_given(request, SEARCH)
    return await _answer_request(request, given, read_query(given))


async def find_similar(request: Request) -> Response:
    """The abstracts nearest to stored ones, which are left out."""
    given = read_given(request, SIMILAR)
    return await _answer_request(request, given, read_query(given, like=given.get_texts("id")))


async def _answer_request(request: Request, given: RequestValues, query: Query) -> Response:
    """Answer one query."""
    index = get_site(request).shelf.index(given.get_text("i"))

    def work() -> bytes:
        answer = index.ask(query)
        return dump_bytes(
            build_answer_body(index, answer) | {"next": build_next_path(request.url.path, read_pairs(request), answer)}
        )

    return await respond(request, [index], JSON, work)


async def find_new(request: Request) -> Response:
    """The abstracts nearest to a text among those that are new or changed since a generation or a date."""
    given = read_given(request, NEW)
    query, since = read_query(given), given.get_text("since").strip()
    index = get_site(request).shelf.index(given.get_text("i"))

    def work() -> bytes:
        rows, answer = index.ask_new(query, since=since)
        found = build_answer_body(index, answer, [row.change for row in rows])
        return dump_bytes(found | {"next": build_next_path(request.url.path, read_pairs(request), answer)})

    return await respond(request, [index], JSON, work)


async def show_record(request: Request) -> Response:
    """One record whole."""
    given = read_given(request, RECORD)
    index = get_site(request).shelf.index(given.get_text("i"))
    return await respond(
        request, [index], JSON, lambda: dump_bytes(record_object(index, index.get(given.get_text("id"))))
    )


async def show_status(request: Request) -> Response:
    """What is served: generations, counts, encoders."""
    shelf = get_site(request).shelf
    name = read_given(request, STATUS).get_text("i")
    indexes = [shelf.index(name)] if name else [shelf.index(one) for one in shelf.names]

    def work() -> bytes:
        return dump_bytes({"indexes": [build_status_body(one, shelf.problems) for one in indexes]})

    return Response(await run_in_threadpool(work), media_type=JSON)


async def search_batch(request: Request) -> Response:
    """Several searches of one generation, answered together.

    Raises:
        UsageError: a query that makes no sense, or too many hits, or explained hits, in all.
    """
    content = _read_body(await request.body())
    queries = content.pop("queries")
    common = list(list_pairs(content))
    name = RequestValues(common, BATCH).get_text("i")
    index = get_site(request).shelf.index(name)
    asked = [_read_batch_query(one, place, common) for place, one in enumerate(queries, 1)]
    if (n := sum(query.top_k for query in asked)) > MAX_BATCH_HITS:
        raise UsageError(f"the queries want {n:,} hits together, expected {MAX_BATCH_HITS:,} at most")
    if (n := sum(query.top_k for query in asked if query.explain)) > MAX_EXPLAINED:
        raise UsageError(f"the queries want {n:,} hits explained together, expected {MAX_EXPLAINED} at most")

    def work() -> bytes:
        answers = [build_answer_body(index, answer) for answer in _answer_batch(index, asked)]
        return dump_bytes({"index": index.name, "generation": index.generation, "answers": answers})

    body = await run_while_connected(request, get_site(request).batches.run(work))
    return Response(body, media_type=JSON, headers={"Engine-Generation": f"{index.generation:06d}"})


def _answer_batch(index: Index, queries: list[Query]) -> list[Answer]:
    """The answers to queries.

    Raises:
        EngineError: a query that makes no sense to the index; says which one it is.
    """
    answers = []
    for place, answer in enumerate(answer_each(index, queries), 1):
        if not isinstance(answer, Answer):
            raise type(answer)(f"query {place} of the batch: {answer}") from answer
        answers.append(answer)
    return answers


def _read_body(raw: bytes) -> dict[str, Any]:
    """The object that a batch is.

    Raises:
        UsageError: it is none.
    """
    expected = 'expected {"queries": ["a text", {"q": "another", "n": 5}], "n": 10}'
    try:
        content = json.loads(raw)
    except (ValueError, RecursionError) as err:
        raise UsageError(f"the body is not JSON, {expected}") from err
    queries = content.get("queries") if isinstance(content, dict) else None
    if not isinstance(queries, list) or not queries:
        raise UsageError(f"the body holds no list of queries, {expected}")
    if len(queries) > MAX_BATCH:
        raise UsageError(f"the body holds {len(queries):,} queries, expected {MAX_BATCH} at most")
    return dict(content)


def _read_batch_query(one: object, place: int, common: list[tuple[str, str]]) -> Query:
    """One query of a batch: what it says itself goes before what the batch says.

    Raises:
        UsageError: it makes no sense; says which one it is.
    """
    said: object = {"q": one} if isinstance(one, str) else one
    try:
        if not isinstance(said, dict):
            raise UsageError('it is neither a text nor an object like {"q": "a text"}')
        own = list(list_pairs(said))
        names = {name for name, _ in own}
        rest = [(name, value) for name, value in common if name not in names and name != "i"]
        query = read_query(RequestValues([*own, *rest], SEARCH[1:]))
        if not query.text:
            raise UsageError("it has no text in q")
        return query
    except EngineError as err:
        raise UsageError(f"query {place} of the batch: {err}") from err


def list_pairs(content: Mapping[str, Any]) -> list[tuple[str, str]]:
    """An object of JSON as names and values; a list gives its name several times.

    Raises:
        UsageError: a value that is neither text, number, true, false nor a list of such.
    """
    found = []
    for name, value in content.items():
        for one in value if isinstance(value, list) else [value]:
            if one is None:
                continue
            if not isinstance(one, str | int | float):
                raise UsageError(f"{name[:80]} holds {type(one).__name__}, expected texts, numbers, true or false")
            found.append((name, _format_value(one)))
    return found


def _format_value(value: str | float) -> str:
    """Return a value of JSON as it is written in an address; 3.0 is the whole number 3 to JSON, too."""
    if isinstance(value, bool):
        return str(value).lower()
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)
