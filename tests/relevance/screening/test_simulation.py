import csv
import gzip
import json
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from engine.encode.models.recipe import prepare_text
from engine.errors import UsageError
from engine.relevance.screening.ranking import Pool, Rows, build_pool
from engine.relevance.screening.screenmeasures import average_measures, measure_screening
from engine.relevance.screening.simulation import _choose_step, _draw_priors, _read_order, simulate_orders

N = 120
INCLUDED = np.arange(N) % 10 == 0  # rows 0, 10, 20 …
POOL = Pool(np.arange(N), np.ones(N, bool), None, None)


class Recorded:
    """A ranker that knows a fixed order, and notes what it was asked."""

    def __init__(self, order: Rows) -> None:
        self.order, self.n_labelled = order, list[int]()

    def __call__(self, pool: Pool, labelled: Rows, included: NDArray[np.bool_], left: NDArray[np.bool_]) -> Rows:
        assert np.array_equal(included, INCLUDED[labelled]) and not left[labelled].any()
        assert left.sum() + len(labelled) == N
        self.n_labelled.append(len(labelled))
        return self.order[left[self.order]]


BEST, WORST = np.argsort(~INCLUDED, kind="stable"), np.argsort(INCLUDED, kind="stable")


def test_a_ranker_that_knows_all_and_one_that_errs_always() -> None:
    best = measure_screening(next(simulate_orders(POOL, INCLUDED, 1, ranker=Recorded(BEST))))
    worst = measure_screening(next(simulate_orders(POOL, INCLUDED, 1, ranker=Recorded(WORST))))
    assert (best.loss, best.hits_100, best.recall_10) == (0, 11, 1)  # 11 of the 12 are to be found, in 118 records
    assert best.wss_95 == pytest.approx((118 - 11) / 118 - 0.05)
    assert (worst.loss, worst.recall_10) == (1, 0)
    assert worst.atd == pytest.approx((118 - 5) / 118)


def test_every_record_is_read_once_but_for_those_known_beforehand() -> None:
    known, ranker = np.array([10, 1]), Recorded(WORST)
    read = _read_order(POOL, INCLUDED, known, ranker=ranker)
    assert sorted([*read.tolist(), 1, 10]) == list(range(N))
    assert read.tolist() == [row for row in WORST.tolist() if row not in (1, 10)]
    assert ranker.n_labelled == [*range(2, 102), 102, 107, 112, 117]  # after each of 100, then after 5


def test_steps() -> None:
    ranker = Recorded(WORST)
    _read_order(POOL, INCLUDED, np.array([10, 1]), 50, ranker)
    assert ranker.n_labelled == [2, 52, 102]
    assert [_choose_step(n) for n in (0, 99, 100, 999, 1000, 10**6)] == [1, 1, 5, 5, 100, 100]


def test_reading_ends_when_all_included_are_found() -> None:
    ranker = Recorded(BEST)
    read = _read_order(POOL, INCLUDED, np.array([0, 1]), ranker=ranker)
    assert len(ranker.n_labelled) == 11
    assert read[:11].tolist() == list(range(10, N, 10))
    assert read[11:].tolist() == [row for row in range(2, N) if row % 10]


def test_priors_are_one_of_each_kind_and_repeatable() -> None:
    drawn = [_draw_priors(INCLUDED, 0, number).tolist() for number in range(30)]
    assert all(INCLUDED[one] and not INCLUDED[other] for one, other in drawn)
    assert drawn == [_draw_priors(INCLUDED, 0, number).tolist() for number in range(30)]
    assert len({one for one, _ in drawn}) > 6 and len({other for _, other in drawn}) > 15
    assert drawn != [_draw_priors(INCLUDED, 1, number).tolist() for number in range(30)]


def test_a_shorter_series_is_the_beginning_of_a_longer() -> None:
    texts = ["gout pain" if good else f"lupus {n % 7} pain" for n, good in enumerate(INCLUDED)]
    pool = build_pool(np.arange(N), texts, None)
    found = [order.tolist() for order in simulate_orders(pool, INCLUDED, 3, 5)]
    assert [order.tolist() for order in simulate_orders(pool, INCLUDED, 2, 5)] == found[:2]
    assert all(measure_screening(order).loss == 0 for order in found)  # one word tells


@pytest.mark.parametrize("included", [[True] + [False] * 5, [True] * 5 + [False], [False] * 6])
def test_too_few_of_a_kind(included: list[bool]) -> None:
    with pytest.raises(UsageError, match="expected 2 or more of each"):
        next(simulate_orders(POOL, np.array(included)))


@pytest.mark.parametrize(("n", "step"), [(0, None), (1, 0)])
def test_no_simulation_at_all(n: int, step: int | None) -> None:
    with pytest.raises(UsageError, match=f"{n} simulations, reading {step or 0} records at once"):
        next(simulate_orders(POOL, INCLUDED, n, step=step))


def test_a_real_review_is_screened_as_well_as_by_asreview(shared: Path) -> None:
    with gzip.open(shared / "rheumatology" / "labels.tsv.gz", "rt", encoding="utf-8") as file:
        review = {
            row["doc_id"]: row["included"] == "1"
            for row in csv.DictReader(file, delimiter="\t")
            if row["review"] == "Meijboom_2021"
        }
    with gzip.open(shared / "rheumatology" / "corpus.jsonl.gz", "rt", encoding="utf-8") as file:
        rows = [row for row in map(json.loads, file) if row["id"] in review]
    pool = build_pool(np.arange(len(rows)), [prepare_text(row["title"], row["abstract"]) for row in rows], None)
    included = np.array([review[row["id"]] for row in rows])
    found = average_measures([measure_screening(order) for order in simulate_orders(pool, included, 3, step=5)])
    assert (len(rows), sum(review.values())) == (882, 37)
    assert found.loss < 0.08 and found.wss_95 > 0.6 and found.hits_100 > 24  # published for ASReview: 0.061, 0.72, 27.8
