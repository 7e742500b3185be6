"""Parquet: what pyarrow reads is what JSON says, with types, in blocks, and with sockets that refuse."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from engine.errors import EngineError, MissingExtraError, UsageError
from engine.index.generations.folder import IndexFolder
from engine.records.abstract import Abstract
from engine.references.formats import write
from engine.references.values.citation import Cited
from engine.references.writers import parquet as writer
from tests.retrievers.conftest import no_sockets as no_sockets

parquet = pytest.importorskip("pyarrow.parquet", reason="needs the [arrow] extra")

Run = Callable[..., subprocess.CompletedProcess[str]]


def rows_of(path: Path) -> list[dict[str, Any]]:
    return list(parquet.read_table(path).to_pylist())


def json_of(path: Path) -> list[dict[str, Any]]:
    return list(json.loads(path.read_text(encoding="utf-8")))


def test_hits_and_records_are_those_of_json(toy: IndexFolder, engine: Run, tmp_path: Path) -> None:
    for command in (("search", "gout", "-n", "7"), ("export", "--year", "1995-"), ("new", "gout", "--since", "0")):
        outputs = [tmp_path / f"{command[0]}.{kind}" for kind in ("parquet", "json")]
        done = engine(*command, "-o", outputs[0], "-o", outputs[1])
        assert done.returncode == 0, done.stderr
        found, expected = rows_of(outputs[0]), json_of(outputs[1])
        assert len(found) == len(expected) > 5
        changes = [row.pop("change", None) for row in found]
        assert set(changes) == ({"added"} if command[0] == "new" else {None})
        for row, wanted in zip(found, expected, strict=True):
            assert {name: value for name, value in row.items() if name in wanted} == wanted
            assert not any(value for name, value in row.items() if name not in wanted)
    schema = parquet.read_schema(tmp_path / "search.parquet")
    kinds = {name: str(schema.field(name).type) for name in ("rank", "score", "year", "retracted", "authors", "title")}
    assert kinds == {
        "rank": "int64",
        "score": "double",
        "year": "int64",
        "retracted": "bool",
        "authors": "list<element: string>",
        "title": "string",
    }


def test_decisions_are_columns(toy: IndexFolder, engine: Run, tmp_path: Path) -> None:
    outputs = [tmp_path / f"decisions.{kind}" for kind in ("parquet", "json")]
    assert engine("review", "start", "-i", "toy", "--review", "main").returncode == 0
    done = engine("review", "export", "-i", "toy", "--all", "-o", outputs[0], "-o", outputs[1])
    assert done.returncode == 0, done.stderr
    found, expected = rows_of(outputs[0]), json_of(outputs[1])
    assert len(found) == len(expected) == 40
    for name in ("decision", "label_included", "exclusion_reason"):
        assert [row[name] for row in found] == [row[name] for row in expected]


def test_blocks_and_odd_texts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writer, "_BLOCK", 2)
    records = [Abstract(f"r{n}", "a\ud800b", "", year=None if n else 2000, mesh=("x", "y\ud800")) for n in range(5)]
    write(tmp_path / "r.parquet", (Cited(None, record) for record in records), "")
    rows = rows_of(tmp_path / "r.parquet")
    assert [(row["id"], row["title"], row["year"]) for row in rows[:2]] == [("r0", "a?b", 2000), ("r1", "a?b", None)]
    assert rows[4]["mesh"] == ["x", "y?"] and parquet.ParquetFile(tmp_path / "r.parquet").num_row_groups == 3
    write(tmp_path / "none.parquet", [], "")
    assert rows_of(tmp_path / "none.parquet") == []


def test_a_file_is_whole_or_not_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail() -> Any:
        yield Cited(None, Abstract("r", "t", "a"))
        raise OSError(28, "No space left on device")

    with pytest.raises(EngineError, match="r.parquet can't be written: No space left on device"):
        write(tmp_path / "r.parquet", fail(), "")
    assert not list(tmp_path.iterdir())
    (tmp_path / "r.parquet").write_text("mine")
    with pytest.raises(UsageError, match="exists. Write over it: --overwrite"):
        write(tmp_path / "r.parquet", [], "")
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(MissingExtraError, match=r"pyarrow \(needed for Parquet\) is not installed"):
        write(tmp_path / "other.parquet", [], "")
