"""XLSX, for people who screen in a spreadsheet."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import Any

from engine.collect.values.cells import EXACT_COLUMNS, EXACT_SHEET, clean_cell, list_exact_rows
from engine.errors import UsageError
from engine.references.values.citation import Cited
from engine.references.values.fields import Cell, build_cells, choose_columns

_MAX_ROWS = 1_048_576  # of a sheet, the header among them
_NO_TITLE = re.compile("[\x00-\x1f\ud800-\udfff\ufffe\uffff]")  # what the title of a workbook can't hold
_WIDTHS = {"id": 18, "title": 60, "abstract": 60, "journal": 28, "authors": 28, "pmid": 11, "doi": 24}  # characters
_OTHERWISE = 12
_CREATED = datetime(2000, 1, 1)  # always the same, so that the same hits are the same bytes
_PIECE = 1 << 16  # bytes


def write_workbook(cited: Iterable[Cited], title: str) -> Iterator[bytes]:
    """Yield the pieces of a workbook with a sheet of these records; the same records give the same bytes.

    A text is a text cell, whatever it looks like, without the control characters that XML can't hold; years, ranks and
    scores are numbers. A text of more than 32,767 characters, the most in one cell, is cut and ends with a note. A
    hidden second sheet has the texts that cells can't hold, for the engine's own reader.

    The workbook is made in the temporary folder, row by row.

    Raises:
        UsageError: more records than a sheet has rows.
    """
    import xlsxwriter  # type: ignore[import-untyped]  # takes long to load, which other formats needn't wait for
    from xlsxwriter.exceptions import FileCreateError  # type: ignore[import-untyped]

    with tempfile.TemporaryDirectory() as scratch:
        path = Path(scratch) / "book.xlsx"
        book = xlsxwriter.Workbook(str(path), {"constant_memory": True, "use_zip64": True, "tmpdir": scratch})
        book.set_properties({"title": _NO_TITLE.sub("", title), "created": _CREATED})
        try:
            _fill_book(book, cited)
            book.close()
        except FileCreateError as err:
            raise err.args[0] from err  # the OSError that it wraps
        finally:
            for sheet in book.worksheets():
                with suppress(OSError):
                    sheet.row_data_fh.close()  # XlsxWriter leaves it open where something goes wrong
        with path.open("rb") as file:
            while piece := file.read(_PIECE):
                yield piece


def _fill_book(book: Any, cited: Iterable[Cited]) -> None:
    """Write the header and a row for each record; row by row, since rows that are done leave memory.

    Raises:
        UsageError: more records, or texts that cells can't hold, than a sheet has rows.
    """
    sheet, bold = book.add_worksheet("references"), book.add_format({"bold": True})
    columns, records = choose_columns(cited)
    sheet.freeze_panes(1, 0)
    for column, name in enumerate(columns):
        sheet.set_column(column, column, _WIDTHS.get(name, _OTHERWISE))
        sheet.write_string(0, column, name, bold)
    exact = _ExactSheet(book)
    id_column, n_rows = columns.index("id"), 0
    for n_rows, one in enumerate(records, 1):
        _check_rows(n_rows)
        cells = build_cells(one)
        record_id = clean_cell(str(cells[id_column]))
        for column, cell in enumerate(cells):
            _write_cell(sheet, n_rows, column, cell)
            if isinstance(cell, str):
                exact.add(record_id, columns[column], cell)
    sheet.autofilter(0, 0, n_rows, len(columns) - 1)


class _ExactSheet:
    """The second sheet, made when the first text needs it."""

    def __init__(self, book: Any) -> None:
        self.book = book
        self.sheet: Any = None
        self.n_rows = 0

    def add(self, record_id: str, column: str, text: str) -> None:
        """Add the rows of a text that a cell can't hold.

        Raises:
            UsageError: the sheet is full.
        """
        for row in list_exact_rows(record_id, column, text):
            if self.sheet is None:
                self.sheet = self.book.add_worksheet(EXACT_SHEET)
                self.sheet.hide()
                self._write(EXACT_COLUMNS)
            _check_rows(self.n_rows)
            self._write(row)

    def _write(self, row: Iterable[Cell]) -> None:
        """Write the next row."""
        for column, cell in enumerate(row):
            _write_cell(self.sheet, self.n_rows, column, cell)
        self.n_rows += 1


def _check_rows(n_rows: int) -> None:
    """Check that a sheet has this row, counted from 0.

    Raises:
        UsageError: it has not.
    """
    if n_rows >= _MAX_ROWS:
        raise UsageError(f"more records than a sheet has rows ({_MAX_ROWS:,}). Write a .csv, or select fewer")


def _write_cell(sheet: Any, row: int, column: int, cell: Cell) -> None:
    """Write one cell; an empty one is left out. write_string makes text of anything: no formula, no link, no number."""
    if isinstance(cell, str):
        if text := clean_cell(cell):
            sheet.write_string(row, column, text)
    elif cell is not None:
        sheet.write_number(row, column, cell)
