"""XLSX, for people who screen in a spreadsheet."""

from __future__ import annotations

import io
import re
import tempfile
from collections.abc import Iterable
from contextlib import suppress
from datetime import datetime
from typing import Any

from engine.errors import UsageError
from engine.references.citation import Cited
from engine.references.fields import Cell, build_cells, choose_columns

_MAX_ROWS = 1_048_576  # of a sheet, the header among them
_MAX_CELL = 32_767  # UTF-16 units
_CUT = " … [cut: a cell holds 32,767 characters]"
_NO_XML = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")  # what XML 1.0 can't hold
_WIDTHS = {"id": 18, "title": 60, "abstract": 60, "journal": 28, "authors": 28, "pmid": 11, "doi": 24}  # characters
_OTHERWISE = 12
_CREATED = datetime(2000, 1, 1)  # always the same, so that the same hits are the same bytes


def write_workbook(cited: Iterable[Cited], title: str) -> bytes:
    """Return records as a workbook of one sheet; the same records give the same bytes.

    A text is a text cell, whatever it looks like, without the control characters that XML can't hold; years, ranks and
    scores are numbers. A text of more than 32,767 characters, the most in one cell, is cut and ends with a note.

    Raises:
        UsageError: more records than a sheet has rows.
    """
    import xlsxwriter  # type: ignore[import-untyped]  # takes long to load, which other formats needn't wait for
    from xlsxwriter.exceptions import FileCreateError  # type: ignore[import-untyped]

    out = io.BytesIO()
    with tempfile.TemporaryDirectory() as scratch:
        book = xlsxwriter.Workbook(out, {"constant_memory": True, "use_zip64": True, "tmpdir": scratch})
        book.set_properties({"title": _NO_XML.sub("", title), "created": _CREATED})
        sheet = book.add_worksheet("references")
        try:
            fill(sheet, book.add_format({"bold": True}), cited)
            book.close()
        except FileCreateError as err:
            raise err.args[0] from err  # the OSError that it wraps
        finally:
            with suppress(OSError):
                sheet.row_data_fh.close()  # XlsxWriter leaves it open where something goes wrong
    return out.getvalue()


def fill(sheet: Any, bold: Any, cited: Iterable[Cited]) -> None:
    """Write the header and a row for each record; row by row, since rows that are done leave memory.

    Raises:
        UsageError: more records than a sheet has rows.
    """
    columns, records = choose_columns(cited)
    sheet.freeze_panes(1, 0)
    for column, name in enumerate(columns):
        sheet.set_column(column, column, _WIDTHS.get(name, _OTHERWISE))
        sheet.write_string(0, column, name, bold)
    n_rows = 0
    for n_rows, one in enumerate(records, 1):
        if n_rows >= _MAX_ROWS:
            raise UsageError(f"more records than a sheet has rows ({_MAX_ROWS:,}). Write a .csv, or select fewer")
        for column, cell in enumerate(build_cells(one)):
            write(sheet, n_rows, column, cell)
    sheet.autofilter(0, 0, n_rows, len(columns) - 1)


def write(sheet: Any, row: int, column: int, cell: Cell) -> None:
    """Write one cell; an empty one is left out. write_string makes text of anything: no formula, no link, no number."""
    if isinstance(cell, str):
        if text := _clean_cell(cell):
            sheet.write_string(row, column, text)
    elif cell is not None:
        sheet.write_number(row, column, cell)


def _clean_cell(text: str) -> str:
    r"""Return a text that a cell can hold: without control characters, lines ending with \n, cut if too long."""
    text = _NO_XML.sub("", text.replace("\r\n", "\n").replace("\r", "\n"))
    if len(text) > _MAX_CELL // 2 and len(raw := text.encode("utf-16-le")) > 2 * _MAX_CELL:
        text = raw[: 2 * (_MAX_CELL - len(_CUT))].decode("utf-16-le", "ignore") + _CUT
    # XlsxWriter takes <r>…</r> for markup of its own and writes it as it is.
    return f"{text} " if text.startswith("<r>") and text.endswith("</r>") else text
