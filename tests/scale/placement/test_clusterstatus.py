"""``engine scale status`` says what the nodes hold."""

import json
from typing import Any

import pytest

from engine.index.generations.folder import IndexFolder
from engine.scale.placement.clusterplacement import ClusterPlacement
from engine.scale.ranking.cluster import ClusterSettings
from tests.conftest import Command, Lasting
from tests.scale.ranking.test_cluster import write_settings


@pytest.fixture(scope="module")
def folder(lasting: Lasting, nodes: Any) -> IndexFolder:
    """Two generations, of which the nodes hold the first."""
    folder, add = lasting()
    write_settings(folder.path, nodes.address, folder.path)
    ClusterPlacement(ClusterSettings(nodes.address, str(folder.path))).place(folder.open_current())
    add({"id": "one", "title": "Gout once"}, one_segment_below=1)
    return folder


def test_nodes_copies_bytes_and_generations(folder: IndexFolder, nodes: Any, engine: Command) -> None:
    place = ("-i", "toy", "--indexes", str(folder.path.parent))
    status = json.loads(engine("scale", "status", *place, "--json").stdout)
    assert (status["generation"], status["held"], status["behind"], status["copies"]) == (2, 1, 1, 2)
    assert sorted(len(node["generations"]) for node in status["nodes"]) == [0, 1, 1]
    assert all((node["bytes"] > 0) == bool(node["generations"]) for node in status["nodes"])
    assert [segment["nodes"] for segment in status["segments"]] == [[], []]
    ClusterPlacement(ClusterSettings(nodes.address, str(folder.path))).place(folder.open_current())
    shown = engine("scale", "status", *place).stdout
    assert shown.startswith("toy: generation 000002 is current; the nodes hold 000002 whole, up to date\n")
    assert shown.count(" of 2 copies") == shown.count(": 40 records, 2 of 2") + shown.count(": 1 record, 2 of 2") == 2
    assert shown.count(" at 127.0.0.1: ") == 3


def test_a_cluster_that_is_gone_is_reported_with_the_next_command(
    toy: IndexFolder, engine: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    refused = engine("scale", "status", "-i", "toy")
    assert refused.returncode == 1 and 'backend = "ray"' in refused.stderr
    monkeypatch.setenv("RAY_AUTH_TOKEN", "token")
    write_settings(toy.path, "127.0.0.1:1", toy.path)
    done = engine("scale", "status", "-i", "toy")
    assert done.returncode == 1 and "no cluster answers at 127.0.0.1:1" in done.stderr and "ray status" in done.stderr
