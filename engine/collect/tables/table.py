"""CSV and similar tables: comma, tab, semicolon or | between columns, a header with a title or abstract column."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from engine.collect.text.lines import NOT_UTF8, decode_head
from engine.collect.values import export
from engine.collect.values.columns import match_column
from engine.collect.values.rows import build_entries
from engine.errors import SourceError
from engine.files import DELIMITERS, MAX_LINE, decode_lines, find_utf16, sniff_delimiter
from engine.records.abstract import Entry, Rejection, Remark

_ROWS_INSIDE = "a cell holds lines that look like rows: is a quotation mark left open before it?"
MAX_ABOVE = 20  # lines in which the header is looked for
_LONGEST_NAME = 80  # characters of the name of a column
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


def _has_bare_cr(head: bytes) -> bool:
    """Return whether the first lines of a file end with CR alone."""
    text = head.decode(codec, "replace") if (codec := find_utf16(head)) else head.decode("latin-1")
    return "\r" in text and "\n" not in text


class _Lines:
    """The lines of a table for the csv module, with details that it doesn't report."""

    def __init__(self, stream: io.BufferedReader, name: str, delimiter: str) -> None:
        self.source = self._split_lines(self._drop_marks(decode_lines(stream, name, marks="")))
        self.delimiter = delimiter
        self.not_utf8: list[int] = []
        self.row: list[str] = []  # lines of the row being read
        self.last: list[str] = []  # of the previous row
        self.number = 0  # of the last line read
        self.n_columns = 0  # of the header, once it is read
        self.has_bare_cr = _has_bare_cr(stream.peek())
        self.above: set[str] = set()  # the first cells of the lines above the header

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
            self.above.update(filter(None, (cell.strip() for cell in next(csv.reader([item[1]]), [])[:1])))

    def _drop_marks(self, source: Iterator[tuple[int, str, bool]]) -> Iterator[tuple[int, str, bool]]:
        """Yield lines without the byte-order marks that joined files have before rows; cells keep their own."""
        for number, line, is_utf8 in source:
            is_inside = line.startswith("\ufeff") and sum(part.count('"') for part in self.row) % 2 == 1
            yield number, line if is_inside else line.lstrip("\ufeff"), is_utf8

    def _split_lines(self, source: Iterator[tuple[int, str, bool]]) -> Iterator[tuple[int, str, bool]]:
        """Yield lines as decode_lines does. CR alone ends a line, too, but for one inside a quoted cell."""
        number = 0
        for _, line, is_utf8 in source:
            if "\r" in (text := line.rstrip("\r\n")) and self._has_rows(text):
                while (place := text.find("\r")) >= 0:
                    piece, text = text[:place], text[place + 1 :].lstrip("\ufeff")
                    is_inside = sum(part.count('"') for part in (*self.row, piece)) % 2 == 1
                    number += not is_inside
                    yield number, piece + ("\r" if is_inside else "\n"), is_utf8
                line = text
            number += 1
            yield number, line, is_utf8

    def _has_rows(self, text: str) -> bool:
        """Return whether the pieces between CRs are rows: in a file without other line ends, or with all columns."""
        n = self.n_columns - 1
        return self.has_bare_cr or (n > 0 and all(part.count(self.delimiter) >= n for part in text.split("\r") if part))

    def is_above(self, row: list[str]) -> bool:
        """Return whether a row is a line that stood above the header, once more."""
        return bool(self.above) and row[:1] != [""] and not self.above.isdisjoint(row[:1]) and len(row) <= _MANY

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

    In joined files, a further header begins another table.

    Raises:
        SourceError: a quotation mark is never closed.
    """
    start = _find_header(stream.peek()) or _Layout(0, ",")
    source = _Lines(stream, name, start.delimiter)
    source.read_past(start.n_before)
    header: list[str] = []
    for row in _read_rows(source, name):
        if isinstance(row, Rejection):
            yield row
            continue
        for cells in _split_seam(header, row):
            if found := _find_further_header(header, cells, source):
                header, source.n_columns = found, len(found)
            elif not source.is_above(cells):
                yield from _read_cells(header, cells, source, name)


def _read_rows(source: _Lines, name: str) -> Iterator[list[str] | Rejection]:
    """Yield the rows of a table, and a Rejection for each that can't be split; the delimiter of the source may change.

    Raises:
        SourceError: a quotation mark is never closed.
    """
    delimiter, rows = source.delimiter, csv.reader(source, delimiter=source.delimiter)
    while True:
        if source.delimiter != delimiter:
            delimiter, rows = source.delimiter, csv.reader(source, delimiter=source.delimiter)
        source.start_row()
        try:
            yield _read_next_row(rows)
        except StopIteration:
            if source.is_left_open():
                line = source.number - len(source.last) + 1
                raise SourceError(_explain_unclosed(name, line)) from None
            return
        except csv.Error as err:
            if "field larger" in str(err):
                raise SourceError(_explain_unclosed(name, source.number - len(source.row) + 1)) from err
            yield Rejection(name, f"line {source.number}", f"not a row of a table ({err})")


def _split_seam(header: list[str], row: list[str]) -> list[list[str]]:
    """Return the row; where files with one header were joined without a line end, their last row and the header."""
    n = len(header)
    if n > 1 and len(row) == 2 * n - 1 and row[n:] == header[1:] and row[n - 1].endswith(header[0]):
        return [[*row[: n - 1], row[n - 1].removesuffix(header[0]).rstrip("\ufeff")], header]
    return [row]


def _find_further_header(header: list[str], row: list[str], source: _Lines) -> list[str]:
    """Return the header that a row is: the first one, the same again, or that of another table; else an empty list.

    A row of few cells may be a header with another delimiter, which the source gets.
    """
    cells = [cell.strip() for cell in row]
    if not header or cells == header or (export.is_export(cells) and not export.is_export(header)):
        return cells
    if _is_header(cells):
        return cells
    line = "".join(source.row) if len(row) <= _MANY else ""
    if any(line.count(mark) >= _MANY for mark in DELIMITERS if mark != source.delimiter):
        delimiter, others = sniff_delimiter(line.strip(), _count_known)
        if delimiter != source.delimiter and _is_header(others):
            source.delimiter = delimiter
            return [cell.strip() for cell in others]
    return []


def _is_header(cells: list[str]) -> bool:
    """Return whether cells among rows can only be a header: most of them are known columns, three or more."""
    if len(cells) <= _MANY or any(len(cell) > _LONGEST_NAME or cell.isdigit() for cell in cells):
        return False
    filled = [cell for cell in cells if cell]
    n_known = sum(match_column(cell) is not None for cell in filled)
    return n_known > _MANY and 2 * n_known > len(filled) and _has_text(cells) and _count_known(cells) > _MANY


def _read_cells(header: list[str], row: list[str], source: _Lines, name: str) -> Iterator[Entry]:
    """Yield the entries of one row after its remarks."""
    place = f"line {source.number}"
    yield from (Remark(NOT_UTF8, f"line {number}") for number in source.not_utf8)
    if source.has_swallowed_rows(len(header)) and not export.is_export(header):
        yield Remark(_ROWS_INSIDE, place)
    row = source.restore_quotes(row, len(header))
    if len(header) == 1:  # a list of titles, in which the delimiter is part of the text
        row = [source.delimiter.join(row).rstrip(source.delimiter)]
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
