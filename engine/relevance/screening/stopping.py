"""When to stop screening: what may be left among the unread records, and the rules of thumb that it is compared with.

The bound is the test of Callaghan and Müller-Hansen (Systematic Reviews 2020, 9:273) for ranked records. Take any
moment of the past: if what was read since had been drawn at random from what was unread then, the number of inclusions
in it would be hypergeometric. A ranking finds more than chance does, so the test errs on the side of reading on.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

from engine.errors import MissingExtraError

_EXTRAS = "[cpu] or [gpu]"
_RUNS = (50, 100, 200)  # exclusions in a row after which reviewers stop, as a rule of thumb


def _find_stop(
    included: NDArray[np.bool_], n_records: int, recall: float = 0.95, confidence: float = 0.95
) -> int | None:
    """Return after how many records screening may stop at a recall with a confidence; None if never.

    included (m,) tells of each record, in the order of reading, whether it was included; n_records is the number of all
    records, m at least. The order must be no worse than chance, as that of `engine screen`. Looks after every hundredth
    of the records.

    Raises:
        MissingExtraError: SciPy is not installed.
    """
    step = max(1, n_records // 100)
    for n_read in range(step, len(included) + 1, step):
        n_found = int(included[:n_read].sum())
        too_many = math.floor(n_found / recall - n_found) + 1  # left, and the recall is below
        may_be_left = n_records - n_read >= too_many
        if n_found and not (may_be_left and _compute_p(included[:n_read], n_records, too_many) > 1 - confidence):
            return n_read
    return None


def _find_run(included: NDArray[np.bool_], length: int) -> int | None:
    """Return after how many records the first `length` exclusions in a row were read, None if there are none."""
    places = np.concatenate([[-1], np.flatnonzero(included), [len(included)]])
    long_enough = np.flatnonzero(np.diff(places) > length)
    return int(places[long_enough[0]]) + 1 + length if len(long_enough) else None


@dataclass(frozen=True, slots=True)
class RuleOutcome:
    """What a rule for stopping does in simulations of a review."""

    rule: str
    n_stopped: int  # simulations in which it stops before everything is read
    read: float  # mean share of the records read; 1 where it never stops
    recall: float  # mean share of the included records found
    n_broken: int  # simulations in which it stops with a recall below the target


def compare_rules(orders: Sequence[NDArray[np.bool_]], recall: float = 0.95) -> list[RuleOutcome]:
    """Return what each rule does in simulations; orders holds the labels of each in the order of reading.

    The first rule is that of _find_stop with this recall, at a confidence of 95 %; the others are rules of thumb.

    Raises:
        MissingExtraError: SciPy is not installed.
    """
    rules: dict[str, Callable[[NDArray[np.bool_]], int | None]] = {
        f"{100 * recall:g} % recall, 95 % sure": lambda labels: _find_stop(labels, len(labels), recall)
    }
    rules |= {f"{n} excluded in a row": partial(_find_run, length=n) for n in _RUNS}
    rules |= {"half of the records": lambda labels: len(labels) // 2}
    return [_measure_rule(name, [(labels, rule(labels)) for labels in orders], recall) for name, rule in rules.items()]


def _measure_rule(name: str, stops: Sequence[tuple[NDArray[np.bool_], int | None]], recall: float) -> RuleOutcome:
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


def _compute_p(included: NDArray[np.bool_], n_records: int, left: int) -> float:
    """Return the least p value, over all moments of the past, of so few inclusions since, if `left` are still unread.

    Raises:
        MissingExtraError: SciPy is not installed.
    """
    try:
        from scipy.stats import hypergeom
    except ImportError as err:
        raise MissingExtraError("SciPy (needed to tell what is left)", _EXTRAS) from err
    n_read, found = len(included), np.cumsum(included)
    starts = np.concatenate([[0], np.flatnonzero(included) + 1])  # of equal counts, the longest stretch says most
    starts = starts[starts < n_read]
    if not len(starts):
        return 1.0
    since = found[-1] - np.concatenate([[0], found])[starts]
    return float(hypergeom.cdf(since, n_records - starts, since + left, n_read - starts).min())
