"""Agreement of two reviewers."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations

from engine.corpus.storage.journal import DecisionKind
from engine.review.decisions.state import DecidedRecord, ReviewState


@dataclass(frozen=True, slots=True)
class Agreement:
    """How two reviewers agree on the records that both decided."""

    reviewers: tuple[str, str]
    n_both: int  # records that both decided
    n_equal: int  # of these, with the same decision
    kappa: float  # Cohen's; NaN if it is not defined

    @property
    def share(self) -> float:
        """The share of equal decisions; NaN without a record that both decided."""
        return self.n_equal / self.n_both if self.n_both else math.nan


def list_agreements(state: ReviewState) -> list[Agreement]:
    """Return the agreement of each two reviewers, in their order; a decision for all does not count as anyone's."""
    pairs = combinations(state.reviewers, 2)
    return [_compare_reviewers(state.records, first, second) for first, second in pairs]


def _compute_kappa(pairs: Sequence[tuple[str, str]]) -> float:
    """Return Cohen's kappa of two raters; pairs (n) hold the categories that they gave to the same things.

    (observed - expected agreement) / (1 - expected agreement), with the expected one from how often each rater gave
    each category (Cohen, Educational and Psychological Measurement 1960). NaN without pairs, and where both gave one
    and the same category throughout, as chance alone would agree then.
    """
    if not pairs:
        return math.nan
    n = len(pairs)
    first, second = Counter(one for one, _ in pairs), Counter(two for _, two in pairs)
    observed = sum(one == two for one, two in pairs) / n
    expected = sum(first[category] * second[category] for category in first) / n**2
    return (observed - expected) / (1 - expected) if expected < 1 else math.nan


def _compare_reviewers(records: Iterable[DecidedRecord], first: str, second: str) -> Agreement:
    """Return the agreement of two reviewers."""
    pairs = list(_pair_decisions(records, first, second))
    n_equal = sum(one is two for one, two in pairs)
    return Agreement((first, second), len(pairs), n_equal, _compute_kappa(pairs))


def _pair_decisions(
    records: Iterable[DecidedRecord], first: str, second: str
) -> Iterator[tuple[DecisionKind, DecisionKind]]:
    """Yield what both reviewers decided, for each record that both decided."""
    for record in records:
        own = {
            each.who: each.kind
            for each in record.decisions
            if not each.for_all and each.kind is not DecisionKind.UNDECIDED
        }
        if first in own and second in own:
            yield own[first], own[second]
