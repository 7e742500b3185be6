"""Kills and full disks at calls of a backup and of a restore that change something, injected with strace.

The slow tests try each kind of call on each file: the first, the middle and the last one before the change of the name, and after.

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
EACH_KIND = pytest.param(0, marks=[pytest.mark.slow, pytest.mark.timeout(3600)])


@dataclass(frozen=True)
class Point:
    """One changing call: its kind, its number among those, and the file or folder that it changes."""

    call: str
    number: int
    target: str


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
def points(tmp_path_factory: pytest.TempPathFactory, warm: WarmProcess, made: Path, kind: str) -> list[Point]:
    """Every changing call of an undisturbed run."""
    place = tmp_path_factory.mktemp("plain") / "place"
    run = traced(warm, made, place, kind, "-y", "-e", f"trace={','.join(CALLS)}")
    assert run.returncode == 0, run.stderr
    assert state(run, kind) == "new"
    counts: Counter[str] = Counter()
    found = []
    for call, rest in re.findall(r"^\d+ +(\w+)\((.*)", run.trace, re.MULTILINE):
        counts[call] += 1
        found.append(Point(call, counts[call], name_target(rest)))
    assert counts["fsync"] >= 2 and counts["rename"] + counts["renameat2"] == 1, counts
    return found


def name_target(arguments: str) -> str:
    """Name what a call changes, without the parts of a name that differ from run to run: /place/copy/CURRENT."""
    quoted, opened = re.search(r'"(/[^"]*)"', arguments), re.match(r"\d+<([^>]*)>", arguments)
    found = opened or quoted
    path = found[1] if found else arguments.split(",")[0]
    return re.sub(r"[0-9a-f]{8,}|\d+", "N", path)


def sample(points: list[Point], step: int) -> list[Point]:
    """Every step-th call, or some of each kind if it is 0, and those around the change of the name."""
    name = next(n for n, point in enumerate(points) if point.call.startswith("rename"))
    kinds: dict[tuple[str, str, bool], list[int]] = {}
    for n, point in enumerate(points):
        kinds.setdefault((point.call, point.target, n > name), []).append(n)
    some = (
        range(0, len(points), step) if step else [n for of in kinds.values() for n in (of[0], of[len(of) // 2], of[-1])]
    )
    return [points[n] for n in sorted({*some, *range(name, min(name + 3, len(points)))})]


def test_sample_has_each_kind_of_call_on_each_file() -> None:
    writes = [Point("write", n, "a") for n in range(1, 8)]
    points = [*writes, Point("fsync", 1, "a"), Point("write", 8, "b"), Point("rename", 1, "b"), Point("fsync", 2, "b")]
    assert sample(points, 0) == [writes[0], writes[3], writes[6], *points[7:]]
    assert sample(points, 5) == [points[0], points[5], points[9], points[10]]
    assert name_target('5</p/1/copy/gen000012>, "text", 4) = 4') == "/p/N/copy/genN"
    assert name_target('"/p/.made.part", "/p/made") = 0') == "/p/.made.part"


@pytest.mark.timeout(900)
@pytest.mark.parametrize("step", [60, EACH_KIND])
def test_killed_at_a_call(
    warm: WarmProcess, made: Path, tmp_path: Path, points: list[Point], kind: str, step: int
) -> None:
    seen: Counter[str] = Counter()
    for point in sample(points, step):
        call, n = point.call, point.number
        options = ("-e", f"trace={call}", "-e", f"inject={call}:signal=KILL:when={n}")
        run = traced(warm, made, tmp_path / "place", kind, *options)
        assert run.returncode in (-9, 137), (call, n, run.returncode, run.stderr)
        seen[state(run, kind)] += 1
        next_run_succeeds(warm, run, kind)
        shutil.rmtree(run.place)
    assert seen["old"] >= 2 and seen["new"] >= 2, seen


@pytest.mark.timeout(900)
@pytest.mark.parametrize("step", [120, EACH_KIND])
def test_a_failing_disk_is_an_error_and_nothing_is_left(
    warm: WarmProcess, made: Path, tmp_path: Path, points: list[Point], kind: str, step: int
) -> None:
    for point in sample(points, step):
        call, n = point.call, point.number
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
