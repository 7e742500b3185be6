"""The ASGI app: routes, error handlers, and the middleware around them."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import AsyncIterator, Sequence
from http import HTTPStatus
from pathlib import Path

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp, Receive, Scope, Send

from engine.config import count_cores
from engine.errors import ClusterError, EncoderError, EngineError, UsageError
from engine.index.generations.folder import IndexFolder
from engine.serve.api import openapi
from engine.serve.api.bodies import dump_bytes
from engine.serve.api.handlers import search_batch
from engine.serve.http.access import Access, is_review_path
from engine.serve.http.failures import BodyError, Failure, classify_error
from engine.serve.http.guard import Guard
from engine.serve.http.limits import MAX_BATCHES_WAITING
from engine.serve.http.prefix import Prefix, ProxyRules
from engine.serve.metrics import Metrics
from engine.serve.pages import downloads, flow, guide, handlers, map, maplist, problems, records, status, suggest, watch
from engine.serve.pages.templates import link_review
from engine.serve.request.site import JSON, Site, is_json_wanted
from engine.serve.review import handlers as review_handlers
from engine.serve.work.desk import Desk
from engine.serve.work.openreview import OpenReview, ReviewRules
from engine.serve.work.shelf import Shelf

log = logging.getLogger("engine.serve")
_STATIC = Path(__file__).parent / "pages" / "static"
_ENCODER_MESSAGE = "a text got no usable vector. Run: engine verify --deep"  # the error's own message quotes the text
_PROMETHEUS = "text/plain; version=0.0.4; charset=utf-8"


def build_app(
    folders: Sequence[Path],
    access: Access,
    *,
    proxy: ProxyRules | None = None,
    review: ReviewRules | None = None,
    desk: Desk | None = None,
    batches: Desk | None = None,
) -> ASGIApp:
    """Return an ASGI app that serves the indexes in these folders; with a review, also its pages, which write.

    Raises:
        UsageError: the path of the site begins like one of its pages, the review was not started, or there are
            several indexes.
        EngineError: an index can't be opened.
    """
    prefix = Prefix(proxy or ProxyRules(), [one.path for one in (*_ROUTES, *review_handlers.OPERATIONS)])
    shelf = Shelf(folders)
    opened = _open_review(shelf, review) if review else None
    site = Site(
        shelf,
        desk or Desk(),
        batches or Desk(workers=max(1, count_cores() // 2), waiting=MAX_BATCHES_WAITING),
        opened,
    )

    @contextlib.asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        if opened:
            opened.prepare()
        with site.shelf.follow_in_thread():
            yield
        site.desk.close()
        site.batches.close()
        if opened:
            opened.close()

    further = review_handlers.OPERATIONS if opened else ()
    routes = [*_ROUTES, *(operation.route for operation in further)]
    app = Starlette(routes=routes, exception_handlers=_HANDLERS, lifespan=lifespan)
    app.router.redirect_slashes = False
    app.state.site, app.state.access = site, access
    described = tuple(each.add_own() for each in OPERATIONS) if opened else OPERATIONS
    app.state.operations = (*described, *further)  # that the OpenAPI document describes
    guard = Guard(_show_review(app) if opened else app, access, prefix)
    app.state.metrics = metrics = Metrics(guard, site)
    return metrics


def _show_review(app: ASGIApp) -> ASGIApp:
    """Return the app, with a link to its review on every page."""

    async def answer(scope: Scope, receive: Receive, send: Send) -> None:
        with link_review():
            await app(scope, receive, send)

    return answer


def _open_review(shelf: Shelf, rules: ReviewRules) -> OpenReview:
    """Return the review of the only index.

    Raises:
        UsageError: there are several indexes, or the review was not started.
        CorpusError: its journal can't be read.
    """
    if len(shelf.names) != 1:
        names = ", ".join(shelf.names)
        raise UsageError(
            f"a review belongs to one index, and {len(shelf.names):,} are served: {names}. Name one: -i NAME"
        )
    return OpenReview(IndexFolder(shelf.get_index().path), rules, shelf.get_index)


async def _show_metrics(request: Request) -> Response:
    """Send the metrics for Prometheus."""
    return Response(request.app.state.metrics.render_text(), headers={"Content-Type": _PROMETHEUS})


async def _report_health(request: Request) -> Response:
    """Report that the server is alive."""
    return PlainTextResponse("ok\n")


async def _report_readiness(request: Request) -> Response:
    """Report the open generation of each index, one per line; 503 if an open file of one, or index.toml, is damaged."""
    shelf = request.app.state.site.shelf
    lines = [f"{name} {shelf.get_index(name).generation:06d}" for name in shelf.names]
    changed = [shelf.find_fault(name) is not None for name in shelf.names]
    text = "".join(line + " damaged" * bad + "\n" for line, bad in zip(lines, changed, strict=True))
    return PlainTextResponse(text, HTTPStatus.SERVICE_UNAVAILABLE if any(changed) else HTTPStatus.OK)


def _respond_to_error(request: Request, error: Exception) -> Response:
    """Return the response to an error: JSON for programs, a page for people."""
    failure = classify_error(error)
    is_ours = failure.status == HTTPStatus.INTERNAL_SERVER_ERROR or isinstance(error, ClusterError)
    if isinstance(error, EngineError) and is_ours:
        log.error("%s: %s", type(error).__name__, _ENCODER_MESSAGE if type(error) is EncoderError else error)
    path = request.url.path
    if path.startswith("/api/") or path in ("/healthz", "/readyz", "/metrics"):
        return _build_failure_json(failure)
    if is_review_path(path) and is_json_wanted(request):
        return _build_failure_json(failure)
    return problems.show_failure(request, failure)


def _build_failure_json(failure: Failure) -> Response:
    """Return a failure as a JSON response."""
    return Response(
        dump_bytes(failure.fields), status_code=failure.status, media_type=JSON, headers=dict(failure.headers)
    )


_HANDLERS = {
    EngineError: _respond_to_error,
    BodyError: _respond_to_error,
    ClientDisconnect: _respond_to_error,
    HTTPException: _respond_to_error,
    Exception: _respond_to_error,
}
OPERATIONS = (
    *handlers.OPERATIONS,
    *records.OPERATIONS,
    *status.OPERATIONS,
    *guide.OPERATIONS,
    *map.OPERATIONS,
    *maplist.OPERATIONS,
    *flow.OPERATIONS,
    *suggest.OPERATIONS,
    *watch.OPERATIONS,
    *downloads.OPERATIONS,
    *openapi.OPERATIONS,
)
_ROUTES: list[Route | Mount] = [
    *(operation.route for operation in OPERATIONS),
    Route(f"{openapi.ROOT}/batch", search_batch, methods=["POST"]),
    Route(f"{openapi.ROOT}/openapi.json", openapi.build_document),
    Route("/healthz", _report_health),
    Route("/readyz", _report_readiness),
    Route("/metrics", _show_metrics),
    Mount("/static", StaticFiles(directory=_STATIC), name="static"),
]
