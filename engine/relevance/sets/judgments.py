"""Judgments: which records are relevant to which query (qrels), and their files."""

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
    """Grades by query id, then by record id. 1 or more is relevant; 0 and below were looked at and are not."""

    grades: Mapping[str, Mapping[str, int]]
    n_repeated: int = field(default=0, compare=False)  # lines that said again what an earlier one had said

    @property
    def n_judged(self) -> int:
        """Pairs of a query and a record."""
        return sum(len(grades) for grades in self.grades.values())

    @property
    def n_relevant(self) -> int:
        """Pairs with a grade of 1 or more."""
        return sum(grade > 0 for grades in self.grades.values() for grade in grades.values())


def read_judgments(path: Path) -> Judgments:
    """Read qrels: TREC's four columns, or three with a header as BEIR and the engine write them; gzip too.

    A header may name its columns in any order. The same line twice is counted and counts once.

    Raises:
        SourceError: a line is neither, a grade is no whole number, or a pair has two grades; says where.
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
        known = judged.setdefault(record_id, grade)
        line_before = first.setdefault((query_id, record_id), number)
        if known != grade:
            raise SourceError(
                f"{place}: query {query_id[:40]!r} and record {record_id[:60]!r} have grade {grade}, but {known} on "
                f"line {line_before}. Keep one of the two"
            )
        n_repeated += line_before != number
    if not grades:
        raise SourceError(f"{path} holds no judgment below its header. Expected {_EXPECTED}")
    return Judgments(grades, n_repeated)


def _find_columns(line: str, place: str) -> tuple[tuple[int, int, int], bool]:
    """Places of query, record and grade in the lines of a file, by its first line; and whether that is a header.

    Raises:
        SourceError: it is of no known kind.
    """
    cells = _split_cells(line, 3)
    named = [NAMES.get(cell.lower()) for cell in cells]
    if all(named.count(n) == 1 for n in range(3)):
        return (named.index(0), named.index(1), named.index(2)), True
    if len(line.split()) == 4 and _GRADE.fullmatch(line.split()[3]):
        return (0, 2, 3), False
    if len(cells) == 3 and _GRADE.fullmatch(cells[2]):
        return (0, 1, 2), False
    raise SourceError(f"{place}: found {line[:60]!r}, expected {_EXPECTED}")


def _split_cells(line: str, n: int) -> list[str]:
    """The cells of a line: between tabs where there are some, else between blanks; n that are there at least."""
    cells = [cell.strip() for cell in line.split("\t")]
    return cells if len(cells) >= n else line.split()


def _read_judgment(line: str, columns: Sequence[int], place: str) -> tuple[str, str, int]:
    """Query id, record id and grade of a line.

    Raises:
        SourceError: a column is missing, or the grade is no whole number.
    """
    cells = line.split() if max(columns) == 3 and len(line.split()) == 4 else _split_cells(line, max(columns) + 1)
    if len(cells) <= max(columns) or not all(cells[n] for n in columns):
        raise SourceError(f"{place}: found {line[:60]!r}, expected {max(columns) + 1} columns like the first line")
    query_id, record_id, grade = (cells[n] for n in columns)
    if not _GRADE.fullmatch(grade):
        raise SourceError(f"{place}: the grade {grade[:20]!r} is no whole number, expected 0, 1, 2 \u2026")
    return query_id, record_id, int(grade)


def write_judgments(judgments: Judgments, path: Path) -> None:
    """Write qrels as tab-separated lines with a header, sorted by query and record.

    Raises:
        SourceError: an id holds a tab or a line break, which the file has no place for.
    """
    rows = [
        (query_id, record_id, grade)
        for query_id, grades in sorted(judgments.grades.items())
        for record_id, grade in sorted(grades.items())
    ]
    if odd := [
        one for row in rows for one in row[:2] if one != one.strip() or len(one.splitlines()) != 1 or "\t" in one
    ]:
        raise SourceError(f"the id {odd[0][:60]!r} can't be written to {path}: expected no tab or line break in it")
    write_text(path, ("\t".join(map(str, row)) + "\n" for row in (HEADER, *rows)), overwrite=True)
