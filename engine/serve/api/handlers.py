"""Handlers of the read-only API at /api/v1. Every answer comes from one generation and names it."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from engine.errors import EngineError, UsageError
from engine.options import Query, ValueKind
from engine.query.batches import answer_each
from engine.query.index import Index
from engine.query.seeds.suggestion import MAX_KNOWN
from engine.records.answer import Answer
from engine.serve.api.bodies import (
    build_answer_body,
    build_next_path,
    build_record_body,
    build_status_body,
    build_suggestion_body,
    build_watches_body,
    dump_bytes,
)
from engine.serve.http.limits import MAX_BATCH, MAX_BATCH_HITS, MAX_EXAMPLES, MAX_EXPLAINED
from engine.serve.request.decisions import allow_own, find_reviewer, read_limits
from engine.serve.request.parameters import (
    BOOLEANS,
    CITED_RECORD,
    FILTERS,
    INDEX,
    NUMBERS,
    QUERY,
    QUESTION,
    RANKING,
    SEARCH,
    SIMILAR_RANKING,
    Parameter,
    RequestValues,
)
from engine.serve.request.queries import read_query
from engine.serve.request.site import JSON, get_site, read_pairs, read_values, respond, run_while_connected

SIMILAR = (
    INDEX,
    Parameter("id", "Find records like these: record ids, PMIDs or DOIs.", most=MAX_EXAMPLES, required=True),
    *(parameter for parameter in QUESTION if parameter.name != "like"),
    *SIMILAR_RANKING,
    *FILTERS,
)
NEW = (
    INDEX,
    Parameter("since", "A generation's number, or a date or time (ISO 8601, UTC).", required=True),
    *QUERY,
)
SUGGEST = (
    INDEX,
    Parameter(
        "known",
        "Records that the searches must find: two or more ids, PMIDs or DOIs.",
        most=MAX_KNOWN,
        required=True,
    ),
)
STATUS = (INDEX,)
BATCH = (INDEX, *RANKING, *FILTERS)


async def search(request: Request) -> Response:
    """Search the abstracts nearest to a text, best first."""
    values = read_values(request, allow_own(find_reviewer(request), SEARCH))
    return await _answer_request(request, values, read_query(values))


async def find_similar(request: Request) -> Response:
    """Search the abstracts nearest to stored records, which are excluded."""
    values = read_values(request, allow_own(find_reviewer(request), SIMILAR))
    return await _answer_request(request, values, read_query(values, like=values.get_texts("id")))


async def _answer_request(request: Request, values: RequestValues, query: Query) -> Response:
    """Answer one query."""
    index = get_site(request).shelf.get_index(values.get_text("i"))
    reviewer, limits = find_reviewer(request), read_limits(read_pairs(request))

    def work() -> bytes:
        only = reviewer.select(index, limits) if reviewer else None
        answer = index.ask(query, only=only)
        return dump_bytes(
            build_answer_body(index, answer) | {"next": build_next_path(request.url.path, read_pairs(request), answer)}
        )

    return await respond(request, [index], JSON, work, is_lasting=not limits)


async def find_new(request: Request) -> Response:
    """Search the abstracts that are new or changed since a generation or date, nearest to a text first."""
    values = read_values(request, NEW)
    query, since = read_query(values), values.get_text("since").strip()
    index = get_site(request).shelf.get_index(values.get_text("i"))

    def work() -> bytes:
        rows, answer = index.ask_new(query, since=since)
        body = build_answer_body(index, answer, [row.change for row in rows])
        return dump_bytes(body | {"next": build_next_path(request.url.path, read_pairs(request), answer)})

    return await respond(request, [index], JSON, work)


async def show_record(request: Request) -> Response:
    """Return one record with all its fields."""
    values = read_values(request, CITED_RECORD)
    index = get_site(request).shelf.get_index(values.get_text("i"))

    def work() -> bytes:
        return dump_bytes(build_record_body(index, index.get(values.get_text("id")), values.get_text("cite")))

    return await respond(request, [index], JSON, work)


async def write_searches(request: Request) -> Response:
    """Write Boolean searches that find known records and little else, for PubMed, Ovid and Embase."""
    values = read_values(request, SUGGEST)
    index = get_site(request).shelf.get_index(values.get_text("i"))
    return await respond(
        request, [index], JSON, lambda: dump_bytes(build_suggestion_body(index, values.get_texts("known")))
    )


async def show_status(request: Request) -> Response:
    """Return the status of the indexes: generations, counts, encoders."""
    shelf = get_site(request).shelf
    name = read_values(request, STATUS).get_text("i")
    indexes = [shelf.get_index(name) for name in ([name] if name else shelf.names)]

    def work() -> bytes:
        return dump_bytes({"indexes": [build_status_body(index, shelf.problems) for index in indexes]})

    return Response(await run_in_threadpool(work), media_type=JSON)


async def list_saved_questions(request: Request) -> Response:
    """Return the saved questions of an index, each with what was reported for it, the newest first."""
    index = get_site(request).shelf.get_index(read_values(request, STATUS).get_text("i"))
    return await respond(request, [index], JSON, lambda: dump_bytes(build_watches_body(index)), is_lasting=False)


async def search_batch(request: Request) -> Response:
    """Answer several searches from one generation.

    Raises:
        UsageError: an invalid query, or too many hits or explained hits in total.
    """
    content = _read_body(await request.body())
    queries = content.pop("queries")
    common = list_pairs(content)
    name = RequestValues(common, BATCH).get_text("i")
    _check_types(content, BATCH)
    index = get_site(request).shelf.get_index(name)
    batch = [_read_batch_query(query, number, common) for number, query in enumerate(queries, 1)]
    if (n := sum(query.top_k for query in batch)) > MAX_BATCH_HITS:
        raise UsageError(f"the queries ask for {n:,} hits in total, expected {MAX_BATCH_HITS:,} at most")
    if (n := sum(query.top_k for query in batch if query.explain)) > MAX_EXPLAINED:
        raise UsageError(f"the queries ask for {n:,} explained hits in total, expected {MAX_EXPLAINED} at most")

    def work() -> bytes:
        answers = [build_answer_body(index, answer) for answer in _answer_batch(index, batch)]
        return dump_bytes({"index": index.name, "generation": index.generation, "answers": answers})

    body = await run_while_connected(request, get_site(request).batches.run(work))
    return Response(body, media_type=JSON, headers={"Engine-Generation": f"{index.generation:06d}"})


def _answer_batch(index: Index, queries: list[Query]) -> list[Answer]:
    """Return the answers to the queries, in their order.

    Raises:
        EngineError: the index can't answer a query; the message gives its number.
    """
    answers = []
    for number, answer in enumerate(answer_each(index, queries, judged=True), 1):
        if not isinstance(answer, Answer):
            raise type(answer)(f"query {number} of the batch: {answer}") from answer
        answers.append(answer)
    return answers


def _read_body(raw: bytes) -> dict[str, Any]:
    """Return the JSON object of a batch, with a list of queries.

    Raises:
        UsageError: the body is not JSON, or has no queries or too many.
    """
    expected = 'expected {"queries": ["a text", {"q": "another", "n": 5}], "n": 10}'
    try:
        content = json.loads(raw)
    except (ValueError, RecursionError) as err:
        raise UsageError(f"the body is not JSON, {expected}") from err
    queries = content.get("queries") if isinstance(content, dict) else None
    if not isinstance(queries, list) or not queries:
        raise UsageError(f"the body has no list of queries, {expected}")
    if len(queries) > MAX_BATCH:
        raise UsageError(f"the body has {len(queries):,} queries, expected {MAX_BATCH} at most")
    return dict(content)


def _read_batch_query(item: object, number: int, common: list[tuple[str, str]]) -> Query:
    """Return one query of a batch; its own parameters override the common ones.

    Raises:
        UsageError: the query is invalid; the message gives its number.
    """
    content: object = {"q": item} if isinstance(item, str) else item
    try:
        if not isinstance(content, dict):
            raise UsageError('expected a text or an object like {"q": "a text"}')
        own = list_pairs(content)
        names = {name for name, _ in own}
        rest = [(name, value) for name, value in common if name not in names and name != "i"]
        query = read_query(RequestValues([*own, *rest], QUERY))
        _check_types(content, QUERY)
        if not query.text:
            raise UsageError("q is missing or blank")
        return query
    except EngineError as err:
        raise UsageError(f"query {number} of the batch: {err}") from err


def _check_types(content: Mapping[str, Any], parameters: Iterable[Parameter]) -> None:
    """Check that the values of a JSON object have the types that the OpenAPI document states; null is ignored.

    Raises:
        UsageError: another type, or a list for a parameter that has one value.
    """
    for parameter in parameters:
        value = content.get(parameter.name)
        noun, types = _get_types(parameter.kind)
        for item in value if isinstance(value, list) and parameter.kind.is_repeatable else [value]:
            item = int(item) if isinstance(item, float) and item.is_integer() else item  # 3.0 is a whole number
            is_right = isinstance(item, types) and isinstance(item, bool) == (types is bool)
            if item is not None and not is_right:
                raise UsageError(f"{parameter.name} is {json.dumps(item)[:80]}, expected {noun}")


def _get_types(kind: ValueKind) -> tuple[str, Any]:
    """Return what a JSON value of a kind of parameter must be, in words and as types of Python."""
    if kind in BOOLEANS:
        return "true or false", bool
    if kind in NUMBERS:
        return "a number", (int, float)
    if kind in (ValueKind.YEARS, ValueKind.IDS):
        return "a text, a whole number or a list of these", (str, int)
    return "a text or a list of texts" if kind is ValueKind.NAMES else "a text", str


def list_pairs(content: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Return a JSON object as names and values; a list repeats its name, and null is ignored.

    Raises:
        UsageError: a value that is not text, a number, true, false or a list of these.
    """
    pairs = []
    for name, value in content.items():
        for item in value if isinstance(value, list) else [value]:
            if item is None:
                continue
            if not isinstance(item, str | int | float):
                raise UsageError(f"{name[:80]} contains {type(item).__name__}, expected texts, numbers, true or false")
            pairs.append((name, _format_value(item)))
    return pairs


def _format_value(value: str | float) -> str:
    """Return a JSON value as written in a URL; JSON doesn't distinguish 3.0 from the whole number 3."""
    if isinstance(value, bool):
        return str(value).lower()
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)
