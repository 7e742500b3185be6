"""Chances of drawing without replacement, by hand and against SciPy."""

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given
from scipy.stats import hypergeom

from engine.relevance.screening.hypergeometric import Hypergeometric


def test_by_hand() -> None:
    # 2 of 5 are good, 2 are drawn: none 3/10, one 6/10, both 1/10.
    chances = np.exp(Hypergeometric(5).compute_log_chance([-1, 0, 1, 2, 3], 5, 2, 2))
    assert chances == pytest.approx([0, 0.3, 0.6, 0.1, 0])
    ones = np.ones(4, np.int64)
    tail = Hypergeometric(5).compute_tail(np.array([0, 1, 2, 3]), 5 * ones, 2 * ones, 2 * ones)
    assert tail == pytest.approx([0.3, 0.9, 1, 1])
    assert Hypergeometric(5).compute_tail(*(np.zeros(0, np.int64),) * 4).tolist() == []


def test_of_ten_drawn_of_ten_all_good_ones_are_found() -> None:
    found, n = np.array([2, 3]), np.array([10, 10])
    assert Hypergeometric(10).compute_tail(found, n, np.array([3, 3]), n).tolist() == [0.0, 1.0]


@given(st.data())
def test_it_equals_scipy(data: st.DataObject) -> None:
    n = data.draw(st.lists(st.integers(1, 3000), min_size=1, max_size=5))
    good, drawn = ([data.draw(st.integers(0, each)) for each in n] for _ in range(2))
    found = [data.draw(st.integers(0, min(pair))) for pair in zip(good, drawn, strict=True)]
    counts = [np.array(each, np.int64) for each in (found, n, good, drawn)]
    tail = Hypergeometric(3000).compute_tail(*counts)
    assert tail == pytest.approx(hypergeom.cdf(found, n, good, drawn), abs=1e-9)


@given(st.data(), st.sampled_from([1e-6, 0.013, 0.05, 0.3, 0.49]))
def test_whether_a_tail_is_within_an_error(data: st.DataObject, error: float) -> None:
    n = data.draw(st.lists(st.integers(1, 300), min_size=1, max_size=5))
    good, drawn = ([data.draw(st.integers(0, each)) for each in n] for _ in range(2))
    found = [data.draw(st.integers(max(0, g + d - each), min(g, d))) for each, g, d in zip(n, good, drawn, strict=True)]
    counts = [np.array(each, np.int64) for each in (found, n, good, drawn)]
    chances = Hypergeometric(300)
    assert chances.is_tail_within(error, *counts).tolist() == (chances.compute_tail(*counts) <= error).tolist()


def test_the_median_is_the_mean_rounded_up_or_down() -> None:
    cases = [(n, good, drawn) for n in range(1, 25) for good in range(n + 1) for drawn in range(n + 1)]
    n, good, drawn = np.array(cases).T
    up = -(-good * drawn // n)
    assert (Hypergeometric(25).compute_tail(up, n, good, drawn) >= 0.5 - 1e-12).all()
