"""Screening of a review that is done, over again: what would have been read when, had the engine said what to read."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import NDArray

from engine.errors import UsageError
from engine.relevance.screening.ranking import Pool, Rows, rank_unlabelled
from engine.relevance.screening.screenmeasures import Screened, measure_screening

_Ranker = Callable[[Pool, Rows, NDArray[np.bool_], NDArray[np.bool_]], Rows]
LEAST = 2  # records of each kind: one of them is known beforehand
_STEPS = ((100, 1), (1000, 5))  # until so many are read, so many are read at once
_LAST_STEP = 100


def order_by_screening(pool: Pool, labelled: Rows, included: NDArray[np.bool_], left: NDArray[np.bool_]) -> Rows:
    """The order in which `engine screen` shows the rows that are left."""
    return rank_unlabelled(pool, labelled, included, left)[0]


def simulate_screening(
    pool: Pool,
    included: NDArray[np.bool_],
    n_priors: int = 10,
    seed: int = 0,
    step: int | None = None,
    ranker: _Ranker = order_by_screening,
) -> Iterator[Screened]:
    """Screen a pool n_priors times, each time from another included and another excluded record, and yield measures.

    included (n,) says what each row turns out to be. Both records known beforehand are drawn by the seed and have no
    part in the measures. After every `step` records read the rest is ranked anew; with None after each of the first
    100, then after 5, and after 1,000 read after 100. The first simulations of a longer series are those of a shorter.

    Raises:
        UsageError: fewer than two records of either kind, or fewer than one prior.
    """
    n_included, n_excluded = int(included.sum()), int((~included).sum())
    if min(n_included, n_excluded) < LEAST:
        raise UsageError(
            f"{n_included:,} included and {n_excluded:,} excluded records of this index, expected {LEAST} or more of "
            "each: one is known beforehand, and there must be something to find"
        )
    if n_priors < 1 or (step is not None and step < 1):
        raise UsageError(f"{n_priors} simulations, reading {step or 0} records at once: expected 1 or more of both")
    for number in range(n_priors):
        order = _read_order(pool, included, _draw_priors(included, seed, number), step, ranker)
        yield measure_screening(included[order].astype(np.int64))


def _draw_priors(included: NDArray[np.bool_], seed: int, number: int) -> Rows:
    """The rows known beforehand: an included and an excluded one, the same for the same seed and number."""
    rng = np.random.default_rng([seed, number])
    return np.array([rng.choice(np.flatnonzero(included)), rng.choice(np.flatnonzero(~included))], np.int64)


def _read_order(
    pool: Pool,
    included: NDArray[np.bool_],
    known: Rows,
    step: int | None = None,
    ranker: _Ranker = order_by_screening,
) -> Rows:
    """All rows but those known beforehand, in the order in which they are read.

    Once all included rows are found, the rest follows as it lies: no measure depends on it.
    """
    left = np.ones(len(included), bool)
    left[known] = False
    read = known[:0]
    while (included & left).any():
        labelled = np.concatenate([known, read])
        batch = ranker(pool, labelled, included[labelled], left)[: step or _choose_step(len(read))]
        read = np.concatenate([read, batch])
        left[batch] = False
    return np.concatenate([read, np.flatnonzero(left)])


def _choose_step(n_read: int) -> int:
    """How many records are read before the rest is ranked anew."""
    return next((step for most, step in _STEPS if n_read < most), _LAST_STEP)
