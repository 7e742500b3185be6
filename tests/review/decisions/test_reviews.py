"""Decisions that are written, and those that are refused."""

import pytest

from engine.corpus.storage.journal import DecisionKind, Journal
from engine.errors import UsageError
from engine.index.generations.folder import IndexFolder
from engine.review.decisions.reviews import NewLabel, Review, ReviewSettings, read_settings

IN, OUT = DecisionKind.INCLUDE, DecisionKind.EXCLUDE


@pytest.fixture
def review(toy: IndexFolder) -> Review:
    made = Review(toy, "main")
    made.start("ann", ReviewSettings())
    return made


def test_a_decision_says_all_that_was_given(review: Review) -> None:
    (made,) = review.decide(
        "ann", ["toy-03"], NewLabel(OUT, "no control", "see table 2", ("pilot",), 3.21, for_all=True)
    )
    assert (made.number, made.who, made.kind, made.note) == (2, "ann", OUT, "see table 2")
    assert made.details == {"reason": "no control", "labels": ["pilot"], "seconds": 3.2, "for_all": True}
    assert [record.ids for record in made.records] == [("toy-03",)]


def test_several_records_are_decided_or_none(review: Review) -> None:
    assert len(review.decide("ann", ["toy-01", "toy-02", " toy-01 "], NewLabel(IN))) == 2
    with pytest.raises(UsageError, match=r"2 records of 3 not in the index: X1, X2\. Nothing was decided"):
        review.decide("ann", ["toy-03", "X1", "X2"], NewLabel(IN))
    assert len(review.journal.read()) == 3


def test_only_own_decisions_are_undone(review: Review) -> None:
    review.decide("ann", ["toy-01"], NewLabel(IN))
    review.decide("bob", ["toy-02", "toy-03"], NewLabel(IN))
    with pytest.raises(UsageError, match="decision 3 was made by bob"):
        review.undo("ann", 3)
    with pytest.raises(UsageError, match="decision 1 is of the kind start, which can't be undone"):
        review.undo("ann", 1)
    assert [each.number for each in review.undo("ann")] == [2]
    assert [each.number for each in review.undo("bob")] == [3, 4]
    with pytest.raises(UsageError, match="every decision has been undone"):
        review.undo("bob")


def test_settings_change_and_decisions_stay(review: Review) -> None:
    review.decide("ann", ["toy-01"], NewLabel(IN))
    review.start("bob", ReviewSettings("Trials of colchicine", ("wrong population",)))
    assert read_settings(review.journal.read()) == ReviewSettings("Trials of colchicine", ("wrong population",))
    assert len(review.journal.read()) == 3


def test_what_makes_no_sense_is_refused(review: Review, toy: IndexFolder) -> None:
    with pytest.raises(UsageError, match="a reason was given for include, expected one for exclude only"):
        review.decide("ann", ["toy-01"], NewLabel(IN, "no control"))
    with pytest.raises(UsageError, match="a reviewer without a name"):
        review.decide(" ", ["toy-01"], NewLabel(IN))
    with pytest.raises(UsageError, match="a note of 10,001 characters, expected 10,000 or fewer"):
        review.decide("ann", ["toy-01"], NewLabel(IN, note="x" * 10_001))
    with pytest.raises(UsageError, match="'a/b' can't be the name of a review"):
        Review(toy, "a/b")
    with pytest.raises(
        UsageError, match=r"toy has no review 'other'\. The reviews of toy: main\. Start it: engine review"
    ):
        Review(toy, "other").decide("ann", ["toy-01"], NewLabel(IN))
    assert len(review.journal.read()) == 1


def test_decisions_on_duplicates_are_not_those_of_a_review(review: Review, toy: IndexFolder) -> None:
    review.decide("ann", ["toy-01"], NewLabel(IN))
    assert Journal(toy.decisions).read() == []
    with pytest.raises(UsageError, match="every decision has been undone"):
        Journal(toy.decisions).undo("ann")
