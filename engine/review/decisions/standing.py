"""What each reviewer has decided in one generation, kept up to date event by event."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from engine.corpus.storage.journal import Decision, DecisionKind
from engine.query.opening.generation import OpenGeneration
from engine.records.generation import DocIds
from engine.relevance.screening.labels import Labels
from engine.review.decisions.reviews import ReviewSettings, read_settings
from engine.review.decisions.state import Tally


@dataclass(frozen=True, slots=True)
class _Made:
    """A decision on one record."""

    who: str
    doc_id: int | None  # None: not in this generation
    batch: int


class Standing:
    """The decisions in force on the records of one generation. Not safe to use from several threads."""

    def __init__(self, snapshot: OpenGeneration, events: Sequence[Decision]) -> None:
        """Take in the events so far."""
        self.snapshot = snapshot
        self.settings = ReviewSettings()
        self.tally = Tally(snapshot.corpus, snapshot.generation.words)
        self.kinds: dict[int, DecisionKind | None] = {}  # what was decided together; None: in conflict
        self._own: dict[str, dict[int, DecisionKind]] = {}  # by reviewer
        self._common: dict[int, DecisionKind] = {}  # for all reviewers
        self._made: dict[int, _Made] = {}  # by number of the decision
        self._batches: Counter[int] = Counter()  # decisions of each command
        self._returned: dict[str, dict[int, None]] = {}  # by reviewer: whose decision was undone, the last one last
        self.add(events)

    @property
    def last(self) -> int:
        """The number of the event that was taken in last."""
        return self.tally.last

    def add(self, events: Sequence[Decision]) -> bool:
        """Take in events that follow those before; return whether labels or settings may have changed."""
        if not events:
            return False
        started = [event for event in events if event.kind is DecisionKind.START]
        before = self.settings
        self.settings = read_settings(started) if started else before
        touched = self.tally.add(events)
        self._update(touched)
        for event in events:
            self._follow_reviewer(event)
        return bool(touched) or self.settings != before

    def _update(self, doc_ids: Iterable[int]) -> None:
        """Read again what is decided about records."""
        for doc_id in doc_ids:
            for own in (*self._own.values(), self._common):
                own.pop(doc_id, None)
            self.kinds.pop(doc_id, None)
            record = self.tally.get_record(doc_id)
            if record is None:
                continue
            self.kinds[doc_id] = record.kind
            for each in record.decisions:
                if each.kind is not DecisionKind.UNDECIDED:
                    own = self._common if each.for_all else self._own.setdefault(each.who, {})
                    own[doc_id] = each.kind

    def _follow_reviewer(self, event: Decision) -> None:
        """Note which record a reviewer decided about, or came back to by undoing a decision about it alone."""
        made = self._made.get(event.undoes or 0)
        if event.records:
            made = _Made(event.who, self.tally.find_place(event.records[0]), event.batch)
            self._made[event.number] = made
            self._batches[event.batch] += 1
            if made.doc_id is not None:
                self._returned.get(made.who, {}).pop(made.doc_id, None)
        elif made is not None and made.doc_id is not None and self._batches[made.batch] == 1:
            returned = self._returned.setdefault(made.who, {})
            returned.pop(made.doc_id, None)
            returned[made.doc_id] = None

    def list_returned(self, who: str) -> list[int]:
        """Return the records that a reviewer came back to by an undo, the last one first."""
        return list(reversed(self._returned.get(who, {})))

    def list_decided(self, who: str) -> set[int]:
        """Return the records that a reviewer decided, or that are decided for all."""
        return self._own.get(who, {}).keys() | self._common.keys()

    def list_included(self, who: str) -> set[int]:
        """Return the records that a reviewer included, or that are included for all."""
        own = self._own.get(who, {}) | self._common
        return {doc_id for doc_id, kind in own.items() if kind is DecisionKind.INCLUDE}

    def build_labels(self, who: str | None = None) -> Labels:
        """Return what all decided together, or what one reviewer decided or is decided for all: what a model learns."""
        kinds = self.kinds if who is None else self._own.get(who, {}) | self._common
        unsure = (*_list_of(kinds, DecisionKind.MAYBE), *_list_of(kinds, None))
        included, excluded = _list_of(kinds, DecisionKind.INCLUDE), _list_of(kinds, DecisionKind.EXCLUDE)
        return Labels(included, excluded, unsure=np.array(sorted(unsure), np.int64))


def _list_of(kinds: Mapping[int, DecisionKind | None], kind: DecisionKind | None) -> DocIds:
    """Return the records about which this was decided, ascending."""
    return np.array(sorted(doc_id for doc_id, found in kinds.items() if found is kind), np.int64)
