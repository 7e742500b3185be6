"""CSV and similar tables: comma, tab, semicolon or | between columns, a header with a title or abstract column."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from engine.collect.text.lines import NOT_UTF8, decode_head, refuse_bare_cr
from engine.collect.values import export
from engine.collect.values.columns import match_column
from engine.collect.values.rows import build_entries
from engine.errors import SourceError
from engine.files import MAX_LINE, decode_lines, sniff_delimiter
from engine.records.abstract import Entry, Rejection, Remark

_ROWS_INSIDE = "a cell holds lines that look like rows: is a quotation mark left open before it?"
MAX_ABOVE = 20  # lines in which the header is looked for
_MANY = 2  # more known columns than these make a header wherever it stands
_is_no_row = re.compile(r"\s*sep=.\s*|[\s,;|\"]*", re.IGNORECASE).fullmatch


@dataclass(frozen=True, slots=True)
class _Layout:
    """Where the rows of a table start."""

    n_before: int  # lines above the header that are not blank
    delimiter: str


def looks_like(head: bytes) -> bool:
    """Return whether one of the first lines is a header with a title or an abstract column."""
    return _find_header(head) is not None


def count_columns(head: bytes) -> int:
    """Return the number of known columns of the header; 0 if there is none."""
    layout = _find_header(head)
    return 0 if layout is None else _count_known(decode_head(head)[layout.n_before].split(layout.delimiter))


def _find_header(head: bytes) -> _Layout | None:
    """Return where the header is; None if no line of the first MAX_ABOVE has a title or an abstract column."""
    lines = decode_head(head)[:MAX_ABOVE]
    number = choose_header(sniff_delimiter(line, _count_known)[1] for line in lines)
    return None if number is None else _Layout(number, sniff_delimiter(lines[number], _count_known)[0])


def choose_header(rows: Iterable[list[str]]) -> int | None:
    """Return the number, from 0, of the row that is the header; None if no row has a title or an abstract column.

    What databases and spreadsheets write above it is skipped: the search, `sep=;`, rows without a value. The header is
    the first row with three known columns; else the first with two; else the first row of all, with one.
    """
    best, most, is_top = None, 0, True
    for number, cells in enumerate(rows):
        if _is_no_row(",".join(cells)):
            continue
        n_known = _count_known(cells)
        if export.is_export(cells) or (n_known > _MANY and _has_text(cells)):
            return number
        if n_known > max(most, 0 if is_top else 1) and _has_text(cells):
            best, most = number, n_known
        is_top = False
    return best


def _has_text(cells: list[str]) -> bool:
    """Return whether the cells of a header name a title or an abstract."""
    return any(match_column(cell.strip()) in ("title", "abstract") for cell in cells)


def _count_known(cells: list[str]) -> int:
    """Return the number of different fields that the cells of a header name."""
    return len({match_column(cell.strip(' "')) for cell in cells} - {None})


class _Lines:
    """The lines of a table for the csv module, with details that it doesn't report."""

    def __init__(self, stream: io.BufferedReader, name: str, delimiter: str) -> None:
        self.source = decode_lines(stream, name)
        self.delimiter = delimiter
        self.not_utf8: list[int] = []
        self.row: list[str] = []  # lines of the row being read
        self.last: list[str] = []  # of the previous row
        self.number = 0  # of the last line read

    def __iter__(self) -> Iterator[str]:
        for number, line, is_utf8 in self.source:
            if not is_utf8:
                self.not_utf8.append(number)
            self.row.append(line)
            self.number = number
            yield line

    def read_past(self, n: int) -> None:
        """Skip so many lines that are not blank, and the blank ones before the next."""
        while n > 0 and (item := next(self.source, None)) is not None:
            n -= bool(item[1].strip())

    def start_row(self) -> None:
        """Start collecting the lines of the next row."""
        self.last = self.row
        self.row = []
        self.not_utf8.clear()

    def is_left_open(self) -> bool:
        """Return whether the file ends inside a cell, because a quotation mark is not closed; call it at the end."""
        try:
            list(csv.reader(self.last, delimiter=self.delimiter, strict=True))
        except csv.Error as err:
            return len(self.last) > 1 and "unexpected end of data" in str(err)
        return False

    def restore_quotes(self, row: list[str], n_columns: int) -> list[str]:
        """Return the cells of the row being read with the quotation marks that the csv module took for its own.

        A table that was written without quoting has cells like "Scooped" risk, where the marks belong to the text.
        """
        if not any('"' in line for line in self.row):
            return row
        try:
            next(csv.reader(self.row, delimiter=self.delimiter, strict=True))
        except csv.Error as err:
            if "expected after" in str(err):
                cells = _split_literally("".join(self.row).rstrip("\r\n"), self.delimiter)
                return cells if len(cells) <= max(n_columns, len(row)) else row
        except StopIteration:
            return row
        return row

    def has_swallowed_rows(self, n_columns: int) -> bool:
        """Return whether lines inside a cell look like rows: they have as many columns as the header, three or more."""
        inner = self.row[1:-1] if n_columns > 2 else []
        return any(line.count(self.delimiter) == n_columns - 1 for line in inner)


def read(stream: io.BufferedReader, name: str) -> Iterator[Entry]:
    """Yield the records of a table in order; a row that can't be used gives a Rejection with its line number.

    Raises:
        SourceError: a quotation mark is never closed, or lines end with CR alone.
    """
    refuse_bare_cr(stream, name)
    start = _find_header(stream.peek()) or _Layout(0, ",")
    source = _Lines(stream, name, start.delimiter)
    source.read_past(start.n_before)
    rows = csv.reader(source, delimiter=start.delimiter)
    header: list[str] = []
    while True:
        source.start_row()
        try:
            row = _read_next_row(rows)
        except StopIteration:
            if source.is_left_open():
                line = source.number - len(source.last) + 1
                raise SourceError(_explain_unclosed(name, line)) from None
            return
        except csv.Error as err:
            if "field larger" in str(err):
                raise SourceError(_explain_unclosed(name, source.number - len(source.row) + 1)) from err
            yield Rejection(name, f"line {source.number}", f"not a row of a table ({err})")
            continue
        if not header:
            header = [column.strip() for column in row]
            continue
        place = f"line {source.number}"
        yield from (Remark(NOT_UTF8, f"line {number}") for number in source.not_utf8)
        if source.has_swallowed_rows(len(header)) and not export.is_export(header):
            yield Remark(_ROWS_INSIDE, place)
        row = source.restore_quotes(row, len(header))
        if len(header) == 1:  # a list of titles, in which the delimiter is part of the text
            row = [start.delimiter.join(row).rstrip(start.delimiter)]
        yield from read_row(header, row, name, place)


def _read_next_row(rows: Iterator[list[str]]) -> list[str]:
    """Return the next row. The csv module's default limit, 131,072 characters per cell, is too low for long records."""
    limit = csv.field_size_limit(MAX_LINE)
    try:
        return next(rows)
    finally:
        csv.field_size_limit(limit)


def _explain_unclosed(name: str, line: int) -> str:
    """Return the message for a quotation mark that is never closed."""
    return (
        f"{name}: a quotation mark opened at line {line} is never closed, so the rows after it can't be read. Close it"
    )


def _split_literally(text: str, delimiter: str) -> list[str]:
    """Split a row whose cells are quoted as a whole or not at all: other quotation marks belong to the text."""
    quoted = re.compile(rf'"((?:[^"]|"")*)"(?={re.escape(delimiter)}|\Z)')
    cells, place = list[str](), 0
    while place <= len(text):
        if match := quoted.match(text, place):
            cells.append(match[1].replace('""', '"'))
            place = match.end() + 1
        else:
            end = text.find(delimiter, place)
            end = len(text) if end < 0 else end
            cells.append(text[place:end])
            place = end + 1
    return cells


def read_row(header: list[str], row: list[str], name: str, place: str, *, guarded: bool = True) -> Iterator[Entry]:
    """Yield the entries of one row; none for a blank row. In an export, cells may be guarded against formulas."""
    if not any(cell.strip() for cell in row):
        return
    if any(cell.strip() for cell in row[len(header) :]):
        reason = (
            f"{len(row)} columns where the header has {len(header)}: check for an extra delimiter or quotation mark"
        )
        yield Rejection(name, place, reason)
        return
    if export.is_export(header):
        yield from export.read_export_row(dict(zip(header, row, strict=False)), name, place, guarded=guarded)
    else:
        yield from build_entries(_merge_cells(header, row), name, place)


def _merge_cells(header: list[str], row: list[str]) -> dict[str, str]:
    """Return column -> cell; of columns with one name, the first that is filled. Another value gets "Name (2)"."""
    cells: dict[str, str] = {}
    for name, cell in zip(header, row, strict=False):
        known = cells.get(name, "").strip()
        if not known:
            cells[name] = cell
        elif cell.strip() and cell.strip() != known:
            cells[f"{name} (2)"] = cell
    return cells
