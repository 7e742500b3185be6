"""How far a review is: what was read and found, what may be left, and whether reading may stop.

A page takes the numbers from `compute_progress` (`describe_progress` for JSON), and the picture from
`draw_chart(build_progress_chart(progress), alone=False)` with `draw_chart` of engine.relevance.screening.chart.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from enum import StrEnum
from statistics import median
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine.corpus.storage.journal import DecisionKind
from engine.phrases import pluralize
from engine.relevance.screening.chart import Chart, ChartMark, list_steps
from engine.relevance.screening.randomtail import estimate_left
from engine.relevance.screening.stopping import ERROR, RECALL, StoppingTest, count_too_many, list_rules
from engine.review.decisions.state import DecidedRecord, RecordDecision, ReviewState
from engine.review.desk.orders import OrderName

_BY_LIKELIHOOD = (OrderName.LEARNED, OrderName.CRITERIA)  # orders that are no worse than chance
_LEAST_HEIGHT = 10  # inclusions that a chart has room for


class StopVerdict(StrEnum):
    """Whether reading may stop."""

    STOP = "may stop"
    OPEN = "can't tell yet"
    DONE = "all read"


@dataclass(frozen=True, slots=True)
class StopAdvice:
    """What the test for stopping says."""

    verdict: StopVerdict
    reason: str  # a sentence
    recall: float  # share of all inclusions that is to be found
    error: float  # the chance that the test may take of stopping before that
    n_allowed: int  # inclusions that may be missed without falling below the recall
    p: float | None  # of the test on what was read in an order of the engine; None if nothing was
    least_left: int  # inclusions among the unread records, at least …
    most_left: int  # … and at most, each with the error
    most_random: int | None  # at most, as the records drawn at random tell, whatever the ranking is worth; None without
    n_more: int | None  # records to read until the test allows stopping if nothing more is found; None if it allows it


@dataclass(frozen=True, slots=True)
class ReviewProgress:
    """How far a review is. A record is read once anybody decided about it."""

    n_records: int
    n_read: int
    n_included: int
    n_unsure: int  # maybe or in conflict
    n_ordered: int  # read in an order of the engine, or drawn at random; imported or looked up were the others
    n_random: int  # drawn at random, one after another, at the end
    found_after: tuple[int, ...]  # for each included record, how many were read when it was found, ascending
    advice: StopAdvice
    stops: Mapping[str, int]  # rules that would have stopped by now, after how many records; the test needs an order
    seconds: float | None  # median for a record; None if no decision was timed
    n_timed: int  # decisions that were timed

    @property
    def n_unread(self) -> int:
        """The number of records without a decision."""
        return self.n_records - self.n_read

    def estimate_seconds(self, n_records: int) -> float | None:
        """Return how long that many records would take; None if no decision was timed."""
        return None if self.seconds is None else self.seconds * n_records


@dataclass(frozen=True, slots=True)
class _Reading:
    """The records that were read, oldest first, as arrays (m,)."""

    n_records: int
    included: NDArray[np.bool_]
    unsure: NDArray[np.bool_]
    in_order: NDArray[np.bool_]  # read in an order no worse than chance
    random: NDArray[np.bool_]  # drawn at random

    @property
    def found(self) -> NDArray[np.bool_]:
        """Which records are included or may yet be."""
        return self.included | self.unsure

    @property
    def n_unread(self) -> int:
        """The number of records that were not read."""
        return self.n_records - len(self.included)

    @property
    def n_random(self) -> int:
        """The number of records that were drawn at random since the last that was not."""
        others = np.flatnonzero(~self.random)
        return len(self.random) - (int(others[-1]) + 1 if len(others) else 0)


def compute_progress(state: ReviewState, recall: float = RECALL, error: float = ERROR) -> ReviewProgress:
    """Return how far a review is, from the decisions that are in force.

    The test counts a record that is maybe or in conflict as found by reading, but not towards the recall.

    recall: share of all inclusions that is to be found.
    error: the chance that the test for stopping may take of stopping before that.
    """
    read = [each for each in state.records if _is_read(each)]
    firsts = [_find_first(each) for each in read]
    in_turn = sorted(range(len(read)), key=lambda at: firsts[at].first)
    orders = [str((firsts[at].order or {}).get("name", "")) for at in in_turn]  # "": found in another way
    kinds = [read[at].kind for at in in_turn]
    included = np.array([kind is DecisionKind.INCLUDE for kind in kinds], bool)
    unsure = np.array([kind not in (DecisionKind.INCLUDE, DecisionKind.EXCLUDE) for kind in kinds], bool)
    random = np.array([name == OrderName.RANDOM for name in orders], bool)
    in_order = random | np.array([name in _BY_LIKELIHOOD for name in orders], bool)
    reading = _Reading(state.n_records, included, unsure, in_order, random)
    times = [one.seconds for each in read for one in each.decisions if one.seconds]
    return ReviewProgress(
        n_records=state.n_records,
        n_read=len(read),
        n_included=int(included.sum()),
        n_unsure=int(unsure.sum()),
        n_ordered=int(in_order.sum()),
        n_random=reading.n_random,
        found_after=tuple((np.flatnonzero(included) + 1).tolist()),
        advice=_build_advice(reading, recall, error),
        stops=dict(_list_stops(reading, recall)),
        seconds=round(median(times), 1) if times else None,
        n_timed=len(times),
    )


def describe_progress(progress: ReviewProgress) -> dict[str, Any]:
    """Return the progress of a review as plain fields, for JSON."""
    n_more = progress.advice.n_more
    seconds = {
        "median": progress.seconds,
        "timed": progress.n_timed,
        "left": progress.estimate_seconds(progress.n_unread),
        "more": None if n_more is None else progress.estimate_seconds(n_more),
    }
    return asdict(progress) | {"seconds": seconds}


def build_progress_chart(progress: ReviewProgress) -> Chart:
    """Return the chart of a review: what was found so far, and what may yet be found."""
    advice, n_read, n_found = progress.advice, progress.n_read, progress.n_included
    top = min(n_found + advice.most_left, max(2 * n_found, _LEAST_HEIGHT))
    unread, records = pluralize(progress.n_unread, "unread record"), pluralize(progress.n_records, "record")
    cut = "; the chart ends before" if top < n_found + advice.most_left else ""
    band = f"may yet be found: {advice.least_left:,} to {advice.most_left:,} of {unread}{cut}"
    now = (float(n_read), float(n_found))
    return Chart(
        title=f"{pluralize(n_found, 'inclusion')} found in {n_read:,} of {records} read",
        description=f"{advice.verdict.capitalize()}. {advice.reason}",
        n_read=progress.n_records,
        n_found=max(top, 1) * 1.06,
        curve=list_steps(progress.found_after, n_read),
        low=(now, (progress.n_records - advice.least_left, n_found), (progress.n_records, n_found + advice.least_left)),
        high=(now, (n_read + top - n_found, top), (progress.n_records, top)),
        band=band if progress.n_unread else "",
        marks=tuple(_list_marks(progress)),
    )


def _list_marks(progress: ReviewProgress) -> Iterator[ChartMark]:
    """Yield where each rule would have stopped."""
    for rule, n_read in progress.stops.items():
        n_found = bisect_right(progress.found_after, n_read)
        text = f"{rule}: after {pluralize(n_read, 'record')}, with {n_found:,} found"
        yield ChartMark((n_read, n_found), text)


def _list_stops(reading: _Reading, recall: float) -> Iterator[tuple[str, int]]:
    """Yield the rules that would have stopped by now, each with the number of records; the test needs an order."""
    rules = list(list_rules(recall).items())
    for name, rule in rules if reading.in_order.all() else rules[1:]:
        n_read = rule(reading.included, reading.n_records)
        if n_read:
            yield name, n_read


def _is_read(record: DecidedRecord) -> bool:
    """Return whether a record of the index is decided; a note alone is no decision."""
    return record.doc_id is not None and record.kind is not DecisionKind.UNDECIDED


def _find_first(record: DecidedRecord) -> RecordDecision:
    """Return the decision of the reviewer who decided about a record first."""
    return record.decisions[0] if len(record.decisions) == 1 else min(record.decisions, key=lambda each: each.first)


def _build_advice(reading: _Reading, recall: float, error: float) -> StopAdvice:
    """Return what the test says about a reading."""
    n_included, n_unread = int(reading.included.sum()), reading.n_unread
    too_many = count_too_many(n_included, recall)
    test = StoppingTest(reading.found, reading.n_records, reading.in_order)
    most = test.find_most_left(error)
    least, most_random = _estimate_random(reading, error)
    most = min(most, most_random)
    stops = bool(n_included) and most < too_many
    verdict = StopVerdict.DONE if not n_unread else StopVerdict.STOP if stops else StopVerdict.OPEN
    return StopAdvice(
        verdict,
        _explain(reading, verdict, (least, most, most_random), recall),
        recall,
        error,
        too_many - 1,
        test.compute_p(too_many) if reading.in_order.any() else None,
        least,
        most,
        most_random if reading.n_random else None,
        None if verdict is not StopVerdict.OPEN else _count_more(reading, test, too_many, error),
    )


def _estimate_random(reading: _Reading, error: float, more: int = 0) -> tuple[int, int]:
    """Return the fewest and the most inclusions left, as the records tell that were drawn at random at the end.

    more: exclusions that are drawn after them.
    """
    n = reading.n_random
    if not n:
        return 0, reading.n_unread
    return estimate_left(n + reading.n_unread, n + more, int(reading.found[-n:].sum()), error)


def _count_more(reading: _Reading, test: StoppingTest, too_many: int, error: float) -> int:
    """Return how many records must be read, if nothing more is found, until fewer than `too_many` can be left.

    They are read in the order of the last ones: at random, if these were drawn at random. Without an inclusion, all.
    """
    if not reading.included.any():
        return reading.n_unread
    low, high = 0, test.count_more(too_many, error)
    while low < high and reading.n_random:
        middle = (low + high) // 2
        stops = _estimate_random(reading, error, middle)[1] < too_many
        low, high = (low, middle) if stops else (middle + 1, high)
    return high


def _explain(reading: _Reading, verdict: StopVerdict, left: tuple[int, int, int], recall: float) -> str:
    """Return the reason of a verdict; left is the least, the most, and the most by random draws."""
    n_unread, n_read = reading.n_unread, len(reading.included)
    least, most, most_random = left
    n_allowed = count_too_many(int(reading.included.sum()), recall) - 1
    if verdict is StopVerdict.DONE:
        return "Every record is read."
    if not n_read:
        return "Nothing is read yet."
    if not reading.included.any():
        return "Nothing is included yet, so nothing tells how many inclusions there are."
    unread = pluralize(n_unread, "unread record")
    if verdict is StopVerdict.STOP:
        by_chance = most_random <= n_allowed
        most, why = (
            (most_random, " Records drawn at random tell it, so it needs no ranking.") if by_chance else (most, "")
        )
        return (
            f"At most {most:,} of {unread} belong in the review; {100 * recall:g} % recall allows {n_allowed:,}.{why}"
        )
    unordered = n_read - int(reading.in_order.sum())
    if unordered == n_read:
        return (
            f"{_count_decisions(unordered)} made on records that were imported or looked up, which tells nothing about "
            "what is left. Read on in the order that the engine offers."
        )
    few = f"{least:,} to {most:,}" if least else f"As many as {most:,}"
    said = f" {_count_decisions(unordered)} made out of order, which tells nothing about it." if unordered else ""
    return f"{few} of {unread} may belong in the review; {100 * recall:g} % recall allows {n_allowed:,}.{said}"


def _count_decisions(n: int) -> str:
    """Return a number of decisions with its verb."""
    return f"{pluralize(n, 'decision')} {'was' if n == 1 else 'were'}"
