"""Kills and full disks at every call of a backup and of a restore that changes something, injected with strace.

After each, the new name leads nowhere or to all of it, and the same command then succeeds and leaves nothing else.
"""

import os
import re
import shutil
import signal
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from engine.index.generations.folder import IndexFolder
from engine.reindex.copies.backup import make_backup
from engine.reindex.copies.restore import restore_index
from engine.reindex.generation.verify import verify
from tests.conftest import CURRENT, copy_toy, silent
from tests.reindex.test_crash import CALLS, SYNCS, strace_works, tracing
from tests.warmprocess import WarmProcess

pytestmark = [
    pytest.mark.crash,
    pytest.mark.skipif(not strace_works(), reason="needs strace and the right to trace: apt-get install strace"),
]

COMMANDS = {
    "folder": ("backup", "-i", "toy", "-o", "copy"),
    "archive": ("backup", "-i", "toy", "-o", "copy.tar"),
    "restored": ("restore", "made.tar", "-i", "new"),
    "replaced": ("restore", "made", "-i", "toy", "--replace"),
}
EVERY = pytest.param(1, marks=[pytest.mark.slow, pytest.mark.timeout(3600)])


@dataclass(frozen=True)
class Run:
    """One traced command in a place of its own."""

    place: Path
    returncode: int
    stderr: str
    trace: str

    @property
    def indexes(self) -> Path:
        return self.place / "indexes"


@pytest.fixture(scope="module")
def warm() -> Iterator[WarmProcess]:
    with WarmProcess(("engine.cli", "engine.reindex.copies.restore", "sqlite3", "tarfile")) as found:
        yield found


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with an index, and backups of it in both forms."""
    place = tmp_path_factory.mktemp("made")
    folder = copy_toy(place / "indexes" / "toy")
    (folder.path / "index.toml").write_text("keep_generations = 2\n")
    for name in ("made", "made.tar"):
        make_backup(folder, place / name, silent)
    return place


def traced(warm: WarmProcess, made: Path, place: Path, kind: str, *options: str) -> Run:
    """Run a command under strace."""
    shutil.copytree(made, place)
    if kind == "replaced":  # another index, of two generations
        shutil.rmtree(place / "indexes" / "toy")
        shutil.copytree(CURRENT, place / "indexes" / "toy")
    pid = warm.begin(COMMANDS[kind], place)
    with tracing(pid, "-o", place / "trace", *options):
        os.kill(pid, signal.SIGCONT)
        returncode = warm.wait()
    return Run(place, returncode, (place / "stderr").read_text(), (place / "trace").read_text(errors="replace"))


def state(run: Run, kind: str) -> str:
    """ "old" or "new", after checking that it is wholly so."""
    if kind in ("folder", "archive"):
        path = run.place / COMMANDS[kind][-1]
        if not path.exists():
            return "old"
        restore_index(path, IndexFolder(run.place / "check" / "toy"), silent)
        shutil.rmtree(run.place / "check")
        return "new"
    folder = IndexFolder(run.indexes / ("new" if kind == "restored" else "toy"))
    if not folder.path.exists():
        assert kind == "restored"
        return "old"
    assert not verify(folder, folder.open_current(), deep=False)
    is_new = (folder.path / "index.toml").exists()
    assert folder.list_numbers() == ([1] if is_new else [1, 2])
    return "new" if is_new else "old"


def next_run_succeeds(warm: WarmProcess, run: Run, kind: str) -> None:
    """Give the same command again; nothing but what was asked for is left beside the target."""
    if state(run, kind) == "old" or kind == "replaced":
        pid = warm.begin(COMMANDS[kind], run.place)
        os.kill(pid, signal.SIGCONT)
        assert warm.wait() == 0, (run.place / "stderr").read_text()
        assert not [path for path in run.place.rglob("*") if path.name.endswith(".part")]
    assert state(run, kind) == "new"


@pytest.fixture(scope="module", params=COMMANDS)
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def points(tmp_path_factory: pytest.TempPathFactory, warm: WarmProcess, made: Path, kind: str) -> list[tuple[str, int]]:
    """Every changing call of an undisturbed run: its kind, and its number among those."""
    place = tmp_path_factory.mktemp("plain") / "place"
    run = traced(warm, made, place, kind, "-e", f"trace={','.join(CALLS)}")
    assert run.returncode == 0, run.stderr
    assert state(run, kind) == "new"
    counts: Counter[str] = Counter()
    found = []
    for call in re.findall(r"^\d+ +(\w+)\(", run.trace, re.MULTILINE):
        counts[call] += 1
        found.append((call, counts[call]))
    assert counts["fsync"] >= 2 and counts["rename"] + counts["renameat2"] == 1, counts
    return found


def chosen(points: list[tuple[str, int]], step: int) -> list[tuple[str, int]]:
    """Every step-th call, and those around the change of the name."""
    name = next(n for n, (call, _) in enumerate(points) if call.startswith("rename"))
    return [point for n, point in enumerate(points) if n % step == 0 or name <= n <= name + 2]


@pytest.mark.timeout(900)
@pytest.mark.parametrize("step", [60, EVERY])
def test_killed_at_every_call(
    warm: WarmProcess, made: Path, tmp_path: Path, points: list[tuple[str, int]], kind: str, step: int
) -> None:
    seen: Counter[str] = Counter()
    for call, n in chosen(points, step):
        options = ("-e", f"trace={call}", "-e", f"inject={call}:signal=KILL:when={n}")
        run = traced(warm, made, tmp_path / "place", kind, *options)
        assert run.returncode in (-9, 137), (call, n, run.returncode, run.stderr)
        seen[state(run, kind)] += 1
        next_run_succeeds(warm, run, kind)
        shutil.rmtree(run.place)
    assert seen["old"] >= 2 and seen["new"] >= 2, seen


@pytest.mark.timeout(900)
@pytest.mark.parametrize("step", [120, EVERY])
def test_a_failing_disk_is_an_error_and_nothing_is_left(
    warm: WarmProcess, made: Path, tmp_path: Path, points: list[tuple[str, int]], kind: str, step: int
) -> None:
    for call, n in chosen(points, step):
        error = "EIO" if call in SYNCS else "ENOSPC"
        run = traced(
            warm, made, tmp_path / "place", kind, "-e", f"trace={call}", "-e", f"inject={call}:error={error}:when={n}"
        )
        now = state(run, kind)
        assert (run.returncode, now) in {(0, "new"), (1, "old"), (1, "new")}, (call, n, run.stderr)
        assert "Traceback" not in run.stderr, (call, n, run.stderr)
        if run.returncode:
            assert run.stderr.count("Error: ") == 1 or call == "write", (call, n, run.stderr)
        if call not in ("unlink", "unlinkat", "rmdir"):
            assert not list(run.place.glob("**/.*.part")), (call, n)
        shutil.rmtree(run.place)
