"""What was decided in a review, as far as it is in force, and what its records are in the current generation."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from engine.corpus.duplicates.resolution import IdentityFinder
from engine.corpus.storage.journal import Decision, DecisionKind, RecordIdentity
from engine.corpus.storage.store import Corpus
from engine.query.opening.corpus import open_corpus
from engine.records.generation import DocIds
from engine.review.decisions.reviews import Review, ReviewSettings, read_settings

_UNSETTLED = {DecisionKind.INCLUDE, DecisionKind.EXCLUDE}
_RecordKey = int | RecordIdentity  # doc id; the identity of a record that is not in the generation


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
        if len(self.decisions) == 1:
            return self.decisions[0].kind
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


class Tally:
    """The decisions of a review that are in force, taken in one after another, as records of one generation."""

    def __init__(self, corpus: Corpus, words: Path) -> None:
        """Prepare to take in the decisions of a review; corpus and words are those of the generation."""
        self._finder = IdentityFinder(corpus, words=words)
        self._joined = self._finder.read_joined()
        self._keys: dict[RecordIdentity, _RecordKey] = {}
        self._groups: dict[_RecordKey, dict[int, Decision]] = {}  # decisions in force by number, ascending
        self._key_of: dict[int, _RecordKey] = {}  # by number of the decision
        self._built: dict[_RecordKey, DecidedRecord | None] = {}  # until another event is about the record
        self._reviewers: dict[str, None] = {}
        self.last = 0  # number of the event that was taken in last

    def add(self, events: Sequence[Decision]) -> list[int]:
        """Take in events that follow those before; return the doc ids of the records that they are about, each once."""
        self._place([record for event in events for record in event.records[:1]])
        touched: dict[_RecordKey, None] = {}
        for event in events:
            self.last = event.number
            if event.kind is DecisionKind.UNDO:
                touched |= self._drop(event.undoes)
            elif event.records:
                key = self._keys[event.records[0]]
                self._key_of[event.number] = key
                self._groups.setdefault(key, {})[event.number] = event
                self._reviewers[event.who] = None
                touched[key] = None
        for key in touched:
            self._built.pop(key, None)
        return [key for key in touched if isinstance(key, int)]

    def _place(self, identities: Sequence[RecordIdentity]) -> None:
        """Find the records of identities that were not met before; records that are one record now are joined."""
        new = [each for each in dict.fromkeys(identities) if each not in self._keys]
        for identity, found in zip(new, self._finder.find_all(new), strict=True):
            self._keys[identity] = identity if found is None else self._joined.get(found, found)

    def _drop(self, number: int | None) -> dict[_RecordKey, None]:
        """Take a decision back and return the key of its record; nothing if it is not about a record."""
        key = self._key_of.get(number or 0)
        if key is None:
            return {}
        group = self._groups.get(key, {})
        group.pop(number or 0, None)
        if not group:
            self._groups.pop(key, None)
        return {key: None}

    def find_place(self, identity: RecordIdentity) -> int | None:
        """Return the doc id of a record that was taken in; None if it is not in the generation."""
        key = self._keys[identity]
        return key if isinstance(key, int) else None

    def get_record(self, doc_id: int) -> DecidedRecord | None:
        """Return a record with the decisions in force on it, None if there are none."""
        return self._build_record(doc_id)

    def list_records(self) -> list[DecidedRecord]:
        """Return the records with decisions in force, in the order of the first decision on each."""
        keys = sorted(self._groups, key=lambda key: next(iter(self._groups[key])))
        return [record for key in keys if (record := self._build_record(key)) is not None]

    def _build_record(self, key: _RecordKey) -> DecidedRecord | None:
        """Return a record with the last decision of each reviewer; None if there is none."""
        if key not in self._groups:
            return None
        if key not in self._built:
            made = list(self._groups[key].values())
            last, doc_id = tuple(_choose_last(made)), key if isinstance(key, int) else None
            self._built[key] = DecidedRecord(made[-1].records[0], doc_id, last) if last else None
        return self._built[key]

    @property
    def reviewers(self) -> tuple[str, ...]:
        """Who decided about records, in the order of their first decision."""
        return tuple(self._reviewers)


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
        tally = Tally(corpus, generation.words)
        tally.add(events)
    n_records = generation.manifest.counts.abstracts
    return ReviewState(review.name, read_settings(events), tuple(tally.list_records()), n_records, tally.reviewers)


def _choose_last(decisions: Iterable[Decision]) -> Iterator[RecordDecision]:
    """Yield the last decision of each reviewer, and the last for all reviewers, oldest first.

    A decision to leave a record undecided takes an earlier one back; it stays only for its note and labels.
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
        if decision.kind is not DecisionKind.UNDECIDED or decision.note or decision.details.get("labels"):
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
