"""Figures for Prometheus: what is counted, and that nothing that is searched is among it."""

from collections.abc import Callable, Iterator

import pytest
from prometheus_client.parser import text_string_to_metric_families
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.testclient import TestClient

from engine.index.generations.folder import IndexFolder
from engine.scale.ranking.cluster import Traffic
from engine.serve.work import shelf as shelving
from tests.conftest import segment_of
from tests.serve.conftest import client_of

Figures = dict[tuple[str, tuple[tuple[str, str], ...]], float]


@pytest.fixture
def client(library: IndexFolder) -> Iterator[TestClient]:
    """A client of a site that nobody has asked anything yet."""
    with client_of(library.path) as found:
        yield found


def figures(client: TestClient) -> Figures:
    """All figures by name and labels."""
    response = client.get("/metrics")
    assert response.status_code == 200
    assert response.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(response.text)
        for sample in family.samples
    }


def counted(client: TestClient) -> dict[tuple[str, str, str], float]:
    """Requests by route, method and status, but for those of the figures themselves."""
    found = {}
    for (name, labels), value in figures(client).items():
        given = dict(labels)
        if name == "engine_requests_total" and given["route"] != "/metrics":
            found[given["route"], given["method"], given["status"]] = value
    return found


def test_requests_are_counted_by_route_method_and_status(client: TestClient) -> None:
    assert counted(client) == {}
    tag = client.get("/api/v1/search?q=gout").headers["etag"]
    client.get("/api/v1/search?q=pain")
    client.get("/api/v1/search?q=gout", headers={"If-None-Match": tag})
    client.get("/api/v1/search?n=x")
    client.head("/api/v1/search?q=gout")
    client.get("/record?id=nope")
    client.get("/healthz")
    client.post("/api/v1/batch", json={"queries": ["gout"]})
    client.delete("/healthz")
    client.request("BREW", "/healthz")
    client.get("/nope")
    client.get("/nope/again")
    client.get("/?q=gout")
    client.get("/static/page.js")
    client.get("/static/nope")
    found = counted(client)
    assert found.pop(("none", "GET", "404")) == 2
    assert found == {
        ("/api/v1/search", "GET", "200"): 2, ("/api/v1/search", "GET", "304"): 1, ("/api/v1/search", "GET", "400"): 1,
        ("/api/v1/search", "HEAD", "200"): 1, ("/record", "GET", "404"): 1, ("/healthz", "GET", "200"): 1,
        ("/api/v1/batch", "POST", "200"): 1, ("/healthz", "other", "405"): 2, ("static", "GET", "200"): 1,
        ("static", "GET", "404"): 1, ("/", "GET", "200"): 1,
    }  # fmt: skip


def test_what_is_refused_is_counted(client: TestClient) -> None:
    client.get("/api/v1/search?q=gout", headers={"Host": "evil.com"})
    client.post("/api/v1/batch", json={"queries": ["gout"]}, headers={"Origin": "https://evil.com"})
    client.post("/api/v1/batch", content=b" " * 70_000)
    found = counted(client)
    assert found == {("none", "GET", "421"): 1, ("none", "POST", "403"): 1, ("none", "POST", "413"): 1}


def test_a_failure_is_counted_as_one(client: TestClient) -> None:
    async def broken(request: Request) -> Response:
        raise RuntimeError("broken")

    client.app.app.app.router.routes.append(Route("/broken", broken))
    assert client.get("/broken").status_code == 500
    assert counted(client) == {("/broken", "GET", "500"): 1}


def test_times_are_counted_by_route(client: TestClient) -> None:
    for _ in range(3):
        client.get("/api/v1/search?q=gout")
    found = figures(client)
    assert found["engine_request_seconds_count", (("route", "/api/v1/search"),)] == 3
    assert 0 < found["engine_request_seconds_sum", (("route", "/api/v1/search"),)] < 30
    buckets = [value for (name, labels), value in found.items()
               if name == "engine_request_seconds_bucket" and dict(labels)["route"] == "/api/v1/search"]  # fmt: skip
    assert buckets == sorted(buckets) and buckets[-1] == 3 and len(buckets) == 13


def test_what_is_asked_of_a_cluster_is_told(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    assert not [name for name, _ in figures(client) if name.startswith("engine_cluster")]
    monkeypatch.setattr("engine.serve.metrics.read_traffic", lambda ranker: Traffic(70, 2, 1, 3, ("segment x: gone",)))
    found, toy = figures(client), (("index", "toy"),)
    names = ("calls_total", "retries_total", "hedges_total", "nodes", "problems")
    assert [found[f"engine_cluster_{name}", toy] for name in names] == [70, 2, 1, 3, 1]


def test_what_is_served_is_told(client: TestClient, library: IndexFolder) -> None:
    found = figures(client)
    toy = (("index", "toy"),)
    assert (found["engine_generation", toy], found["engine_records", toy], found["engine_stuck", toy]) == (3, 46, 0)
    assert found["engine_requests_inside", ()] == 0


def test_figures_follow_a_new_generation_and_tell_one_that_is_damaged(
    fresh: IndexFolder, publish: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shelving, "FOLLOW_SECONDS", 60.0)  # it looks when it is told to
    with client_of(fresh.path) as client:
        shelf, toy = client.app.app.app.state.site.shelf, (("index", "toy"),)
        assert figures(client)["engine_generation", toy] == 2
        publish({"id": "new", "title": "New"})
        shelf.look()
        found = figures(client)
        assert (found["engine_generation", toy], found["engine_records", toy], found["engine_stuck", toy]) == (3, 44, 0)
        publish({"id": "newer", "title": "Newer"})
        (segment_of(fresh, 4).database).write_bytes(b"")
        shelf.look()
        found = figures(client)
        assert (found["engine_generation", toy], found["engine_stuck", toy]) == (3, 1)


def test_nothing_that_is_searched_is_among_the_figures(client: TestClient) -> None:
    secret = "secretquestion"
    for path in (f"/?q={secret}", f"/api/v1/search?q={secret}", f"/{secret}", f"/record?id={secret}", f"/static/{secret}",
                 f"/api/v1/search?{secret}=1", f"/map?q={secret}"):  # fmt: skip
        client.get(path)
    client.post("/api/v1/batch", json={"queries": [secret]})
    client.request(secret.upper(), "/")
    text = client.get("/metrics").text
    assert secret not in text.lower()


def test_paths_and_methods_that_nobody_knows_do_not_add_up(client: TestClient) -> None:
    before = len(figures(client))
    for n in range(20):
        client.get(f"/nope-{n}")
        client.request(f"METHOD{n}", f"/static/nope-{n}")
    assert len(figures(client)) - before < 70
