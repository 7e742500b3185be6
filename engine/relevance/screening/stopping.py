"""When to stop screening: what may be left among the unread records, and the rules of thumb that it is compared with.

The bound is the test of Callaghan and Müller-Hansen (Systematic Reviews 2020, 9:273) for ranked records. Take any
moment of the past: if what was read since had been drawn at random from what was unread then, the number of inclusions
in it would be hypergeometric. A ranking finds more than chance does, so the test errs on the side of reading on.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

from engine.relevance.screening.hypergeometric import Hypergeometric

RECALL = 0.95  # share of the included records that is to be found …
ERROR = 0.05  # … and the chance that the test may take of stopping before that
_RUNS = (50, 100, 200)  # exclusions in a row after which reviewers stop, as a rule of thumb
Labels = NDArray[np.bool_]
_Rule = Callable[[Labels, int], int | None]  # see list_rules


class StoppingTest:
    """The test on what was read of a review so far.

    A record that was not read in an order no worse than chance, because it was imported or looked up, says nothing
    about what is left: an excluded one counts as unread, an included one as found, but not by reading.
    """

    def __init__(self, found: Labels, n_records: int, in_order: Labels | None = None) -> None:
        """Prepare to test.

        found (m,) tells of each record that was read, oldest first, whether it is or may yet be included; in_order (m,)
        whether it was read in an order no worse than chance, by default all; n_records, m at least, is the number of
        all records.
        """
        in_order = np.ones(len(found), bool) if in_order is None else in_order
        self.n_unread = n_records - len(found)
        starts = np.flatnonzero(np.concatenate([[True], found | ~in_order]))  # others say less
        self._drawn = _count_since(in_order)[starts]
        self._found = _count_since(in_order & found)[starts]
        self._n = n_records - starts - _count_since(~in_order & found)[starts]
        self._chances = Hypergeometric(n_records)

    def compute_p(self, left: int) -> float:
        """Return the least p value, over all moments of the past, of so few inclusions since, if `left` are unread.

        It is 1 if nothing was read in order, and 0 if fewer are unread.
        """
        if left > self.n_unread:
            return 0.0
        tail = self._chances.compute_tail(self._found, self._n, self._found + left, self._drawn)
        return float(tail.min(initial=1.0))

    def find_most_left(self, error: float = ERROR) -> int:
        """Return how many of the unread records may belong in the review: the most with a p value above the error.

        error: below 1/2, here and in `count_more`.
        """
        rows, low, high = np.arange(len(self._n)), 0, self.n_unread
        while low < high:
            middle = (low + high + 1) // 2
            unlikely = self._list_unlikely(rows, middle, 0, error)
            if len(unlikely):
                rows, high = unlikely, middle - 1  # a moment that does not rule it out rules out no smaller number
            else:
                low = middle
        return low

    def count_more(self, left: int, error: float = ERROR) -> int:
        """Return how many more exclusions in order it takes until `left` are ruled out: at most all unread records."""
        rows, low, high = np.arange(len(self._n)), 0, max(0, self.n_unread - left + 1)
        while low < high:
            middle = (low + high) // 2
            unlikely = self._list_unlikely(rows, left, middle, error)
            if len(unlikely):
                rows, high = unlikely, middle
            else:
                low = middle + 1
        return low

    def _list_unlikely(self, rows: NDArray[np.int64], left: int, more: int, error: float) -> NDArray[np.int64]:
        """Return those of the moments that rule out `left`, after so many more exclusions in order."""
        found = self._found[rows]
        chances = self._chances.is_tail_within(error, found, self._n[rows], found + left, self._drawn[rows] + more)
        return rows[chances]


def _count_since(marks: Labels) -> NDArray[np.int64]:
    """Return for each place how many marks (m,) there are from it on, and 0 for the end: (m + 1,)."""
    return np.concatenate([np.cumsum(marks[::-1], dtype=np.int64)[::-1], [0]])


def count_too_many(n_found: int, recall: float = RECALL) -> int:
    """Return the smallest number of records left with which the recall is below the target."""
    return math.floor(n_found / recall - n_found + 1e-9) + 1


def find_stop(labels: Labels, n_records: int, recall: float = RECALL, error: float = ERROR) -> int | None:
    """Return after how many records screening may stop at a recall with an error; None if never.

    labels (m,) tells of each record, in the order of reading, whether it was included; n_records is the number of all
    records, m at least. The order must be no worse than chance, as that of `engine screen`. Looks after every hundredth
    of the records, as StoppingTest does, but at all of them at once.
    """
    step = max(1, n_records // 100)
    looks = np.arange(step, len(labels) + 1, step)
    found = np.concatenate([[0], np.cumsum(labels, dtype=np.int64)])
    too_many = np.array([count_too_many(int(n), recall) for n in found[looks]], np.int64)
    starts = np.concatenate([[0], np.flatnonzero(labels) + 1])
    look, at = np.nonzero(starts < looks[:, None])
    start = starts[at]
    since, left = found[looks[look]] - found[start], np.minimum(too_many, n_records - looks)[look]
    tail = Hypergeometric(n_records).compute_tail(since, n_records - start, since + left, looks[look] - start)
    p = np.ones(len(looks))
    np.minimum.at(p, look, tail)
    stops = looks[(found[looks] > 0) & ((too_many > n_records - looks) | (p <= error))]
    return int(stops[0]) if len(stops) else None


def _find_run(labels: Labels, n_records: int, *, length: int) -> int | None:
    """Return after how many of n_records the first `length` exclusions in a row were read, None if there are none."""
    places = np.concatenate([[-1], np.flatnonzero(labels), [len(labels)]])
    long_enough = np.flatnonzero(np.diff(places) > length)
    return int(places[long_enough[0]]) + 1 + length if len(long_enough) else None


def _find_half(labels: Labels, n_records: int) -> int | None:
    """Return the half of the records, None if fewer were read."""
    return n_records // 2 if len(labels) >= n_records // 2 else None


def list_rules(recall: float = RECALL) -> Mapping[str, _Rule]:
    """Return the rules for stopping by name: first the test with this recall, then rules of thumb.

    A rule takes the labels (m,) of what was read, in the order of reading, and the number of all records. It returns
    after how many records it would have stopped, None if it would not have.
    """
    rules: dict[str, _Rule] = {
        f"{100 * recall:g} % recall, {100 * (1 - ERROR):g} % sure": partial(find_stop, recall=recall)
    }
    rules |= {f"{n} excluded in a row": partial(_find_run, length=n) for n in _RUNS}
    return rules | {"half of the records": _find_half}


@dataclass(frozen=True, slots=True)
class RuleOutcome:
    """What a rule for stopping does in simulations of a review."""

    rule: str
    n_stopped: int  # simulations in which it stops before everything is read
    read: float  # mean share of the records read; 1 where it never stops
    recall: float  # mean share of the included records found
    n_broken: int  # simulations in which it stops with a recall below the target


def compare_rules(orders: Sequence[Labels], recall: float = RECALL) -> list[RuleOutcome]:
    """Return what each of `list_rules` does in simulations; orders holds the labels of each in the order of reading."""
    rules = list_rules(recall).items()
    return [_measure_rule(name, [(each, rule(each, len(each))) for each in orders], recall) for name, rule in rules]


def _measure_rule(name: str, stops: Sequence[tuple[Labels, int | None]], recall: float) -> RuleOutcome:
    """Return the outcome of one rule from the labels of each simulation and where it stops."""
    ends = [(labels, len(labels) if stop is None else stop) for labels, stop in stops]
    shares = [float(labels[:end].sum() / labels.sum()) for labels, end in ends]
    return RuleOutcome(
        name,
        sum(end < len(labels) for labels, end in ends),
        float(np.mean([end / len(labels) for labels, end in ends])),
        float(np.mean(shares)),
        sum(share < recall for share in shares),
    )
