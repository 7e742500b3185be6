"""A job under SIGKILL: of a worker or a node in the middle of a unit, of the driver, and of each worker in turn."""

import os
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random
from threading import Thread
from typing import Any

import pytest

from engine.errors import EncoderError
from engine.index.generations.folder import IndexFolder
from engine.reindex.generation.verify import verify
from engine.scale.encoding import job
from engine.scale.encoding.unitworker import Unit, UnitCounts, UnitWorker, WorkerSetup
from tests.conftest import SAMPLE
from tests.scale.encoding.test_job import encode, index, make_folder, read_vectors

pytestmark = pytest.mark.slow

FILE = SAMPLE / "abstracts.jsonl"  # 120 records
RECORDS = 10  # of a unit
SMALL = 5  # records of a unit where the driver is killed
MOMENTS = range(0, 20, 2)  # units of 24 that were ended when the driver is killed, after some more time
DRIVER = """
import sys
from pathlib import Path
from engine.index.generations.folder import IndexFolder
from engine.scale.encoding import job
from tests.scale.encoding.test_job import encode
from tests.scale.encoding.test_jobkills import FILE, SMALL, Noting
job.UnitWorker, job._RECORDS = Noting, SMALL
encode(IndexFolder(Path(sys.argv[1])), [FILE])
"""


class Noting(UnitWorker):
    """A worker that notes which units it begins and ends, and takes its time for each."""

    def open(self, setup: WorkerSetup) -> None:
        super().open(setup)
        self.notes = Path(setup.shards).parent.parent

    def encode(self, unit: Unit) -> UnitCounts:
        import ray

        self.note("begun", f"{unit.start} {os.getpid()} {ray.get_runtime_context().get_node_id()}")
        time.sleep(0.3)
        counts = super().encode(unit)
        self.note("ended", f"{unit.start} {os.getpid()} {counts.encoded}")
        return counts

    def note(self, name: str, line: str) -> None:
        with (self.notes / name).open("a") as file:
            file.write(f"{line}\n")


class Dying(UnitWorker):
    """A worker that dies over one unit."""

    def encode(self, unit: Unit) -> UnitCounts:
        if unit.start == 3 * RECORDS:
            os._exit(1)
        return super().encode(unit)


class Unopened(UnitWorker):
    """A worker that dies while it opens the encoder."""

    def open(self, setup: WorkerSetup) -> None:
        os._exit(1)


@pytest.fixture(autouse=True)
def small_units(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(job, "_RECORDS", RECORDS)


@pytest.fixture
def sides(nodes: Any, tmp_path: Path) -> tuple[IndexFolder, IndexFolder]:
    """An index for the cluster and one for this machine."""
    return make_folder(tmp_path / "there", nodes.address), make_folder(tmp_path / "here", nodes.address)


def read_notes(folder: IndexFolder, name: str) -> list[list[str]]:
    """Return the lines that workers noted: the unit, the process, and the node or the number of texts."""
    path = folder.path / name
    return [line.split() for line in path.read_text().splitlines()] if path.exists() else []


def find_working(folder: IndexFolder) -> Iterator[list[str]]:
    """Yield the beginnings of units that have not ended, the newest first."""
    ended = {(unit, process) for unit, process, _ in read_notes(folder, "ended")}
    yield from (line for line in reversed(read_notes(folder, "begun")) if (line[0], line[1]) not in ended)


def wait_until(is_true: Callable[[], bool]) -> None:
    """Wait, a minute at most."""
    for _ in range(1200):
        if is_true():
            return
        time.sleep(0.05)
    pytest.fail("waited for a minute")


def check_published(there: IndexFolder, here: IndexFolder) -> None:
    """Check that both indexes get the same bytes, and that nothing is encoded for the first one."""
    assert (index(there, [FILE]).counts.encoded, index(here, [FILE]).counts.encoded) == (0, 120)
    assert read_vectors(there) == read_vectors(here) != []
    assert verify(there, there.open_current(), deep=True) == []


def check_begun_twice(folder: IndexFolder) -> None:
    """Check that the kill hit work: a unit was begun twice, and each was ended once."""
    begun, ended = (Counter(line[0] for line in read_notes(folder, name)) for name in ("begun", "ended"))
    assert max(begun.values()) == 2
    assert set(ended.values()) == {1}
    assert len(ended) == 120 / RECORDS


def test_a_killed_worker_costs_no_text(sides: tuple[IndexFolder, IndexFolder], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(job, "UnitWorker", Noting)
    there, here = sides

    def kill() -> None:
        wait_until(lambda: len(read_notes(there, "ended")) >= 2 and any(find_working(there)))
        os.kill(int(next(find_working(there))[1]), signal.SIGKILL)

    killer = Thread(target=kill)
    killer.start()
    done = encode(there, [FILE])
    killer.join()
    assert (done.encoded, done.kept, done.deaths, done.begun_again) == (120, 0, 1, 1)
    check_begun_twice(there)
    check_published(there, here)


def test_a_killed_node_costs_no_text_with_real_weights(
    nodes: Any, sample: IndexFolder, model_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(job, "UnitWorker", Noting)
    there, here = (make_folder(tmp_path / name, nodes.address) for name in ("there", "here"))
    for folder in there, here:
        (folder.path / "index.toml").write_text(
            f'model = "{model_folder.as_posix()}"\nprecision = "fp32"\ndevice = "cpu"\nbackend = "ray"\n'
            f'[ray]\naddress = "{nodes.address}"\n'
        )
        shutil.copytree(sample.path / "encoders", folder.path / "encoders", dirs_exist_ok=True)
    victim = nodes.add_node(num_cpus=1, object_store_memory=80_000_000)
    nodes.wait_for_nodes()

    def kill() -> None:
        wait_until(lambda: any(line[2] == victim.node_id for line in find_working(there)))
        nodes.remove_node(victim, allow_graceful=False)

    killer = Thread(target=kill)
    killer.start()
    done = encode(there, [FILE])
    killer.join()
    assert (done.encoded, done.kept, done.deaths, done.begun_again) == (120, 0, 1, 1)
    check_begun_twice(there)
    check_published(there, here)


def test_a_killed_driver_goes_on_where_it_stopped(
    sides: tuple[IndexFolder, IndexFolder], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(job, "_RECORDS", SMALL)
    there, here = sides
    random = Random(10)
    for n_ended in MOMENTS:
        kill_driver(there, n_ended, random.uniform(0, 0.3))
    finished = len(list(there.shards.glob("*/*.shard")))
    done = encode(there, [FILE])
    assert finished >= MOMENTS[-1]
    assert (done.encoded, done.kept) == (120 - finished * SMALL, finished * SMALL)
    assert set(Counter(unit for unit, _, n in read_notes(there, "ended") if int(n)).values()) == {1}
    assert not list(there.shards.glob("*/*.tmp"))
    check_published(there, here)


def kill_driver(folder: IndexFolder, n_ended: int, seconds: float) -> None:
    """Start a job, and kill its driver some time after so many units are ended; wait for the end of its workers."""
    n_begun = len(read_notes(folder, "begun"))
    driver = subprocess.Popen([sys.executable, "-c", DRIVER, str(folder.path)])
    try:
        wait_until(lambda: len(read_notes(folder, "begun")) > n_begun and count_encoded(folder) >= n_ended)
        time.sleep(seconds)
    finally:
        driver.kill()
        driver.wait()
    wait_until(lambda: not any(is_running(int(process)) for _, process, _ in read_notes(folder, "begun")))


def count_encoded(folder: IndexFolder) -> int:
    """Count the units whose texts were encoded and not found."""
    return sum(int(n) > 0 for _, _, n in read_notes(folder, "ended"))


def is_running(process: int) -> bool:
    """Return whether a process runs; one that waits for its parent to look does not."""
    try:
        return " Z" not in Path(f"/proc/{process}/stat").read_text().rpartition(")")[2][:3]
    except FileNotFoundError:
        return False


@pytest.mark.parametrize(
    ("worker", "named"),
    [(Dying, f"records 31 and on of .*{FILE.name}"), (Unopened, "opening the encoder")],
)
def test_what_kills_every_worker_is_named(
    worker: type, named: str, sides: tuple[IndexFolder, IndexFolder], monkeypatch: pytest.MonkeyPatch
) -> None:
    there, here = sides
    with monkeypatch.context() as patch:
        patch.setattr(job, "UnitWorker", worker)
        with pytest.raises(EncoderError, match=f"5 workers died over {named}: .*the same command continues from there"):
            encode(there, [FILE])
    kept = 10 * len(list(there.shards.glob("*/*.shard")))
    assert (kept > 0) is (worker is Dying)
    done = encode(there, [FILE])
    assert (done.encoded, done.kept, done.deaths) == (120 - kept, kept, 0)
    check_published(there, here)
