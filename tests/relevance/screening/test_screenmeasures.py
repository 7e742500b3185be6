from statistics import mean, stdev

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.errors import UsageError
from engine.relevance.screening.screenmeasures import Screened, average_measures, compute_deviation, measure_screening


def test_by_hand() -> None:
    found = measure_screening([1, 0, 1, 0, 0])  # ranks 1 and 3 of 5; cumulated 1, 1, 2, 2, 2
    assert found.loss == pytest.approx((2 * (5 - 0.5) - 8) / (2 * 3))  # 1/6
    assert found.atd == pytest.approx(2 / 5)
    assert found.recall_10 == 0.5  # a tenth of 5, rounded up, is 1
    assert found.wss_95 == pytest.approx(2 / 5 - 0.05)  # both are needed: 3 are read, 2 are not
    assert found.hits_100 == 2


def test_the_best_and_the_worst_order() -> None:
    best, worst = measure_screening([1] * 20 + [0] * 180), measure_screening([0] * 180 + [1] * 20)
    assert (best.loss, best.recall_10, best.hits_100) == (0, 1, 20)
    assert best.wss_95 == pytest.approx((200 - 19) / 200 - 0.05)  # 19 of 20 are enough
    assert best.atd == pytest.approx(10.5 / 200)
    assert (worst.loss, worst.recall_10, worst.hits_100) == (1, 0, 0)
    assert worst.wss_95 == pytest.approx(1 / 200 - 0.05)


def test_the_hundredth_record_counts_and_the_next_does_not() -> None:
    assert measure_screening([0] * 99 + [1, 1]).hits_100 == 1


@pytest.mark.parametrize(("labels", "said"), [([0, 0], "0 of 2"), ([1, 1], "2 of 2"), ([], "0 of 0")])
def test_one_kind_alone_can_not_be_measured(labels: list[int], said: str) -> None:
    with pytest.raises(UsageError, match=f"{said} records are included"):
        measure_screening(labels)


@given(st.lists(st.integers(0, 1), min_size=2, max_size=300).filter(lambda found: 0 < sum(found) < len(found)))
@settings(deadline=None)
def test_as_told_in_words(labels: list[int]) -> None:
    n, y = len(labels), sum(labels)
    ranks = [rank for rank, label in enumerate(labels, 1) if label]
    found, needed = measure_screening(labels), next(k for k in range(y + 1) if 100 * k >= 95 * y)
    assert found.loss == pytest.approx((mean(ranks) - (y + 1) / 2) / (n - y))
    assert found.atd == pytest.approx(mean(ranks) / n)
    assert found.recall_10 == pytest.approx(sum(10 * (rank - 1) < n for rank in ranks) / y)
    assert found.wss_95 == pytest.approx((n - ranks[needed - 1]) / n - 0.05)
    assert found.hits_100 == sum(labels[:100])


def test_mean_and_standard_deviation() -> None:
    runs = [Screened(0.1, 0.2, 0.3, 0.4, 10), Screened(0.3, 0.2, 0.5, 0.8, 13), Screened(0.2, 0.2, 0.4, 0.3, 10)]
    assert average_measures(runs).values == pytest.approx((0.2, 0.2, 0.4, 0.5, 11))
    assert compute_deviation(runs).values == pytest.approx((0.1, 0, 0.1, stdev([0.4, 0.8, 0.3]), stdev([10, 13, 10])))
    assert compute_deviation(runs[:1]).values == (0, 0, 0, 0, 0)
