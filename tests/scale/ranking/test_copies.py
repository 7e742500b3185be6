"""Each segment is held by as many nodes as the settings say, also after a node has died or joined."""

import itertools
import time
from collections.abc import Iterator
from functools import partial
from typing import Any

import pytest

from engine import open_index
from engine.errors import BusyError
from engine.query.index import Index, get_generation
from engine.scale.opening import read_traffic
from engine.scale.ranking.cluster import Cluster
from engine.scale.ranking.holder import build_key
from engine.scale.ranking.remoteindex import RemoteIndex
from tests.conftest import Lasting
from tests.scale.ranking.test_cluster import wait_for, write_settings


@pytest.fixture(scope="module")
def index(lasting: Lasting, nodes: Any) -> Iterator[Index]:
    """An index of four segments."""
    folder, add = lasting()
    for number in range(3):
        add({"id": f"new-{number}", "title": f"Gout {number}"}, one_segment_below=1)
    write_settings(folder.path, nodes.address, folder.path)
    with wait_for(partial(open_index, folder.path)) as found:
        yield found


def has_all_copies(index: Index) -> bool:
    """Whether the first two nodes of each segment have it open."""
    generation, cluster = get_generation(index).generation, cluster_of(index)
    cluster.restore_copies()
    answers = cluster.call(dict.fromkeys(cluster.list_holders(), ("list_held", ())), 5.0)
    held = {(node, one.name) for node, some in answers.items() if not isinstance(some, str) for one in some}
    names = [entry.name for entry in generation.manifest.segments]
    return len(names) == 4 and all((node, name) in held for name in names for node in cluster.choose_nodes(name)[:2])


def cluster_of(index: Index) -> Cluster:
    ranker = get_generation(index).vectors
    assert isinstance(ranker, RemoteIndex)
    return ranker.cluster


def wait_until_copied(index: Index) -> None:
    for _ in range(300):
        if has_all_copies(index):
            return
        time.sleep(0.1)
    pytest.fail("some copies are missing after 30 s")


def test_copies_are_there_without_a_question(index: Index) -> None:
    wait_until_copied(index)
    traffic = read_traffic(get_generation(index).vectors)
    assert traffic is not None and traffic.calls > 0 and traffic.problems == ()


def test_a_node_that_left_is_no_problem(index: Index) -> None:
    cluster = cluster_of(index)
    node = next(iter(cluster.list_holders()))
    cluster._problems |= {node: ("segment one: it is damaged",), "a node that left": (Cluster.GONE,)}
    assert cluster.traffic.problems == (f"{cluster.name_node(node)}: segment one: it is damaged",)
    del cluster._problems[node]


def test_a_node_that_leaves_at_any_moment_is_no_failure(index: Index, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another thread lists the nodes: here, each look finds another list than the one before."""
    cluster, key = cluster_of(index), build_key(get_generation(index).generation)
    names = [entry.name for entry in index.manifest.segments]
    expected = cluster.ask(key, names, "count")
    every = dict(cluster.list_holders())
    lists = itertools.cycle([every, {node: every[node] for node in list(every)[1:]}])
    monkeypatch.setattr(Cluster, "_holders", property(lambda _: next(lists), lambda *_: None), raising=False)
    for _ in range(4):
        assert cluster.ask(key, names, "count") == expected
        cluster.restore_copies()
        next(lists)


@pytest.mark.slow
def test_copies_are_there_again_after_a_node_joins_and_dies(index: Index, nodes: Any) -> None:
    wait_until_copied(index)
    cluster, before = cluster_of(index), len(cluster_of(index).list_holders())
    victim = nodes.add_node(num_cpus=1, object_store_memory=80_000_000)
    try:
        nodes.wait_for_nodes()
        for _ in range(100):
            if len(cluster.list_holders()) > before:
                break
            time.sleep(0.1)
        assert cluster.traffic.nodes == before + 1
        wait_until_copied(index)
    finally:
        nodes.remove_node(victim, allow_graceful=False)
    wait_until_copied(index)
    for _ in range(300):
        if len(cluster.list_holders()) == before:
            break
        time.sleep(0.1)
    assert cluster.traffic.nodes == before
    wait_until_copied(index)


def test_nodes_that_are_behind_are_no_failure(index: Index, monkeypatch: pytest.MonkeyPatch) -> None:
    cluster, key = cluster_of(index), build_key(get_generation(index).generation)
    names = [entry.name for entry in index.manifest.segments]
    before = cluster.traffic
    with monkeypatch.context() as patch:
        patch.setattr("engine.scale.ranking.cluster._HEDGE", 0.0)
        assert len(cluster.ask(key, names, "count")) == 4
    assert cluster.traffic.hedges > before.hedges and cluster.traffic.retries == before.retries
    monkeypatch.setattr("engine.scale.ranking.cluster._DEADLINE", -1.0)
    with pytest.raises(
        BusyError, match=r"^the nodes of the cluster are behind: no answer for .* Try again in a few seconds"
    ):
        cluster.ask(key, names, "count")
