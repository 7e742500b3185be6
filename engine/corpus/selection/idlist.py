"""Files that list records: one id per line, or a table with a column of ids."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from engine.errors import SourceError, UsageError
from engine.files import read_text, sniff_delimiter

_MAX_BYTES = 50_000_000
# Column -> rank, 0 is preferred. Names are without spaces, underscores, hyphens and dots.
COLUMNS = {"pmid": 0, "pubmedid": 0, "id": 1, "recordid": 1, "doi": 2}
_KINDS = ("pmid", "id", "doi")  # of ids, by rank
_MISSING = {"0", "na", "n/a", "nan", "none", "null", "-"}  # how tables write that there is no id
_EXPECTED = "expected one PMID, DOI or record id per line, or a table with a column pmid, id or doi"


def read_ids(path: Path) -> tuple[str, ...]:
    """Return the ids in a file, in order, each once. Blank lines, lines that begin with # and a header are skipped.

    In a table, each id comes from the first column that is not empty: pmid, then id, then doi. Without a header, an id
    ends at the first tab of its line; a DOI may contain commas and semicolons.

    Raises:
        UsageError: the file is missing, unreadable, larger than 50 MB or not text, or has no id.
    """
    lines, start = _read_lines(path)
    header = lines[start] if start < len(lines) else ""
    delimiter, columns = _find_id_columns(header)
    cells: Iterator[str]
    if not columns:
        cells = (line.split("\t")[0] for line in lines[start:] if _is_content(line))
    elif len(columns) == 1 and delimiter not in header:
        cells = filter(_is_content, lines[start + 1 :])
    else:
        cells = _read_table_ids(lines[start + 1 :], delimiter, columns, path)
    ids = tuple(dict.fromkeys(filter(None, map(_strip_id, cells))))
    if not ids:
        raise UsageError(f"{path} contains no id, {_EXPECTED}")
    return ids


@dataclass(frozen=True, slots=True)
class _IdRow:
    """A row of a table of ids."""

    number: int  # of its line, from 1
    ids: Mapping[str, str]  # pmid, id and doi, those that it has
    cells: Mapping[str, str]  # of the other columns, by name


def read_id_rows(path: Path) -> list[_IdRow]:
    """Return the rows of a table with a column of ids, in order; none if the file is no such table.

    Blank lines and lines that begin with # are skipped.

    Raises:
        UsageError: the file is missing, unreadable, larger than 50 MB, not text or not a readable table.
    """
    lines, start = _read_lines(path)
    delimiter, columns = _find_id_columns(lines[start] if start < len(lines) else "")
    if not columns:
        return []
    names = [_strip_id(name) for name in next(csv.reader([lines[start]], delimiter=delimiter))]
    found = []
    for number, row in _read_table(lines[start + 1 :], delimiter, path):
        ids: dict[str, str] = {}
        for n in columns:
            if cell := _get_id(row, n):
                ids.setdefault(_KINDS[COLUMNS[_simplify(names[n])]], cell)
        others = {name: cell for n, (name, cell) in enumerate(zip(names, row, strict=False)) if n not in columns}
        found.append(_IdRow(start + 1 + number, ids, others))
    return found


def _get_id(row: list[str], n: int) -> str:
    """Return the id in a cell, "" for none."""
    cell = _strip_id(row[n]) if n < len(row) else ""
    return "" if cell.lower() in _MISSING else cell


def has_id_column(path: Path) -> bool:
    """Return whether a file is a table with a column of PMIDs, DOIs or ids.

    Raises:
        UsageError: as `read_ids`, but for a file without an id.
    """
    lines, start = _read_lines(path)
    return bool(_find_id_columns(lines[start])[1]) if start < len(lines) else False


def _read_lines(path: Path) -> tuple[list[str], int]:
    """Return the lines of a file, and the number of the first that is neither blank nor a comment.

    Raises:
        UsageError: the file is missing, unreadable, larger than 50 MB or not text.
    """
    try:
        lines = read_text(path, _MAX_BYTES).split("\n")
    except SourceError as err:
        raise UsageError(f"{err}. {_EXPECTED.capitalize()}") from err
    return lines, next((n for n, line in enumerate(lines) if _is_content(line)), len(lines))


def _is_content(line: str) -> bool:
    """Return whether a line is neither blank nor a comment."""
    return bool(line.strip()) and not line.lstrip().startswith("#")


def _find_id_columns(header: str) -> tuple[str, list[int]]:
    """Return the delimiter of a header and its id columns, preferred first; no columns if the line is not a header."""

    def find_columns(cells: list[str]) -> list[int]:
        names = [_simplify(_strip_id(cell)) for cell in cells]
        return [n for _, n in sorted((COLUMNS[name], n) for n, name in enumerate(names) if name in COLUMNS)]

    delimiter, cells = sniff_delimiter(header, lambda cells: len(find_columns(cells)))
    return delimiter, find_columns(cells)


def _simplify(name: str) -> str:
    """Return the name of a column in the form of COLUMNS."""
    return re.sub(r"[\s_.\-]", "", name).casefold()


def _read_table_ids(lines: list[str], delimiter: str, columns: list[int], path: Path) -> Iterator[str]:
    """Yield the id of each row, "" for a row without one.

    Raises:
        UsageError: as _read_table.
    """
    for _, row in _read_table(lines, delimiter, path):
        cells = [cell for n in columns if n < len(row) and (cell := _strip_id(row[n]))]
        yield next((cell for cell in cells if cell.lower() not in _MISSING), next(iter(cells), ""))


def _read_table(lines: list[str], delimiter: str, path: Path) -> Iterator[tuple[int, list[str]]]:
    """Yield (number of the line after the header, cells) of each row.

    Raises:
        UsageError: a line is not a table row, or an unclosed quotation mark hides rows.
    """
    rows = csv.reader((f"{line}\n" for line in lines), delimiter=delimiter)
    begin = end = 0
    try:
        for row in rows:
            begin, end = end, rows.line_num
            if row and not row[0].lstrip().startswith("#"):
                yield begin + 1, row
        if end - begin > 1:
            list(csv.reader((f"{line}\n" for line in lines[begin:end]), delimiter=delimiter, strict=True))
    except csv.Error as err:
        raise UsageError(
            f"{path} is not a readable table: {err}, at row {end + 1:,} after the header; {_EXPECTED}"
        ) from err


def _strip_id(cell: str) -> str:
    """Return an id without surrounding spaces and quotation marks."""
    text = cell.strip()
    while len(text) > 1 and text[0] == text[-1] and text[0] in "\"'":
        text = text[1:-1].strip()
    return "" if text in ("'", '"') else text
