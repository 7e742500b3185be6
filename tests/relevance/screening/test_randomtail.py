"""Bounds from records drawn at random, by hand, exactly, and over many draws."""

from fractions import Fraction
from math import comb

import hypothesis.strategies as st
import numpy as np
from hypothesis import given

from engine.relevance.screening.randomtail import estimate_left


def test_by_hand() -> None:
    # Two records, the first drawn is not good. For 0, 1, 2 good ones that has the chance 1, 1/2, 0; their weights are
    # 1/2, 1/6, 1/12 of 3/4. On average it is 7/9: one good record is ruled out at an error above 9/14 = .643.
    assert estimate_left(2, 1, 0, 0.66) == (0, 0)
    assert estimate_left(2, 1, 0, 0.62) == (0, 1)
    assert estimate_left(2, 1, 1, 0.05) == (0, 1)
    assert estimate_left(2, 0, 0, 0.05) == (0, 2)
    assert estimate_left(2, 2, 1, 0.05) == (0, 0)


def bound_slowly(n: int, n_drawn: int, n_found: int, error: Fraction) -> tuple[int, int]:
    """The same in fractions."""
    chance = [
        Fraction(comb(k, n_found) * comb(n - k, n_drawn - n_found), comb(n, n_drawn)) if k >= n_found else Fraction(0)
        for k in range(n + 1)
    ]
    weight = [Fraction(1, (k + 1) * (k + 2)) for k in range(n + 1)]
    mean = sum((w * c for w, c in zip(weight, chance, strict=True)), Fraction(0)) / sum(weight)
    kept = [k - n_found for k in range(n + 1) if chance[k] > error * mean]
    return min(kept), max(kept)


@given(st.integers(1, 30), st.data())
def test_it_equals_the_exact_computation(n: int, data: st.DataObject) -> None:
    n_drawn = data.draw(st.integers(0, n))
    n_found = data.draw(st.integers(0, n_drawn))
    error = Fraction(data.draw(st.sampled_from([3, 7, 19, 31])), 101)  # no ratio of so small numbers
    assert estimate_left(n, n_drawn, n_found, float(error)) == bound_slowly(n, n_drawn, n_found, error)


def test_the_bounds_hold_however_often_one_looks() -> None:
    rng, wrong = np.random.default_rng(0), 0
    for number in range(300):
        n_good = number % 12
        good = rng.permutation(np.arange(120) < n_good)
        found = np.cumsum(good)
        bounds = ((n, estimate_left(120, n, int(found[n - 1]), 0.2)) for n in range(1, 121, 3))
        wrong += any(not low <= n_good - found[n - 1] <= high for n, (low, high) in bounds)
    assert 10 < wrong <= 60, wrong  # at most a fifth, but no idle bound
