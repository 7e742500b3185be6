import gzip
import io
import tracemalloc
import zipfile
from collections.abc import Mapping, Sequence
from datetime import date, datetime
from pathlib import Path

import openpyxl
import pytest
import xlsxwriter

from engine.collect.source import check_source, read_source
from engine.errors import SourceError
from engine.records.abstract import Abstract, Entry, Rejection, Remark

Rows = Sequence[Sequence[object]]


def save(path: Path, sheets: Mapping[str, Rows]) -> Path:
    """Write a workbook."""
    book = openpyxl.Workbook()
    book.remove(book.active)
    for name, rows in sheets.items():
        sheet = book.create_sheet(name)
        for row in rows:
            sheet.append(row)
    book.save(path)
    return path


def read(path: Path, *rows: Sequence[object]) -> list[Entry]:
    return list(read_source(save(path, {"Sheet1": rows})))


@pytest.fixture
def source(tmp_path: Path) -> Path:
    return tmp_path / "source.xlsx"


def test_cells_of_every_kind_are_texts(source: Path) -> None:
    found = read(
        source,
        ("Title", "Abstract", "Year", "PMID", "Date", "Volume"),
        ("A", "a\nb", 2019, 30000001, datetime(2019, 5, 1), 12.5),
        ("B", None, 2018.0, "30000002", date(2018, 1, 2), 3.0),
        (None, None, None),
        ("#N/A", "only\u2028text _x0041_", "2017"),
    )
    assert found == [
        Abstract("PMID:30000001", "A", "a\nb", 2019, pmid="30000001", published="2019-05-01", volume="12.5"),
        Abstract("PMID:30000002", "B", "", 2018, pmid="30000002", published="2018-01-02", volume="3"),
        Abstract(found[2].record_id, "", "only\u2028text A", 2017),  # type: ignore[union-attr]
    ]
    assert check_source(source).name == "XLSX"


def test_the_first_sheet_with_a_header_is_read_and_further_ones_are_remarked(source: Path) -> None:
    header, row = ("id", "Title", "Abstract"), ("1", "A", "B")
    sheets = {
        "About": [("Search of May",)],
        "Refs": [(), ("Exported",), header, row],
        "More": [header, ("2", "C", "D")],
    }
    assert list(read_source(save(source, sheets))) == [
        Abstract("1", "A", "B"),
        Remark("a further sheet with a header, not read: save it as a file of its own", "sheet More"),
    ]


def test_a_bad_row_is_rejected_by_its_number(source: Path) -> None:
    found = read(source, ("id", "title"), ("1", "A"), ("2", None), ("3", "C", "too much"), ("4", "D"))
    assert [entry.place for entry in found if isinstance(entry, Rejection)] == ["row 3", "row 4"]
    assert [entry.record_id for entry in found if isinstance(entry, Abstract)] == ["1", "4"]


def test_a_wrong_size_in_the_sheet_does_not_matter_nor_does_gzip(source: Path) -> None:
    save(source, {"S": [("id", "title"), ("1", "A"), ("2", "B")]})
    with zipfile.ZipFile(source) as archive:
        parts = {part: archive.read(part) for part in archive.namelist()}
    sheet = parts["xl/worksheets/sheet1.xml"]
    assert b'ref="A1:B3"' in sheet
    with zipfile.ZipFile(source, "w") as archive:
        for part, content in parts.items():
            archive.writestr(part, content.replace(b'ref="A1:B3"', b'ref="A1"'))
    expected = [Abstract("1", "A", ""), Abstract("2", "B", "")]
    assert list(read_source(source)) == expected
    source.write_bytes(gzip.compress(source.read_bytes()))
    assert list(read_source(source)) == expected


def archive_of(path: Path, parts: Mapping[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for part, content in parts.items():
            archive.writestr(part, content)
    return path


@pytest.mark.parametrize(
    ("parts", "message"),
    [
        ({"a.csv": b"title\nA\n"}, "is a ZIP file, or a document that is no Excel workbook"),
        ({"[Content_Types].xml": b"", "word/document.xml": b""}, "is no Excel workbook .*Save it as .xlsx"),
        ({"[Content_Types].xml": b"", "xl/workbook.bin": b""}, "a binary Excel workbook .*Save the sheet as .xlsx"),
        ({"xl/workbook.xml": b"", "xl/a.xml": b"0" * (17 << 20)}, "inflate to 17,825,792: not a workbook"),
        ({"xl/workbook.xml": b"<x"}, "broken Excel workbook"),
    ],
)
def test_what_is_no_workbook_is_refused_by_name(source: Path, parts: Mapping[str, bytes], message: str) -> None:
    with pytest.raises(SourceError, match=message):
        list(read_source(archive_of(source, parts)))


def test_a_workbook_that_breaks_off_or_has_no_header_is_refused(source: Path) -> None:
    save(source, {"About": [("Search",)], "Empty": []})
    with pytest.raises(SourceError, match=r"no sheet has a header .* \(sheets: 'About', 'Empty'\)"):
        list(read_source(source))
    save(source, {"S": [("id", "title"), ("1", "A")]})
    source.write_bytes(source.read_bytes()[:-100])
    with pytest.raises(SourceError, match="broken Excel workbook"):
        list(read_source(source))


def test_memory_does_not_grow_with_the_rows(source: Path) -> None:
    def measure(n: int) -> int:
        out = io.BytesIO()
        book = xlsxwriter.Workbook(out, {"constant_memory": True})
        sheet = book.add_worksheet()
        sheet.write_row(0, 0, ("id", "title", "abstract"))
        for k in range(n):
            sheet.write_row(k + 1, 0, (f"r{k}", f"T{k}", f"{k} " * 500))
        book.close()
        source.write_bytes(out.getvalue())
        tracemalloc.start()
        assert sum(1 for _ in read_source(source)) == n
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return peak

    measure(1)  # loads the library
    assert measure(2000) < 2 * measure(200) + (1 << 20)
