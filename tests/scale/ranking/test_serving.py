"""`engine serve` on a cluster over HTTP: the answers of one machine, and what it says when the cluster is gone."""

import json
import os
import signal
import time
from pathlib import Path
from typing import Any

import pytest

from engine.index.generations.folder import IndexFolder
from engine.options import Query
from engine.query.index import get_generation
from engine.query.index import open_index as open_locally
from engine.scale.opening import open_for_command
from engine.scale.ranking.relay import RelayedCluster
from engine.scale.ranking.remoteindex import RemoteIndex
from tests.conftest import Lasting
from tests.scale.conftest import OwnCluster
from tests.scale.ranking.test_cluster import write_settings
from tests.serve.conftest import Running, client_of, serving

QUESTIONS = (
    "/api/v1/search?q=gout",
    "/api/v1/search?q=colchicine+in+gout&mode=semantic&n=5&explain=true",
    "/api/v1/search?q=knee+pain&year=2000-2030&sort=year",
)
NAMES = {"calls_total", "retries_total", "hedges_total", "nodes", "problems"}


def read_metrics(server: Running) -> dict[str, float]:
    """What the server tells of its cluster."""
    lines = server.get("/metrics")[2].decode().splitlines()
    found = dict(line.split(" ") for line in lines if line.startswith("engine_cluster_"))
    return {name.partition("{")[0].removeprefix("engine_cluster_"): float(value) for name, value in found.items()}


def check_secret(server: Running, token: str) -> None:
    """Check that the token is in nothing that the server sends, says or writes beside the index."""
    for path in ("/", "/healthz", "/readyz", "/metrics", *QUESTIONS):
        _, headers, body = server.get(path)
        assert token not in f"{headers} {body.decode()}", path
    assert token not in server.said
    written = [path for path in server.output.parent.rglob("*") if path.is_file()]
    assert not [path for path in written if token.encode() in path.read_bytes()]


@pytest.mark.slow
def test_a_server_on_a_cluster_answers_as_one_of_this_machine(
    nodes: Any, lasting: Lasting, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder: IndexFolder = lasting()[0]
    write_settings(folder.path, nodes.address, folder.path)
    with serving(folder.path.parent) as there:
        monkeypatch.setenv("ENGINE_BACKEND", "local")
        with client_of(folder.path) as here:
            for question in QUESTIONS:
                status, _, body = there.get(question)
                expected = here.get(question)
                assert (status, expected.status_code) == (200, 200)
                assert json.loads(body) == expected.json()
                assert expected.json()["hits"]
            assert "engine_cluster" not in here.get("/metrics").text
        told = read_metrics(there)
        assert told.keys() == NAMES
        assert (told["calls_total"] >= len(QUESTIONS), told["nodes"] >= 3, told["problems"]) == (True, True, 0)
        check_secret(there, os.environ["RAY_AUTH_TOKEN"])


@pytest.mark.slow
def test_commands_ask_through_the_server(
    nodes: Any, lasting: Lasting, short_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder: IndexFolder = lasting()[0]
    write_settings(folder.path, nodes.address, folder.path)
    with open_locally(folder.path) as here:
        expected = here.ask(Query("gout"))
    with serving(folder.path.parent) as server:
        with open_for_command(folder.path) as asking:
            ranker = get_generation(asking).vectors
            assert isinstance(ranker, RemoteIndex) and isinstance(ranker.cluster, RelayedCluster)
            assert asking.ask(Query("gout")) == expected
            assert ranker.cluster._direct is None
        assert len(list((short_cache / "relays").iterdir())) == 1
        os.kill(server.process.pid, signal.SIGTERM)
        server.process.wait(timeout=20)
    assert not list((short_cache / "relays").iterdir())


@pytest.mark.slow
def test_a_server_whose_cluster_is_gone_says_so(own_cluster: OwnCluster, lasting: Lasting, tmp_path: Path) -> None:
    folder: IndexFolder = lasting()[0]
    write_settings(folder.path, own_cluster.address, folder.path)
    with serving(folder.path.parent) as server:
        assert server.get(QUESTIONS[0])[0] == 200
        own_cluster.kill()
        gone = time.monotonic()
        for question in QUESTIONS:
            begin = time.monotonic()
            status, headers, body = server.get(question)
            assert (status, headers["retry-after"]) == (503, "1")
            assert time.monotonic() - begin < 6
            error = json.loads(body)["error"]
            assert error["code"] == "cluster" and "engine scale status" in error["message"]
        assert f"no node of the cluster at {own_cluster.address} answered for" in server.said
        assert "ray status" in server.said
        assert server.get("/healthz")[0] == 200
        while read_metrics(server)["nodes"]:
            assert time.monotonic() - gone < 30
            time.sleep(1)
        assert read_metrics(server).keys() == NAMES
        check_secret(server, own_cluster.token)
