"""Files that list records: an id a line, or a table with a column of ids."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator
from pathlib import Path

from engine.errors import SourceError, UsageError
from engine.files import read_text, sniff_delimiter

_MAX_BYTES = 50_000_000
# Column -> how good it is, 0 the best. Spelled without spaces, underscores, hyphens and points.
COLUMNS = {"pmid": 0, "pubmedid": 0, "id": 1, "recordid": 1, "doi": 2}
_EXPECTED = "expected a PMID, DOI or record id a line, or a table with a column pmid, id or doi"


def read_ids(path: Path) -> tuple[str, ...]:
    """The ids in a file, in order, each once. Blank lines, lines that begin with # and a header are left out.

    In a table, the best column that its header names counts: pmid, then id, then doi; where a row has nothing there,
    the next best. Without a header a line is an id as far as the first tab; a DOI may hold commas and semicolons.

    Raises:
        UsageError: no such file, not to be read, larger than 50 MB, no text, or without any id.
    """
    try:
        lines = read_text(path, _MAX_BYTES).split("\n")
    except SourceError as err:
        raise UsageError(f"{err}. {_EXPECTED.capitalize()}") from err
    start = next((n for n, line in enumerate(lines) if _is_content(line)), len(lines))
    header = lines[start] if start < len(lines) else ""
    delimiter, columns = _find_id_columns(header)
    cells: Iterator[str]
    if not columns:
        cells = (line.split("\t")[0] for line in lines[start:] if _is_content(line))
    elif len(columns) == 1 and delimiter not in header:
        cells = filter(_is_content, lines[start + 1 :])
    else:
        cells = _read_table_ids(lines[start + 1 :], delimiter, columns, path)
    found = tuple(dict.fromkeys(filter(None, map(_strip_id, cells))))
    if not found:
        raise UsageError(f"{path} lists no id, {_EXPECTED}")
    return found


def _is_content(line: str) -> bool:
    """Whether a line is neither blank nor a comment."""
    return bool(line.strip()) and not line.lstrip().startswith("#")


def _find_id_columns(header: str) -> tuple[str, list[int]]:
    """The delimiter of a header and its columns of ids, the best first; none for a line that is no header."""

    def places(cells: list[str]) -> list[int]:
        names = [re.sub(r"[\s_.\-]", "", _strip_id(cell)).casefold() for cell in cells]
        return [n for _, n in sorted((COLUMNS[name], n) for n, name in enumerate(names) if name in COLUMNS)]

    delimiter, cells = sniff_delimiter(header, lambda cells: len(places(cells)))
    return delimiter, places(cells)


def _read_table_ids(lines: list[str], delimiter: str, columns: list[int], path: Path) -> Iterator[str]:
    """Yield the id of each row, "" where it has none.

    Raises:
        UsageError: a line that is no row of a table, or a quotation mark that is never closed and hides rows.
    """
    rows = csv.reader((f"{line}\n" for line in lines), delimiter=delimiter)
    begin = end = 0
    try:
        for row in rows:
            begin, end = end, rows.line_num
            if row and not row[0].lstrip().startswith("#"):
                cells = (_strip_id(row[n]) for n in columns if n < len(row))
                yield next(filter(None, cells), "")
        if end - begin > 1:
            list(csv.reader((f"{line}\n" for line in lines[begin:end]), delimiter=delimiter, strict=True))
    except csv.Error as err:
        raise UsageError(f"{path} is no table: {err}, at row {end + 1:,} below its header; {_EXPECTED}") from err


def _strip_id(cell: str) -> str:
    """An id without spaces and quotation marks around it."""
    text = cell.strip()
    while len(text) > 1 and text[0] == text[-1] and text[0] in "\"'":
        text = text[1:-1].strip()
    return "" if text in ("'", '"') else text
