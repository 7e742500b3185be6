"""The records of an index by what a reviewer decided about them, so that searches can be limited to some."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from engine.corpus.storage.journal import DecisionKind
from engine.query.opening.generation import OpenGeneration
from engine.records.generation import DocIds
from engine.serve.work.openreview import OpenReview

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
    """The records of a generation by decision; each record is under one."""

    ids: Mapping[str, DocIds]  # of each of DECISIONS, the doc ids, ascending

    def select(self, decisions: Sequence[str]) -> DocIds | None:
        """Return the doc ids, ascending, of the records with one of these decisions; None stands for all."""
        if not decisions:
            return None
        return np.sort(np.concatenate([self.ids[name] for name in dict.fromkeys(decisions)]))

    def count(self, among: DocIds | None) -> tuple[tuple[str, int], ...]:
        """Return how many of some records have each decision, without those that none has; None stands for all."""
        counts = (
            (name, len(ids) if among is None else len(np.intersect1d(ids, among, assume_unique=True)))
            for name, ids in self.ids.items()
        )
        return tuple((name, n) for name, n in counts if n)


def read_decided(review: OpenReview, snapshot: OpenGeneration, who: str) -> DecidedRecords:
    """Return the records of a generation by what a reviewer decided; by what all did, if they share the work.

    Raises:
        CorpusError: the journal can't be read.
    """
    state = review.read_own(snapshot, who)
    ids = {
        name: np.array(sorted(each.doc_id for each in state.list_of(kind) if each.doc_id is not None), np.int64)
        for name, kind in _KINDS.items()
    }
    rest = np.setdiff1d(snapshot.corpus.read_ids(), np.concatenate(list(ids.values())))
    return DecidedRecords(ids | {_UNDECIDED: rest})
