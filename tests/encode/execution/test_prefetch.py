import threading
import time
from collections.abc import Iterator
from contextlib import closing

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.encode.execution.prefetch import map_in_order

Late = list[tuple[int, int]]


def double(n: int) -> int:
    time.sleep(0.001 * (n % 3))  # later items may be done sooner
    return 2 * n


@given(st.lists(st.integers(0, 100), max_size=20), st.integers(1, 5))
def test_results_come_in_the_order_of_the_items(items: list[int], ahead: int) -> None:
    late: Late = []
    found = list(map_in_order(double, items, ahead, lambda item, result: late.append((item, result))))
    assert found == [(n, 2 * n) for n in items]
    assert late == []


@pytest.mark.parametrize("ahead", [1, 2, 4])
def test_no_more_is_drawn_than_ahead_and_one(ahead: int) -> None:
    drawn = 0

    def items() -> Iterator[int]:
        nonlocal drawn
        for n in range(50):
            drawn += 1
            yield n

    for done, _ in enumerate(map_in_order(double, items(), ahead, print)):
        assert drawn <= done + ahead + 1
    assert (done, drawn) == (49, 50)


def test_work_of_several_items_goes_on_at_once() -> None:
    both = threading.Barrier(2, timeout=10)
    assert [n for n, _ in map_in_order(lambda n: both.wait(), range(6), 2, print)] == list(range(6))


def test_an_error_is_raised_at_its_turn_and_what_was_done_already_is_handed_over() -> None:
    def work(n: int) -> int:
        if n == 3:
            time.sleep(0.05)
            raise ValueError("three is no number")
        return n

    seen, late = [], []
    with pytest.raises(ValueError, match="three is no number"):
        for n, _ in map_in_order(work, range(9), 4, lambda item, result: late.append((item, result))):
            seen.append(n)
    assert seen == [0, 1, 2]
    assert late and late == [(n, n) for n in range(4, 4 + len(late))]


def test_a_consumer_that_stops_loses_nothing_that_was_done() -> None:
    late: Late = []
    with closing(map_in_order(double, range(100), 3, lambda item, result: late.append((item, result)))) as found:
        for n, _ in found:
            if n == 10:
                time.sleep(0.05)
                break
    assert late[:2] == [(11, 22), (12, 24)]
    assert len(late) <= 4
