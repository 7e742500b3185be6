"""Systems side by side: what each gains over the first, and whether that could be chance."""

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
_WORTH_SEEING = 0.01  # a difference that a comparison should be able to tell from chance


@dataclass(frozen=True, slots=True)
class _Gain:
    """What a system gains over the baseline."""

    difference: Difference  # p for this comparison alone
    p: float  # adjusted for the number of comparisons (Holm)
    values: NDArray[np.float64]  # (n,) gains query by query, in the order of Comparison.query_ids


@dataclass(frozen=True, slots=True)
class ComparisonRow:
    """One system."""

    name: str
    interval: Interval
    gain: _Gain | None  # None: the baseline


@dataclass(frozen=True, slots=True)
class Comparison:
    """Systems under one measure, the baseline first."""

    measure: Measure
    query_ids: tuple[str, ...]
    rows: tuple[ComparisonRow, ...]
    notes: tuple[str, ...]  # for people


def compare(measure: Measure, systems: Sequence[tuple[str, Mapping[str, float]]]) -> Comparison:
    """Compare systems, each a name with a value for every query; the first is the baseline.

    Differences are paired: query by query, 95 percent intervals from 10,000 bootstrap resamples with seed 0.

    Raises:
        UsageError: fewer than two systems, or not all of them have the same queries.
    """
    if len(systems) < 2:
        raise UsageError(f"{len(systems)} to compare, expected two or more: a baseline and what is compared with it")
    query_ids = tuple(systems[0][1])
    if odd := [name for name, values in systems if values.keys() != set(query_ids)]:
        raise UsageError(f"{odd[0]} is measured on other queries than {systems[0][0]}, expected the same")
    arrays = [np.array([values[one] for one in query_ids], np.float64) for _, values in systems]
    differences = [compare_paired(arrays[0], array, _SEED, _RESAMPLES) for array in arrays[1:]]
    adjusted = adjust_p_values([one.p for one in differences])
    gains = [_Gain(one, p, array - arrays[0]) for one, p, array in zip(differences, adjusted, arrays[1:], strict=True)]
    rows = [
        ComparisonRow(name, estimate_mean(array, _SEED, _RESAMPLES), gain)
        for (name, _), array, gain in zip(systems, arrays, [None, *gains], strict=True)
    ]
    return Comparison(measure, query_ids, tuple(rows), _note_sample_size(rows, len(query_ids)))


def _note_sample_size(rows: Sequence[ComparisonRow], n_queries: int) -> tuple[str, ...]:
    """What a difference of WORTH_SEEING would take, where some comparison has too few queries for it.

    The interval narrows with the square root of the number of queries.
    """
    widths = [row.gain.difference.half_width for row in rows if row.gain]
    if max(widths) <= _WORTH_SEEING:
        return ()
    needed = math.ceil(n_queries * (max(widths) / _WORTH_SEEING) ** 2)
    return (
        f"{n_queries:,} queries tell differences of about {max(widths):.3f} from chance, not one of {_WORTH_SEEING}; "
        f"that takes some {_round_up(needed):,} queries",
    )


def _round_up(n: int) -> int:
    """A number rounded up to two digits that count."""
    unit = int("1" + "0" * max(0, len(str(n)) - 2))
    return -(-n // unit) * unit
