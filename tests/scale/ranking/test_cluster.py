"""Whole answers of three nodes against those of this process; a node is killed under questions."""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from engine.errors import BusyError, ClusterError
from engine.index.generations.folder import IndexFolder
from engine.options import Filters, Query
from engine.query.index import Index, get_generation
from engine.query.index import open_index as open_locally
from engine.records.answer import Answer
from engine.scale.opening import open_index, read_traffic
from engine.scale.ranking.cluster import Cluster
from engine.scale.ranking.remoteindex import RemoteIndex
from tests.conftest import SAMPLE, Lasting, add_rows

TEXTS = ("gout", "colchicine in gout", "knee pain and prednisone")
IDS = tuple(f"toy-{number:02}" for number in range(0, 40, 2)) + tuple(f"no-{number}" for number in range(10_000))
KINDS: dict[str, Callable[[str], Query]] = {
    "semantic": lambda text: Query(text, mode="semantic"),
    "keyword": lambda text: Query(text, mode="keyword"),
    "hybrid": Query,
    "rrf": lambda text: Query(text, fusion="rrf"),
    "where": lambda text: Query(text, filters=Filters(where="year >= 2000")),
    "ids of 10,000": lambda text: Query(text, filters=Filters(ids=IDS)),
    "hide": lambda text: Query(text, filters=Filters(hide=("toy-01", "toy-02"))),
    "nothing passes": lambda text: Query(text, filters=Filters(years=("1700",))),
    "diversify": lambda text: Query(text, diversify=0.5),
    "offset": lambda text: Query(text, offset=7, top_k=5),
    "min_score": lambda text: Query(text, min_score=0.1),
    "min_score with words": lambda text: Query(text, mode="keyword", min_score=0.1),
    "group_by": lambda text: Query(text, group_by="year"),
    "explain": lambda text: Query(text, explain=True),
    "top 200": lambda text: Query(text, top_k=200),
    "sorted": lambda text: Query(text, sort="year:desc"),
    "feedback": lambda text: Query(text, mode="semantic", feedback=True),
    "similar to some": lambda text: Query(text, like=("toy-03", "toy-05"), unlike=("toy-07",), mode="semantic"),
    "similar": lambda text: Query(like=("toy-03",), mode="semantic"),
    "Boolean": lambda text: Query("gout AND NOT colchicine"),
}


@pytest.fixture(scope="module")
def folder(lasting: Lasting) -> IndexFolder:
    """An index of several segments: records were added, changed and deleted since the first."""
    folder, add = lasting()
    for night in range(3):
        add(
            {"id": f"new-{night}", "title": f"Gout in year {night}", "year": 2010 + night},
            {"id": f"toy-0{night + 1}", "title": f"Colchicine, revised {night}", "abstract": "Anew.", "year": 2024},
            one_segment_below=1,
        )
    return folder


@pytest.fixture(scope="module")
def sides(nodes: Any, folder: IndexFolder) -> Iterator[tuple[Index, Index]]:
    """The index, ranked in this process and by the nodes."""
    write_settings(folder.path, nodes.address, folder.path)
    with open_locally(folder.path) as here, wait_for(partial(open_index, folder.path)) as there:
        yield here, there


def write_settings(folder: Path, address: str, storage: Path) -> None:
    """Write an index.toml that names a cluster."""
    (folder / "index.toml").write_text(
        f'backend = "ray"\n[ray]\naddress = "{address}"\nstorage = "{storage.as_posix()}"\n'
    )


def wait_for(attempt: Callable[[], Index]) -> Index:
    """Try until the nodes have started."""
    for _ in range(20):
        try:
            return attempt()
        except (BusyError, ClusterError) as err:
            last = err
    raise last


def test_every_kind_of_question_has_the_same_answer(sides: tuple[Index, Index]) -> None:
    here, there = sides
    assert len(here.manifest.segments) > 1
    for kind, build in KINDS.items():
        for text in TEXTS:
            assert there.ask(build(text)) == here.ask(build(text)), (kind, text)
    batch = [Query(text, mode="semantic") for text in TEXTS]
    assert there.ask_batch(batch) == here.ask_batch(batch)
    assert there.similar("toy-03") == here.similar("toy-03")
    for query in (Query("gout", mode="semantic"), Query("gout")):
        assert there.recall(query, IDS[:20]) == here.recall(query, IDS[:20])
    assert there.locate(Query("gout", mode="semantic"), IDS[:4]) == here.locate(Query("gout", mode="semantic"), IDS[:4])
    np.testing.assert_array_equal(there.vectors(IDS[1:6]), here.vectors(IDS[1:6]))


def test_indexes_opened_one_after_another_share_a_connection(sides: tuple[Index, Index], folder: IndexFolder) -> None:
    there = get_generation(sides[1]).vectors
    before = read_traffic(there)
    with open_index(folder.path) as later:
        again = get_generation(later).vectors
        assert isinstance(there, RemoteIndex) and isinstance(again, RemoteIndex)
        assert again.cluster is there.cluster
        traffic = read_traffic(again)
        assert before is not None and traffic is not None and traffic.calls > before.calls > 0


def test_a_killed_node_costs_no_answer(nodes: Any, sides: tuple[Index, Index]) -> None:
    here, there = sides
    queries = [Query(text, mode="semantic") for text in TEXTS]
    expected = [here.ask(query) for query in queries]
    victim = find_victim(nodes, there)
    answers: list[Answer] = []
    with ThreadPoolExecutor(1) as asker:
        asking = asker.submit(lambda: [answers.append(there.ask(queries[turn % 3])) for turn in range(60)])
        while len(answers) < 20:
            time.sleep(0.001)
        os.kill(victim.all_processes["raylet"][0].process.pid, signal.SIGKILL)  # its workers end with it
        n_before = len(answers)
        asking.result(timeout=60)
    nodes.remove_node(victim, allow_graceful=False)
    assert n_before < 60 == len(answers)
    assert answers == expected * 20
    assert get_cluster(there)._avoided.keys() >= {victim.node_id}  # it was asked, and another one in its place


def find_victim(nodes: Any, index: Index) -> Any:
    """A node that is the first to be asked for a segment, and not that of this process. One is added in its place."""
    import ray

    own, cluster = ray.get_runtime_context().get_node_id(), get_cluster(index)
    while True:
        nodes.add_node(num_cpus=1, object_store_memory=80_000_000)
        nodes.wait_for_nodes()
        cluster.list_holders()
        first = {cluster.choose_nodes(entry.name)[0] for entry in index.manifest.segments}
        for node in nodes.worker_nodes:
            if node.node_id in first - {own}:
                return node


def get_cluster(index: Index) -> Cluster:
    """The cluster that ranks an index."""
    vectors = get_generation(index).vectors
    assert isinstance(vectors, RemoteIndex)
    return vectors._cluster


@pytest.mark.slow
def test_the_command_line_answers_alike(nodes: Any, folder: IndexFolder, tmp_path: Path) -> None:
    write_settings(folder.path, nodes.address, folder.path)
    printed = []
    for backend in ("local", "ray"):
        environment = {**os.environ, "ENGINE_BACKEND": backend, "ENGINE_INDEXES": str(folder.path.parent)}
        command = [sys.executable, "-m", "engine", "search", "gout", "--explain"]
        done = subprocess.run(command, capture_output=True, text=True, env=environment, cwd=tmp_path)
        assert (done.returncode, done.stderr) == (0, ""), backend
        printed.append(done.stdout)
    assert printed[0] == printed[1] != ""


@pytest.mark.slow
def test_every_kind_of_question_on_fifty_texts(nodes: Any, sample: IndexFolder, tmp_path: Path) -> None:
    folder = IndexFolder(Path(shutil.copytree(sample.path, tmp_path / "indexes" / "sample")))
    for night in range(3):
        row = {"id": f"new-{night}", "title": f"Gout in year {night}", "abstract": "Anew.", "year": 2010 + night}
        add_rows(folder, tmp_path, row, one_segment_below=1)
    write_settings(folder.path, nodes.address, folder.path)
    queries = [json.loads(line)["text"] for line in (SAMPLE / "queries.jsonl").read_text().splitlines()]
    with open_locally(folder.path) as here, wait_for(partial(open_index, folder.path)) as there:
        assert len(here.manifest.segments) == 4
        records = list(here.abstracts())
        texts, known = [*queries, *(record.title for record in records)][:50], [record.record_id for record in records]
        kinds = {kind: build for kind, build in KINDS.items() if "similar" not in kind and "ids" not in kind}
        kinds["ids of half"] = lambda text: Query(text, filters=Filters(ids=tuple(known[::2])))
        kinds["similar to some"] = lambda text: Query(text, like=tuple(known[:2]), unlike=(known[2],), mode="semantic")
        for kind, build in kinds.items():
            for text in texts:
                assert there.ask(build(text)) == here.ask(build(text)), (kind, text)
        for one in known[:50]:
            assert there.similar(one) == here.similar(one)
        batch = [Query(text, mode="semantic") for text in texts]
        assert there.ask_batch(batch) == here.ask_batch(batch)


def test_a_segment_that_no_node_can_open_is_named(nodes: Any, folder: IndexFolder, tmp_path: Path) -> None:
    write_settings(folder.path, nodes.address, tmp_path)
    name = IndexFolder(folder.path).open_current(quick=True).segments[0].entry.name
    with pytest.raises(ClusterError, match=rf"answered for {name}.*See which nodes are alive: ray status"):
        open_index(folder.path)


def test_a_cluster_that_is_gone_is_reported_at_once(lasting: Lasting, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAY_AUTH_TOKEN", "token")
    folder, _ = lasting()
    with socket.create_server(("127.0.0.1", 0)) as silent:
        for port, problem in ((1, "refused"), (silent.getsockname()[1], "timed out")):
            write_settings(folder.path, f"127.0.0.1:{port}", folder.path)
            with pytest.raises(ClusterError, match=f"no cluster answers at 127.0.0.1:{port}: .*{problem}.*ray status"):
                open_index(folder.path)
