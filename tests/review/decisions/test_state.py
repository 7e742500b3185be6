"""What is in force in a review, after everything that can happen to its records."""

from collections.abc import Callable
from pathlib import Path

import pytest

from engine.corpus.storage.journal import DecisionKind, RecordIdentity
from engine.index.generations.folder import IndexFolder
from engine.reindex.generation.order import Report
from engine.reindex.runs.decisions import apply_decisions, decide
from engine.reindex.runs.rollback import roll_back
from engine.review.decisions.reviews import NewLabel, Review, ReviewSettings
from engine.review.decisions.state import DecidedRecord, RecordDecision, read_state
from tests.conftest import order_of, silent

IN, OUT, MAYBE, OPEN = (DecisionKind(kind) for kind in ("include", "exclude", "maybe", "undecided"))


@pytest.fixture
def review(toy: IndexFolder) -> Review:
    made = Review(toy, "main")
    made.start("ann", ReviewSettings())
    return made


def kinds(review: Review) -> dict[str, DecisionKind | None]:
    """What was decided together, by the first id of each record."""
    return {each.record.ids[0]: each.kind for each in read_state(review).records}


def one(kind: DecisionKind, who: str = "ann", *, for_all: bool = False) -> RecordDecision:
    return RecordDecision(1, "", who, kind, "", "", (), None, for_all)


@pytest.mark.parametrize(
    ("decisions", "kind"),
    [
        ((one(IN), one(IN, "bob")), IN),
        ((one(IN), one(OUT, "bob")), None),
        ((one(IN), one(MAYBE, "bob")), MAYBE),
        ((one(OUT), one(MAYBE, "bob")), MAYBE),
        ((one(IN), one(MAYBE, "bob"), one(OUT, "cyd")), None),
        ((one(IN), one(OUT, "bob"), one(OUT, "cyd", for_all=True)), OUT),
        ((one(IN), one(OPEN, "bob")), IN),
        ((one(IN), one(OPEN, "bob", for_all=True)), IN),
        ((one(OPEN),), OPEN),
    ],
)
def test_what_reviewers_decide_together(decisions: tuple[RecordDecision, ...], kind: DecisionKind | None) -> None:
    assert DecidedRecord(RecordIdentity(("a",)), 1, decisions).kind is kind


def test_a_later_decision_replaces_an_earlier_one_of_the_same_reviewer(review: Review) -> None:
    review.decide("ann", ["toy-01"], NewLabel(IN))
    review.decide("bob", ["toy-01"], NewLabel(IN))
    review.decide("ann", ["toy-01"], NewLabel(OUT, "no control group", "only an abstract", ("later",), seconds=2.34))
    state = read_state(review)
    assert state.count_kinds() == {None: 1}
    (record,) = state.records
    assert [(each.number, each.who, each.kind) for each in record.decisions] == [(3, "bob", IN), (4, "ann", OUT)]
    last = record.decisions[1]
    assert (last.reason, last.note, last.labels, last.seconds) == (
        "no control group", "only an abstract", ("later",), 2.3,
    )  # fmt: skip
    review.undo("ann")
    assert kinds(review) == {"toy-01": IN}


def test_undecided_takes_a_decision_back_and_a_note_stays(review: Review) -> None:
    review.decide("ann", ["toy-01", "toy-02"], NewLabel(IN))
    review.decide("ann", ["toy-01"], NewLabel(OPEN))
    review.decide("ann", ["toy-02"], NewLabel(OPEN, note="ask the authors"))
    assert kinds(review) == {"toy-02": OPEN}
    assert read_state(review).records[0].decisions[0].note == "ask the authors"


def test_reasons_are_counted_for_what_is_excluded(review: Review) -> None:
    review.decide("ann", ["toy-01", "toy-02"], NewLabel(OUT, "wrong population"))
    review.decide("ann", ["toy-03"], NewLabel(OUT))
    review.decide("ann", ["toy-04"], NewLabel(OUT, "no control group"))
    review.decide("bob", ["toy-04"], NewLabel(IN))
    state = read_state(review)
    assert state.count_reasons() == {"wrong population": 2, "": 1}
    assert [each.record.ids for each in state.list_of(None)] == [("toy-04",)]


def test_decisions_outlive_changes_of_the_text_and_a_rollback(
    review: Review, toy: IndexFolder, add: Callable[..., Report]
) -> None:
    review.decide("ann", ["toy-01"], NewLabel(IN))
    add({"id": "toy-01", "title": "Quite another title", "abstract": "And text.", "pmid": "1"})
    add({"id": "N1", "title": "A record that is new", "abstract": "With a text."})
    review.decide("ann", ["N1"], NewLabel(OUT))
    state = read_state(review)
    assert {each.record.ids[0]: each.doc_id is not None for each in state.records} == {"toy-01": False, "N1": True}
    roll_back(toy, 1)
    state = read_state(review)
    assert [each.record.ids[0] for each in state.absent] == ["N1"]
    assert state.count_kinds() == {IN: 1}


def test_records_that_became_one_share_their_decisions(review: Review, toy: IndexFolder) -> None:
    review.decide("ann", ["toy-01"], NewLabel(IN))
    review.decide("bob", ["toy-02"], NewLabel(OUT))
    decide(toy, DecisionKind.MERGE, ["toy-01", "toy-02"], "ann")
    apply_decisions(toy, order_of().settings, "duplicates", silent)
    (record,) = read_state(review).records
    assert record.kind is None
    assert {each.who: each.kind for each in record.decisions} == {"ann": IN, "bob": OUT}
    review.decide("ann", ["toy-02"], NewLabel(OUT))
    assert read_state(review).count_kinds() == {OUT: 1}


def test_reviews_of_one_index_are_apart(review: Review, toy: IndexFolder, tmp_path: Path) -> None:
    other = Review(toy, "second")
    other.start("ann", ReviewSettings("criteria", ("one", "two")))
    review.decide("ann", ["toy-01"], NewLabel(IN))
    assert read_state(other).records == ()
    assert read_state(other).settings == ReviewSettings("criteria", ("one", "two"))
    assert review.journal.list_reviews() == ["main", "second"]
