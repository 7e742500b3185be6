"""CSV and its kin: comma, tab, semicolon or bar between columns, a header with a title or abstract column."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator

from engine.collect.fields import column_field, entries
from engine.collect.lines import NOT_UTF8, first_line, lines
from engine.collect.opening import MAX_LINE
from engine.errors import SourceError
from engine.records import Entry, Rejection, Remark

DELIMITERS = ",\t;|"

csv.field_size_limit(MAX_LINE)  # the csv module's own limit is 131,072 characters, less than a long record


def looks_like(head: bytes) -> bool:
    """Tell a table by a first line with a title or an abstract column."""
    return delimiter_of(first_line(head)) is not None


def columns(line: str, delimiter: str) -> list[str]:
    """Column names of a header line."""
    try:
        return [name.strip() for name in next(csv.reader([line], delimiter=delimiter), [])]
    except csv.Error:
        return []


def delimiter_of(header: str) -> str | None:
    """The delimiter under which the header names most known columns; None when it names no text column."""

    def known(delimiter: str) -> set[str | None]:
        return {column_field(name) for name in columns(header, delimiter)} - {None}

    best = max(DELIMITERS, key=lambda d: len(known(d)))
    return best if known(best) & {"title", "abstract"} else None


class Lines:
    """The lines of a table on their way to the csv module, with what it does not tell."""

    def __init__(self, stream: io.BufferedReader, name: str) -> None:
        self.source = lines(stream, name)
        self.not_utf8: list[int] = []
        self.row = 0  # lines of the row being read
        self.quotes = 0  # quotation marks in them

    def __iter__(self) -> Iterator[str]:
        for number, line, is_utf8 in self.source:
            if not is_utf8:
                self.not_utf8.append(number)
            self.row += 1
            self.quotes += line.count('"')
            yield line

    def next_row(self) -> None:
        """Begin to count for the next row."""
        self.row = self.quotes = 0
        self.not_utf8.clear()

    def left_open(self) -> bool:
        """Whether the last row ran over lines to the end of the file because a quotation mark was never closed."""
        return self.row > 1 and self.quotes % 2 == 1


def read(stream: io.BufferedReader, name: str) -> Iterator[Entry]:
    """Yield the records of a table in order; a row that can't be used is a Rejection with its line number.

    Raises:
        SourceError: a quotation mark is never closed, or the lines end as on old Macintoshes.
    """
    head = stream.peek()
    if b"\r" in head and b"\n" not in head:
        raise SourceError(f"{name}: lines end with CR alone. Convert them: tr '\\r' '\\n' < {name} > new.csv")
    source = Lines(stream, name)
    rows = csv.reader(source, delimiter=delimiter_of(first_line(head)) or ",")
    header: list[str] | None = None
    while True:
        source.next_row()
        try:
            row = next(rows)
        except StopIteration:
            return
        except csv.Error as err:
            if "field larger" in str(err):
                raise SourceError(unclosed(name, rows.line_num - source.row + 1)) from err
            yield Rejection(name, f"line {rows.line_num}", f"not a row of a table ({err})")
            continue
        if source.left_open() and next(source.source, None) is None:
            raise SourceError(unclosed(name, rows.line_num - source.row + 1))
        yield from (Remark(NOT_UTF8, f"line {number}") for number in source.not_utf8)
        if header is None:
            header = [column.strip() for column in row] if any(row) else None
        else:
            yield from row_entries(header, row, name, f"line {rows.line_num}")


def unclosed(name: str, line: int) -> str:
    """The message for a cell that runs on over the rows after it."""
    return f"{name}: a quotation mark opened at line {line} is never closed, so the rows after it can't be told apart"


def row_entries(header: list[str], row: list[str], name: str, place: str) -> Iterator[Entry]:
    """Yield what one row holds; blank rows hold nothing."""
    if not any(cell.strip() for cell in row):
        return
    if any(cell.strip() for cell in row[len(header) :]):
        reason = f"{len(row)} columns where the header has {len(header)}: a delimiter or quotation mark too many"
        yield Rejection(name, place, reason)
        return
    yield from entries(dict(zip(header, row, strict=False)), name, place)
