"""`engine export`: all records, or those that pass filters, without a query."""

import csv
import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from engine.collect.source import read_source
from engine.errors import UsageError
from engine.index.generations.folder import IndexFolder
from engine.query.index import open_index
from engine.records.abstract import Abstract
from tests.conftest import TOY_MODEL

Run = Callable[..., subprocess.CompletedProcess[str]]
SUFFIXES = (".ris", ".nbib", ".bib", ".xml", ".csl.json", ".csv", ".xlsx", ".json", ".jsonl")


def test_all_records_are_written_in_order_and_read_back(toy: IndexFolder, engine: Run, tmp_path: Path) -> None:
    outputs = [option for suffix in SUFFIXES for option in ("-o", tmp_path / f"all{suffix}")]
    done = engine("export", *outputs)
    assert (done.returncode, done.stdout) == (0, "")
    assert done.stderr.splitlines()[0] == f"40 records to {tmp_path / 'all.ris'}"
    with open_index(toy.path) as index:
        records = list(index.abstracts())
    for suffix in SUFFIXES:
        found = [entry for entry in read_source(tmp_path / f"all{suffix}") if isinstance(entry, Abstract)]
        assert found == records, suffix
    with (tmp_path / "all.csv").open(encoding="utf-8", newline="") as file:
        assert next(csv.reader(file))[:4] == ["id", "title", "abstract", "year"]


def test_filters_select_and_unknown_ids_are_reported(toy: IndexFolder, engine: Run, tmp_path: Path) -> None:
    (tmp_path / "ids.txt").write_text("toy-01\ntoy-02\nnope\n", encoding="utf-8")
    done = engine("export", "-o", tmp_path / "some.jsonl", "--ids", tmp_path / "ids.txt", "--where", "has_abstract")
    assert done.stderr.splitlines() == [
        "1 listed id not in this index: nope",
        f"2 records to {tmp_path / 'some.jsonl'}",
    ]
    lines = (tmp_path / "some.jsonl").read_text(encoding="utf-8").splitlines()
    assert [json.loads(line)["id"] for line in lines] == ["toy-01", "toy-02"]
    assert "rank" not in json.loads(lines[0])


def test_records_are_sorted_as_hits_are(toy: IndexFolder, engine: Run, tmp_path: Path) -> None:
    with open_index(toy.path) as index:
        years = {record.record_id: record.year for record in index.abstracts()}
        assert [record.record_id for record in index.abstracts(sort="relevance")] == list(years)
        with pytest.raises(UsageError, match="sort is 'size', expected one of relevance, year"):
            index.abstracts(sort="size")
    engine("export", "-o", tmp_path / "all.jsonl", "--sort", "year")
    lines = (tmp_path / "all.jsonl").read_text(encoding="utf-8").splitlines()
    found = [json.loads(line)["id"] for line in lines]
    newest_first = sorted((one for one in years if years[one] is not None), key=lambda one: -(years[one] or 0))
    assert found == [*newest_first, *(one for one in years if years[one] is None)]
    engine("export", "-o", tmp_path / "some.jsonl", "--sort", "year:asc", "--year", "2015-", "--overwrite")
    lines = (tmp_path / "some.jsonl").read_text(encoding="utf-8").splitlines()
    asked = sorted((one for one in years if (years[one] or 0) >= 2015), key=lambda one: years[one] or 0)
    assert [json.loads(line)["id"] for line in lines] == asked


def test_what_is_left_out_is_named(toy: IndexFolder, engine: Run, tmp_path: Path) -> None:
    done = engine("export", "-o", tmp_path / "all.md")
    assert "all.md: left out, since .md has no place for it: abstract (40)" in done.stderr
    done = engine("search", "gout", "-n", "3", "-o", "hits.md", "-o", "hits.csv")
    assert done.stderr.splitlines()[-3:] == [
        "3 to hits.md",
        "hits.md: left out, since .md has no place for it: abstract (3)",
        "3 to hits.csv",
    ]


def test_a_file_must_be_named(toy: IndexFolder, engine: Run, tmp_path: Path) -> None:
    assert "no file is named" in engine("export").stderr
    done = engine("export", "-o", tmp_path / "all.doc")
    assert done.returncode == 2 and "no format has the suffix" in done.stderr


def test_metadata_of_beir_are_kept(toy: IndexFolder, engine: Run, tmp_path: Path) -> None:
    metadata = {"url": "https://example.org/1", "n": 2, "tags": ["a", "b"]}
    row = {"_id": "MED-10", "title": "Statins", "text": "Body", "metadata": metadata}
    (tmp_path / "corpus.jsonl").write_text(json.dumps(row) + "\n")
    assert engine("index", tmp_path / "corpus.jsonl", "-i", "toy").returncode == 0
    assert engine("export", "-i", "toy", "-o", tmp_path / "all.jsonl").returncode == 0
    found = json.loads((tmp_path / "all.jsonl").read_text(encoding="utf-8").splitlines()[-1])
    (tag,) = found["other_tags"]
    assert (found["id"], tag.partition(": ")[0], json.loads(tag.partition(": ")[2])) == ("MED-10", "metadata", metadata)
    assert engine("index", tmp_path / "all.jsonl", "-i", "again", "-m", str(TOY_MODEL)).returncode == 0
    assert json.loads(engine("show", "MED-10", "-i", "again").stdout)["other_tags"] == [tag]
