"""Files are read by other processes as they would be by this one, and no process outlives its use."""

import multiprocessing
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import pytest

from engine.collect import readers
from engine.collect.readers import Readers, count_readers
from engine.collect.source import read_source
from engine.errors import SourceError
from engine.records.abstract import Entry
from tests.conftest import HERE, ROOT, TOY, jsonl


def read_all(entries: Iterator[Entry]) -> tuple[list[Entry], str]:
    """The entries of a file, and the error after them."""
    found = list[Entry]()
    try:
        found.extend(entries)
    except Exception as err:
        return found, repr(err)
    return found, ""


@pytest.fixture
def big(tmp_path: Path) -> Path:
    """A file larger than a pipe and what may wait in a process of `small`."""
    return jsonl(tmp_path / "big.jsonl", ({"id": f"a{n}", "title": "Gout " * 100} for n in range(2000)))


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Processes in which few bytes may wait."""
    monkeypatch.setattr(readers, "_MEMORY", 1 << 10)


def is_running(pid: int) -> bool:
    """Whether a process is there and has not ended; one that has may wait for its parent to look."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state not in "ZX"


def check_equal(files: list[Path]) -> None:
    """Compare each file's entries and error from processes with those of read_source."""
    assert files
    with Readers(2) as processes, pytest.MonkeyPatch.context() as patch:
        patch.setattr(readers, "read_source", None)  # no file is read in this process
        for path in files:
            assert read_all(processes.read(path)) == read_all(read_source(path)), path


def test_every_file_of_the_tests_is_read_alike(tmp_path: Path) -> None:
    (cut := tmp_path / "cut.xml").write_bytes((HERE / "data" / "pubmed26n0001.xml").read_bytes()[:-40])
    strange = tmp_path / os.fsdecode(b"caf\xe9.jsonl")
    strange.write_bytes(TOY.read_bytes())
    (unknown := tmp_path / "unknown").write_text("what is this")
    check_equal([*sorted((HERE / "data" / "exports").iterdir()), TOY, cut, strange, unknown, tmp_path / "none.ris"])
    check_equal([HERE / "data" / "pubmed26n0001.xml"])


def list_real_files(shared: Path) -> list[Path]:
    """The real files in users' formats, and the misleading ones."""
    return sorted(
        path for folder in ("formats", "cases/files") for path in (shared / folder).rglob("*") if path.is_file()
    )


def test_every_short_real_file_is_read_alike(shared: Path) -> None:
    check_equal([path for path in list_real_files(shared) if path.stat().st_size < 100_000])


@pytest.mark.slow
def test_every_long_real_file_is_read_alike(shared: Path) -> None:
    check_equal([path for path in list_real_files(shared) if path.stat().st_size >= 100_000])


def test_files_are_read_ahead_and_come_in_order(tmp_path: Path) -> None:
    files = [jsonl(tmp_path / f"{n}.jsonl", [{"id": f"{n}-{m}", "title": "A"} for m in range(n)]) for n in range(1, 9)]
    with Readers(3) as processes:
        assert processes.n_ahead == 6 and len(processes.pids) == 3
        found = [[entry.record_id for entry in each] for each in [processes.read(path) for path in files[:6]]]  # type: ignore[union-attr]
        found += [[entry.record_id for entry in processes.read(path)] for path in files[6:]]  # type: ignore[union-attr]
    assert found == [[f"{n}-{m}" for m in range(n)] for n in range(1, 9)]


def test_the_named_format_counts() -> None:
    with Readers(1) as processes, pytest.raises(SourceError, match="RIS"):
        list(processes.read(TOY, "RIS"))


def test_a_killed_process_is_told_with_its_file(big: Path, small: None) -> None:
    with Readers(1) as processes:
        entries = processes.read(big)
        next(entries)
        os.kill(processes.pids[0], signal.SIGKILL)
        with pytest.raises(SourceError, match=r"big\.jsonl: the process that read it was ended by SIGKILL before"):
            list(entries)
        with pytest.raises(SourceError, match="toy.jsonl: the process"):
            list(processes.read(TOY))


def test_an_interrupt_of_the_terminal_leaves_the_end_to_this_process(big: Path, small: None) -> None:
    with Readers(1) as processes:
        entries = processes.read(big)
        next(entries)
        os.kill(processes.pids[0], signal.SIGINT)
        assert sum(1 for _ in entries) == 1999


@pytest.mark.parametrize("error", [KeyboardInterrupt, SourceError])
def test_an_error_ends_the_processes_at_once(big: Path, small: None, error: type[BaseException]) -> None:
    with pytest.raises(error, match="stop"), Readers(2) as processes:
        pids = processes.pids
        list(islice(processes.read(big), 10))
        processes.read(TOY)
        assert all(map(is_running, pids))
        raise error("stop")
    assert len(pids) == 2 and not any(map(is_running, pids))


_PARENT = """
import os, signal, sys
from pathlib import Path
from engine.collect import readers
readers._MEMORY = 1 << 10
processes = readers.Readers(2)
next(processes.read(Path(sys.argv[1])))
print(*processes.pids, flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_no_process_outlives_a_killed_parent(big: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", _PARENT, str(big)], stdout=subprocess.PIPE, text=True, check=False, cwd=ROOT
    )
    pids = [int(pid) for pid in done.stdout.split()]
    assert done.returncode == -signal.SIGKILL and len(pids) == 2
    while any(map(is_running, pids)):  # the time limit of the tests ends this
        os.sched_yield()


@pytest.mark.parametrize("program", ["/nowhere/python", "/bin/true", "/bin/echo"])
def test_without_processes_the_files_are_read_in_this_one(monkeypatch: pytest.MonkeyPatch, program: str) -> None:
    monkeypatch.setattr(sys, "executable", program)
    with Readers(1) as processes:
        for _ in range(2):
            assert list(processes.read(TOY)) == list(read_source(TOY))


def test_the_process_finds_the_modules_where_this_one_does(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "json.py").write_text("raise SystemExit")  # in the folder where a user works
    monkeypatch.chdir(tmp_path)
    with Readers(1) as processes:
        found = processes.read(TOY)
        monkeypatch.setattr(readers, "read_source", None)
        assert list(found) == list(read_source(TOY))


@pytest.mark.parametrize(
    ("n_cores", "sizes", "n"),
    [(2, [9, 9, 9], 2), (16, [9] * 40, 4), (16, [9], 1), (2, [7], 0), (2, [4, 4], 2), (1, [99], 0), (2, [], 0)],
)
def test_large_files_on_several_cores_are_worth_a_process(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, n_cores: int, sizes: list[int], n: int
) -> None:
    monkeypatch.setattr(readers, "count_cores", lambda: n_cores)
    files = [tmp_path / f"{number}.xml" for number in range(len(sizes))]
    for file, size in zip(files, sizes, strict=True):
        with file.open("wb") as stream:
            stream.truncate(size << 20)
    assert count_readers(files) == n


def test_a_compressed_file_counts_as_what_it_holds(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(readers, "count_cores", lambda: 2)
    (path := tmp_path / "a.xml.gz").write_bytes(bytes(2 << 20))
    assert count_readers([path, tmp_path / "missing"]) == 2


def test_a_daemon_starts_no_processes(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(readers, "count_cores", lambda: 2)
    (path := tmp_path / "a.xml").write_bytes(bytes(9 << 20))
    assert count_readers([path]) == 1
    monkeypatch.setitem(multiprocessing.current_process()._config, "daemon", True)  # type: ignore[attr-defined]
    assert count_readers([path]) == 0
