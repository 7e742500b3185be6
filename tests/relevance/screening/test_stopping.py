"""The bound on what is left, against counting by hand and against every moment of the past."""

from fractions import Fraction
from math import comb

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given

from engine.relevance.screening.stopping import StoppingTest, _find_run, compare_rules, count_too_many, find_stop
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
    assert find_stop(included, 11, recall=1.0, error=0.11) == 10
    assert find_stop(included, 11, recall=1.0, error=0.09) is None


def test_without_an_inclusion_nothing_is_known() -> None:
    assert find_stop(np.zeros(0, bool), 5) is None
    assert find_stop(np.zeros(5, bool), 5) is None
    assert find_stop(np.array([True, False]), 2) == 2


@given(
    st.lists(st.booleans(), max_size=12),
    st.integers(0, 8),
    st.sampled_from([0.5, 0.8, 0.95]),
    st.sampled_from([0.49, 0.21, 0.04]),  # no p value of so few records
)
@examples(2)
def test_it_equals_every_moment_tried(included: list[bool], unread: int, recall: float, error: float) -> None:
    n_records = len(included) + unread
    expected = None
    for n_read in range(1, len(included) + 1):
        found = sum(included[:n_read])
        left = bound_slowly(included[:n_read], n_records, error)
        if found and found / (found + left) >= recall:
            expected = n_read
            break
    assert find_stop(np.array(included, bool), n_records, recall, error) == expected


def test_the_promise_holds_for_a_random_order() -> None:
    rng, broken, stops = np.random.default_rng(0), 0, 0
    for _ in range(200):
        included = rng.permutation(np.arange(400) < 40)
        n_read = find_stop(included, 400, recall=0.8, error=0.1)
        if n_read is not None and n_read < 400:
            stops += 1
            broken += included[:n_read].sum() / 40 < 0.8
    assert stops > 100
    assert broken / stops <= 0.25, (broken, stops)


def tell_slowly(found: list[bool], in_order: list[bool], n_records: int, left: int) -> Fraction:
    """The least chance over all moments of the past, where what is out of order is unread, or taken out beforehand."""
    least = Fraction(1)
    for start in range(len(found)):
        since = list(zip(found[start:], in_order[start:], strict=True))
        n_found, n_drawn = since.count((True, True)), sum(ordered for _, ordered in since)
        n = n_records - start - since.count((True, False))
        least = min(least, tail_of(n_found, n, n_found + left, n_drawn))
    return least


def tail_of(k: int, n_all: int, n_good: int, n_drawn: int) -> Fraction:
    """P(at most k of n_drawn are good), exactly."""
    ways = sum(comb(n_good, j) * comb(n_all - n_good, n_drawn - j) for j in range(k + 1))
    return Fraction(ways, comb(n_all, n_drawn))


@given(st.lists(st.tuples(st.booleans(), st.booleans()), max_size=12), st.integers(0, 8), st.data())
@examples(2)
def test_records_out_of_order_are_unread_or_set_aside(
    read: list[tuple[bool, bool]], unread: int, data: st.DataObject
) -> None:
    found, in_order = [each for each, _ in read], [each for _, each in read]
    n_records, left = len(read) + unread, data.draw(st.integers(0, unread))
    test = StoppingTest(np.array(found, bool), n_records, np.array(in_order, bool))
    assert test.compute_p(left) == pytest.approx(float(tell_slowly(found, in_order, n_records, left)), abs=1e-12)
    assert test.compute_p(unread + 1) == 0.0


def test_an_imported_exclusion_counts_as_unread() -> None:
    # 4 of 6 records: an inclusion, two exclusions in order and an imported one. Of the 5 after the inclusion 2 were
    # drawn, so with one left P(none) = 3/5; had the imported one been drawn too, it would be 2/5.
    found = np.array([True, False, False, False])
    assert StoppingTest(found, 6).compute_p(1) == pytest.approx(2 / 5)
    assert StoppingTest(found, 6, np.array([True, True, True, False])).compute_p(1) == pytest.approx(3 / 5)
    # Imported before the other two, it is out of the question: 2 of 4 were drawn.
    assert StoppingTest(found, 6, np.array([True, False, True, True])).compute_p(1) == pytest.approx(2 / 4)


def test_the_most_that_may_be_left() -> None:
    # After the inclusion, 9 of 19 were read in vain. With k left P(none) is C(10, k) / C(19, k): .53, .26, .12, .05, .02.
    test = StoppingTest(np.array([True] + [False] * 9), 20)
    assert [test.find_most_left(error) for error in (0.6, 0.5, 0.2, 0.1, 0.05)] == [0, 1, 2, 3, 4]
    assert StoppingTest(np.zeros(0, bool), 20).find_most_left() == 20
    assert StoppingTest(np.ones(20, bool), 20).find_most_left() == 0


@pytest.mark.parametrize(
    ("n_found", "recall", "expected"), [(0, 0.95, 1), (18, 0.95, 1), (19, 0.95, 2), (95, 0.95, 6), (3, 1.0, 1)]
)
def test_too_many_left(n_found: int, recall: float, expected: int) -> None:
    assert count_too_many(n_found, recall) == expected


@pytest.mark.parametrize(
    ("included", "length", "expected"),
    [("1000", 3, 4), ("1000", 2, 3), ("0001", 3, 3), ("10100", 3, None), ("", 1, None), ("1", 1, None)],
)
def test_a_run_of_exclusions(included: str, length: int, expected: int | None) -> None:
    assert _find_run(np.array([mark == "1" for mark in included], bool), 9, length=length) == expected


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
