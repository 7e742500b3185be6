"""`engine chase`: citations from known records, and a list of what is missing."""

import csv
import json
import subprocess
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest

from engine.reindex.generation.order import Report

Run = Callable[..., subprocess.CompletedProcess[str]]
ROWS = (
    {"id": "a", "title": "A", "pmid": "1", "references": ["PMID:2", "PMID:99", "Roe, 2001, J"]},
    {"id": "b", "title": "B", "pmid": "2", "year": 2001, "references": ["PMID:98", "PMID:99"]},
    {"id": "c", "title": "C", "references": ["PMID:1"]},
)


def test_only_some_of_many_absent_ids_are_printed(engine: Run, add: Callable[..., Report], tmp_path: Path) -> None:
    add(*ROWS)
    known = tmp_path / "known.txt"
    known.write_text("a\nb\n" + "".join(f"x{n}\n" for n in range(1, 1001)))
    done = engine("chase", "--known", known, "-i", "toy")
    assert "Not in this index: x1, x2, " in done.stdout
    assert ", x19, x20 and 980 more: --json lists them\n" in done.stdout
    assert len(json.loads(engine("chase", "--known", known, "-i", "toy", "--json").stdout)["absent"]) == 1000


def test_a_chase_is_printed_and_written(engine: Run, add: Callable[..., Report], tmp_path: Path) -> None:
    add(*ROWS)
    known, table, missing = tmp_path / "known.txt", tmp_path / "found.csv", tmp_path / "missing.txt"
    known.write_text("1\nnope\n")
    done = engine("chase", "--known", known, "-i", "toy", "-o", table, "--missing", missing)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == [
        "1 known record in the index; 3 of its 43 records have a list of references",
        "Not in this index: nope",
        "Read 1 list of 1 record, with 3 references: 1 in the index, 1 not, 1 without an id",
        "",
        "step  cited by  cites  id  title",
        "   1         1      0  b  B (2001)",
        "   1         0      1  c  C",
        "",
        "Not in the index: 1 cited work. Cited most often:",
        "             1  PMID:99",
    ]
    assert done.stderr.splitlines() == [f"2 records to {table}", f"1 id to {missing}"]
    assert missing.read_text() == "PMID:99\n"
    with table.open(newline="", encoding="utf-8-sig") as file:
        assert [(row["step"], row["cited_by"], row["cites"], row["id"]) for row in csv.DictReader(file)] == [
            ("1", "1", "0", "b"), ("1", "0", "1", "c"),
        ]  # fmt: skip
    refused = engine("chase", "--known", known, "-i", "toy", "--missing", missing)
    assert refused.returncode == 2 and "exists" in refused.stderr


def test_one_direction_and_json(engine: Run, add: Callable[..., Report], tmp_path: Path) -> None:
    add(*ROWS)
    known = tmp_path / "known.txt"
    known.write_text("b\n")
    fields = json.loads(engine("chase", "--known", known, "-i", "toy", "--forward", "--depth", "2", "--json").stdout)
    assert [(one["step"], one["id"], one["cited_by"], one["cites"]) for one in fields["found"]] == [
        (1, "a", None, 1), (2, "c", None, 1),
    ]  # fmt: skip
    assert fields["depth"] == 2 and not fields["backward"] and fields["missing"] == []
    known.write_text("toy-01\n")
    alone = engine("chase", "--known", known, "-i", "toy", "--backward").stdout
    assert "No further record of the index is linked to them by a citation." in alone


def test_files_are_written_before_anything_is_printed(
    engine: Run, add: Callable[..., Report], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    add(*ROWS)
    known, missing = tmp_path / "known.txt", tmp_path / "missing.txt"
    known.write_text("1\n")

    def close(found: object) -> list[str]:
        raise BrokenPipeError  # as where `| head` has read enough

    monkeypatch.setattr("engine.cli.search.chase._format_chase", close)
    with suppress(BrokenPipeError):
        engine("chase", "--known", known, "-i", "toy", "--missing", missing)
    assert missing.read_text() == "PMID:99\n"
