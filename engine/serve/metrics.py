"""Metrics for Prometheus: number, status and time of requests, and the generations served. Never a search text."""

from __future__ import annotations

import time
from collections.abc import Iterator

from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from engine.query.index import get_generation
from engine.scale.opening import read_traffic
from engine.serve.request.site import Site

_TRAFFIC = {
    "calls": "Calls of nodes.",
    "retries": "Segments that were asked for again because a node failed.",
    "hedges": "Segments that were asked for again because a node was slow.",
    "nodes": "Nodes that are alive.",
    "problems": "Segments that a node should hold and can't open.",
}
_SECONDS = (0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30)


class _ServerState(Collector):
    """The current state: requests in progress, and the generation of each index."""

    def __init__(self, site: Site) -> None:
        self.shelf, self.desks = site.shelf, (site.desk, site.batches)

    def collect(self) -> Iterator[Metric]:
        """Yield the gauges, and the counters of clusters."""
        inside = GaugeMetricFamily("engine_requests_inside", "Requests in progress or waiting for a worker.")
        inside.add_metric([], sum(desk.n_inside for desk in self.desks))
        yield inside
        generation = GaugeMetricFamily("engine_generation", "Generation served.", labels=["index"])
        records = GaugeMetricFamily("engine_records", "Records in the generation served.", labels=["index"])
        stuck = GaugeMetricFamily("engine_stuck", "1 if what is on disk now can't be used.", labels=["index"])
        for name in self.shelf.names:
            manifest = self.shelf.get_index(name).manifest
            generation.add_metric([name], manifest.generation)
            records.add_metric([name], manifest.counts.abstracts)
            stuck.add_metric([name], float(name in self.shelf.problems))
        yield from (generation, records, stuck)
        yield from self._collect_traffic()

    def _collect_traffic(self) -> Iterator[Metric]:
        """Yield what was asked of clusters; nothing where this machine ranks alone."""
        found = {name: read_traffic(get_generation(self.shelf.get_index(name)).vectors) for name in self.shelf.names}
        for field, text in _TRAFFIC.items():
            kind = GaugeMetricFamily if field in ("nodes", "problems") else CounterMetricFamily
            metric = kind(f"engine_cluster_{field}", text, labels=["index"])
            for name, traffic in found.items():
                if traffic is not None:
                    value = getattr(traffic, field)
                    metric.add_metric([name], len(value) if isinstance(value, tuple) else value)
            if metric.samples:
                yield metric


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
