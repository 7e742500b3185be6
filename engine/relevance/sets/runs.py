"""Runs: what a system ranks for each query, and their files in TREC's layout."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from engine.errors import SourceError
from engine.files import read_lines, write_text
from engine.relevance.sets.judgments import Judgments

STEP = 1e-6  # by which a written score falls at least
_EXPECTED = "six columns: query, Q0, record, rank, score, name of the run"


@dataclass(frozen=True, slots=True)
class Ranked:
    """One record of a ranking."""

    record_id: str
    score: float


@dataclass(frozen=True, slots=True)
class Run:
    """The rankings of one system by query id, each best first. Their order is the ranking, whatever the scores say."""

    name: str
    rankings: Mapping[str, tuple[Ranked, ...]]


class _RunRow(NamedTuple):
    """One line of a file."""

    rank: int
    line: int
    score: float
    record_id: str


def read_run(path: Path) -> Run:
    """Read a TREC run, compressed or not; lines may stand in any order. The name is that of the first line.

    The ranks order a ranking, and the lines where ranks are equal. Scores may be equal but must not rise, since other
    programs go by the score.

    Raises:
        SourceError: not such a file, a record is ranked twice for a query, or scores are missing or rise; says where.
    """
    found: dict[str, dict[str, _RunRow]] = {}
    name = ""
    for number, line in read_lines(path):
        query_id, row, tag = _split_row(line, number, path)
        name = name or tag
        before = found.setdefault(query_id, {}).setdefault(row.record_id, row)
        if before is not row:
            raise SourceError(
                f"{path}, line {number}: record {row.record_id[:60]!r} is ranked for query {query_id[:40]!r} on line "
                f"{before.line} already, expected once"
            )
    return Run(name, {query_id: _read_ranking(list(rows.values()), path) for query_id, rows in found.items()})


def _split_row(line: str, number: int, path: Path) -> tuple[str, _RunRow, str]:
    """Query id, content and run name of a line.

    Raises:
        SourceError: not six columns, or rank or score is no number.
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
    """The ranking of one query.

    Raises:
        SourceError: a score is higher than that of a better rank.
    """
    rows.sort(key=lambda row: (row.rank, row.line))
    for better, worse in zip(rows, rows[1:], strict=False):
        if worse.score > better.score:
            raise SourceError(
                f"{path}, line {worse.line}: rank {worse.rank} has the score {worse.score:g}, rank {better.rank} on "
                f"line {better.line} has {better.score:g}. Which one counts? Sort by score and number anew"
            )
    return tuple(Ranked(row.record_id, row.score) for row in rows)


def write_run(run: Run, path: Path, *, overwrite: bool = True) -> None:
    """Write a TREC run, query after query. Written scores fall strictly, so that every program keeps the order.

    A blank in an id becomes "_", since blanks part the columns.
    """
    write_text(path, _run_lines(run), overwrite=overwrite)


def restore_ids(run: Run, judgments: Judgments) -> Run:
    """The run of a file with the ids that judgments have, where those have blanks and the file "_" for them."""
    queries = {join_words(one): one for one in judgments.grades}
    rankings = {}
    for query_id, ranking in run.rankings.items():
        query_id = query_id if query_id in judgments.grades else queries.get(query_id, query_id)
        grades = judgments.grades.get(query_id, {})
        names = {join_words(one): one for one in grades} | {one: one for one in grades}
        rankings[query_id] = tuple(Ranked(names.get(one.record_id, one.record_id), one.score) for one in ranking)
    return Run(run.name, rankings)


def _run_lines(run: Run) -> Iterator[str]:
    """Yield the lines of a run."""
    name = join_words(run.name) or "run"
    for query_id, ranking in run.rankings.items():
        last = math.inf
        for rank, one in enumerate(ranking, 1):
            last = min(round(one.score / STEP), last - 1)
            yield f"{join_words(query_id)} Q0 {join_words(one.record_id)} {rank} {last * STEP:.6f} {name}\n"


def join_words(text: str) -> str:
    """Text as one word."""
    return "_".join(text.split())
