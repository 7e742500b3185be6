"""A review that is served: what each reviewer may see of it, what comes next for them, and what they decide."""

from __future__ import annotations

import contextlib
import hashlib
import hmac
import secrets
import threading
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass

from engine.corpus.storage.journal import Decision, DecisionKind
from engine.errors import EngineError
from engine.index.generations.folder import IndexFolder
from engine.query.index import Index, get_generation
from engine.query.opening.generation import OpenGeneration
from engine.relevance.screening.wordmodel import load_learning
from engine.review.decisions.blinding import find_own, hide_others, keep_own
from engine.review.decisions.follower import ReviewFollower
from engine.review.decisions.reviews import NewLabel, Review
from engine.review.decisions.state import DecidedRecord, RecordDecision, ReviewState
from engine.review.desk.orders import OrderName
from engine.review.desk.queue import NextRecords, ReviewQueue
from engine.serve.work.decisionsets import DecidedRecords, sort_decided

ORDERS = {  # in which records come, and what each is called
    OrderName.LEARNED: "likely inclusions first",
    OrderName.CRITERIA: "nearest to the criteria first",
    OrderName.DATE: "newest first",
    OrderName.RANDOM: "by chance",
}


@dataclass(frozen=True, slots=True)
class ReviewRules:
    """Which review is served, and who decides."""

    name: str
    who: str  # whoever uses the server without a token of a reviewer
    is_blind: bool = True  # nobody sees another's decision on a record before they have decided it


class OpenReview:
    """A review of an index that is open. Safe to use from several threads."""

    def __init__(self, folder: IndexFolder, rules: ReviewRules, get_index: Callable[[], Index]) -> None:
        """Check that the review was started; get_index returns the index at its newest generation.

        Raises:
            UsageError: it was not started.
            CorpusError: the journal can't be read.
        """
        self.folder, self.rules = folder, rules
        self.review = Review(folder, rules.name)
        self.review.check_started()
        self.follower = ReviewFollower(self.review)
        self._get_index = get_index
        self._secret = secrets.token_bytes(32)  # of form tokens
        self._lock = threading.Lock()
        self._queue: ReviewQueue | None = None  # opened when it is first needed
        self._resources = contextlib.ExitStack()
        self._sorted: dict[str, tuple[ReviewState, DecidedRecords]] = {}  # by reviewer, of the newest state

    def prepare(self) -> None:
        """Load what the first decisions need, before anybody waits for it. What fails is raised where it is needed."""
        with contextlib.suppress(EngineError):
            self._resources.callback(self.review.journal.hold())
        with contextlib.suppress(EngineError):
            load_learning()
        with contextlib.suppress(EngineError):
            queue = self.get_queue()
            for doc_id in queue.snapshot.corpus.read_ids()[:1].tolist():
                queue.read_record(doc_id)

    def close(self) -> None:
        """Stop learning, and close the journal, so that it is one file again."""
        with self._lock:
            if self._queue is not None:
                self._queue.close()
            self._queue = None
        self._resources.close()

    def make_form_token(self, who: str) -> str:
        """Return what a form of this reviewer must send back, which no page of another site knows."""
        return hmac.new(self._secret, who.encode("utf-8", "replace"), hashlib.sha256).hexdigest()

    def is_form_token(self, given: str, who: str) -> bool:
        """Return whether a form token is that of this reviewer, from this run of the server."""
        return hmac.compare_digest(given.encode("utf-8", "replace"), self.make_form_token(who).encode())

    def get_queue(self) -> ReviewQueue:
        """Return the queue of the review, in which no reviewer is shown what was learned from what they may not see.

        Raises:
            CorpusError: the journal can't be read.
        """
        with self._lock:
            if self._queue is None:
                index, is_blind = self._get_index(), self.rules.is_blind
                self._queue = ReviewQueue(index, self.review, self._find_newest, is_blind=is_blind)
            return self._queue

    def _find_newest(self) -> OpenGeneration:
        """Return the newest generation that is served."""
        return get_generation(self._get_index())

    def read_visible(self, snapshot: OpenGeneration, who: str) -> ReviewState:
        """Return what a reviewer may see of the review.

        Raises:
            CorpusError: the journal can't be read.
        """
        state = self.follower.read(snapshot)
        return hide_others(state, who) if self.rules.is_blind else state

    def read_own(self, snapshot: OpenGeneration, who: str) -> ReviewState:
        """Return what a reviewer's progress is made of: their own decisions, or those of all if they share the work.

        Raises:
            CorpusError: the journal can't be read.
        """
        state = self.follower.read(snapshot)
        return keep_own(state, who) if self.rules.is_blind else state

    def sort_own(self, snapshot: OpenGeneration, who: str) -> DecidedRecords:
        """Return the records of a generation by what read_own() returns; sorted once for each state of the review.

        Raises:
            CorpusError: the journal can't be read.
        """
        state = self.follower.read(snapshot)
        before = self._sorted.get(who)
        if before is None or before[0] is not state:
            own = keep_own(state, who) if self.rules.is_blind else state
            before = self._sorted[who] = state, sort_decided(own, snapshot.corpus.read_ids())
        return before[1]

    def list_next(
        self, snapshot: OpenGeneration, who: str, order: OrderName, n: int, passed: Collection[int] = ()
    ) -> NextRecords:
        """Return the next n records for a reviewer; fewer only if fewer are left.

        passed: doc ids to leave out. Where the work is shared, what anybody decided is left out, too.

        Raises:
            CorpusError: the journal can't be read.
        """
        done = set(passed)
        if not self.rules.is_blind:
            state = self.follower.read(snapshot)
            done |= {each.doc_id for each in state.records if each.doc_id is not None and each.kind != "undecided"}
        return self.get_queue().next_records(who, n, order, done)

    def decide(self, who: str, name: str, label: NewLabel, key: str = "") -> Decision:
        """Write a decision on a record; sent again with the same key, it is not written again.

        Raises:
            UsageError: the record is not in the index, or a text is too long.
            NotSavedError: it can't be written.
        """
        (made,) = self.get_queue().decide(who, [name], label, key)
        return made

    def add_labels(
        self, snapshot: OpenGeneration, who: str, doc_ids: Sequence[int], labels: Sequence[str], key: str = ""
    ) -> list[Decision]:
        """Add labels to what a reviewer has decided about records, one event for each; return the events.

        A record that has them all is left as it is. Sent again with the same key, nothing is written again.

        Raises:
            UsageError: a text is too long.
            NotSavedError: they can't be written.
        """
        if before := self.review.journal.find_by_key(who, key):
            return before
        owns = {each.doc_id: find_own(each, who) for each in self.follower.read(snapshot).records}
        rows = snapshot.corpus.fetch([doc_id for doc_id in doc_ids])
        new = {
            rows[doc_id].record_id: made
            for doc_id in doc_ids
            if (made := _add_to(owns.get(doc_id), labels)) is not None
        }
        return self.get_queue().decide_each(who, new, key) if new else []

    def undo(self, who: str, number: int, key: str = "") -> list[Decision]:
        """Undo a decision of a reviewer; return it.

        Raises:
            UsageError: it is not in force, or it is another reviewer's.
            NotSavedError: it can't be written.
        """
        return self.get_queue().undo(who, number, key)


def _add_to(own: RecordDecision | None, labels: Sequence[str]) -> NewLabel | None:
    """Return a reviewer's decision with further labels; None if it has them all."""
    if own is None:
        return NewLabel(DecisionKind.UNDECIDED, labels=tuple(labels))
    joined = tuple(dict.fromkeys((*own.labels, *labels)))
    return NewLabel(own.kind, own.reason, own.note, joined) if joined != own.labels else None


def find_record(state: ReviewState, doc_id: int) -> DecidedRecord | None:
    """Return what a state holds about a record; None if nothing."""
    return next((each for each in state.records if each.doc_id == doc_id), None)
