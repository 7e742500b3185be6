"""Cohen's kappa against examples that can be computed by hand."""

import math

import pytest

from engine.corpus.storage.journal import DecisionKind, RecordIdentity
from engine.review.decisions.agreement import _compute_kappa, list_agreements
from engine.review.decisions.reviews import ReviewSettings
from engine.review.decisions.state import DecidedRecord, RecordDecision, ReviewState

IN, OUT, MAYBE, OPEN = (DecisionKind(kind) for kind in ("include", "exclude", "maybe", "undecided"))


def test_kappa_of_cohens_textbook_table() -> None:
    # 20 both yes, 5 and 10 apart, 15 both no: observed 0.7, expected (30/50)(25/50) + (20/50)(25/50) = 0.5.
    pairs = [("yes", "yes")] * 20 + [("yes", "no")] * 10 + [("no", "yes")] * 5 + [("no", "no")] * 15
    assert _compute_kappa(pairs) == pytest.approx(0.4)


@pytest.mark.parametrize(
    ("pairs", "kappa"),
    [([("a", "a"), ("b", "b")], 1.0), ([("a", "b"), ("b", "a")], -1.0), ([("a", "a"), ("a", "b")], 0.0)],
)
def test_kappa_of_two_pairs(pairs: list[tuple[str, str]], kappa: float) -> None:
    assert _compute_kappa(pairs) == pytest.approx(kappa)


@pytest.mark.parametrize("pairs", [[], [("a", "a"), ("a", "a")]])
def test_kappa_is_not_defined_without_choice(pairs: list[tuple[str, str]]) -> None:
    assert math.isnan(_compute_kappa(pairs))


def decided(number: int, who: str, kind: DecisionKind, *, for_all: bool = False) -> RecordDecision:
    return RecordDecision(number, "2026-01-01T00:00:00+00:00", who, kind, "", "", (), None, for_all)


def test_only_what_both_decided_themselves_is_compared() -> None:
    rows = [
        (decided(1, "ann", IN), decided(2, "bob", IN)),
        (decided(3, "ann", IN), decided(4, "bob", OUT), decided(5, "cyd", IN, for_all=True)),
        (decided(6, "ann", IN), decided(7, "bob", OPEN)),
        (decided(8, "bob", OUT),),
    ]
    records = tuple(DecidedRecord(RecordIdentity((str(n),)), n, row) for n, row in enumerate(rows))
    state = ReviewState("main", ReviewSettings(), records, 10, ("ann", "bob"))
    (found,) = list_agreements(state)
    assert (found.reviewers, found.n_both, found.n_equal, found.share) == (("ann", "bob"), 2, 1, 0.5)
    assert found.kappa == 0.0
