"""Kills and failing disks at every call that changes something, injected with strace into the real command.

Each run is forked from a process that has imported everything, and is traced from its first own call.

Oracle: the test's own list of what must be there. After each injection readers see the old or the new generation, whole,
and the next run brings the index to the new one.
"""

import contextlib
import os
import re
import shutil
import signal
import subprocess
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from engine import open_index
from engine.config import Settings
from engine.index.generations.folder import IndexFolder
from engine.index.generations.manifest import read_manifest
from engine.reindex.generation.order import Order
from engine.reindex.generation.verify import verify
from engine.reindex.runs.run import index_sources
from tests.conftest import copy_toy, jsonl, silent
from tests.warmprocess import WarmProcess

CALLS = (
    "write", "pwrite64", "writev", "fsync", "fdatasync", "ftruncate", "rename", "renameat", "renameat2",
    "unlink", "unlinkat", "mkdir", "mkdirat", "rmdir", "chmod", "fchmodat", "link", "copy_file_range", "sendfile",
)  # fmt: skip
SYNCS = {"fsync", "fdatasync"}
NEW = [
    {"id": "new-1", "title": "Febuxostat in gout"},
    {"id": "new-2", "title": "Anakinra in Still disease"},
    {"id": "toy-03", "title": "Colchicine in lupus, revised"},
]


def strace_works() -> bool:
    command = ["strace", "-o", "/dev/null", "-e", "inject=unlink:error=ENOENT", "true"]
    return shutil.which("strace") is not None and subprocess.run(command, capture_output=True).returncode == 0


pytestmark = [
    pytest.mark.crash,
    pytest.mark.skipif(not strace_works(), reason="needs strace and the right to trace: apt-get install strace"),
]


# What a run does with the published segment -> index.toml.
KINDS = {
    "merged": "",  # a small index becomes one segment
    "kept": "one_segment_below = 0\n",  # with toy-03 dead in it
    "pruned": "keep_generations = 1\n",  # merged, then deleted
}


@dataclass(frozen=True)
class Run:
    """One traced run of ``engine index`` on a private copy of the toy index."""

    folder: IndexFolder
    returncode: int
    stdout: str
    stderr: str
    trace: str
    n_calls: int  # of the thread that made most


@pytest.fixture(scope="module")
def warm() -> Iterator[WarmProcess]:
    """The process from which runs are forked."""
    with WarmProcess() as found:
        yield found


@contextlib.contextmanager
def tracing(pid: int, *options: str | Path) -> Iterator[None]:
    """Trace a stopped process until it has ended."""
    command = ["strace", "--quiet=exit,personality", "-f", "-p", str(pid), *options]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as running:
        assert running.stderr is not None
        assert "attached" in (line := running.stderr.readline()), line
        yield
        running.stderr.read()


def traced(warm: WarmProcess, place: Path, *options: str, kind: str = "merged") -> Run:
    """Index NEW into a fresh copy under strace."""
    target = place / "indexes" / "toy"
    copy_toy(target)
    if KINDS[kind]:
        (target / "index.toml").write_text(KINDS[kind])
    source = jsonl(place / "new.jsonl", NEW)
    trace = place / "trace"
    pid = warm.begin(["index", str(source), "-i", "toy", "--indexes", str(target.parent), "--device", "cpu"], place)
    with tracing(pid, "-o", trace, *options):
        os.kill(pid, signal.SIGCONT)
        returncode = warm.wait()
    raw = "".join(line for line in trace.read_text(errors="replace").splitlines(True) if " resumed>" not in line)
    n_calls = max(Counter(re.findall(r"^(\d+) +\w+\(", raw, re.MULTILINE)).values(), default=0)
    said = [(place / name).read_text() for name in ("stdout", "stderr")]
    return Run(IndexFolder(target), returncode, said[0], said[1], raw, n_calls)


def drop_threads(trace: str) -> list[str]:
    """The lines of a trace without the ids of threads."""
    return re.sub(r"^\d+ +", "", trace, flags=re.MULTILINE).splitlines()


@dataclass(frozen=True)
class Point:
    """The nth call of one kind by a thread of an undisturbed run.

    strace counts by thread, so an injection meets the first thread that comes so far.
    """

    call: str
    n: int
    is_inside: bool  # it changes what is under construction
    is_after: bool  # it follows the switch to the new generation


@pytest.fixture(scope="module", params=["merged", "kept", pytest.param("pruned", marks=pytest.mark.slow)])
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def points(tmp_path_factory: pytest.TempPathFactory, warm: WarmProcess, kind: str) -> list[Point]:
    """Every mutating call of an undisturbed run, in order; of the shortest of three, since a run may make more.

    SQLite may write a page more, and a folder is deleted again while a thread that is ending still writes into it.
    """
    options = ("-y", "-s", "200", "-e", f"trace={','.join(CALLS)}")
    runs = [traced(warm, tmp_path_factory.mktemp("plain"), *options, kind=kind) for _ in range(3)]
    for run in runs:
        assert run.returncode == 0, run.stderr
        assert state(run.folder) == "new"
        check_kind(run.folder, kind)
    points = list_points(min(runs, key=lambda run: run.n_calls).trace)
    names = Counter(point.call for point in points)
    assert names["fsync"] >= 7 and names["write"] + names["pwrite64"] > 15
    assert {(point.is_inside, point.is_after) for point in points} >= {(False, False), (True, False), (False, True)}
    return points


def list_points(trace: str) -> list[Point]:
    """The first of the nth calls of each kind by any thread, in order."""
    counts: Counter[tuple[str, str]] = Counter()
    points: dict[tuple[str, int], Point] = {}
    is_after = False
    for thread, call, rest in re.findall(r"^(\d+) +(\w+)\((.*)", trace, re.MULTILINE):
        counts[thread, call] += 1
        key = call, counts[thread, call]
        points.setdefault(key, Point(*key, "/building/" in rest, is_after))
        is_after = is_after or (call.startswith("rename") and "/CURRENT.tmp" in rest)
    return list(points.values())


def check_kind(folder: IndexFolder, kind: str) -> None:
    """Check that the run did with the published segment what its kind says."""
    segments = [(segment.n_records, segment.n_dead) for segment in folder.open_current().manifest.segments]
    assert segments == ([(40, 1), (3, 0)] if kind == "kept" else [(42, 0)])
    assert folder.list_numbers() == ([2] if kind == "pruned" else [1, 2])


def chosen(points: list[Point], step: int, kind: str) -> list[Point]:
    """Every step-th call inside building/, which the next run deletes whole; outside every twelfth and all that rename.

    Each kind of run has others, since most of its calls are those of the others. All have the first call after the
    switch to the new generation, and the last three.
    """
    inside = [point for point in points if point.is_inside][::step]
    outside = [point for point in points if not point.is_inside]
    twelfth = outside[list(KINDS).index(kind) :: 12]
    after = [point for point in outside if point.is_after]
    renames = [point for point in outside if "rename" in point.call]
    every = outside if step == 1 else [*twelfth, *renames, *after[:1], *after[-3:]]
    return [point for point in points if point in inside or point in every]


def test_the_calls_after_the_switch_are_among_those_chosen() -> None:
    trace = """1 mkdir("/toy/building/segment") = 0
2 write(5</toy/building/segment/map.npz>, "..", 2) = 2
1 write(5</toy/building/segment/map.npz>, "..", 2) = 2
1 rename("/toy/CURRENT.tmp", "/toy/CURRENT") = 0
1 fsync(4</toy>) = 0
""" + "".join(f'1 rmdir("/toy/{n}") = 0\n' for n in range(5))
    points = list_points(trace)
    assert [(point.call, point.n) for point in points[:4]] == [("mkdir", 1), ("write", 1), ("rename", 1), ("fsync", 1)]
    assert [point.is_after for point in points] == [False] * 3 + [True] * 6
    assert chosen(points, 61, "merged") == [points[0], *points[2:4], *points[-3:]]


EVERY = pytest.param(1, marks=[pytest.mark.slow, pytest.mark.timeout(3600)])


def state(folder: IndexFolder) -> str:
    """ "old" or "new", after checking that it is wholly so."""
    with open_index(folder.path) as index:
        ids = {hit.id for hit in index.search("gout", top_k=1000)}
        title = index.get("toy-03").title
        assert not verify(folder, folder.open_current(), deep=False)
    if len(ids) == 40:
        assert title == "Colchicine in lupus"
        return "old"
    assert len(ids) == 42 and {"new-1", "new-2"} <= ids and title.endswith("revised")
    return "new"


def next_run_succeeds(run: Run) -> None:
    source = run.folder.path.parent.parent / "new.jsonl"
    index_sources(run.folder, Order((source,), replace(Settings.load(run.folder.path), device="cpu")), silent)
    assert state(run.folder) == "new"
    left = {p.name for p in run.folder.path.iterdir()}
    assert left <= {"CURRENT", "LOCK", "generations", "segments", "encoders", "CURRENT.tmp", "index.toml"}
    manifests = [read_manifest(path) for path in run.folder.generations.iterdir()]
    named = {segment.name for manifest in manifests for segment in manifest.segments}
    assert {path.name for path in run.folder.segments.iterdir()} == named
    assert not list(run.folder.path.glob("encoders/*.tmp"))


def each(warm: WarmProcess, tmp_path: Path, injections: list[str], kind: str) -> Iterator[tuple[str, Run]]:
    """Run every injection, each in a folder that is deleted when it was looked at."""
    for number, injection in enumerate(injections):
        place = tmp_path / str(number)
        place.mkdir()
        calls = injection.split(":")[0]
        yield injection, traced(warm, place, "-e", f"trace={calls}", "-e", f"inject={injection}", kind=kind)
        shutil.rmtree(place)


@pytest.mark.timeout(900)
@pytest.mark.parametrize("step", [61, EVERY])
def test_killed_at_every_call_readers_see_old_or_new(
    warm: WarmProcess, tmp_path: Path, points: list[Point], kind: str, step: int
) -> None:
    seen: Counter[str] = Counter()
    kills = [f"{point.call}:signal=KILL:when={point.n}" for point in chosen(points, step, kind)]
    for injection, run in each(warm, tmp_path, kills, kind):
        now = state(run.folder)
        if run.returncode == 0:  # it made a call less than the counted run, so this one never came
            assert now == "new" and run.n_calls < int(injection.split("=")[-1]), injection
            continue
        assert run.returncode in (-9, 137), (injection, run.returncode, run.stderr)
        assert now == "new" or "published" not in run.stdout, injection
        seen[now] += 1
        next_run_succeeds(run)
    assert seen["old"] > 0.5 * len(kills) and seen["new"] >= 2, seen


def check_failure(injection: str, run: Run) -> str:
    """What a failing disk may lead to."""
    now = state(run.folder)
    assert run.returncode in (0, 1, 5), (injection, run.returncode, run.stderr)
    if run.returncode == 0:
        assert now == "new", (injection, run.stderr)  # the failing call was of no importance: a leftover, a mode
    elif run.returncode == 1:
        assert now == "old", (injection, run.stderr)
        assert "published," not in run.stdout
    else:
        assert now == "new", (injection, run.stderr)
    if not injection.startswith("write"):  # where messages can still be written
        assert "Traceback" not in run.stderr, (injection, run.stderr)
        assert run.returncode == 0 or run.stderr.count("Error: ") == 1, (injection, run.stderr)
    next_run_succeeds(run)
    return now


def failures(points: list[Point], *errors: str) -> list[tuple[str, str]]:
    """Injections of every error at every point: once, and from then on."""
    return [
        (f"{point.call}:error={error}:when={point.n}", f"{point.call}:error={error}:when={point.n}+")
        for point in points
        for error in errors or (("EIO",) if point.call in SYNCS else ("ENOSPC",))
    ]


@pytest.mark.timeout(900)
def test_a_failing_disk_is_an_error_and_the_old_generation_stays(
    warm: WarmProcess, tmp_path: Path, points: list[Point], kind: str
) -> None:
    """Each call fails once or from then on, by turns; the slow test below has both."""
    by_turns = [pair[n % 2] for n, pair in enumerate(failures(chosen(points, 61, kind)))]
    seen = Counter(check_failure(*done) for done in each(warm, tmp_path, by_turns, kind))
    assert seen["old"] >= 3 and seen["new"] >= 2, seen


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_every_error_at_every_call(warm: WarmProcess, tmp_path: Path, points: list[Point], kind: str) -> None:
    every = [injection for pair in failures(points, "EIO", "EDQUOT", "ENOSPC") for injection in pair]
    seen = Counter(check_failure(*done) for done in each(warm, tmp_path, every, kind))
    assert seen["old"] > 3 * len(points), seen


def test_calls_come_in_the_order_of_the_promise(warm: WarmProcess, tmp_path: Path) -> None:
    calls = f"{','.join(CALLS)},openat,open"
    run = traced(warm, tmp_path, "-y", "-s", "200", "-e", f"trace={calls}")
    lines = drop_threads(run.trace)

    def first(pattern: str, after: int = -1) -> int:
        found = [n for n, line in enumerate(lines) if n > after and re.search(pattern, line)]
        assert found, f"{pattern} not after line {after}"
        return found[0]

    of_segment = ("vectors.faiss", "abstracts.db", "map.npz", "segment.json")
    of_generation = ("state.db", "axes.npz", "manifest.json")
    whole = first(
        r"fsync\(\d+<[^>]*/building/segment>",
        max(first(rf"fsync\(\d+<[^>]*building/segment/{name}") for name in of_segment),
    )
    folder = first(
        r"fsync\(\d+<[^>]*/building/generation>",
        max(whole, *(first(rf"fsync\(\d+<[^>]*building/generation/{name}") for name in of_generation)),
    )
    shared = first(r'rename\("[^"]*/building/segment", "[^"]*/segments/000002-[0-9a-f]{8}"', folder)
    kept_segment = first(r"fsync\(\d+<[^>]*/segments>", shared)
    moved = first(r'rename\("[^"]*/building/generation", "[^"]*/generations/000002"', kept_segment)
    named = first(r"fsync\(\d+<[^>]*/generations>", moved)
    pointed = first(r'rename\("[^"]*/CURRENT.tmp", "[^"]*/CURRENT"', named)
    kept = first(r"fsync\(\d+<[^>]*/indexes/toy>", pointed)
    said = first(r"write\(1<.*published", kept)
    assert not any("published" in line and not line.startswith("open") for line in lines[:said])
    assert first(r"fsync\(\d+<[^>]*/CURRENT.tmp", named) < pointed
    for place in ("generations/000001", "segments/000001"):
        old = [line for line in lines if place in line]
        assert old and not any(re.search(r"O_WRONLY|O_RDWR|O_TRUNC|write|rename|unlink", line) for line in old)
