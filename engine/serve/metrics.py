"""Metrics for Prometheus: number, status and time of requests, and the generations served. Never a search text."""

from __future__ import annotations

import time
from collections.abc import Iterator

from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from engine.serve.request.site import Site

_SECONDS = (0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30)


class _ServerState(Collector):
    """The current state: requests in progress, and the generation of each index."""

    def __init__(self, site: Site) -> None:
        self.shelf, self.desks = site.shelf, (site.desk, site.batches)

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """Yield the gauges."""
        inside = GaugeMetricFamily("engine_requests_inside", "Requests in progress or waiting for a worker.")
        inside.add_metric([], sum(desk.n_inside for desk in self.desks))
        yield inside
        generation = GaugeMetricFamily("engine_generation", "Generation served.", labels=["index"])
        records = GaugeMetricFamily("engine_records", "Records in the generation served.", labels=["index"])
        stuck = GaugeMetricFamily("engine_stuck", "1 if a newer generation can't be opened.", labels=["index"])
        for name in self.shelf.names:
            manifest = self.shelf.get_index(name).manifest
            generation.add_metric([name], manifest.generation)
            records.add_metric([name], manifest.counts.abstracts)
            stuck.add_metric([name], float(name in self.shelf.problems))
        yield from (generation, records, stuck)


def _name_route(scope: Scope) -> str:
    """Return the path of the route that answered; "static" for all static files, "none" without a route."""
    if "endpoint" not in scope:
        return "none"
    return "static" if scope.get("root_path") else str(scope["path"])


class Metrics:
    """ASGI middleware that counts and times requests by route, method and status."""

    def __init__(self, app: ASGIApp, site: Site) -> None:
        self.app = app
        self.registry = CollectorRegistry()
        self.registry.register(_ServerState(site))
        labels = ("route", "method", "status")
        self.requests = Counter("engine_requests", "Requests answered.", labels, registry=self.registry)
        self.seconds = Histogram(
            "engine_request_seconds", "Time to answer.", ("route",), buckets=_SECONDS, registry=self.registry
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request, and record its status and time."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        started, status = time.perf_counter(), 500

        async def send_noting_status(message: Message) -> None:
            nonlocal status
            status = message.get("status", status)
            await send(message)

        try:
            await self.app(scope, receive, send_noting_status)
        finally:
            route = _name_route(scope)
            method = scope["method"] if scope["method"] in ("GET", "HEAD", "POST", "OPTIONS") else "other"
            self.requests.labels(route, method, str(status)).inc()
            self.seconds.labels(route).observe(time.perf_counter() - started)

    def render_text(self) -> bytes:
        """Return all metrics in the text format of Prometheus, UTF-8."""
        return generate_latest(self.registry)
