"""What was decided in a review, as far as it is in force, and what its records are in the current generation."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import Any

import numpy as np

from engine.corpus.duplicates.resolution import IdentityFinder
from engine.corpus.storage.journal import Decision, DecisionKind, RecordIdentity, list_active
from engine.query.opening import open_corpus
from engine.records.generation import DocIds
from engine.review.reviews import Review, ReviewSettings, read_settings

_UNSETTLED = {DecisionKind.INCLUDE, DecisionKind.EXCLUDE}


@dataclass(frozen=True, slots=True)
class RecordDecision:
    """The decision in force of one reviewer on one record."""

    number: int
    made: str  # UTC, ISO 8601
    who: str
    kind: DecisionKind  # include, exclude, maybe; undecided if it leaves a note only
    reason: str
    note: str
    labels: tuple[str, ...]
    seconds: float | None
    for_all: bool  # holds for all reviewers
    order: Mapping[str, Any] | None = None  # how the record was shown, see NewLabel.order; None: not in an order
    first: int = 0  # number of the reviewer's first decision on the record, which `order` belongs to


@dataclass(frozen=True, slots=True)
class DecidedRecord:
    """A record with the decisions in force on it, one for each reviewer, oldest first."""

    record: RecordIdentity
    doc_id: int | None  # in this generation; None if the record is not in it
    decisions: tuple[RecordDecision, ...]

    @property
    def kind(self) -> DecisionKind | None:
        """What the reviewers decided together; None if one includes what another excludes.

        The last decision for all counts; without one, what all say, and maybe if some are not sure.
        """
        decided = [each for each in self.decisions if each.kind is not DecisionKind.UNDECIDED]
        if common := [each for each in decided if each.for_all]:
            return common[-1].kind
        kinds = {each.kind for each in decided}
        if len(kinds) > 1:
            return None if kinds >= _UNSETTLED else DecisionKind.MAYBE
        return next(iter(kinds), DecisionKind.UNDECIDED)

    @property
    def reason(self) -> str:
        """The reason of the last decision that gives one, if the record is excluded."""
        if self.kind is not DecisionKind.EXCLUDE:
            return ""
        return next((each.reason for each in reversed(self.decisions) if each.reason), "")


@dataclass(frozen=True, slots=True)
class ReviewState:
    """A review as it is now."""

    name: str
    settings: ReviewSettings
    records: tuple[DecidedRecord, ...]  # in the order of their first decision
    n_records: int  # of the index
    reviewers: tuple[str, ...]  # in the order of their first decision

    def count_kinds(self) -> Counter[DecisionKind | None]:
        """Return the number of records of the index by what was decided about them; None are conflicts."""
        return Counter(each.kind for each in self.records if each.doc_id is not None)

    def count_reasons(self) -> Counter[str]:
        """Return the number of excluded records of the index by reason, "" for those without one."""
        excluded = (each for each in self.records if each.doc_id is not None and each.kind is DecisionKind.EXCLUDE)
        return Counter(each.reason for each in excluded)

    def list_of(self, kind: DecisionKind | None) -> list[DecidedRecord]:
        """Return the records of the index about which this was decided; None are conflicts."""
        return [each for each in self.records if each.doc_id is not None and each.kind is kind]

    def list_labels(self) -> tuple[DocIds, DocIds]:
        """Return the included and the excluded records, each as doc ids, int64 ascending."""
        included, excluded = self._list_ids(DecisionKind.INCLUDE), self._list_ids(DecisionKind.EXCLUDE)
        return included, excluded

    def list_unsure(self) -> DocIds:
        """Return the records that are maybe or in conflict: doc ids, int64 ascending."""
        return np.union1d(self._list_ids(DecisionKind.MAYBE), self._list_ids(None))

    def _list_ids(self, kind: DecisionKind | None) -> DocIds:
        """Return the doc ids, ascending, about which this was decided."""
        return np.array(sorted(each.doc_id for each in self.list_of(kind) if each.doc_id is not None), np.int64)

    @property
    def absent(self) -> list[DecidedRecord]:
        """The records with a decision that are not in the index now."""
        return [each for each in self.records if each.doc_id is None]


def read_state(review: Review) -> ReviewState:
    """Return what is in force, as the records of the current generation.

    Raises:
        UsageError: the review was not started.
        GenerationError: there is no index, or it is damaged.
        CorpusError: the journal can't be read.
    """
    review.check_started()
    events = review.journal.read()
    generation = review.folder.open_current(quick=True)
    with closing(open_corpus(generation)) as corpus:
        finder = IdentityFinder(corpus, words=generation.words)
        records = tuple(_build_records(list_active(events), finder))
    n_records = generation.manifest.counts.abstracts
    return ReviewState(review.name, read_settings(events), records, n_records, _list_reviewers(events))


def _list_reviewers(events: Iterable[Decision]) -> tuple[str, ...]:
    """Return who decided about records, in the order of their first decision."""
    return tuple(dict.fromkeys(event.who for event in events if event.records))


def _build_records(decisions: Sequence[Decision], finder: IdentityFinder) -> Iterator[DecidedRecord]:
    """Yield each record with the last decision of each reviewer; records that are one record now are joined."""
    joined = finder.read_joined()
    places: dict[RecordIdentity, int | None] = {}
    groups: dict[int | RecordIdentity, list[Decision]] = {}
    for decision in decisions:
        if not decision.records:
            continue
        record = decision.records[0]
        if record not in places:
            found = finder.find(record)
            places[record] = None if found is None else joined.get(found, found)
        doc_id = places[record]
        groups.setdefault(record if doc_id is None else doc_id, []).append(decision)
    for key, made in groups.items():
        if last := tuple(_choose_last(made)):
            yield DecidedRecord(made[-1].records[0], key if isinstance(key, int) else None, last)


def _choose_last(decisions: Iterable[Decision]) -> Iterator[RecordDecision]:
    """Yield the last decision of each reviewer, and the last for all reviewers, oldest first.

    A decision to leave a record undecided takes an earlier one back; it stays only for its note.
    """
    first: dict[tuple[str, bool], Decision] = {}
    last: dict[tuple[str, bool], Decision] = {}
    for decision in decisions:
        for_all = bool(decision.details.get("for_all"))
        key = ("" if for_all else decision.who), for_all
        last.pop(key, None)
        last[key] = decision
        if decision.kind is DecisionKind.UNDECIDED:
            first.pop(key, None)
        else:
            first.setdefault(key, decision)
    for key, decision in last.items():
        if decision.kind is not DecisionKind.UNDECIDED or decision.note:
            yield _describe_decision(decision, first.get(key, decision))


def _describe_decision(decision: Decision, first: Decision) -> RecordDecision:
    """Return a decision of the journal as one of a review; first is the reviewer's first decision on the record."""
    details = decision.details
    return RecordDecision(
        decision.number,
        decision.made,
        decision.who,
        decision.kind,
        details.get("reason", ""),
        decision.note,
        tuple(details.get("labels", ())),
        details.get("seconds"),
        bool(details.get("for_all")),
        first.details.get("order"),
        first.number,
    )
