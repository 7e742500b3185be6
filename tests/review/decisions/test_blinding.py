"""Nobody sees what another decided about a record before they have decided it themselves."""

from engine.corpus.storage.journal import DecisionKind, RecordIdentity
from engine.review.decisions.blinding import find_own, hide_others, keep_own, list_conflicts
from engine.review.decisions.reviews import ReviewSettings
from engine.review.decisions.state import DecidedRecord, RecordDecision, ReviewState

IN, OUT, MAYBE, OPEN = (DecisionKind(kind) for kind in ("include", "exclude", "maybe", "undecided"))


def one(who: str, kind: DecisionKind, *, for_all: bool = False) -> RecordDecision:
    return RecordDecision(1, "", who, kind, "", f"note of {who}", ("label",), None, for_all)


def state_of(*records: tuple[RecordDecision, ...]) -> ReviewState:
    made = tuple(DecidedRecord(RecordIdentity((str(n),)), n, each) for n, each in enumerate(records, 1))
    return ReviewState("main", ReviewSettings(), made, 10, ("ann", "bob", "cyd"))


WHOLE = state_of(
    (one("ann", IN), one("bob", OUT)),
    (one("bob", OUT),),
    (one("ann", OPEN), one("bob", IN)),
    (one("bob", IN), one("cyd", OUT, for_all=True)),
    (one("cyd", MAYBE), one("bob", OUT)),
)


def seen(state: ReviewState) -> dict[int | None, list[str]]:
    return {each.doc_id: [decision.who for decision in each.decisions] for each in state.records}


def test_a_reviewer_sees_others_only_where_they_have_decided() -> None:
    hidden = hide_others(WHOLE, "ann")
    assert seen(hidden) == {1: ["ann", "bob"], 3: ["ann"], 4: ["cyd"]}
    assert hidden.count_kinds() == {None: 1, OPEN: 1, OUT: 1}
    assert seen(hide_others(WHOLE, "bob")) == {
        1: ["ann", "bob"],
        2: ["bob"],
        3: ["ann", "bob"],
        4: ["bob", "cyd"],
        5: ["cyd", "bob"],
    }
    assert hide_others(WHOLE, "dan").reviewers == ("cyd",)
    assert hide_others(state_of((one("bob", IN),)), "dan").reviewers == ()


def test_what_a_reviewer_learns_from_is_their_own() -> None:
    own = keep_own(WHOLE, "ann")
    assert seen(own) == {1: ["ann"], 3: ["ann"], 4: ["cyd"]} and own.reviewers == ("ann",)
    included, excluded = own.list_labels()
    assert (included.tolist(), excluded.tolist()) == ([1], [4])


def test_ones_own_decision_is_not_the_one_for_all() -> None:
    assert find_own(WHOLE.records[3], "cyd") is None
    assert find_own(None, "cyd") is None
    assert find_own(WHOLE.records[0], "bob") == one("bob", OUT)


def test_conflicts_are_records_decided_differently_and_not_settled() -> None:
    assert [each.doc_id for each in list_conflicts(WHOLE)] == [1, 5]
    assert [each.doc_id for each in list_conflicts(hide_others(WHOLE, "ann"))] == [1]
