"""How far a review is: from decisions written by hand, and from a journal."""

from collections.abc import Mapping, Sequence
from fractions import Fraction
from math import comb
from typing import Any

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given

from engine.corpus.storage.journal import DecisionKind, NewDecision, RecordIdentity
from engine.index.generations.folder import IndexFolder
from engine.query.index import open_index
from engine.relevance.screening.stopping import StoppingTest
from engine.review.decisions.reviews import NewLabel, Review, ReviewSettings
from engine.review.decisions.state import DecidedRecord, RecordDecision, ReviewState, read_state
from engine.review.desk.orders import OrderName
from engine.review.desk.queue import ReviewQueue
from engine.review.report.progress import ReviewProgress, StopVerdict, build_progress_chart, compute_progress
from tests.conftest import examples

IN, OUT, MAYBE, OPEN = (DecisionKind(kind) for kind in ("include", "exclude", "maybe", "undecided"))
KINDS = {"I": IN, "E": OUT, "M": MAYBE}
LEARNED, RANDOM = {"name": "learned", "rank": 1}, {"name": "random"}


def progress_of(
    kinds: str, n_records: int, orders: Sequence[Mapping[str, Any] | None] | None = None, error: float = 0.05
) -> ReviewProgress:
    """The progress of one reviewer who read records in this order; I, E and M are what they decided."""
    orders = orders or [LEARNED] * len(kinds)
    records = tuple(
        DecidedRecord(RecordIdentity((f"r{n}",)), n, (decision(KINDS[kind], n + 2, order),))
        for n, (kind, order) in enumerate(zip(kinds, orders, strict=True))
    )
    return compute_progress(ReviewState("main", ReviewSettings(), records, n_records, ("ann",)), error=error)


def decision(
    kind: DecisionKind,
    first: int,
    order: Mapping[str, Any] | None = None,
    who: str = "ann",
    seconds: float | None = None,
) -> RecordDecision:
    return RecordDecision(first, "", who, kind, "", "", (), seconds, False, order, first)


def test_what_is_counted() -> None:
    progress = progress_of("IEEIMEI", 20)
    assert (progress.n_records, progress.n_read, progress.n_unread) == (20, 7, 13)
    assert (progress.n_included, progress.n_unsure, progress.found_after) == (3, 1, (1, 4, 7))
    assert (progress.n_ordered, progress.n_random) == (7, 0)
    assert (progress.seconds, progress.n_timed, progress.estimate_seconds(13)) == (None, 0, None)


def test_the_advice_by_hand() -> None:
    # One inclusion, then 9 of 10 in vain: with one more left, P(none in 9 of 10) = 1/10.
    advice = progress_of("I" + 9 * "E", 11).advice
    assert (advice.verdict, advice.p, advice.n_allowed, advice.n_more) == (StopVerdict.OPEN, pytest.approx(0.1), 0, 1)
    assert (advice.least_left, advice.most_left, advice.most_random) == (0, 1, None)
    assert advice.reason == "As many as 1 of 1 unread record may belong in the review; 95 % recall allows 0."


def test_reading_may_stop() -> None:
    # With 40 included 2 may be missed. With 3 left of 60, P(none in 40) = 20 * 19 * 18 / (60 * 59 * 58) = .033.
    advice = progress_of(40 * "I" + 40 * "E", 100).advice
    assert (advice.verdict, advice.p, advice.n_allowed) == (StopVerdict.STOP, pytest.approx(6840 / 205320), 2)
    assert (advice.most_left, advice.n_more) == (2, None)
    assert advice.reason == "At most 2 of 20 unread records belong in the review; 95 % recall allows 2."
    before = progress_of(40 * "I" + 30 * "E", 100).advice  # 30 * 29 * 28 / 205320 = .119, 22 * 21 * 20 = .045
    assert (before.verdict, before.n_more) == (StopVerdict.OPEN, 8)


def test_nothing_can_be_told() -> None:
    assert progress_of("", 5).advice.reason == "Nothing is read yet."
    none = progress_of("EEEE", 5).advice
    assert (none.verdict, none.n_more, none.most_left) == (StopVerdict.OPEN, 1, 1)
    assert none.reason.startswith("Nothing is included yet")
    done = progress_of("EI", 2).advice
    assert (done.verdict, done.n_more, done.most_left, done.reason) == (
        StopVerdict.DONE,
        None,
        0,
        "Every record is read.",
    )


def test_imported_decisions_tell_nothing() -> None:
    advice = progress_of(40 * "I" + 40 * "E", 100, [None] * 80).advice
    assert (advice.verdict, advice.p, advice.most_left) == (StopVerdict.OPEN, None, 20)
    assert advice.reason.startswith("80 decisions were made on records that were imported or looked up")
    by_date = progress_of(40 * "I" + 40 * "E", 100, [{"name": "date"}] * 80)
    assert (by_date.advice.p, by_date.n_ordered) == (None, 0)
    one = progress_of(40 * "I" + 41 * "E", 101, [*[LEARNED] * 80, None])
    assert (one.advice.p, one.n_ordered) == (pytest.approx(21 * 20 * 19 / (61 * 60 * 59)), 80)  # as if it were unread
    some = progress_of(5 * "I" + 41 * "E", 101, [*[LEARNED] * 45, None])
    assert some.advice.reason.endswith("1 decision was made out of order, which tells nothing about it.")


def test_maybe_counts_as_found_by_reading_but_not_towards_the_recall() -> None:
    assert progress_of(40 * "I" + 40 * "E", 100).advice.n_allowed == 2
    late = progress_of(38 * "I" + 39 * "E" + "M" + "EE", 100).advice
    assert (late.n_allowed, late.verdict) == (2, StopVerdict.OPEN)
    found = np.array([kind != "E" for kind in 38 * "I" + 39 * "E" + "M" + "EE"])
    assert late.p == StoppingTest(found, 100).compute_p(3)
    assert progress_of(37 * "I" + "MMM" + 40 * "E", 100).advice.n_allowed == 1


def test_a_random_tail_needs_no_ranking() -> None:
    orders = [{"name": "date"}] * 80 + [RANDOM] * 270
    advice = progress_of(80 * "I" + 270 * "E", 600, orders).advice
    assert (advice.verdict, advice.n_allowed, advice.most_random) == (StopVerdict.STOP, 4, 4)
    assert advice.reason.endswith("95 % recall allows 4. Records drawn at random tell it, so it needs no ranking.")
    short = progress_of(80 * "I" + 100 * "E", 600, orders[:180])
    assert (short.n_random, short.advice.verdict) == (100, StopVerdict.OPEN)
    assert short.advice.n_more is not None
    assert 100 < short.advice.n_more <= 170


def test_random_draws_tell_the_least_that_is_left() -> None:
    orders = [LEARNED] * 10 + [RANDOM] * 40
    advice = progress_of(10 * "I" + 20 * "IE", 500, orders).advice
    assert advice.verdict is StopVerdict.OPEN
    assert 80 < advice.least_left < 225 < advice.most_left < (advice.most_random or 0) < 400  # about half of 450
    assert advice.reason.startswith(f"{advice.least_left:,} to {advice.most_left:,} of 450 unread records may belong")


def test_a_draw_after_which_one_read_by_rank_does_not_count_as_random() -> None:
    assert progress_of("IEEE", 9, [RANDOM, RANDOM, LEARNED, RANDOM]).n_random == 1


def test_the_pace_is_the_median() -> None:
    times = (4.0, 20.0, None, 7.0)
    records = tuple(
        DecidedRecord(RecordIdentity((f"r{n}",)), n, (decision(OUT, n + 2, LEARNED, seconds=each),))
        for n, each in enumerate(times)
    )
    progress = compute_progress(ReviewState("main", ReviewSettings(), records, 10, ("ann",)))
    assert (progress.seconds, progress.n_timed, progress.estimate_seconds(progress.n_unread)) == (7.0, 3, 42.0)


def test_a_record_is_read_when_the_first_reviewer_decides_and_only_in_the_index() -> None:
    both = (decision(IN, 9, None), decision(IN, 3, LEARNED, "bob"))
    records = (
        DecidedRecord(RecordIdentity(("a",)), 0, both),
        DecidedRecord(RecordIdentity(("b",)), 1, (decision(OUT, 4, LEARNED),)),
        DecidedRecord(RecordIdentity(("gone",)), None, (decision(IN, 2, LEARNED),)),
        DecidedRecord(RecordIdentity(("noted",)), 3, (decision(OPEN, 5, LEARNED),)),
    )
    progress = compute_progress(ReviewState("main", ReviewSettings(), records, 10, ("ann", "bob")))
    assert (progress.n_read, progress.found_after, progress.n_ordered) == (2, (1,), 2)


def test_the_first_decision_tells_how_a_record_was_found(toy: IndexFolder) -> None:
    review = Review(toy, "main")
    review.start("ann", ReviewSettings())
    review.decide("ann", ["toy-01", "toy-02", "toy-03"], NewLabel(OUT))
    names = {each.record.ids[0]: each.record for each in read_state(review).records}
    review.journal.append("ann", [NewDecision(IN, (names["toy-01"],), {"order": LEARNED})])  # changes their mind
    review.decide("ann", ["toy-02"], NewLabel(OPEN))  # not read any more
    review.journal.append("ann", [NewDecision(IN, (names["toy-02"],), {"order": LEARNED, "seconds": 3.0})])
    review.decide("ann", ["toy-02"], NewLabel(IN, note="again"))
    progress = compute_progress(read_state(review))
    assert (progress.n_read, progress.n_ordered, progress.found_after) == (3, 1, (1, 3))
    review.undo("ann")
    assert compute_progress(read_state(review)).seconds == 3.0


def test_where_each_rule_would_have_stopped() -> None:
    progress = progress_of(40 * "I" + 52 * "E", 110)
    assert progress.stops == {
        "95 % recall, 95 % sure": 84,  # 26 * 25 * 24 / (70 * 69 * 68) = .047
        "50 excluded in a row": 90,
        "half of the records": 55,
    }
    marks = build_progress_chart(progress_of("IE" * 5, 10)).marks
    assert [(mark.place, mark.text) for mark in marks] == [
        ((10, 5), "95 % recall, 95 % sure: after 10 records, with 5 found"),
        ((5, 3), "half of the records: after 5 records, with 3 found"),
    ]
    no_order = progress_of(40 * "I" + 40 * "E", 110, [None] * 80)
    assert list(no_order.stops) == ["half of the records"]
    assert progress_of("", 0).stops == {}


def test_the_chart_shows_what_may_yet_be_found() -> None:
    chart = build_progress_chart(progress_of("I" + 9 * "E", 20))
    assert (chart.n_read, chart.curve) == (20, ((0, 0), (1, 0), (1, 1), (10, 1)))
    assert (chart.low, chart.high) == (((10, 1), (20, 1), (20, 1)), ((10, 1), (14, 5), (20, 5)))
    assert chart.band == "may yet be found: 0 to 4 of 10 unread records"
    assert chart.title == "1 inclusion found in 10 of 20 records read"
    assert chart.description.startswith("Can't tell yet. As many as 4 of 10 unread records may belong in the review")
    high = build_progress_chart(progress_of("I", 500))
    assert high.high[1] == (10, 10)  # the rest is cut off, so that the curve can be seen
    assert high.band.endswith("of 499 unread records; the chart ends before")
    assert build_progress_chart(progress_of("IE", 2)).band == ""


def may_be_left(found: list[bool], in_order: list[bool], n_records: int, error: Fraction) -> int:
    """The most that may be left: every number and every moment of the past tried, in fractions."""
    likely = [0]
    for left in range(1, n_records - len(found) + 1):
        chances = [Fraction(1)]
        for start in range(len(found)):
            since = list(zip(found[start:], in_order[start:], strict=True))
            hits, drawn = since.count((True, True)), sum(ordered for _, ordered in since)
            n, good = n_records - start - since.count((True, False)), hits + left
            ways = sum(comb(good, k) * comb(n - good, drawn - k) for k in range(hits + 1))
            chances.append(Fraction(ways, comb(n, drawn)))
        likely += [left] if min(chances) > error else []
    return max(likely)


@given(st.lists(st.tuples(st.sampled_from("IEEEM"), st.booleans()), min_size=1, max_size=14), st.integers(1, 10))
@examples(0.6)
def test_the_advice_equals_what_every_number_tried_tells(read: list[tuple[str, bool]], unread: int) -> None:
    kinds, in_order = "".join(kind for kind, _ in read), [ordered for _, ordered in read]
    n_records, error = len(read) + unread, Fraction(30, 101)  # no p value of so few records
    progress = progress_of(kinds, n_records, [LEARNED if ordered else None for ordered in in_order], float(error))
    advice, found = progress.advice, [kind != "E" for kind in kinds]
    assert advice.most_left == may_be_left(found, in_order, n_records, error)
    n_allowed = max(
        n for n in range(40) if Fraction(kinds.count("I"), max(1, kinds.count("I") + n)) >= Fraction(95, 100) or not n
    )
    assert (advice.n_allowed, advice.least_left) == (n_allowed, 0)
    assert (advice.verdict is StopVerdict.STOP) == ("I" in kinds and advice.most_left <= n_allowed)
    if advice.verdict is StopVerdict.OPEN and "I" in kinds:
        more = (
            n
            for n in range(1, unread + 1)
            if may_be_left(found + n * [False], in_order + n * [True], n_records, error) <= n_allowed
        )
        assert advice.n_more == next(more)


def test_records_of_a_queue_count_by_the_order_they_were_shown_in(toy: IndexFolder) -> None:
    review = Review(toy, "main")
    review.start("ann", ReviewSettings("Colchicine in gout"))
    with open_index(toy.path) as index:
        queue = ReviewQueue(index, review)
        by_chance = queue.next_records("ann", 40, OrderName.RANDOM)
        drawn = [each.record_id for each in by_chance.records]
        assert (by_chance.order, len(set(drawn)), drawn == sorted(drawn)) == (OrderName.RANDOM, 40, False)
        for order in (OrderName.CRITERIA, OrderName.DATE, OrderName.RANDOM, OrderName.RANDOM):
            (record,) = queue.next_records("ann", 1, order).records
            queue.decide("ann", [record.record_id], NewLabel(OUT))
        queue.close()
    progress = compute_progress(read_state(review))
    assert (progress.n_read, progress.n_ordered, progress.n_random) == (4, 3, 2)
