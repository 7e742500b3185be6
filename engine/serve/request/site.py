"""The state shared by all endpoints, and the steps of a response: ETag, work in a worker, headers."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from engine.query.index import Index
from engine.serve.request.parameters import Parameter, RequestValues
from engine.serve.work.desk import Desk
from engine.serve.work.freshness import compute_tag, has_tag
from engine.serve.work.openreview import OpenReview
from engine.serve.work.shelf import Shelf

JSON = "application/json"
HTML = "text/html; charset=utf-8"
_CACHING = "private, no-cache"  # only the client may cache it, and it must revalidate each time


@dataclass(frozen=True, slots=True)
class Site:
    """The open indexes and the worker pools; batches have their own pool, so that they don't delay searches."""

    shelf: Shelf
    desk: Desk
    batches: Desk
    review: OpenReview | None = None  # whose decisions are kept; without one, the server writes nothing


def get_site(request: Request) -> Site:
    """Return the site of a request."""
    site: Site = request.app.state.site
    return site


def get_review(request: Request) -> OpenReview:
    """Return the review of a site; only its pages ask for it, and they exist only with one.

    Raises:
        HTTPException: there is none.
    """
    review = get_site(request).review
    if review is None:
        raise HTTPException(HTTPStatus.NOT_FOUND)
    return review


def is_json_wanted(request: Request) -> bool:
    """Return whether a client asks for JSON, as a script does."""
    return JSON in request.headers.get("accept", "")


def read_pairs(request: Request) -> tuple[tuple[str, str], ...]:
    """Return the names and values in the URL of a request, in their order."""
    return tuple(request.query_params.multi_items())


def read_values(request: Request, allowed: Sequence[Parameter]) -> RequestValues:
    """Return the checked parameters in the URL of a request.

    Raises:
        UsageError: an unknown parameter, or an invalid value.
    """
    return RequestValues(read_pairs(request), allowed)


async def respond(
    request: Request, indexes: Sequence[Index], kind: str, work: Callable[[], bytes], *, is_lasting: bool = True
) -> Response:
    """Return the response, with a body that a worker computes; status 304 if the client already has it.

    is_lasting: whether the body is the same as long as the indexes are; it is not if it depends on decisions.
    """
    headers = {"Engine-Generation": f"{indexes[0].generation:06d}"} if len(indexes) == 1 else {}
    if not is_lasting:
        body = await run_while_connected(request, get_site(request).desk.run(work))
        return Response(body, media_type=kind, headers=headers)
    headers |= {"ETag": compute_tag(request, indexes, get_site(request).shelf.names), "Cache-Control": _CACHING}
    if has_tag(request, headers["ETag"]):
        return Response(status_code=304, headers=headers)
    body = await run_while_connected(request, get_site(request).desk.run(work))
    return Response(body, media_type=kind, headers=headers)


async def run_while_connected(request: Request, work: Coroutine[Any, Any, bytes]) -> bytes:
    """Return the result of the work, and cancel it if the client disconnects: uvicorn would let it run on.

    The body of the request, if any, must have been read.

    Raises:
        ClientDisconnect: the client disconnected.
        Exception: whatever the work raises.
    """
    answer, leaving = asyncio.ensure_future(work), asyncio.ensure_future(_wait_for_disconnect(request))
    leaving.add_done_callback(lambda done: done.cancelled() or done.exception())  # retrieved, so it isn't logged
    try:
        await asyncio.wait({answer, leaving}, return_when=asyncio.FIRST_COMPLETED)
        if not answer.done():
            leaving.result()  # raises if an unexpected body is too long or too slow
            raise ClientDisconnect
        return answer.result()
    finally:
        answer.cancel()
        leaving.cancel()


async def _wait_for_disconnect(request: Request) -> None:
    """Wait until the client disconnects."""
    while (await request.receive())["type"] != "http.disconnect":
        pass
