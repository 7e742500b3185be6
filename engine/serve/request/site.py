"""What every endpoint works with, and the way of one request: index, freshness, work in a worker, response."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass
from typing import Any

from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from engine.query.index import Index
from engine.serve.request.parameters import Parameter, RequestValues
from engine.serve.work.desk import Desk
from engine.serve.work.freshness import compute_tag, is_held
from engine.serve.work.shelf import Shelf

JSON = "application/json"
HTML = "text/html; charset=utf-8"
_FRESH = "private, no-cache"  # kept by the client alone, which asks each time whether it is still so


@dataclass(frozen=True, slots=True)
class Site:
    """The open indexes and the queues before them; batches have their own, so that searches go on beside them."""

    shelf: Shelf
    desk: Desk
    batches: Desk


def get_site(request: Request) -> Site:
    """The site that a request is for."""
    site: Site = request.app.state.site
    return site


def read_pairs(request: Request) -> tuple[tuple[str, str], ...]:
    """Names and values in the address of a request, in their order."""
    return tuple(request.query_params.multi_items())


def read_given(request: Request, allowed: Sequence[Parameter]) -> RequestValues:
    """What the address of a request gives.

    Raises:
        UsageError: something that it can't.
    """
    return RequestValues(read_pairs(request), allowed)


async def respond(request: Request, indexes: Sequence[Index], kind: str, work: Callable[[], bytes]) -> Response:
    """The response to a request: its body made in a worker, or none where the client holds it already."""
    headers = {"ETag": compute_tag(request, indexes, get_site(request).shelf.names), "Cache-Control": _FRESH}
    if len(indexes) == 1:
        headers["Engine-Generation"] = f"{indexes[0].generation:06d}"
    if is_held(request, headers["ETag"]):
        return Response(status_code=304, headers=headers)
    body = await run_while_connected(request, get_site(request).desk.run(work))
    return Response(body, media_type=kind, headers=headers)


async def run_while_connected(request: Request, work: Coroutine[Any, Any, bytes]) -> bytes:
    """What some work returns, which is cancelled when the client goes: uvicorn itself would let it go on.

    The body of the request must have been read, if it has any.

    Raises:
        ClientDisconnect: the client has gone.
        Exception: whatever the work raises.
    """
    answer, leaving = asyncio.ensure_future(work), asyncio.ensure_future(_wait_for_disconnect(request))
    leaving.add_done_callback(lambda done: done.cancelled() or done.exception())  # seen, so nothing is logged
    try:
        await asyncio.wait({answer, leaving}, return_when=asyncio.FIRST_COMPLETED)
        if not answer.done():
            leaving.result()  # raises what was wrong about a body that nobody asked for
            raise ClientDisconnect
        return answer.result()
    finally:
        answer.cancel()
        leaving.cancel()


async def _wait_for_disconnect(request: Request) -> None:
    """Wait until the client has gone."""
    while (await request.receive())["type"] != "http.disconnect":
        pass
