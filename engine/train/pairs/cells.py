"""Read files of pairs (CSV, TSV, JSON lines, Parquet) as columns of cells, with the line of each row.

The format is recognised by content, not by the name of the file.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from engine.collect.text.lines import decode_first_line, read_objects, refuse_bare_cr
from engine.collect.text.stream import open_source
from engine.errors import MissingExtraError, SourceError
from engine.files import AGAIN, DELIMITERS, PARQUET, decode_lines, sniff_delimiter
from engine.records.abstract import Rejection, Remark

_NOT_UTF8 = "not UTF-8. Save the file as UTF-8, or convert it: iconv -f WINDOWS-1252 -t UTF-8 OLD > NEW"

# (file, header) -> the columns to read, as the header spells them
_ColumnChooser = Callable[[str, Sequence[str]], tuple[str, ...]]


@dataclass(frozen=True, slots=True)
class PairCells:
    """The chosen columns of one file, with the values as read."""

    name: str  # of the file
    unit: str  # of the places: "line" or "row"
    places: tuple[int, ...]  # of every row, from 1
    columns: tuple[str, ...]
    values: tuple[tuple[object, ...], ...]  # a tuple for each column

    def format_place(self, row: int, column: int) -> str:
        """Return file, line and column of a cell, for a message."""
        return f"{self.name}, {self.unit} {self.places[row]}, column {self.columns[column]!r}"


def read_cells(path: Path, choose: _ColumnChooser) -> PairCells:
    """Read the columns that choose returns, all rows in order. A file without rows gives empty columns.

    Fails with SourceError if the file is missing, broken or of another format.
    """
    name = str(path)
    with open_source(path, may_be_parquet=True) as stream:
        head = stream.peek()
        if not head.startswith(PARQUET):
            read = _read_json if decode_first_line(head).lstrip().startswith(("{", "[")) else _read_table
            return read(stream, name, choose)
    return _read_parquet(path, choose)


def _read_json(stream: io.BufferedReader, name: str, choose: _ColumnChooser) -> PairCells:
    """Read JSON lines. The first object names the columns, and every row must have them.

    Raises:
        SourceError: a line is not a JSON object, or lacks one of the columns.
    """
    columns: tuple[str, ...] = ()
    places, rows = [], []
    for entry in read_objects(stream, name):
        if isinstance(entry, Rejection):
            raise SourceError(f'{entry}. Expected one JSON object a line, like {{"anchor": "…", "positive": "…"}}')
        if isinstance(entry, Remark):
            raise SourceError(f"{name}, {entry.place}: {_NOT_UTF8}")
        place, row = entry
        columns = columns or choose(name, list(row))
        if missing := [column for column in columns if column not in row]:
            raise SourceError(f"{name}, {place}: no column {missing[0]!r}, which the first line has")
        places.append(int(place.removeprefix("line ")))
        rows.append([row[column] for column in columns])
    return _turn_rows(name, columns, places, rows)


def _read_table(stream: io.BufferedReader, name: str, choose: _ColumnChooser) -> PairCells:
    """Read a table with a header. Blank lines are skipped.

    Raises:
        SourceError: quotation marks don't match, or a row has more or fewer cells than the header.
    """
    refuse_bare_cr(stream, name)
    delimiter = _find_delimiter(decode_first_line(stream.peek()), name, choose)
    rows = csv.reader(_read_lines(stream, name), delimiter=delimiter, strict=True)
    header: list[str] = []
    wanted: list[int] = []
    places: list[int] = []
    kept: list[list[object]] = []
    start = 1
    try:
        for row in rows:
            if not header:
                header = row
                wanted = [header.index(column) for column in choose(name, header)]
            elif row:
                if len(row) != len(header):
                    raise SourceError(
                        f"{name}, line {start}: {len(row)} cells where the header has {len(header)}. "
                        "Check this row for a missing or extra delimiter or quotation mark"
                    )
                places.append(start)
                kept.append([row[i] for i in wanted])
            start = rows.line_num + 1
    except csv.Error as err:
        raise SourceError(
            f"{name}, line {start}: not a row of a table ({err}). Check for a quotation mark left open"
        ) from err
    return _turn_rows(name, tuple(header[i] for i in wanted), places, kept)


def _read_lines(stream: io.BufferedReader, name: str) -> Iterator[str]:
    """Yield the lines of a text.

    Raises:
        SourceError: a line is not UTF-8.
    """
    for number, line, is_utf8 in decode_lines(stream, name):
        if not is_utf8:
            raise SourceError(f"{name}, line {number}: {_NOT_UTF8}")
        yield line


def _find_delimiter(header: str, name: str, choose: _ColumnChooser) -> str:
    """Return the delimiter that splits the header into the wanted columns, or else its most frequent one."""

    def count_wanted(cells: list[str]) -> int:
        with suppress(SourceError):
            return len(choose(name, cells))
        return 0

    delimiter, cells = sniff_delimiter(header, count_wanted)
    return delimiter if count_wanted(cells) else max(DELIMITERS, key=header.count)


def _read_parquet(path: Path, choose: _ColumnChooser) -> PairCells:
    """Read a Parquet file. Rows are counted from 1.

    Raises:
        MissingExtraError: pyarrow is not installed.
        SourceError: the Parquet data are broken or cut off.
    """
    try:
        import pyarrow  # type: ignore[import-untyped]
        from pyarrow import parquet
    except ImportError as err:
        raise MissingExtraError("pyarrow", "[cpu,train] or [gpu,train]") from err
    try:
        with parquet.ParquetFile(path) as file:
            columns = choose(str(path), file.schema_arrow.names)
            table = file.read(columns=list(columns))
            values = tuple(tuple(table.column(column).to_pylist()) for column in columns)
    except (pyarrow.ArrowException, OSError, UnicodeDecodeError) as err:
        raise SourceError(f"{path}: broken Parquet data ({str(err).splitlines()[0]}). {AGAIN}") from err
    return PairCells(str(path), "row", tuple(range(1, len(values[0]) + 1)), columns, values)


def _turn_rows(name: str, columns: tuple[str, ...], places: list[int], rows: list[list[object]]) -> PairCells:
    """Turn rows into columns."""
    values = tuple(zip(*rows, strict=True)) if rows else tuple(() for _ in columns)
    return PairCells(name, "line", tuple(places), columns, values)
