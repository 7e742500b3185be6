import os
import resource
import tracemalloc
from collections.abc import Iterator
from pathlib import Path

import openpyxl
import pytest

from engine.errors import EngineError, UsageError
from engine.records.abstract import Abstract
from engine.references.formats import FORMATS, check_format, render_records, write
from engine.references.values.citation import Cited
from tests.references.found import BARE, FULL, cite, cite_all

LONG = [cite(Abstract(str(n), f"Title {n}", os.urandom(500).hex()), n + 1) for n in range(200)]


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@pytest.mark.parametrize("suffix", [*FORMATS, ".RIS"])
def test_each_suffix_has_its_format(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"hits{suffix}"
    write(path, cite_all([FULL, BARE]), "gout (generation 000001)")
    assert names(tmp_path) == [path.name]
    begins = {
        ".ris": b"TY  - JOUR\r\n",
        ".nbib": b"PMID- 123\r\n",
        ".bib": b"@article{",
        ".xml": b'<?xml version="1.0" encoding="UTF-8"?>\n<xml><records>\n<record>',
        ".csl.json": b'[\n{"id": "toy-01", ',
        ".csv": b"rank,id,score,",
        ".tsv": b"rank\tid\tscore\t",
        ".xlsx": b"PK\x03\x04",
        ".json": b'[\n{"rank": 1, ',
        ".jsonl": b'{"rank": 1, ',
        ".md": b"# gout (generation 000001)\n",
        ".vancouver.txt": b"1. van de Schoot R, ",
        ".apa.txt": b"1. van de Schoot, R., ",
    }
    assert path.read_bytes().startswith(begins[suffix.lower()])


@pytest.mark.parametrize("suffix", FORMATS)
def test_no_hits_are_a_file_too(tmp_path: Path, suffix: str) -> None:
    write(tmp_path / f"hits{suffix}", [], "gout")
    assert names(tmp_path) == [f"hits{suffix}"]


def test_the_title_and_raw_are_passed_on(tmp_path: Path) -> None:
    formula = [cite(Abstract("a", "=1", ""))]
    write(tmp_path / "a.xlsx", formula, "gout")
    write(tmp_path / "a.csv", formula, "gout", raw=True)
    write(tmp_path / "b.csv", formula, "gout")
    assert openpyxl.load_workbook(tmp_path / "a.xlsx").properties.title == "gout"
    assert ",=1," in (tmp_path / "a.csv").read_text() and ",'=1," in (tmp_path / "b.csv").read_text()


def test_text_that_utf8_can_not_hold_stops_nothing(tmp_path: Path) -> None:
    write(tmp_path / "a.md", [cite(BARE)], "gout \udcff")
    assert (tmp_path / "a.md").read_text(encoding="utf-8").startswith("# gout ?\n")
    write(tmp_path / "a.xlsx", [cite(BARE)], "gout \udcff")


@pytest.mark.parametrize("name", ["hits", "hits.doc", "hits.csv.gz"])
def test_an_unknown_suffix_is_refused_with_those_that_are_known(tmp_path: Path, name: str) -> None:
    with pytest.raises(
        UsageError,
        match=r"no format has the suffix '.*'. Known are .ris, .nbib, .bib, .*, .md, .vancouver.txt, .apa.txt",
    ):
        check_format(tmp_path / name)


@pytest.fixture
def full_disk() -> Iterator[None]:
    """No file may grow beyond 20 kB."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, hard))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.mark.parametrize("suffix", FORMATS)
@pytest.mark.parametrize("overwrite", [False, True])
def test_when_the_disk_is_full_nothing_is_left_and_nothing_is_lost(
    tmp_path: Path, full_disk: None, suffix: str, overwrite: bool
) -> None:
    path = tmp_path / f"hits{suffix}"
    if overwrite:
        path.write_text("mine")
    if suffix in (".md", ".vancouver.txt", ".apa.txt"):  # have no abstracts
        found = [cite(Abstract(str(n), "Title " * 40, "")) for n in range(200)]
    else:
        found = LONG
    with pytest.raises(EngineError, match=rf"hits{suffix} can't be written: File too large"):
        write(path, found, "", overwrite=overwrite)
    assert names(tmp_path) == ([path.name] if overwrite else [])
    assert not overwrite or path.read_text() == "mine"


def test_whatever_stops_it_nothing_is_left(tmp_path: Path) -> None:
    class Stopped(list[Cited]):
        def __iter__(self) -> Iterator[Cited]:
            raise KeyboardInterrupt("ctrl-c")

    with pytest.raises(KeyboardInterrupt, match="ctrl-c"):
        write(tmp_path / "hits.md", Stopped(), "")
    assert names(tmp_path) == []


@pytest.mark.parametrize("suffix", FORMATS)
def test_the_content_is_that_of_the_file(tmp_path: Path, suffix: str) -> None:
    found = cite_all([FULL, BARE])
    write(tmp_path / f"hits{suffix}", found, "gout")
    made = b"".join(render_records(suffix, found, "gout"))
    if suffix == ".xlsx":  # holds the time of its making
        (tmp_path / "made.xlsx").write_bytes(made)
        rows = [list(openpyxl.load_workbook(path).active.values) for path in sorted(tmp_path.glob("*.xlsx"))]
        assert rows[0] == rows[1] and len(rows[0]) == 3
    else:
        assert made == (tmp_path / f"hits{suffix}").read_bytes()


def test_the_content_is_of_the_kind_that_is_asked_for() -> None:
    formula = [cite(Abstract("a", "=1", ""))]
    assert b",'=1," in b"".join(render_records(".csv", formula, ""))
    assert b",=1," in b"".join(render_records(".csv", formula, "", raw=True))
    tabs = b"".join(render_records(".tsv", formula, "", raw=True, changes=["added"])).split(b"\n")
    assert tabs[0].startswith(b"change\trank\tid\t") and tabs[1].startswith(b"added\t1\ta\t")
    assert b"".join(render_records(".md", [], "gout \udcff")).startswith(b"# gout ?\n")
    assert b'"title": "?"' in b"".join(render_records(".jsonl", [cite(Abstract("a", "\udcff", ""))], ""))
    assert b"b?c" in b"".join(render_records(".csv", [cite(Abstract("a", "b\udcffc", ""))], ""))


@pytest.mark.parametrize("suffix", FORMATS)
def test_memory_does_not_grow_with_the_records(tmp_path: Path, suffix: str) -> None:
    def measure(n: int) -> int:
        records = (Abstract(str(k), os.urandom(1000).hex(), os.urandom(1000).hex()) for k in range(n))
        tracemalloc.start()
        write(tmp_path / f"all{suffix}", (Cited(None, record) for record in records), "", overwrite=True)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return peak

    measure(1)  # loads the library
    assert measure(400) < measure(40) + (1 << 19)
