"""The records of an index by what a reviewer decided about them, so that searches can be limited to some."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import reduce

import numpy as np

from engine.corpus.storage.journal import DecisionKind
from engine.records.generation import DocIds
from engine.review.decisions.state import ReviewState

BY_DECISION, BY_LABEL = "decision", "review_label"
_UNDECIDED = "undecided"
_KINDS = {
    "include": DecisionKind.INCLUDE,
    "exclude": DecisionKind.EXCLUDE,
    "maybe": DecisionKind.MAYBE,
    "conflict": None,
}
DECISIONS = (*_KINDS, _UNDECIDED)


@dataclass(frozen=True, slots=True)
class DecidedRecords:
    """The records of a generation by decision, of which each has one, and by the labels of reviewers."""

    groups: Mapping[str, Mapping[str, DocIds]]  # of BY_DECISION and BY_LABEL, of each value, the doc ids, ascending

    def select(self, limits: Mapping[str, Sequence[str]]) -> DocIds | None:
        """Return the doc ids, ascending, of the records within all limits; None, for all records, without a limit.

        limits: of each group, the values of which a record must have one.
        """
        found = [
            np.unique(np.concatenate([self.groups[name].get(value, np.empty(0, np.int64)) for value in values]))
            for name, values in limits.items()
            if values
        ]
        return reduce(np.intersect1d, found) if found else None

    def count(self, name: str, among: DocIds | None) -> tuple[tuple[str, int], ...]:
        """Return how many of some records have each value of a group, without those that none has.

        among: doc ids, ascending; None stands for all. Labels come by their number of records.
        """
        counts = [
            (value, len(ids) if among is None else len(np.intersect1d(ids, among, assume_unique=True)))
            for value, ids in self.groups[name].items()
        ]
        if name == BY_LABEL:
            counts.sort(key=lambda pair: (-pair[1], pair[0]))
        return tuple((value, n) for value, n in counts if n)


def sort_decided(state: ReviewState, doc_ids: DocIds) -> DecidedRecords:
    """Return the records of a generation, whose doc ids are given, by the decisions and labels of a review."""
    by_kind: dict[DecisionKind | None, list[int]] = defaultdict(list)
    by_label: dict[str, list[int]] = defaultdict(list)
    for record in state.records:
        if record.doc_id is not None:
            by_kind[record.kind].append(record.doc_id)
            for label in {label for each in record.decisions for label in each.labels}:
                by_label[label].append(record.doc_id)
    decisions = {name: np.array(sorted(by_kind[kind]), np.int64) for name, kind in _KINDS.items()}
    decisions[_UNDECIDED] = np.setdiff1d(doc_ids, np.concatenate(list(decisions.values())))
    labels = {label: np.array(sorted(ids), np.int64) for label, ids in by_label.items()}
    return DecidedRecords({BY_DECISION: decisions, BY_LABEL: labels})
