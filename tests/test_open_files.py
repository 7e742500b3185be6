"""An index of many segments, in processes that may open few files: every command works."""

import resource
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from engine.index.generations.folder import IndexFolder
from engine.reindex.generation.merges import Merges
from engine.reindex.runs import run as running
from tests.conftest import Command, jsonl, order_of, silent

MANY = 20
FILES = Path("/proc/self/fd")
BESIDES = 24  # files that a command has open besides one for each segment

pytestmark = pytest.mark.skipif(not FILES.is_dir(), reason="counts open files where /proc/self/fd lists them")


@pytest.fixture
def make(toy: IndexFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[int], None]:
    """Add segments of one record to the toy index, none of which is merged."""
    monkeypatch.setattr(running, "choose_merges", lambda *sizes: Merges(()))

    def build(n: int) -> None:
        for number in range(n):
            rows = jsonl(tmp_path / "rows.jsonl", [{"id": f"n{number}", "title": f"New {number}"}])
            running.index_sources(toy, order_of(rows, keep_generations=1), silent)
        assert len(toy.open_current().segments) == n + 1

    return build


@contextmanager
def may_open(n: int) -> Iterator[None]:
    """Let this process open n more files at once."""
    taken = {int(path.name) for path in FILES.iterdir()}
    free = (number for number in range(1 << 20) if number not in taken)
    limit = [number for number, _ in zip(free, range(n + 1), strict=False)][-1]
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (limit, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.mark.parametrize(
    ("n", "files"),
    [(MANY, MANY + BESIDES), pytest.param(200, 1024 - 64, marks=[pytest.mark.slow, pytest.mark.timeout(1800)])],
)
def test_every_command_works_with_few_open_files(
    make: Callable[[int], None], engine: Command, tmp_path: Path, n: int, files: int
) -> None:
    make(n)
    more = jsonl(tmp_path / "more.jsonl", [{"id": "n1", "title": "Revised"}, {"id": "more", "title": "More"}])
    commands = (
        ["search", "gout"],
        ["search", "gout", "--mode", "hybrid", "--year", "1990-"],
        ["status", "--sources"],
        ["index", str(more)],
        ["new", "gout", "--since", "1"],
        ["verify", "--deep"],
        ["duplicates"],
        ["compact"],
    )
    for command in commands:
        with may_open(files):
            done = engine(*command, "-i", "toy")
        assert done.returncode == 0, (command, done.stderr)
