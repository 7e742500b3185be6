"""Publishing under readers, going back under load, and SIGKILL while a generation is placed.

Oracle: each generation opened on this machine. An answer is that of one generation, whole.
"""

import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from engine import open_index
from engine.index.generations.folder import IndexFolder
from engine.options import Query
from engine.query.index import open_index as open_locally
from engine.records.answer import Answer
from engine.reindex.generation.order import Report
from engine.reindex.runs.rollback import roll_back
from engine.scale.placement.clusterplacement import ClusterPlacement
from engine.scale.ranking.cluster import ClusterSettings
from tests.conftest import Lasting, jsonl
from tests.scale.ranking.test_cluster import wait_for, write_settings

QUERIES = (Query("gout", mode="semantic"), Query("gout and colchicine"))
KEPT = 100  # generations, so that each can be asked again
CHILD = """
import os, signal, sys
from pathlib import Path
from engine.index.generations import publish
from engine.index.generations.folder import IndexFolder
from engine.options import IndexSettings
from engine.reindex.generation.order import Order
from engine.reindex.runs.run import index_sources
from engine.scale.ranking.cluster import Cluster
from engine.scale.opening import choose_placement

left = int(sys.argv[3])

def kill_before_and_after(owner, name):
    def run(*args, **given):
        count()
        found = before(*args, **given)
        count()
        return found
    before = getattr(owner, name)
    setattr(owner, name, run)

def count():
    global left
    left -= 1
    if not left:
        os.kill(os.getpid(), signal.SIGKILL)

for owner, name in (publish, "replace_path"), (publish, "point_to"), (publish, "prune"), (Cluster, "call"), \\
        (Cluster, "list_holders"), (Cluster, "choose_nodes"):
    kill_before_and_after(owner, name)
folder = IndexFolder(Path(sys.argv[1]))
settings = IndexSettings(device="cpu", one_segment_below=1, keep_generations=100)
order = Order((Path(sys.argv[2]),), settings, placement=choose_placement(folder.path))
index_sources(folder, order, lambda *_: None)
"""  # a run that kills itself at a point of its publishing


@pytest.fixture
def made(lasting: Lasting, nodes: Any) -> tuple[IndexFolder, Callable[..., Report], ClusterPlacement]:
    """An index on the nodes, what adds to it and places it, and what places."""
    folder, add = lasting()
    write_settings(folder.path, nodes.address, folder.path)
    placement = ClusterPlacement(ClusterSettings(nodes.address, str(folder.path)))
    placement.place(folder.open_current())
    return folder, partial(add, placement=placement, one_segment_below=1, keep_generations=KEPT), placement


@contextmanager
def asking(
    folder: IndexFolder, answers: list[tuple[int, Answer]], failures: list[Exception], n_readers: int = len(QUERIES)
) -> Iterator[None]:
    """Ask again and again in some threads while the block runs, and note the answers with their questions."""
    stopped = threading.Event()

    def ask(at: int) -> None:
        while not stopped.is_set():
            try:
                answers.append((at, index.ask(QUERIES[at])))
            except Exception as err:
                failures.append(err)
            stopped.wait(0.01)

    with wait_for(partial(open_index, folder.path)) as index:
        threads = [threading.Thread(target=ask, args=(at % len(QUERIES),)) for at in range(n_readers)]
        for thread in threads:
            thread.start()
        try:
            yield
        finally:
            stopped.set()
            for thread in threads:
                thread.join()


def check(folder: IndexFolder, answers: list[tuple[int, Answer]]) -> set[int]:
    """Check that each answer is the one of its generation, and return the generations."""
    numbers = {answer.generation for _, answer in answers}
    for number in numbers:
        with open_locally(folder.path, generation=number) as here:
            expected = [here.ask(query).hits for query in QUERIES]
        for at, answer in answers:
            assert answer.generation != number or answer.hits == expected[at]
    return numbers


@pytest.mark.parametrize(("n_readers", "n_published"), [(2, 2), pytest.param(4, 20, marks=pytest.mark.slow)])
def test_readers_see_one_generation_while_others_are_published_and_rolled_back(
    made: tuple[IndexFolder, Callable[..., Report], ClusterPlacement], n_readers: int, n_published: int
) -> None:
    folder, add, placement = made
    answers: list[tuple[int, Answer]] = []
    failures: list[Exception] = []
    with asking(folder, answers, failures, n_readers):
        for number in range(2, 2 + n_published):
            assert add({"id": f"new-{number}", "title": f"Gout and colchicine {number}"}).generation == number
        for number in (n_published, n_published - 1):
            assert roll_back(folder, None, placement) == number
    assert failures == []
    assert len(check(folder, answers)) > n_published / 2


@pytest.mark.slow
@pytest.mark.parametrize("point", range(1, 21))
def test_a_run_that_is_killed_while_it_places_changes_nothing_for_readers(
    made: tuple[IndexFolder, Callable[..., Report], ClusterPlacement], point: int, tmp_path: Path
) -> None:
    folder, add, placement = made
    answers: list[tuple[int, Answer]] = []
    failures: list[Exception] = []
    rows = jsonl(tmp_path / "new.jsonl", [{"id": "new", "title": "Gout and colchicine"}])
    with asking(folder, answers, failures):
        done = subprocess.run(
            [sys.executable, "-c", CHILD, folder.path, rows, str(point)], capture_output=True, text=True
        )
    assert done.returncode == -9, done.stderr
    assert failures == []
    assert check(folder, answers) <= {1, 2} and folder.read_current() in (1, 2)
    last = add({"id": "new", "title": "Gout and colchicine"}, {"id": "more", "title": "Gout once more"}).generation
    with open_index(folder.path) as there, open_locally(folder.path) as here:
        assert there.generation == last
        assert [there.ask(query) for query in QUERIES] == [here.ask(query) for query in QUERIES]
    named = {segment.entry.name for number in folder.list_numbers() for segment in folder.check(number).segments}
    assert {path.name for path in folder.segments.iterdir()} == named
    cluster = placement._get_cluster()
    answered = cluster.call(dict.fromkeys(cluster.list_holders(), ("list_held", ())))
    assert {one.key.number for some in answered.values() for one in some} <= {*folder.list_numbers()}
