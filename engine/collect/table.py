"""CSV and its kin: comma, tab, semicolon or bar between columns, a header with a title or abstract column."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator

from engine.collect.fields import column_field, entries
from engine.collect.lines import NOT_UTF8, decode, lines
from engine.collect.opening import MAX_LINE
from engine.errors import SourceError
from engine.records import Entry, Rejection, Remark

DELIMITERS = ",\t;|"

csv.field_size_limit(MAX_LINE)  # the csv module's own limit is 131,072 characters, less than a long record


def looks_like(head: bytes) -> bool:
    """Tell a table by a first line with a title or an abstract column."""
    return delimiter_of(first_line(head)) is not None


def first_line(head: bytes) -> str:
    """The header line, decoded; UTF-16 is told by its mark."""
    if head[:2] in (b"\xff\xfe", b"\xfe\xff"):
        text = head.decode("utf-16", "replace")
    else:
        text = decode(head.removeprefix(b"\xef\xbb\xbf"))[0]
    return next(iter(text.splitlines()), "")


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


def read(stream: io.BufferedReader, name: str) -> Iterator[Entry]:
    """Yield the records of a table in order; a row that can't be used is a Rejection with its line number.

    Raises:
        SourceError: the csv module gave up, in words and line.
    """
    delimiter = delimiter_of(first_line(stream.peek())) or ","
    odd: list[int] = []

    def texts() -> Iterator[str]:
        for number, line, is_utf8 in lines(stream, name):
            if not is_utf8:
                odd.append(number)
            yield line

    rows = csv.reader(texts(), delimiter=delimiter)
    header = [column.strip() for column in next(rows)]
    try:
        for row in rows:
            yield from (Remark(NOT_UTF8, f"line {number}") for number in odd)
            odd.clear()
            yield from row_entries(header, row, name, f"line {rows.line_num}")
    except csv.Error as err:
        raise SourceError(f"{name}, line {rows.line_num}: {err}. Is a quotation mark left open before it?") from err


def row_entries(header: list[str], row: list[str], name: str, place: str) -> Iterator[Entry]:
    """Yield what one row holds; blank rows hold nothing."""
    if not any(cell.strip() for cell in row):
        return
    if any(cell.strip() for cell in row[len(header) :]):
        reason = f"{len(row)} columns where the header has {len(header)}: a delimiter or quotation mark too many"
        yield Rejection(name, place, reason)
        return
    yield from entries(dict(zip(header, row, strict=False)), name, place)
