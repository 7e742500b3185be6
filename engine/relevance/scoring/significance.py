"""Confidence intervals of means over queries, and tests of differences: bootstrap over the queries."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from engine.errors import UsageError

_LEVEL = 95  # percent
_BLOCK = 2_000_000  # numbers drawn at once: 32 MB of memory
_SAME = 1e-12  # smaller differences are rounding errors


@dataclass(frozen=True, slots=True)
class Interval:
    """A mean with its 95 percent interval."""

    mean: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Difference:
    """Gain of one system over another, paired by query."""

    mean: float
    low: float
    high: float
    p: float  # two-sided
    wins: int  # queries for which the second system is better
    ties: int
    losses: int
    n: int

    @property
    def half_width(self) -> float:
        """Half the length of the interval: much smaller differences can't be detected."""
        return (self.high - self.low) / 2


def estimate_mean(values: NDArray[np.float64], seed: int = 0, n_resamples: int = 10_000) -> Interval:
    """Estimate the mean of values (n,) with its percentile bootstrap interval (Efron & Tibshirani 1993, ch. 13).

    One value, or equal ones, give an interval of length 0. The same values, in the same order, and the same seed give
    the same interval.
    """
    checked = _check_finite(values)
    return _build_interval(checked, _resample_means(checked, seed, n_resamples))


def compare_paired(
    a: NDArray[np.float64], b: NDArray[np.float64], seed: int = 0, n_resamples: int = 10_000
) -> Difference:
    """Compare b with a, both (n,) for the same queries in the same order: mean of b - a, interval and two-sided p.

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
    interval = _build_interval(differences, means)
    wins, losses = int((differences > _SAME).sum()), int((differences < -_SAME).sum())
    return Difference(
        mean=interval.mean,
        low=interval.low,
        high=interval.high,
        p=min(1.0, 2 * (beyond + 1) / (n_resamples + 1)),
        wins=wins,
        ties=len(differences) - wins - losses,
        losses=losses,
        n=len(differences),
    )


def _check_finite(values: ArrayLike) -> NDArray[np.float64]:
    """Return the values as float64 (n,).

    Raises:
        UsageError: there is no value, the shape is another, or a value is not finite.
    """
    array = np.asarray(values, np.float64)
    if array.ndim != 1 or not len(array) or not np.isfinite(array).all():
        raise UsageError(f"values of shape {array.shape}, expected a finite number for each of one or more queries")
    return array


def _resample_means(values: NDArray[np.float64], seed: int, n_resamples: int) -> NDArray[np.float64]:
    """Compute the means (n_resamples,) of samples of values (n,), drawn with replacement, in blocks of bounded memory.

    Raises:
        UsageError: n_resamples is below 1.
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
    """Return the mean of the values with the middle 95 percent of the resampled means."""
    tail = (100 - _LEVEL) / 2
    low, high = np.percentile(means, [tail, 100 - tail])
    return Interval(float(values.mean()), float(low), float(high))


def adjust_p_values(p_values: Sequence[float]) -> tuple[float, ...]:
    """Adjust p values for their number by Holm's step-down method (1979), in the order given.

    The i-th smallest of m, from 0, is multiplied by m - i. Adjusted values never fall in this order, nor exceed 1.
    """
    adjusted, highest = [0.0] * len(p_values), 0.0
    for i, place in enumerate(sorted(range(len(p_values)), key=lambda n: p_values[n])):
        highest = max(highest, min(1.0, p_values[place] * (len(p_values) - i)))
        adjusted[place] = highest
    return tuple(adjusted)
