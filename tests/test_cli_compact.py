"""`engine compact`, and what `engine status` says of segments and sizes."""

import json
import re
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from engine import open_index
from engine.index.files.lock import lock_for_writing
from engine.index.generations.folder import IndexFolder
from tests.conftest import jsonl

Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def grown(toy: IndexFolder, engine: Run, tmp_path: Path) -> IndexFolder:
    """The toy index after two runs that added a segment each; the first changed a record."""
    (toy.path / "index.toml").write_text("one_segment_below = 0\n")
    for rows in (
        [{"id": "toy-01", "title": "Anew"}],
        [{"id": "new-1", "title": "Gout"}, {"id": "new-2", "title": "B"}],
    ):
        assert engine("index", jsonl(tmp_path / "rows.jsonl", rows), "-i", "toy").returncode == 0
    return toy


def describe_segments(engine: Run) -> str:
    """The line of `engine status` on segments."""
    (line,) = re.findall(r"^ +(\d+ segments?.*)$", engine("status").stdout, re.MULTILINE)
    return str(line)


def test_status_counts_segments_and_dead_records(grown: IndexFolder, engine: Run) -> None:
    assert describe_segments(engine) == "3 segments, 1 of 43 records in them dead (2.3 %)"
    found = json.loads(engine("status", "--json").stdout)
    assert sorted((segment["n_records"], segment["n_dead"]) for segment in found["segments"]) == [
        (1, 0),
        (2, 0),
        (40, 1),
    ]


def test_status_gives_the_size_of_every_part(grown: IndexFolder, engine: Run) -> None:
    lines = engine("status").stdout.splitlines()
    (line,) = (line for line in lines if line.startswith("  size: "))
    sizes = {what: float(n) for what, n in re.findall(r"([a-z ]+) ([\d.]+) MB", line.removeprefix("  size: "))}
    assert [what.strip() for what in sizes] == ["records", "vectors", "map", "words", "history and tombstones"]
    (total,) = re.findall(r"\(([\d.]+) MB;", lines[1])
    assert float(total) == pytest.approx(sum(sizes.values()), abs=0.05 * (len(sizes) + 1))
    on_disk = sum(path.stat().st_size for path in grown.open_current().list_files())
    assert float(total) == pytest.approx(on_disk / 1e6, abs=0.1)


def test_compact_leaves_one_segment_without_dead_records(grown: IndexFolder, engine: Run) -> None:
    with open_index(grown.path) as index:
        before = list(index.abstracts())
    done = engine("compact", "toy")
    assert done.returncode == 0
    assert done.stdout.startswith("merged 3 segments, dropped 1 dead record\n")
    assert "toy: generation 000004 published, " in done.stdout
    assert describe_segments(engine) == "1 segment"
    with open_index(grown.path) as index:
        assert list(index.abstracts()) == before
    assert "compact" in engine("log", "-n", "1").stdout
    assert engine("verify", "--deep").returncode == 0
    assert engine("rollback").returncode == 0  # the generation before still has its segments
    assert describe_segments(engine) == "3 segments, 1 of 43 records in them dead (2.3 %)"


def test_compact_changes_nothing_where_there_is_nothing_to_do(toy: IndexFolder, engine: Run) -> None:
    assert engine("compact").stdout.startswith("measured for verdicts\ntoy: generation 000002 published")  # an old rule
    done = engine("compact")
    assert done.returncode == 0 and toy.read_current() == 2
    assert done.stdout == "the index is one segment without dead records: there is nothing to compact\n"
    found = json.loads(engine("compact", "--json").stdout)
    assert (found["index"], found["published"], found["generation"]) == ("toy", False, 2)


def test_compact_prints_its_report_as_json(grown: IndexFolder, engine: Run) -> None:
    found = json.loads(engine("compact", "toy", "--json").stdout)
    assert (found["published"], found["generation"], found["counts"]["abstracts"]) == (True, 4, 42)
    assert found["counts"]["encoded"] == 0
    assert found["notes"][0] == "merged 3 segments, dropped 1 dead record"


def test_compact_waits_for_no_other_writer(grown: IndexFolder, engine: Run) -> None:
    with lock_for_writing(grown.lock):
        done = engine("compact", "toy")
    assert done.returncode == 4 and "Error: " in done.stderr and grown.read_current() == 3


def test_compact_needs_an_index(engine: Run) -> None:
    assert engine("init", "fresh").returncode == 0
    done = engine("compact", "fresh")
    assert done.returncode == 1 and "fresh has no index yet. Run: engine reindex fresh" in done.stderr


def test_status_says_what_the_next_run_may_cost(grown: IndexFolder, engine: Run) -> None:
    (line,) = re.findall(r"^  next run: (.*)$", engine("status").stdout, re.MULTILINE)
    assert re.fullmatch(r"with 2 changes, merges no segment and needs about 1\.\d MB of disk", line)
    found = json.loads(engine("status", "--json").stdout)["next_run"]
    assert (found["n_changed"], found["n_merged"], found["n_records"], found["n_bytes"]) == (2, 0, 0, 0)
    (grown.path / "index.toml").write_text("one_segment_below = 1000\n")
    (line,) = re.findall(r"^  next run: (.*)$", engine("status").stdout, re.MULTILINE)
    assert re.fullmatch(r"with 2 changes, writes 3 segments again \(42 records, [\d.]+ MB\) and needs about .*", line)
    (grown.path / "index.toml").write_text("unknown = 1\n")
    done = engine("status", "-i", "toy")
    assert done.returncode == 0 and re.search(r"^  next run: .*index\.toml.*unknown", done.stdout, re.MULTILINE)
    assert "next_run" not in json.loads(engine("status", "--json", "-i", "toy").stdout)
