"""Exports read by other programs: every record arrives, with its title, abstract and the numbers that citations need."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import openpyxl
import pytest

from engine.collect.source import read_source
from engine.records.abstract import Abstract
from engine.references.formats import write
from engine.references.values.citation import Cited
from tests.references.found import BARE, FULL, NO_TITLE

RECORDS = [FULL, BARE, NO_TITLE]
Row = tuple[str, str, str, str]  # title, abstract, volume, DOI; blanks do not count


def load_library(name: str) -> Any:
    """A library of the dev group, or a skip that says what to install."""
    return pytest.importorskip(name, reason=f"{name} is not installed: pip install --group dev")


def squeeze(*texts: object) -> Row:
    """Texts without blanks, "" for None."""
    title, abstract, volume, doi = ("".join(str(text or "").split()) for text in texts)
    return title, abstract, volume, doi


def read_with_rispy(path: Path) -> list[Row]:
    rows = load_library("rispy").loads(path.read_text(encoding="utf-8").replace("\r\n", "\n"))
    return [squeeze(*(row.get(name) for name in ("title", "abstract", "volume", "doi"))) for row in rows]


def read_with_nbib(path: Path) -> list[Row]:
    rows = load_library("nbib").read_file(str(path))
    return [squeeze(*(row.get(name) for name in ("title", "abstract", "journal_volume", "doi"))) for row in rows]


def read_with_biopython(path: Path) -> list[Row]:
    with path.open(encoding="utf-8") as file:
        rows = list(load_library("Bio.Medline").parse(file))
    dois = [str(row.get("LID", "")).removesuffix(" [doi]") for row in rows]
    return [squeeze(row.get("TI"), row.get("AB"), row.get("VI"), doi) for row, doi in zip(rows, dois, strict=True)]


def read_with_openpyxl(path: Path) -> list[Row]:
    with closing(openpyxl.load_workbook(path, read_only=True)) as book:
        header, *rows = book.worksheets[0].iter_rows(values_only=True)
    places = [header.index(name) for name in ("title", "abstract", "volume", "doi")]
    return [squeeze(*(row[place] for place in places)) for row in rows]


def read_with_pandas(path: Path) -> list[Row]:
    pandas = load_library("pandas")
    readers = {
        ".csv": lambda: pandas.read_csv(path, dtype=str),
        ".tsv": lambda: pandas.read_csv(path, dtype=str, sep="\t"),
        ".xlsx": lambda: pandas.read_excel(path, dtype=str),
        ".json": lambda: pandas.read_json(path, dtype=False),
        ".jsonl": lambda: pandas.read_json(path, dtype=False, lines=True),
    }
    rows = readers[path.suffix]()[["title", "abstract", "volume", "doi"]].astype(object).fillna("")
    return [squeeze(*row) for row in rows.itertuples(index=False)]


READERS: list[tuple[str, Callable[[Path], list[Row]]]] = [
    (".ris", read_with_rispy),
    (".nbib", read_with_nbib),
    (".nbib", read_with_biopython),
    (".xlsx", read_with_openpyxl),
    *((suffix, read_with_pandas) for suffix in (".csv", ".tsv", ".xlsx", ".json", ".jsonl")),
]


def export(path: Path, records: Sequence[Abstract] = RECORDS) -> Path:
    write(path, (Cited(None, record) for record in records), "")
    return path


@pytest.mark.parametrize(("suffix", "read"), READERS)
def test_other_readers_find_every_record(tmp_path: Path, suffix: str, read: Callable[[Path], list[Row]]) -> None:
    expected = [squeeze(one.title, one.abstract, one.volume, one.doi) for one in RECORDS]
    assert read(export(tmp_path / f"a{suffix}")) == expected


@pytest.mark.slow
@pytest.mark.parametrize(("suffix", "read"), READERS)
def test_other_readers_find_real_records(
    tmp_path: Path, shared: Path, suffix: str, read: Callable[[Path], list[Row]]
) -> None:
    files = ["endnote_xml/tafenoquine.xml", "pubmed_xml/medline16n0902.xml.gz", "ris/asreview_embase.ris"]
    entries = [entry for file in files for entry in read_source(shared / "formats" / file)]
    records = [entry for entry in entries if isinstance(entry, Abstract)]
    expected = [squeeze(one.title, one.abstract, one.volume, one.doi) for one in records]
    assert read(export(tmp_path / f"a{suffix}", records)) == expected


def test_pybtex(tmp_path: Path) -> None:
    database = load_library("pybtex.database")
    entries = list(database.parse_file(export(tmp_path / "a.bib")).entries.values())
    assert [entry.fields.get("title") for entry in entries] == [f"{{{FULL.title}}}", f"{{{BARE.title}}}", None]
    assert (entries[0].fields["volume"], entries[0].fields["pages"]) == ("58", "253--258")
    assert [len(entry.persons.get("author", ())) for entry in entries] == [5, 0, 0]


@pytest.mark.slow
@pytest.mark.parametrize(("suffix", "kind"), [(".bib", "bibtex"), (".csl.json", "csljson")])
def test_pandoc(tmp_path: Path, suffix: str, kind: str) -> None:
    if not shutil.which("pandoc"):
        pytest.skip("pandoc is not installed: apt-get install pandoc")
    command = ["pandoc", "-f", kind, "-t", "csljson", str(export(tmp_path / f"a{suffix}"))]
    items = json.loads(subprocess.run(command, capture_output=True, check=True, text=True).stdout)
    assert [item.get("title") for item in items] == [FULL.title, BARE.title, None]
    assert (items[0]["volume"], items[0]["page"]) == ("58", "253-258")
