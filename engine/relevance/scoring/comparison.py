"""Comparison of systems: the gain of each over the first, and whether it could be chance."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from engine.errors import UsageError
from engine.relevance.scoring.measures import Measure
from engine.relevance.scoring.significance import Difference, Interval, adjust_p_values, compare_paired, estimate_mean

_SEED = 0
_RESAMPLES = 10_000
_WORTH_SEEING = 0.01  # a difference that a comparison should be able to detect


@dataclass(frozen=True, slots=True)
class _Gain:
    """Gain of a system over the baseline."""

    difference: Difference  # p for this comparison alone
    p: float  # adjusted for the number of comparisons (Holm)
    values: NDArray[np.float64]  # (n,) gains query by query, in the order of Comparison.query_ids


@dataclass(frozen=True, slots=True)
class ComparisonRow:
    """One system of a comparison."""

    name: str
    interval: Interval
    gain: _Gain | None  # None: the baseline


@dataclass(frozen=True, slots=True)
class Comparison:
    """Systems compared by one measure, the baseline first."""

    measure: Measure
    query_ids: tuple[str, ...]
    rows: tuple[ComparisonRow, ...]
    notes: tuple[str, ...]  # for people


def compare(measure: Measure, systems: Sequence[tuple[str, Mapping[str, float]]]) -> Comparison:
    """Compare systems, each a name with a value for every query; the first is the baseline.

    Differences are paired by query, with 95 percent intervals from 10,000 bootstrap resamples with seed 0.

    Raises:
        UsageError: there are fewer than two systems, or they have different queries.
    """
    if len(systems) < 2:
        raise UsageError(f"{len(systems)} to compare, expected two or more systems, the baseline first")
    query_ids = tuple(systems[0][1])
    if mismatched := [name for name, values in systems if values.keys() != set(query_ids)]:
        raise UsageError(f"{mismatched[0]} is measured on other queries than {systems[0][0]}, expected the same")
    arrays = [np.array([values[query_id] for query_id in query_ids], np.float64) for _, values in systems]
    differences = [compare_paired(arrays[0], array, _SEED, _RESAMPLES) for array in arrays[1:]]
    adjusted = adjust_p_values([difference.p for difference in differences])
    gains = [
        _Gain(difference, p, array - arrays[0])
        for difference, p, array in zip(differences, adjusted, arrays[1:], strict=True)
    ]
    rows = [
        ComparisonRow(name, estimate_mean(array, _SEED, _RESAMPLES), gain)
        for (name, _), array, gain in zip(systems, arrays, [None, *gains], strict=True)
    ]
    return Comparison(measure, query_ids, tuple(rows), _note_sample_size(rows, len(query_ids)))


def _note_sample_size(rows: Sequence[ComparisonRow], n_queries: int) -> tuple[str, ...]:
    """Note how many queries would detect a difference of _WORTH_SEEING; no note if there are enough.

    The interval narrows with the square root of the number of queries.
    """
    widths = [row.gain.difference.half_width for row in rows if row.gain]
    if max(widths) <= _WORTH_SEEING:
        return ()
    needed = math.ceil(n_queries * (max(widths) / _WORTH_SEEING) ** 2)
    return (
        f"{n_queries:,} queries can detect differences of about {max(widths):.3f}, but not of {_WORTH_SEEING}; "
        f"that takes about {_round_up(needed):,} queries",
    )


def _round_up(n: int) -> int:
    """Round a number up to two significant digits."""
    unit = int("1" + "0" * max(0, len(str(n)) - 2))
    return -(-n // unit) * unit
