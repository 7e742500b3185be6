"""A review: decisions on records of an index, kept beside the generations, so that they outlive all of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass
from typing import Any

from engine.config import check_name
from engine.corpus.duplicates.resolution import IdentityFinder
from engine.corpus.storage.journal import Decision, DecisionKind, Journal, NewDecision, RecordIdentity
from engine.corpus.storage.resolution import resolve_ids
from engine.corpus.storage.store import Corpus
from engine.errors import UsageError
from engine.index.generations.folder import IndexFolder
from engine.phrases import pluralize
from engine.query.opening.corpus import open_corpus
from engine.query.question.plan import name_some

KINDS = (DecisionKind.INCLUDE, DecisionKind.EXCLUDE, DecisionKind.MAYBE, DecisionKind.UNDECIDED)
_LONGEST = 10_000  # characters of a reason, a note, a label or a reviewer's name


@dataclass(frozen=True, slots=True)
class ReviewSettings:
    """What the reviewers of a review agreed on."""

    criteria: str = ""  # title, question or inclusion criteria
    reasons: tuple[str, ...] = ()  # for exclusion, in the order in which they are offered
    wanted: tuple[str, ...] = ()  # words and phrases that speak for a record, marked beside those of the criteria
    unwanted: tuple[str, ...] = ()  # words and phrases that speak against it


@dataclass(frozen=True, slots=True)
class NewLabel:
    """A decision on one or more records."""

    kind: DecisionKind  # one of KINDS
    reason: str = ""  # why it is excluded
    note: str = ""
    labels: tuple[str, ...] = ()
    seconds: float | None = None  # that the reviewer looked at the record
    for_all: bool = False  # holds for all reviewers, whatever each of them decided
    # How the record was shown: "name" of the order (of OrderName), "rank" (from 1, among the records
    # that were left to this reviewer), "left" (their number) and "learned_from" (the number of included and excluded
    # records that the order was learned from, 0 if none). None: it was found in another way. ReviewQueue fills it in.
    order: Mapping[str, Any] | None = None

    @property
    def details(self) -> dict[str, Any]:
        """What the journal keeps of it beside kind and note: the fields that say something."""
        fields = {name: value for name, value in asdict(self).items() if name not in ("kind", "note") and value}
        return fields | ({"seconds": round(self.seconds, 1)} if self.seconds else {})


class Review:
    """One review of an index. Several people may decide at once, in several processes."""

    def __init__(self, folder: IndexFolder, name: str) -> None:
        """Prepare to read and write; the review need not be there yet.

        Raises:
            UsageError: this can't be the name of a review.
        """
        check_name(name, "review", "--review main")
        self.folder = folder
        self.name = name
        self.journal = Journal(folder.decisions, name)
        self._is_started = False  # as far as is known

    def start(self, who: str, settings: ReviewSettings) -> Decision:
        """Start the review, or change its settings; decisions stay.

        Raises:
            CorpusError: the journal can't be written.
        """
        details = {name: value for name, value in asdict(settings).items() if value}
        (made,) = self.journal.append(who, [NewDecision(DecisionKind.START, (), details)])
        return made

    def decide(self, who: str, names: Sequence[str], label: NewLabel) -> list[Decision]:
        """Write one decision for each record, all or none. They are on disk when this returns.

        names are record ids, PMIDs, DOIs or ids of other databases; a record that is named twice counts once.

        Raises:
            UsageError: the review was not started, a record is not in the index, or a text is too long.
            GenerationError: there is no index, or it is damaged.
            NotSavedError: the journal can't be written.
        """
        with closing(open_corpus(self.folder.open_current(quick=True))) as corpus:
            return self.decide_in(corpus, who, names, label)

    def decide_in(
        self, corpus: Corpus, who: str, names: Sequence[str], label: NewLabel, key: str = ""
    ) -> list[Decision]:
        """Decide about records of an open corpus, as decide() does.

        key: names this command; if the same reviewer has decided with it before, nothing is written again.

        Raises:
            UsageError: the review was not started, a record is not in the index, or a text is too long.
            NotSavedError: the journal can't be written.
        """
        return self.decide_each_in(corpus, who, dict.fromkeys(names, label), key)

    def decide_each_in(self, corpus: Corpus, who: str, labels: Mapping[str, NewLabel], key: str = "") -> list[Decision]:
        """Decide about records of an open corpus, about each what labels has for its name; else as decide_in() does.

        Raises:
            UsageError: the review was not started, a record is not in the index, or a text is too long.
            NotSavedError: the journal can't be written.
        """
        self.check_started()
        for label in {id(label): label for label in labels.values()}.values():  # one for many is checked once
            check_label(who, label)
        identities = _identify_records(corpus, labels)
        new = [NewDecision(label.kind, (identity,), label.details, label.note) for identity, label in identities]
        return self.journal.append(who, new, key)

    def undo(self, who: str, number: int | None = None, key: str = "") -> list[Decision]:
        """Undo a decision of a reviewer, or all those of their last command; return them.

        key: names this command; if the same reviewer has undone with it before, nothing is undone again.

        Raises:
            UsageError: there is none in force, or it is another reviewer's.
            NotSavedError: the journal can't be written.
        """
        self.check_started()
        return self.journal.undo(who, number, own=True, key=key)

    def check_started(self) -> None:
        """Check that there is such a review.

        Raises:
            UsageError: there is none.
            CorpusError: the journal can't be read.
        """
        if self._is_started and self.journal.path.exists():  # events are never deleted
            return
        self._is_started = self.journal.has_events()
        if not self._is_started:
            names = self.journal.list_reviews()
            others = f"The reviews of {self.folder.name}: {', '.join(names)}. " if names else ""
            raise UsageError(
                f"{self.folder.name} has no review {self.name!r}. {others}"
                f"Start it: engine review start -i {self.folder.name} --review {self.name}"
            )


def read_settings(events: Sequence[Decision]) -> ReviewSettings:
    """Return the settings that were given last."""
    details: Mapping[str, Any] = next(
        (event.details for event in reversed(events) if event.kind is DecisionKind.START), {}
    )
    lists = {name: tuple(details.get(name, ())) for name in ("reasons", "wanted", "unwanted")}
    return ReviewSettings(details.get("criteria", ""), **lists)


def _identify_records(corpus: Corpus, labels: Mapping[str, NewLabel]) -> list[tuple[RecordIdentity, NewLabel]]:
    """Return the identities of records by their names, each record once, with what is decided about it.

    Raises:
        UsageError: a record is not in the index.
    """
    names = list(labels)
    doc_ids = resolve_ids(corpus, names)
    if unknown := [name for name, doc_id in zip(names, doc_ids, strict=True) if doc_id is None]:
        raise UsageError(
            f"{pluralize(len(unknown), 'record')} of {len(names):,} not in the index: {name_some(unknown)}. "
            "Nothing was decided. Expected record ids, PMIDs or DOIs as `engine search` shows them"
        )
    finder, first = IdentityFinder(corpus), dict[int, NewLabel]()
    for name, doc_id in zip(names, doc_ids, strict=True):
        if doc_id is not None:
            first.setdefault(doc_id, labels[name])
    return [(finder.identify(doc_id), label) for doc_id, label in first.items()]


def check_label(who: str, label: NewLabel) -> None:
    """Check that a decision says what it can.

    Raises:
        UsageError: a text is too long, the reviewer has no name, or a reason is given for no exclusion.
    """
    if not who.strip():
        raise UsageError("a reviewer without a name. Give one: --who NAME")
    if label.reason and label.kind is not DecisionKind.EXCLUDE:
        raise UsageError(f"a reason was given for {label.kind}, expected one for exclude only. Use a note instead")
    for what, text in (
        ("name", who),
        ("reason", label.reason),
        ("note", label.note),
        *(("label", t) for t in label.labels),
    ):
        if len(text) > _LONGEST:
            raise UsageError(f"a {what} of {len(text):,} characters, expected {_LONGEST:,} or fewer")
