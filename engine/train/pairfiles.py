"""Files of pairs: CSV, TSV, JSON lines and Parquet, told by content, as columns of cells with the line of each row."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from engine.collect.lines import first_line, objects, refuse_bare_cr
from engine.collect.opening import open_source
from engine.errors import MissingExtraError, SourceError
from engine.files import AGAIN, DELIMITERS, decode_lines, sniff_delimiter
from engine.records import Rejection, Remark

PARQUET = b"PAR1"
NOT_UTF8 = "not UTF-8. Save the file as UTF-8, or convert it: iconv -f WINDOWS-1252 -t UTF-8 OLD > NEW"

Choose = Callable[
    [str, Sequence[str]], tuple[str, ...]
]  # (file, header) -> the columns to read, as the header has them


@dataclass(frozen=True, slots=True)
class Cells:
    """Some columns of one file, as they came."""

    name: str  # of the file
    unit: str  # what places count: "line" or "row"
    places: tuple[int, ...]  # of every row, from 1
    columns: tuple[str, ...]
    values: tuple[tuple[object, ...], ...]  # a tuple for each column

    def at(self, row: int, column: int) -> str:
        """Where a cell is, for a message."""
        return f"{self.name}, {self.unit} {self.places[row]}, column {self.columns[column]!r}"


def read_cells(path: Path, choose: Choose) -> Cells:
    """Read the columns that choose names, all rows in order. A file without rows gives empty columns.

    Fails with SourceError where the file is missing, broken or of another format.
    """
    name = str(path)
    with open_source(path) as stream:
        head = stream.peek()
        if not head.startswith(PARQUET):
            read = json_cells if first_line(head).lstrip().startswith(("{", "[")) else table_cells
            return read(stream, name, choose)
    return parquet_cells(path, choose)


def json_cells(stream: io.BufferedReader, name: str, choose: Choose) -> Cells:
    """Read JSON lines; the first object names the columns, and every row must have them.

    Raises:
        SourceError: a line that is no object, or without one of the columns.
    """
    columns: tuple[str, ...] = ()
    places, rows = [], []
    for found in objects(stream, name):
        if isinstance(found, Rejection):
            raise SourceError(f'{found}. Expected one JSON object a line, like {{"anchor": "…", "positive": "…"}}')
        if isinstance(found, Remark):
            raise SourceError(f"{name}, {found.place}: {NOT_UTF8}")
        place, row = found
        columns = columns or choose(name, list(row))
        if missing := [column for column in columns if column not in row]:
            raise SourceError(f"{name}, {place}: no column {missing[0]!r}, which the first line has")
        places.append(int(place.removeprefix("line ")))
        rows.append([row[column] for column in columns])
    return columnwise(name, columns, places, rows)


def table_cells(stream: io.BufferedReader, name: str, choose: Choose) -> Cells:
    """Read a table with a header; blank lines hold nothing.

    Raises:
        SourceError: quotation marks that don't match, or a row with more or fewer cells than the header.
    """
    refuse_bare_cr(stream, name)
    delimiter = delimiter_of(first_line(stream.peek()), name, choose)
    rows = csv.reader(utf8_lines(stream, name), delimiter=delimiter, strict=True)
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
                        "Is a delimiter or a quotation mark missing, or one too many?"
                    )
                places.append(start)
                kept.append([row[i] for i in wanted])
            start = rows.line_num + 1
    except csv.Error as err:
        raise SourceError(
            f"{name}, line {start}: not a row of a table ({err}). Is a quotation mark left open?"
        ) from err
    return columnwise(name, tuple(header[i] for i in wanted), places, kept)


def utf8_lines(stream: io.BufferedReader, name: str) -> Iterator[str]:
    """Yield the lines of a text.

    Raises:
        SourceError: a line that is not UTF-8.
    """
    for number, line, is_utf8 in decode_lines(stream, name):
        if not is_utf8:
            raise SourceError(f"{name}, line {number}: {NOT_UTF8}")
        yield line


def delimiter_of(header: str, name: str, choose: Choose) -> str:
    """The delimiter under which the header has the columns wanted; a comma where none does."""

    def n_chosen(cells: list[str]) -> int:
        with suppress(SourceError):
            return len(choose(name, cells))
        return 0

    delimiter, cells = sniff_delimiter(header, n_chosen)
    return delimiter if n_chosen(cells) else max(DELIMITERS, key=header.count)


def parquet_cells(path: Path, choose: Choose) -> Cells:
    """Read a Parquet file; rows are counted from 1.

    Raises:
        MissingExtraError: pyarrow is not installed.
        SourceError: not a whole Parquet file.
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
    return Cells(str(path), "row", tuple(range(1, len(values[0]) + 1)), columns, values)


def columnwise(name: str, columns: tuple[str, ...], places: list[int], rows: list[list[object]]) -> Cells:
    """Cells of rows, turned."""
    values = tuple(zip(*rows, strict=True)) if rows else tuple(() for _ in columns)
    return Cells(name, "line", tuple(places), columns, values)
