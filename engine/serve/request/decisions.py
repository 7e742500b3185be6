"""Searches among what a reviewer decided: parameters that exist only where the server keeps a review."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from starlette.requests import Request

from engine.options import ValueKind
from engine.query.index import Index, get_generation
from engine.records.generation import DocIds
from engine.serve.http.limits import MAX_NAMES
from engine.serve.request.parameters import Parameter
from engine.serve.request.site import get_site
from engine.serve.work.decisionsets import BY_DECISION, BY_LABEL, DECISIONS, DecidedRecords
from engine.serve.work.openreview import OpenReview

Limits = Mapping[str, tuple[str, ...]]  # the values of each of these parameters that a request has
OWN = (
    Parameter(
        BY_DECISION,
        "Only records about which you decided so in the review; or any reviewer, if all see all decisions.",
        ValueKind.NAMES,
        most=len(DECISIONS),
        choices=DECISIONS,
    ),
    Parameter(
        BY_LABEL,
        "Only records to which you gave this label in the review; or any reviewer, if all see all decisions.",
        ValueKind.NAMES,
        most=MAX_NAMES,
    ),
)


@dataclass(frozen=True, slots=True)
class _SearchingReviewer:
    """A reviewer who searches on the server of their review."""

    review: OpenReview
    who: str

    def read_decided(self, index: Index) -> DecidedRecords:
        """Return the records of an index by decision and label.

        Raises:
            CorpusError: the journal can't be read.
        """
        return self.review.sort_own(get_generation(index), self.who)

    def select(self, index: Index, limits: Limits) -> DocIds | None:
        """Return the doc ids, ascending, of the records within the limits; None, for all records, without a limit.

        Raises:
            CorpusError: the journal can't be read.
        """
        return self.read_decided(index).select(limits) if limits else None


def find_reviewer(request: Request) -> _SearchingReviewer | None:
    """Return the reviewer who sends a request; None without a review, or if reviewers have tokens and it has none."""
    review, access = get_site(request).review, request.app.state.access
    if review is None:
        return None
    who = access.find_reviewer(request.headers.get("authorization", ""))
    if who is None and access.reviewers:
        return None
    return _SearchingReviewer(review, who or review.rules.who)


def allow_own(reviewer: _SearchingReviewer | None, parameters: tuple[Parameter, ...]) -> tuple[Parameter, ...]:
    """Return parameters, with those of decisions if there is a reviewer."""
    return (*parameters, *OWN) if reviewer else parameters


def read_limits(pairs: Iterable[tuple[str, str]]) -> Limits:
    """Return the values of the parameters of decisions that a request has, without blank ones."""
    given = list(pairs)
    limits = {one.name: tuple(value for name, value in given if name == one.name and value.strip()) for one in OWN}
    return {name: values for name, values in limits.items() if values}
