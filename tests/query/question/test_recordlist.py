"""Lists of ids and files of records, matched with the toy index."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from engine.errors import UsageError
from engine.index.generations.folder import IndexFolder
from engine.query.question.recordlist import read_record_list
from engine.reindex.generation.order import Report
from tests.conftest import TOY, jsonl

ROWS = [json.loads(line) for line in TOY.read_text(encoding="utf-8").splitlines()]
RIS = "TY  - JOUR\nTI  - {}\nPY  - {}\n{}ER  - \n"


def test_a_list_of_ids_is_not_looked_up(toy: IndexFolder, tmp_path: Path) -> None:
    path = tmp_path / "ids.txt"
    path.write_text("toy-03\nnope\ntoy-03\n")
    assert read_record_list(path, toy) == ("toy-03", "nope")
    path.write_text("pmid,decision\n7,include\n")
    assert read_record_list(path, toy) == ("7",)


def test_records_are_recognised_in_this_order(toy: IndexFolder, tmp_path: Path, add: Callable[..., Report]) -> None:
    add(
        {"id": "own", "title": "First", "abstract": "Text one.", "pmid": "901", "year": 2001},
        {"id": "two", "title": "Second", "abstract": "Text two.", "doi": "10.1/Two", "year": 2002},
        {"id": "old", "title": "Twice the same title", "abstract": "Text three.", "year": 2003},
        {"id": "new", "title": "Twice the same title", "abstract": "Text four.", "year": 2004},
    )
    path = tmp_path / "export.ris"
    path.write_text(
        RIS.format("Other title", 1999, "AN  - 901\nDB  - PubMed\n")
        + RIS.format("Another title", 1999, "DO  - https://doi.org/10.1/TWO\n")
        + RIS.format("TWICE the same title.", 2004, "")
        + RIS.format("Twice the same title", 2005, "")  # neither year
        + RIS.format(ROWS[8]["title"], ROWS[8]["year"], "")
        + RIS.format("Nobody has this", 2004, "DO  - 10.9/none\n")
    )
    *found, ambiguous, last, absent = read_record_list(path, toy)
    assert found == ["PMID:901", "DOI:10.1/two", "new"] or found == ["own", "two", "new"]
    assert ambiguous.startswith("TEXT:")
    assert (last, absent) == ("toy-09", "DOI:10.9/none")


def test_a_table_without_ids_is_one_of_records(toy: IndexFolder, tmp_path: Path) -> None:
    path = tmp_path / "titles.csv"
    path.write_text(f"title,year\n{ROWS[0]['title']},{ROWS[0]['year']}\nNobody has this,2004\n")
    first, second = read_record_list(path, toy)
    assert first == "toy-01" and second.startswith("TEXT:")


def test_what_is_neither_is_refused(toy: IndexFolder, tmp_path: Path) -> None:
    path = tmp_path / "empty.txt"
    path.write_text("# nothing\n")
    with pytest.raises(UsageError, match="contains no id, expected one PMID, DOI or record id per line"):
        read_record_list(path, toy)
    path.write_text("TY  - JOUR\nER  - \n")
    with pytest.raises(UsageError, match="holds no record with a title or an abstract"):
        read_record_list(path, toy)
    with pytest.raises(UsageError, match="absent"):
        read_record_list(tmp_path / "absent", toy)


def test_every_record_of_a_folder_of_exports_finds_itself(toy: IndexFolder, tmp_path: Path) -> None:
    assert read_record_list(jsonl(tmp_path / "all.jsonl", ROWS), toy) == tuple(row["id"] for row in ROWS)
