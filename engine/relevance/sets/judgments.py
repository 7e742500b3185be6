"""Judgments of which records are relevant to which query (qrels), and their files."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from engine.errors import SourceError
from engine.files import read_lines, write_text

HEADER = ("query_id", "doc_id", "relevance")
NAMES = {
    "query_id": 0, "query-id": 0, "qid": 0, "queryid": 0, "topic": 0,
    "doc_id": 1, "corpus-id": 1, "docid": 1, "doc-id": 1, "docno": 1,
    "relevance": 2, "score": 2, "grade": 2, "rel": 2, "label": 2,
}  # fmt: skip
_GRADE = re.compile(r"[+-]?\d{1,9}")
_EXPECTED = "lines of query, 0, record, grade, or a header query_id, doc_id, relevance with a tab between"


@dataclass(frozen=True, slots=True)
class Judgments:
    """Grades by query id, then by record id. Grades of 1 or more are relevant; 0 and below are not."""

    grades: Mapping[str, Mapping[str, int]]
    n_repeated: int = field(default=0, compare=False)  # lines that repeat an earlier one

    @property
    def n_judged(self) -> int:
        """Number of judged pairs of a query and a record."""
        return sum(len(grades) for grades in self.grades.values())

    @property
    def n_relevant(self) -> int:
        """Number of pairs with a grade of 1 or more."""
        return sum(grade > 0 for grades in self.grades.values() for grade in grades.values())


def read_judgments(path: Path) -> Judgments:
    """Read qrels: TREC's four columns, or three columns with a header as in BEIR's files; plain or gzipped.

    A header may name its columns in any order. Repeated lines are counted and used once.

    Raises:
        SourceError: a line has another layout, a grade is not an integer, or a pair has two grades; the message names
            the line.
    """
    columns: Sequence[int] | None = None
    grades: dict[str, dict[str, int]] = {}
    first: dict[tuple[str, str], int] = {}
    n_repeated = 0
    for number, line in read_lines(path):
        place = f"{path}, line {number}"
        if columns is None:
            columns, is_header = _find_columns(line, place)
            if is_header:
                continue
        query_id, record_id, grade = _read_judgment(line, columns, place)
        judged = grades.setdefault(query_id, {})
        first_grade = judged.setdefault(record_id, grade)
        first_line = first.setdefault((query_id, record_id), number)
        if first_grade != grade:
            raise SourceError(
                f"{place}: query {query_id[:40]!r} and record {record_id[:60]!r} have grade {grade}, but "
                f"{first_grade} on line {first_line}. Keep one of the two"
            )
        n_repeated += first_line != number
    if not grades:
        raise SourceError(f"{path} has no judgment below its header. Expected {_EXPECTED}")
    return Judgments(grades, n_repeated)


def _find_columns(line: str, place: str) -> tuple[tuple[int, int, int], bool]:
    """Return the columns of query, record and grade, from the first line of a file, and whether that is a header.

    Raises:
        SourceError: the line has no known layout.
    """
    cells = _split_cells(line, 3)
    indices = [NAMES.get(cell.lower()) for cell in cells]
    if all(indices.count(n) == 1 for n in range(3)):
        return (indices.index(0), indices.index(1), indices.index(2)), True
    if len(line.split()) == 4 and _GRADE.fullmatch(line.split()[3]):
        return (0, 2, 3), False
    if len(cells) == 3 and _GRADE.fullmatch(cells[2]):
        return (0, 1, 2), False
    raise SourceError(f"{place}: found {line[:60]!r}, expected {_EXPECTED}")


def _split_cells(line: str, n: int) -> list[str]:
    """Split a line at tabs, or at blanks if tabs give fewer than n cells."""
    cells = [cell.strip() for cell in line.split("\t")]
    return cells if len(cells) >= n else line.split()


def _read_judgment(line: str, columns: Sequence[int], place: str) -> tuple[str, str, int]:
    """Read the query id, record id and grade of a line.

    Raises:
        SourceError: a column is missing, or the grade is not an integer.
    """
    cells = line.split() if max(columns) == 3 and len(line.split()) == 4 else _split_cells(line, max(columns) + 1)
    if len(cells) <= max(columns) or not all(cells[n] for n in columns):
        raise SourceError(f"{place}: found {line[:60]!r}, expected {max(columns) + 1} columns like the first line")
    query_id, record_id, grade = (cells[n] for n in columns)
    if not _GRADE.fullmatch(grade):
        raise SourceError(f"{place}: the grade {grade[:20]!r} is not an integer, expected 0, 1, 2 \u2026")
    return query_id, record_id, int(grade)


def write_judgments(judgments: Judgments, path: Path) -> None:
    """Write qrels as tab-separated lines with a header, sorted by query and record.

    Raises:
        SourceError: an id contains a tab or a line break.
    """
    rows = [
        (query_id, record_id, grade)
        for query_id, grades in sorted(judgments.grades.items())
        for record_id, grade in sorted(grades.items())
    ]
    ids = (text for row in rows for text in row[:2])
    if bad := [text for text in ids if text != text.strip() or len(text.splitlines()) != 1 or "\t" in text]:
        raise SourceError(
            f"the id {bad[0][:60]!r} can't be written to {path}: expected no tab, line break or surrounding blank in it"
        )
    write_text(path, ("\t".join(map(str, row)) + "\n" for row in (HEADER, *rows)), overwrite=True)
