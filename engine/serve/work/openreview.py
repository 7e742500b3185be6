"""A review that is served: what each reviewer may see of it, what comes next for them, and what they decide."""

from __future__ import annotations

import hashlib
import hmac
import secrets
import threading
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field

import numpy as np

from engine.corpus.storage.journal import Decision
from engine.query.generation import OpenGeneration
from engine.query.ordering import sort_ids
from engine.query.plan import encode_texts
from engine.review.blinding import hide_others, keep_own
from engine.review.follower import ReviewFollower
from engine.review.reviews import NewLabel, Review
from engine.review.state import DecidedRecord, ReviewState

ORDERS = {"criteria": "nearest to the criteria first", "date": "newest first"}  # name -> what it means


@dataclass(frozen=True, slots=True)
class ReviewRules:
    """Which review is served, and who decides."""

    name: str
    who: str  # whoever uses the server without a token of a reviewer
    is_blind: bool = True  # nobody sees another's decision on a record before they have decided it


@dataclass(slots=True)
class OpenReview:
    """A review of an index that is open, for use from several threads."""

    review: Review
    rules: ReviewRules
    follower: ReviewFollower = field(init=False)
    secret: bytes = field(default_factory=lambda: secrets.token_bytes(32))  # of form tokens
    lock: threading.Lock = field(default_factory=threading.Lock)
    orders: dict[tuple[bytes, str, str], Sequence[int]] = field(default_factory=dict)  # by generation, order, criteria

    def __post_init__(self) -> None:
        """Check that the review was started.

        Raises:
            UsageError: it was not.
            CorpusError: the journal can't be read.
        """
        self.review.check_started()
        self.follower = ReviewFollower(self.review)

    def make_form_token(self, who: str) -> str:
        """Return what a form of this reviewer must send back, which no page of another site knows."""
        return hmac.new(self.secret, who.encode("utf-8", "replace"), hashlib.sha256).hexdigest()

    def is_form_token(self, given: str, who: str) -> bool:
        """Return whether a form token is that of this reviewer, from this run of the server."""
        return hmac.compare_digest(given.encode("utf-8", "replace"), self.make_form_token(who).encode())

    def read_visible(self, snapshot: OpenGeneration, who: str) -> ReviewState:
        """Return what a reviewer may see of the review.

        Raises:
            CorpusError: the journal can't be read.
        """
        state = self.follower.read(snapshot)
        return hide_others(state, who) if self.rules.is_blind else state

    def read_own(self, snapshot: OpenGeneration, who: str) -> ReviewState:
        """Return what a reviewer's progress and order come from: their own decisions, or those of all if shared.

        Raises:
            CorpusError: the journal can't be read.
        """
        state = self.follower.read(snapshot)
        return keep_own(state, who) if self.rules.is_blind else state

    def list_next(
        self, snapshot: OpenGeneration, who: str, order: str, n: int, passed: Collection[int] = ()
    ) -> list[int]:
        """Return the doc ids of the next n records for a reviewer; fewer only if fewer are left.

        passed: doc ids to leave out.

        Raises:
            CorpusError: the journal can't be read.
        """
        state = self.read_own(snapshot, who)
        done = {each.doc_id for each in state.records if each.kind != "undecided"} | set(passed)
        found: list[int] = []
        for doc_id in self._read_order(snapshot, order, state.settings.criteria):
            if len(found) == n:
                break
            if doc_id not in done:
                found.append(doc_id)
        return found

    def decide(self, snapshot: OpenGeneration, who: str, name: str, label: NewLabel, key: str = "") -> Decision:
        """Write a decision on a record; sent again with the same key, it is not written again.

        Raises:
            UsageError: the record is not in the index, or a text is too long.
            NotSavedError: it can't be written.
        """
        (made,) = self.review.decide_in(snapshot.corpus, who, [name], label, key)
        return made

    def undo(self, who: str, number: int | None = None, key: str = "") -> list[Decision]:
        """Undo a reviewer's decision with this number, or their last one; return what was undone.

        Raises:
            UsageError: there is none in force, or it is another reviewer's.
            NotSavedError: it can't be written.
        """
        return self.review.undo(who, number, key)

    def _read_order(self, snapshot: OpenGeneration, order: str, criteria: str) -> Sequence[int]:
        """Return all doc ids of a generation in an order, computed once."""
        with self.lock:
            key = (snapshot.pointer, order, criteria)
            if key not in self.orders:
                self.orders = {old: ids for old, ids in self.orders.items() if old[0] == snapshot.pointer}
                self.orders[key] = _rank_records(snapshot, order, criteria)
            return self.orders[key]


def _rank_records(snapshot: OpenGeneration, order: str, criteria: str) -> Sequence[int]:
    """Return all doc ids of a generation in an order; without criteria, in that of the index."""
    doc_ids = snapshot.corpus.read_ids()
    if order == "date":
        return sort_ids(snapshot.corpus, doc_ids.tolist(), "year:desc")
    if not criteria.strip():
        return list(doc_ids.tolist())
    vectors, _ = encode_texts(snapshot, [criteria])
    cosines = snapshot.vectors.score_ids(vectors[0], doc_ids)
    return list(doc_ids[np.lexsort((doc_ids, -cosines))].tolist())


def find_record(state: ReviewState, doc_id: int) -> DecidedRecord | None:
    """Return what a state holds about a record; None if nothing."""
    return next((each for each in state.records if each.doc_id == doc_id), None)
