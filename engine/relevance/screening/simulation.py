"""Simulation of a finished review, in the order in which the engine would have ranked its records."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import NDArray

from engine.errors import UsageError
from engine.relevance.screening.ranking import Pool, Rows, rank_unlabelled

_Ranker = Callable[[Pool, Rows, NDArray[np.bool_], NDArray[np.bool_]], Rows]
LEAST = 2  # records of each kind, since one of them is a prior
_STEPS = ((100, 1), (1000, 5))  # (below this number of records read, records read per ranking)
_LAST_STEP = 100


def _order_by_screening(pool: Pool, labelled: Rows, included: NDArray[np.bool_], left: NDArray[np.bool_]) -> Rows:
    """Rank the unread rows as `engine screen` does."""
    return rank_unlabelled(pool, labelled, included, left)[0]


def simulate_orders(
    pool: Pool,
    included: NDArray[np.bool_],
    n_priors: int = 10,
    seed: int = 0,
    step: int | None = None,
    ranker: _Ranker = _order_by_screening,
) -> Iterator[NDArray[np.bool_]]:
    """Screen a pool n_priors times, each time starting from one included and one excluded record; yield the labels.

    included (n,) marks the rows that the review included. Of each simulation the labels (n - 2,) come in the order in
    which the records are read, those included True. The two priors are drawn with the seed and are not among them. The
    unread rows are ranked again after every `step` records; by default after each record, after every 5 from the 100th
    on, and after every 100 from the 1,000th on. A longer series begins with the simulations of a shorter one.

    Raises:
        UsageError: there are fewer than two records of either kind, or n_priors or step is below 1.
    """
    n_included, n_excluded = int(included.sum()), int((~included).sum())
    if min(n_included, n_excluded) < LEAST:
        raise UsageError(
            f"{n_included:,} included and {n_excluded:,} excluded records of this index, expected {LEAST} or more of "
            "each, since one of them is known beforehand"
        )
    if n_priors < 1 or (step is not None and step < 1):
        raise UsageError(f"{n_priors} simulations, reading {step or 0} records at once: expected 1 or more of each")
    for number in range(n_priors):
        order = _read_order(pool, included, _draw_priors(included, seed, number), step, ranker)
        yield included[order]


def _draw_priors(included: NDArray[np.bool_], seed: int, number: int) -> Rows:
    """Draw the priors: an included and an excluded row, the same for the same seed and number."""
    rng = np.random.default_rng([seed, number])
    return np.array([rng.choice(np.flatnonzero(included)), rng.choice(np.flatnonzero(~included))], np.int64)


def _read_order(
    pool: Pool,
    included: NDArray[np.bool_],
    known: Rows,
    step: int | None = None,
    ranker: _Ranker = _order_by_screening,
) -> Rows:
    """Return all rows but the known ones, in the order in which they are read.

    Once all included rows are found, the rest follows by row: no measure depends on its order.
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
    """Return the number of records to read before the rest is ranked again."""
    return next((step for most, step in _STEPS if n_read < most), _LAST_STEP)
