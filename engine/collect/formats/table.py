"""CSV and similar tables: comma, tab, semicolon or | between columns, a header with a title or abstract column."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator

from engine.collect.text.lines import NOT_UTF8, decode_first_line, refuse_bare_cr
from engine.collect.values import export
from engine.collect.values.columns import match_column
from engine.collect.values.fields import build_entries
from engine.errors import SourceError
from engine.files import MAX_LINE, decode_lines, sniff_delimiter
from engine.records.abstract import Entry, Rejection, Remark

_ROWS_INSIDE = "a cell holds lines that look like rows: is a quotation mark left open before it?"


def looks_like(head: bytes) -> bool:
    """Return whether the first line is a header with a title or an abstract column."""
    return _guess_delimiter(decode_first_line(head)) is not None


def _guess_delimiter(header: str) -> str | None:
    """Return the delimiter that gives the most known columns; None if neither title nor abstract is among them."""

    def known(cells: list[str]) -> set[str | None]:
        return {match_column(cell.strip()) for cell in cells} - {None}

    delimiter, cells = sniff_delimiter(header, lambda cells: len(known(cells)))
    return delimiter if known(cells) & {"title", "abstract"} else None


class _Lines:
    """The lines of a table for the csv module, with details that it doesn't report."""

    def __init__(self, stream: io.BufferedReader, name: str, delimiter: str) -> None:
        self.source = decode_lines(stream, name)
        self.delimiter = delimiter
        self.not_utf8: list[int] = []
        self.row: list[str] = []  # lines of the row being read
        self.last: list[str] = []  # of the previous row

    def __iter__(self) -> Iterator[str]:
        for number, line, is_utf8 in self.source:
            if not is_utf8:
                self.not_utf8.append(number)
            self.row.append(line)
            yield line

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
    delimiter = _guess_delimiter(decode_first_line(stream.peek())) or ","
    source = _Lines(stream, name, delimiter)
    rows = csv.reader(source, delimiter=delimiter)
    header: list[str] = []
    while True:
        source.start_row()
        try:
            row = _read_next_row(rows)
        except StopIteration:
            if source.is_left_open():
                line = rows.line_num - len(source.last) + 1
                raise SourceError(_explain_unclosed(name, line)) from None
            return
        except csv.Error as err:
            if "field larger" in str(err):
                raise SourceError(_explain_unclosed(name, rows.line_num - len(source.row) + 1)) from err
            yield Rejection(name, f"line {rows.line_num}", f"not a row of a table ({err})")
            continue
        if not header:
            header = [column.strip() for column in row]
            continue
        place = f"line {rows.line_num}"
        yield from (Remark(NOT_UTF8, f"line {number}") for number in source.not_utf8)
        if source.has_swallowed_rows(len(header)) and not export.is_export(header):
            yield Remark(_ROWS_INSIDE, place)
        yield from _read_row(header, row, name, place)


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


def _read_row(header: list[str], row: list[str], name: str, place: str) -> Iterator[Entry]:
    """Yield the entries of one row; none for a blank row."""
    if not any(cell.strip() for cell in row):
        return
    if any(cell.strip() for cell in row[len(header) :]):
        reason = (
            f"{len(row)} columns where the header has {len(header)}: check for an extra delimiter or quotation mark"
        )
        yield Rejection(name, place, reason)
        return
    read_row = export.read_export_row if export.is_export(header) else build_entries
    yield from read_row(dict(zip(header, row, strict=False)), name, place)
