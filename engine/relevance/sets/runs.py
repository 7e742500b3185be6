"""Runs: the rankings of a system by query, and their files in TREC's layout."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from engine.errors import SourceError
from engine.files import read_lines, write_text
from engine.relevance.sets.judgments import Judgments

STEP = 1e-6  # least difference between successive written scores
_EXPECTED = "six columns: query, Q0, record, rank, score, name of the run"


@dataclass(frozen=True, slots=True)
class Ranked:
    """One record of a ranking."""

    record_id: str
    score: float


@dataclass(frozen=True, slots=True)
class Run:
    """The rankings of one system by query id, each best first. The order of the records counts, not their scores."""

    name: str
    rankings: Mapping[str, tuple[Ranked, ...]]


class _RunRow(NamedTuple):
    """One line of a run file."""

    rank: int
    line: int
    score: float
    record_id: str


def read_run(path: Path) -> Run:
    """Read a TREC run, plain or gzipped, with its lines in any order. The name is that of the first line.

    A ranking is sorted by rank, and equal ranks by line. Scores may be equal but must not rise, since other programs
    sort by score.

    Raises:
        SourceError: the file has another layout, a record is ranked twice for a query, or scores are missing or rise;
            the message names the line.
    """
    rows_by_query: dict[str, dict[str, _RunRow]] = {}
    name = ""
    for number, line in read_lines(path):
        query_id, row, tag = _split_row(line, number, path)
        name = name or tag
        first = rows_by_query.setdefault(query_id, {}).setdefault(row.record_id, row)
        if first is not row:
            raise SourceError(
                f"{path}, line {number}: record {row.record_id[:60]!r} is already ranked for query {query_id[:40]!r} "
                f"on line {first.line}, expected once"
            )
    return Run(name, {query_id: _read_ranking(list(rows.values()), path) for query_id, rows in rows_by_query.items()})


def _split_row(line: str, number: int, path: Path) -> tuple[str, _RunRow, str]:
    """Split a line into query id, row and run name.

    Raises:
        SourceError: the line has not six columns, or its rank or score is not a number.
    """
    cells = line.split()
    if len(cells) != 6:
        raise SourceError(f"{path}, line {number}: found {line[:60]!r}, expected {_EXPECTED}")
    query_id, _, record_id, rank, score, tag = cells
    try:
        row = _RunRow(int(rank), number, float(score), record_id)
    except ValueError as err:
        raise SourceError(
            f"{path}, line {number}: rank {rank[:20]!r} and score {score[:20]!r}, expected numbers"
        ) from err
    if not math.isfinite(row.score):
        raise SourceError(f"{path}, line {number}: the score is {score[:20]!r}, expected a finite number")
    return query_id, row, tag


def _read_ranking(rows: list[_RunRow], path: Path) -> tuple[Ranked, ...]:
    """Sort the rows of one query into its ranking.

    Raises:
        SourceError: a score is higher than that of a better rank.
    """
    rows.sort(key=lambda row: (row.rank, row.line))
    for better, worse in zip(rows, rows[1:], strict=False):
        if worse.score > better.score:
            raise SourceError(
                f"{path}, line {worse.line}: rank {worse.rank} has the score {worse.score:g}, rank {better.rank} on "
                f"line {better.line} has {better.score:g}. Sort the run by score and number its ranks again"
            )
    return tuple(Ranked(row.record_id, row.score) for row in rows)


def write_run(run: Run, path: Path, *, overwrite: bool = True) -> None:
    """Write a TREC run, query after query. Written scores fall strictly, so that every program keeps the order.

    A blank in an id becomes "_", since blanks separate the columns.
    """
    write_text(path, _format_run(run), overwrite=overwrite)


def restore_ids(run: Run, judgments: Judgments) -> Run:
    """Replace "_" in the ids of a run read from a file by the blanks that the ids have in the judgments."""
    queries = {join_words(judged): judged for judged in judgments.grades}
    rankings = {}
    for query_id, ranking in run.rankings.items():
        query_id = query_id if query_id in judgments.grades else queries.get(query_id, query_id)
        grades = judgments.grades.get(query_id, {})
        names = {join_words(judged): judged for judged in grades} | {judged: judged for judged in grades}
        rankings[query_id] = tuple(Ranked(names.get(hit.record_id, hit.record_id), hit.score) for hit in ranking)
    return Run(run.name, rankings)


def _format_run(run: Run) -> Iterator[str]:
    """Yield the lines of a run."""
    name = join_words(run.name) or "run"
    for query_id, ranking in run.rankings.items():
        last = math.inf
        for rank, hit in enumerate(ranking, 1):
            last = min(round(hit.score / STEP), last - 1)
            yield f"{join_words(query_id)} Q0 {join_words(hit.record_id)} {rank} {last * STEP:.6f} {name}\n"


def join_words(text: str) -> str:
    """Join the words of a text with "_"."""
    return "_".join(text.split())
