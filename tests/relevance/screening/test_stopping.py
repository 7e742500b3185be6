"""The bound on what is left, against counting by hand and against every moment of the past."""

from math import comb

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given

from engine.relevance.screening.stopping import _find_run, _find_stop, compare_rules
from tests.conftest import examples


def compute_tail(k: int, n_all: int, n_good: int, n_drawn: int) -> float:
    """P(at most k of n_drawn are good), where n_good of n_all are."""
    ways = sum(comb(n_good, j) * comb(n_all - n_good, n_drawn - j) for j in range(k + 1))
    return ways / comb(n_all, n_drawn)


def bound_slowly(included: list[bool], n_records: int, error: float) -> int:
    """The most that may be left, with every moment of the past and every number tried."""
    n_read = len(included)
    for left in range(n_records - n_read, 0, -1):
        p = min(
            (
                compute_tail(sum(included[i:]), n_records - i, sum(included[i:]) + left, n_read - i)
                for i in range(n_read)
            ),
            default=1.0,
        )
        if p > error + 1e-12:
            return left
    return 0


def test_by_hand() -> None:
    # One inclusion, then 9 of 10 unread records without one: with one left, P(none in 9 of 10) = 1/10.
    included = np.array([True] + [False] * 9)
    assert _find_stop(included, 11, recall=1.0, confidence=0.89) == 10
    assert _find_stop(included, 11, recall=1.0, confidence=0.91) is None


def test_without_an_inclusion_nothing_is_known() -> None:
    assert _find_stop(np.zeros(0, bool), 5) is None
    assert _find_stop(np.zeros(5, bool), 5) is None
    assert _find_stop(np.array([True, False]), 2) == 2


@given(
    st.lists(st.booleans(), max_size=12),
    st.integers(0, 8),
    st.sampled_from([0.5, 0.8, 0.95]),
    st.sampled_from([0.51, 0.79, 0.96]),  # no p value of so few records
)
@examples(2)
def test_it_equals_every_moment_tried(included: list[bool], unread: int, recall: float, confidence: float) -> None:
    n_records = len(included) + unread
    expected = None
    for n_read in range(1, len(included) + 1):
        found = sum(included[:n_read])
        left = bound_slowly(included[:n_read], n_records, 1 - confidence)
        if found and found / (found + left) >= recall:
            expected = n_read
            break
    assert _find_stop(np.array(included, bool), n_records, recall, confidence) == expected


def test_the_promise_holds_for_a_random_order() -> None:
    rng, broken, stops = np.random.default_rng(0), 0, 0
    for _ in range(200):
        included = rng.permutation(np.arange(400) < 40)
        n_read = _find_stop(included, 400, recall=0.8, confidence=0.9)
        if n_read is not None and n_read < 400:
            stops += 1
            broken += included[:n_read].sum() / 40 < 0.8
    assert stops > 100
    assert broken / stops <= 0.25, (broken, stops)


@pytest.mark.parametrize(
    ("included", "length", "expected"),
    [("1000", 3, 4), ("1000", 2, 3), ("0001", 3, 3), ("10100", 3, None), ("", 1, None), ("1", 1, None)],
)
def test_a_run_of_exclusions(included: str, length: int, expected: int | None) -> None:
    assert _find_run(np.array([mark == "1" for mark in included], bool), length) == expected


def test_rules_are_compared_on_the_same_orders() -> None:
    early, late = np.arange(200) < 10, np.arange(200) >= 190
    found = {outcome.rule: outcome for outcome in compare_rules([early, late])}
    run = found["100 excluded in a row"]
    assert (run.n_stopped, run.read, run.recall, run.n_broken) == (2, (110 + 100) / 400, 0.5, 1)
    half = found["half of the records"]
    assert (half.n_stopped, half.read, half.recall, half.n_broken) == (2, 0.5, 0.5, 1)
    sure = found["95 % recall, 95 % sure"]
    assert (sure.n_stopped, sure.recall, sure.n_broken) == (1, 1.0, 0)
    assert 0.9 < sure.read < 1.0  # ten inclusions say little about what is left, so most is read
