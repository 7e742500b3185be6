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
