import io
import re
from pathlib import Path
from zipfile import ZipFile

import openpyxl
import pytest
from hypothesis import example, given

from engine.collect.values.cells import _MAX_CELL, clean_cell
from engine.errors import UsageError
from engine.records.abstract import Abstract
from engine.references.values.fields import COLUMNS
from engine.references.writers import workbook as module
from engine.references.writers.workbook import write_workbook
from tests.conftest import examples
from tests.references.found import BARE, FULL, TEXT, cite


def render(*found: object, title: str = "Gout & more") -> bytes:
    return b"".join(write_workbook(found, title))  # type: ignore[arg-type]


def opened(*found: object) -> openpyxl.Workbook:
    """The workbook of these hits, read by another library."""
    return openpyxl.load_workbook(io.BytesIO(render(*found)))


def cells(book: openpyxl.Workbook, row: int) -> dict[str, openpyxl.cell.Cell]:
    return dict(zip(COLUMNS, book.active[row], strict=True))


def test_header_types_and_title() -> None:
    book = opened(cite(FULL, 3, 0.25), cite(BARE))
    assert [cell.value for cell in book.active[1]] == list(COLUMNS)
    assert all(cell.font.bold for cell in book.active[1])
    assert (book.active.freeze_panes, book.active.auto_filter.ref) == ("A2", "A1:AO3")
    assert book.properties.title == "Gout & more"
    row = cells(book, 2)
    assert [row[name].value for name in ("rank", "score", "year", "retracted", "bm25")] == [3, 0.25, 2021, 1, None]
    assert (row["pmid"].value, row["pmid"].data_type, row["doi"].data_type) == ("123", "s", "s")
    assert row["doi"].hyperlink is None
    assert row["abstract"].value == FULL.abstract
    assert row["mesh"].value == "Arthritis, Rheumatoid; Knee Joint"
    assert book.active.column_dimensions["D"].width > 40


@pytest.mark.parametrize(
    "text", ["=1+1", "+1", "-1", "@SUM(A1)", "{=1}", "http://a.b", "12", "'=1", "TRUE", "<r>x</r>"]
)
def test_what_looks_like_something_else_is_text(text: str) -> None:
    row = cells(opened(cite(Abstract("a", text, "", keywords=(text,)))), 2)
    assert (row["title"].value.rstrip(), row["title"].data_type, row["title"].hyperlink) == (text, "s", None)
    assert (row["keywords"].value.rstrip(), row["keywords"].data_type) == (text, "s")


def test_control_characters_go_and_line_ends_are_one_kind() -> None:
    row = cells(opened(cite(Abstract("a", "a\x00b\x0bc\x1fd\uffffe", "x\r\ny\rz"))), 2)
    assert (row["title"].value, row["abstract"].value) == ("abcde", "x\ny\nz")


def test_a_text_that_is_too_long_ends_with_words_that_say_so() -> None:
    fits, long, wide = "a" * _MAX_CELL, "b" * (_MAX_CELL + 1), "😀" * 20_000
    book = opened(*(cite(Abstract("a", text, "")) for text in (fits, long, wide)))
    found = [cells(book, row)["title"].value for row in (2, 3, 4)]
    assert found[0] == fits
    for text in found[1:]:
        assert text.endswith("… [cut: a cell holds 32,767 characters]")
        assert len(text.encode("utf-16-le")) // 2 in (_MAX_CELL - 1, _MAX_CELL)


def test_the_same_hits_are_the_same_bytes() -> None:
    assert render(cite(FULL)) == render(cite(FULL))
    assert opened(cite(FULL)).properties.created.year == 2000


def test_more_hits_than_rows_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_MAX_ROWS", 3)
    assert opened(cite(BARE), cite(BARE)).active.max_row == 3
    with pytest.raises(UsageError, match=r"more records than a sheet has rows \(3\). Write a .csv, or select fewer"):
        opened(cite(BARE), cite(BARE), cite(BARE))


def test_nothing_is_left_in_the_temporary_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    assert opened(cite(BARE)).active.max_row == 2
    assert list(tmp_path.iterdir()) == []


def as_excel_reads(cell: str) -> str:
    """A cell's text, whose _x0041_ are characters; openpyxl leaves them as they stand in the file."""
    return re.sub("_x([0-9A-Fa-f]{4})_", lambda found: chr(int(found[1], 16)), cell)


@examples(0.5)
@given(text=TEXT)
@example("_x0041_")
def test_whatever_text_it_is_a_cell_holds_it(text: str) -> None:
    raw = render(cite(Abstract("a", text, "b")), title=text)
    row = cells(openpyxl.load_workbook(io.BytesIO(raw)), 2)
    assert row["abstract"].value == "b"
    assert as_excel_reads(row["title"].value or "") == clean_cell(text)
    assert b"<f>" not in ZipFile(io.BytesIO(raw)).read("xl/worksheets/sheet1.xml")
