"""Searches among what a reviewer decided: a parameter that exists only where the server keeps a review."""

from __future__ import annotations

from dataclasses import dataclass

from starlette.requests import Request

from engine.options import ValueKind
from engine.query.index import Index, get_generation
from engine.serve.request.parameters import Parameter
from engine.serve.request.site import get_site
from engine.serve.work.decisionsets import DECISIONS, DecidedRecords, read_decided
from engine.serve.work.openreview import OpenReview

DECISION = Parameter(
    "decision",
    "Only records about which you decided so in the review; about which any reviewer did, if all see all decisions.",
    ValueKind.NAMES,
    most=len(DECISIONS),
    choices=DECISIONS,
)


@dataclass(frozen=True, slots=True)
class _SearchingReviewer:
    """A reviewer who searches on the server of their review."""

    review: OpenReview
    who: str

    def read_decided(self, index: Index) -> DecidedRecords:
        """Return the records of an index by decision.

        Raises:
            CorpusError: the journal can't be read.
        """
        return read_decided(self.review, get_generation(index), self.who)


def find_reviewer(request: Request) -> _SearchingReviewer | None:
    """Return the reviewer who sends a request; None without a review, or if reviewers have tokens and it has none."""
    review, access = get_site(request).review, request.app.state.access
    if review is None:
        return None
    who = access.find_reviewer(request.headers.get("authorization", ""))
    if who is None and access.reviewers:
        return None
    return _SearchingReviewer(review, who or review.rules.who)


def allow_decision(reviewer: _SearchingReviewer | None, parameters: tuple[Parameter, ...]) -> tuple[Parameter, ...]:
    """Return parameters, with that of decisions if there is a reviewer."""
    return (*parameters, DECISION) if reviewer else parameters
