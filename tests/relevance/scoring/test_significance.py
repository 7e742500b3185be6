import math
import random
from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.errors import UsageError
from engine.relevance.scoring import significance
from engine.relevance.scoring.significance import Interval, adjust_p_values, compare_paired, estimate_mean


def array(*values: float) -> np.ndarray:
    return np.array(values, np.float64)


def test_one_value_and_equal_values_have_no_spread() -> None:
    assert estimate_mean(array(0.25)) == Interval(0.25, 0.25, 0.25)
    assert estimate_mean(array(0.5, 0.5, 0.5)) == Interval(0.5, 0.5, 0.5)


def test_two_values_by_hand() -> None:
    # A mean of two draws is 0, 0.5 or 1, with 1/4, 1/2, 1/4: 2.5 percent lie in the outer ones.
    assert estimate_mean(array(0, 1)) == Interval(0.5, 0.0, 1.0)


def test_the_interval_is_that_of_all_samples() -> None:
    values = array(0.1, 0.3, 0.35, 0.9, 1.0)
    every = np.sort([np.mean(sample) for sample in product(values, repeat=5)])
    found = estimate_mean(values, n_resamples=200_000)
    assert found.mean == pytest.approx(0.53)
    assert (found.low, found.high) == pytest.approx((np.quantile(every, 0.025), np.quantile(every, 0.975)), abs=0.011)


def test_the_interval_of_many_is_that_of_the_normal_distribution() -> None:
    values = np.random.default_rng(3).normal(0.5, 0.2, 2000)
    found, error = estimate_mean(values), 1.96 * values.std() / math.sqrt(2000)
    assert found.high - found.mean == pytest.approx(error, rel=0.05)
    assert found.mean - found.low == pytest.approx(error, rel=0.05)


def test_the_seed_decides_and_blocks_do_not(monkeypatch: pytest.MonkeyPatch) -> None:
    values = np.random.default_rng(1).random(50)
    found = estimate_mean(values, seed=7)
    assert estimate_mean(values, seed=7) == found != estimate_mean(values, seed=8)
    monkeypatch.setattr(significance, "_BLOCK", 120)
    assert estimate_mean(values, seed=7) == found


def test_a_pair_by_hand() -> None:
    found = compare_paired(array(0.2, 0.4, 0.6, 0.5), array(0.3, 0.4, 0.5, 0.9))
    assert (found.wins, found.ties, found.losses, found.n) == (2, 1, 1, 4)
    assert found.mean == pytest.approx(0.1)
    assert found.half_width == pytest.approx((found.high - found.low) / 2)


def test_a_sure_gain_has_the_least_p_and_none_has_1() -> None:
    assert compare_paired(array(0.1, 0.2, 0.3), array(0.2, 0.3, 0.4)).p == pytest.approx(2 / 10_001)
    same = compare_paired(array(0.1, 0.2, 0.7), array(0.1, 0.2, 0.7))
    assert (same.p, same.mean, same.ties) == (1.0, 0.0, 3)
    rounding = compare_paired(array(0.3), array(0.1 + 0.2))
    assert (rounding.ties, rounding.p) == (1, 1.0)


def test_p_is_the_share_of_all_samples_beyond_0() -> None:
    differences = array(0.3, -0.1, 0.2, 0.05, -0.15, 0.25)
    beyond = np.mean([np.mean(sample) <= 0 for sample in product(differences, repeat=6)])
    found = compare_paired(np.zeros(6), differences, n_resamples=100_000)
    assert found.p == pytest.approx(2 * beyond, rel=0.05)
    other = compare_paired(differences, np.zeros(6), n_resamples=100_000)
    assert other.p == pytest.approx(found.p) and other.mean == -found.mean


def test_chance_alone_is_seldom_found_significant() -> None:
    random_ = np.random.default_rng(11)
    found = [compare_paired(np.zeros(60), random_.normal(0, 0.3, 60), n_resamples=500).p < 0.05 for _ in range(400)]
    assert 0.02 < np.mean(found) < 0.10


@pytest.mark.parametrize("values", [[], [math.nan], [[1.0, 2.0]], [math.inf, 1]])
def test_what_has_no_mean_is_refused(values: list[float]) -> None:
    with pytest.raises(UsageError, match="expected a finite number"):
        estimate_mean(np.array(values, np.float64))


def test_unequal_lengths_and_no_samples_are_refused() -> None:
    with pytest.raises(UsageError, match="2 and 1 values, expected one of each"):
        compare_paired(array(1, 2), array(1))
    with pytest.raises(UsageError, match="n_resamples is 0"):
        estimate_mean(array(1, 2), n_resamples=0)


def test_holm_by_hand() -> None:
    assert adjust_p_values([0.01, 0.04, 0.03, 0.005]) == pytest.approx((0.03, 0.06, 0.06, 0.02))
    assert adjust_p_values([0.5, 0.6]) == (1.0, 1.0)
    assert adjust_p_values([0.2]) == (0.2,) and adjust_p_values([]) == ()


@given(st.lists(st.floats(0, 1), max_size=8))
def test_holm_rejects_as_the_procedure_does(p_values: list[float]) -> None:
    adjusted = adjust_p_values(p_values)
    for alpha in (0.01, 0.05, 0.2):
        rejected, left = set[int](), sorted(range(len(p_values)), key=lambda i: p_values[i])
        for step, i in enumerate(left):
            if p_values[i] * (len(p_values) - step) > alpha:
                break
            rejected.add(i)
        assert {i for i, p in enumerate(adjusted) if p <= alpha} == rejected


def test_holm_keeps_the_order_given() -> None:
    p_values = [0.001, 0.4, 0.02, 0.03]
    shuffled = random.Random(2).sample(range(4), 4)
    assert adjust_p_values([p_values[i] for i in shuffled]) == tuple(adjust_p_values(p_values)[i] for i in shuffled)
