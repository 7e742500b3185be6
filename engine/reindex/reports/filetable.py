"""What became of the records of each file, as a table for people."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import fields

from engine.corpus.storage.store import AppliedFile
from engine.phrases import pluralize
from engine.records.generation import FileCounts, FileReading

_MOST = 50  # files of a run that are named; the others are one row
_HEADS = {
    "read": "records",
    "text_changed": "text changed",
    "metadata_changed": "metadata changed",
}  # headings that are not the name of the count
_NAMES = tuple(field.name for field in fields(FileCounts))


def build_readings(files: Sequence[AppliedFile]) -> tuple[FileReading, ...]:
    """Return the readings that a generation is made from, oldest first."""
    return tuple(FileReading(file.name, file.path, file.format, file.generation, file.counts) for file in files)


def _add_up(readings: Sequence[FileReading]) -> FileCounts:
    """Return the sums of the counts of several files."""
    return FileCounts(*(sum(getattr(reading.counts, name) for reading in readings) for name in _NAMES))


def format_readings(
    readings: Sequence[FileReading], skipped: Sequence[FileReading] = (), most: int | None = _MOST
) -> Iterator[str]:
    """Yield a table: a row for each file, then their sums. A count that is 0 in every row has no column.

    skipped: files that this run did not read, with their counts of the run that did; they are not in the sums.
    most: number of files of each kind with a row of their own; None: all, without sums, as a file may have several.
    """
    rows = _name_rows(readings, most)
    if len(readings) > 1 and most is not None:
        rows.append(("together", _add_up(readings)))
    rows += [(f"{name} (read before)", counts) for name, counts in _name_rows(skipped, most)]
    shown = [name for name in _NAMES if name == "read" or any(getattr(counts, name) for _, counts in rows)]
    if rows:
        heads = [_HEADS.get(name, name) for name in shown]
        yield from _format_rows(
            [["file", *heads], *([name, *(f"{getattr(counts, c):,}" for c in shown)] for name, counts in rows)]
        )


def _name_rows(readings: Sequence[FileReading], most: int | None) -> list[tuple[str, FileCounts]]:
    """Return the first files with their counts and, in one row, the others."""
    n = most if most is not None and len(readings) > most + 1 else len(readings)
    names = _tell_apart(readings)
    rows = [(name, reading.counts) for name, reading in zip(names[:n], readings[:n], strict=True)]
    if rest := readings[n:]:
        rows.append((f"{pluralize(len(rest), 'other file')}", _add_up(rest)))
    return rows


def _tell_apart(readings: Sequence[FileReading]) -> list[str]:
    """Return the names of files, with as many folders before a name as tell files of one name apart."""
    paths = [reading.path.replace("\\", "/").split("/") for reading in readings]
    alike: dict[str, set[tuple[str, ...]]] = {}
    for parts in paths:
        alike.setdefault(parts[-1], set()).add(tuple(parts))
    names = []
    for reading, parts in zip(readings, paths, strict=True):
        others = alike[parts[-1]]
        n = next((n for n in range(1, len(parts)) if len({each[-n:] for each in others}) == len(others)), len(parts))
        names.append(reading.file.replace(parts[-1], "/".join(parts[-n:])))
    return names


def _format_rows(rows: Sequence[Sequence[str]]) -> Iterator[str]:
    """Yield the rows of a table: the first column to the left, the others to the right."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for first, *rest in rows:
        cells = [first.ljust(widths[0]), *(cell.rjust(width) for cell, width in zip(rest, widths[1:], strict=True))]
        yield "  " + "  ".join(cells)
