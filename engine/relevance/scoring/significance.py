"""How sure a mean over queries is, and a difference between two systems: bootstrap over the queries."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from engine.errors import UsageError

_LEVEL = 95  # percent
_BLOCK = 2_000_000  # numbers drawn at once: 32 MB
_SAME = 1e-12  # a difference below it is one of rounding


@dataclass(frozen=True, slots=True)
class Interval:
    """A mean with its 95 percent interval."""

    mean: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Difference:
    """What one system gains over another, query by query."""

    mean: float
    low: float
    high: float
    p: float  # two-sided
    wins: int  # queries for which the second is better
    ties: int
    losses: int
    n: int

    @property
    def half_width(self) -> float:
        """Half the length of the interval: a difference much smaller than this could not be seen."""
        return (self.high - self.low) / 2


def estimate_mean(values: NDArray[np.float64], seed: int = 0, n_resamples: int = 10_000) -> Interval:
    """The mean of values (n,) and the percentile bootstrap interval of it (Efron & Tibshirani 1993, ch. 13).

    One value, or equal ones, give an interval of length 0. The same values, in the same order, and the same seed give
    the same interval.
    """
    checked = _check_finite(values)
    return _build_interval(checked, _resample_means(checked, seed, n_resamples))


def compare_paired(
    a: NDArray[np.float64], b: NDArray[np.float64], seed: int = 0, n_resamples: int = 10_000
) -> Difference:
    """The gain of b over a, both (n,), the same queries in the same order: mean of b - a, interval and two-sided p.

    p is twice the smaller share of resampled means at or beyond 0 on either side, (count + 1) / (n_resamples + 1) so
    that it is never 0, and at most 1 (Davison & Hinkley 1997, ch. 4).

    Raises:
        UsageError: a and b differ in length.
    """
    first, second = _check_finite(a), _check_finite(b)
    if len(first) != len(second):
        raise UsageError(f"{len(first):,} and {len(second):,} values, expected one of each for every query")
    differences = second - first
    means = _resample_means(differences, seed, n_resamples)
    beyond = min(int((means <= _SAME).sum()), int((means >= -_SAME).sum()))
    found = _build_interval(differences, means)
    wins, losses = int((differences > _SAME).sum()), int((differences < -_SAME).sum())
    return Difference(
        mean=found.mean,
        low=found.low,
        high=found.high,
        p=min(1.0, 2 * (beyond + 1) / (n_resamples + 1)),
        wins=wins,
        ties=len(differences) - wins - losses,
        losses=losses,
        n=len(differences),
    )


def _check_finite(values: ArrayLike) -> NDArray[np.float64]:
    """The values as float64 (n,).

    Raises:
        UsageError: none, of another shape, or not finite.
    """
    found = np.asarray(values, np.float64)
    if found.ndim != 1 or not len(found) or not np.isfinite(found).all():
        raise UsageError(f"values of shape {found.shape}, expected one finite number or more for as many queries")
    return found


def _resample_means(values: NDArray[np.float64], seed: int, n_resamples: int) -> NDArray[np.float64]:
    """Means (n_resamples,) of as many samples of values (n,), drawn with replacement; in blocks of bounded memory.

    Raises:
        UsageError: no sample is asked for.
    """
    if n_resamples < 1:
        raise UsageError(f"n_resamples is {n_resamples}, expected 1 or more")
    generator = np.random.default_rng(seed)
    means = np.empty(n_resamples, np.float64)
    rows = max(1, _BLOCK // len(values))
    for start in range(0, n_resamples, rows):
        n = min(rows, n_resamples - start)
        means[start : start + n] = values[generator.integers(0, len(values), (n, len(values)))].mean(axis=1)
    return means


def _build_interval(values: NDArray[np.float64], means: NDArray[np.float64]) -> Interval:
    """The mean of the values with the middle 95 percent of the resampled means."""
    tail = (100 - _LEVEL) / 2
    low, high = np.percentile(means, [tail, 100 - tail])
    return Interval(float(values.mean()), float(low), float(high))


def adjust_p_values(p_values: Sequence[float]) -> tuple[float, ...]:
    """Adjust p values for their number by Holm's step-down method (1979), in the order given.

    The i-th smallest of m, from 0, is multiplied by m - i; none falls below the one before it, none exceeds 1.
    """
    adjusted, highest = [0.0] * len(p_values), 0.0
    for i, place in enumerate(sorted(range(len(p_values)), key=lambda n: p_values[n])):
        highest = max(highest, min(1.0, p_values[place] * (len(p_values) - i)))
        adjusted[place] = highest
    return tuple(adjusted)
