"""Excel workbooks (.xlsx): the first sheet with a header, read row by row as a table."""

from __future__ import annotations

import io
import re
import shutil
import tempfile
import warnings
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import date, datetime
from itertools import islice
from typing import IO, Any

from engine.collect.tables.table import MAX_ABOVE, choose_header, read_row
from engine.collect.values import export
from engine.collect.values.cells import EXACT_SHEET, ExactTexts
from engine.errors import SourceError
from engine.files import AGAIN, ZIP, is_bomb
from engine.records.abstract import Entry, Remark

_SPOOLED = 16 << 20  # bytes of an unpacked workbook that are kept in memory
_MAX_STRINGS = 512 << 20  # bytes of texts that the cells share, which are all in memory
_STRINGS = "xl/sharedStrings.xml"
# What the reader raises for a workbook that is damaged: it checks little itself.
_FAULTS = (
    *(zipfile.BadZipFile, zlib.error, EOFError, OSError, SyntaxError, NotImplementedError, RuntimeError),
    *(ValueError, KeyError, TypeError, AttributeError, IndexError),
)
_ESCAPED = re.compile(r"_x([0-9A-Fa-f]{4})_")  # a character that XML can't hold, or an underscore before such text
_ERRORS = frozenset("#N/A #REF! #VALUE! #DIV/0! #NAME? #NULL! #NUM!".split())
_OTHER_SHEET = "a further sheet with a header, not read: save it as a file of its own"


def looks_like(head: bytes) -> bool:
    """Return whether a file is a ZIP file; which of them are workbooks is known before."""
    return head.startswith(ZIP)


def read(stream: io.BufferedReader, name: str) -> Iterator[Entry]:
    """Yield the records of the first sheet that has a header; a row that can't be used gives a Rejection.

    Only one row and the texts that cells share are in memory.

    Raises:
        SourceError: no sheet has a header, or the workbook is damaged, inflates without end or is no .xlsx.
    """
    with _open_seekable(stream) as file, _report_faults(name):
        _check_parts(file, name)
        with closing(_load(file)) as book:
            yield from _read_sheets(book, name)


def _read_sheets(book: Any, name: str) -> Iterator[Entry]:
    """Yield the records of the first sheet with a header, and a remark for each further one.

    Raises:
        SourceError: no sheet has a header.
    """
    is_read = False
    for sheet in book.worksheets:
        top = list(islice(_iterate_rows(sheet), MAX_ABOVE))
        number = choose_header(top)
        if number is None:
            continue
        header = [cell.strip() for cell in top[number]]
        if is_read:
            yield Remark(_OTHER_SHEET, f"sheet {sheet.title}")
        elif export.is_export(header):
            yield from _read_export(book, sheet, header, number + 1, name)
            return
        else:
            is_read = True
            for place, row in enumerate(islice(_iterate_rows(sheet), number + 1, None), number + 2):
                yield from read_row(header, row, name, f"row {place}", guarded=False)
    if not is_read:
        sheets = ", ".join(repr(sheet.title) for sheet in book.worksheets[:5])
        raise SourceError(
            f"{name}: no sheet has a header with a title or an abstract column in its first {MAX_ABOVE} rows "
            f"(sheets: {sheets}). Name the columns in the first row"
        )


def _read_export(book: Any, sheet: Any, header: list[str], start: int, name: str) -> Iterator[Entry]:
    """Yield the records of a sheet that the engine wrote, from the row of this number, counted from 0.

    A second sheet has the texts that its cells can't hold.
    """
    beside = _iterate_rows(book[EXACT_SHEET], errors=frozenset()) if EXACT_SHEET in book.sheetnames else iter(())
    exact, id_column = ExactTexts(islice(beside, 1, None)), header.index("id")
    for place, row in enumerate(islice(_iterate_rows(sheet, errors=frozenset()), start, None), start + 1):
        row += [""] * (len(header) - len(row))
        cells = [exact.restore(row[id_column], *pair) for pair in zip(header, row, strict=False)]
        yield from read_row(header, [*cells, *row[len(header) :]], name, f"row {place}", guarded=False)


@contextmanager
def _open_seekable(stream: io.BufferedReader) -> Iterator[IO[bytes]]:
    """Yield the stream, or a copy of it if it is compressed: the parts of a workbook are read in any order."""
    if stream.seekable():
        yield stream
        return
    with tempfile.SpooledTemporaryFile(_SPOOLED) as copy:
        shutil.copyfileobj(stream, copy)
        yield copy


@contextmanager
def _report_faults(name: str) -> Iterator[None]:
    """Turn what the reader raises for a damaged workbook into an error that names the file.

    Raises:
        SourceError: the workbook is damaged.
    """
    try:
        yield
    except _FAULTS as err:
        raise SourceError(f"{name}: broken Excel workbook ({type(err).__name__}: {str(err)[:80]}). {AGAIN}") from err


def _check_parts(file: IO[bytes], name: str) -> None:
    """Refuse what is no workbook, and one that inflates to far more than any real one.

    Raises:
        SourceError: it is refused.
    """
    with zipfile.ZipFile(file) as archive:
        parts = {part.filename: part for part in archive.infolist()}
    if "xl/workbook.bin" in parts:
        raise SourceError(f"{name} is a binary Excel workbook (.xlsb). Save the sheet as .xlsx or .csv")
    if "xl/workbook.xml" not in parts:
        raise SourceError(f"{name} is no Excel workbook (.xlsx), but a ZIP file or another document. Save it as .xlsx")
    for part in parts.values():
        if is_bomb(part.compress_size, part.file_size):
            raise SourceError(
                f"{name}: {part.compress_size:,} bytes of {part.filename} inflate to {part.file_size:,}: not a "
                "workbook of abstracts. If it is one, save the sheet as .csv"
            )
    if _STRINGS in parts and parts[_STRINGS].file_size > _MAX_STRINGS:
        raise SourceError(f"{name}: more than {_MAX_STRINGS:,} bytes of text. Save the sheet as .csv")


def _load(file: IO[bytes]) -> Any:
    """Open a workbook for reading row by row, with the results of its formulas."""
    import openpyxl  # type: ignore[import-untyped]  # takes long to load, which other formats needn't wait for

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about styles and extensions, which hold no text
        return openpyxl.load_workbook(file, read_only=True, data_only=True, keep_links=False)


def _iterate_rows(sheet: Any, errors: frozenset[str] = _ERRORS) -> Iterator[list[str]]:
    """Yield the rows of a sheet as texts, without the empty cells at their ends; these errors are empty cells."""
    sheet.reset_dimensions()  # some programs write wrong ones
    rows = sheet.iter_rows(values_only=True)
    while True:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            row = next(rows, None)
        if row is None:
            return
        cells = [_format_cell(value, errors) for value in row]
        while cells and not cells[-1]:
            cells.pop()
        yield cells


def _format_cell(value: Any, errors: frozenset[str]) -> str:
    """Return the text of a cell: whole numbers without a decimal point, dates as ISO 8601, "" for an error."""
    if isinstance(value, str):
        return "" if value in errors else _ESCAPED.sub(lambda match: chr(int(match[1], 16)), value)
    if isinstance(value, float) and value.is_integer() and abs(value) < 1e15:
        return str(int(value))
    if isinstance(value, datetime):
        return value.date().isoformat() if value.time() == datetime.min.time() else value.isoformat(" ")
    if isinstance(value, date):
        return value.isoformat()
    return "" if value is None else str(value)
