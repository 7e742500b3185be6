"""A review as it is now, read again and again, each time only what is new."""

from __future__ import annotations

import threading

from engine.corpus.storage.journal import Decision
from engine.query.opening.generation import OpenGeneration
from engine.review.decisions.reviews import Review, read_settings
from engine.review.decisions.state import DecidedRecord, ReviewState, Tally


class ReviewFollower:
    """Reads the events of a review as they come, from whatever process. Safe to use from several threads."""

    def __init__(self, review: Review) -> None:
        """Prepare to read; nothing is read yet."""
        self._review = review
        self._lock = threading.Lock()
        self._events: list[Decision] = []
        self._tally: Tally | None = None
        self._state: ReviewState | None = None
        self._pointer = b""  # of the generation of the tally

    def read(self, snapshot: OpenGeneration) -> ReviewState:
        """Return what is in force now, as the records of an open generation.

        Raises:
            CorpusError: the journal can't be read.
            CorruptError: a file of the generation is damaged.
        """
        with self._lock:
            tally = self._follow(snapshot)
            if self._state is None:
                self._state = ReviewState(
                    self._review.name,
                    read_settings(self._events),
                    tuple(tally.list_records()),
                    snapshot.manifest.counts.abstracts,
                    tally.reviewers,
                )
            return self._state

    def read_record(self, snapshot: OpenGeneration, doc_id: int) -> DecidedRecord | None:
        """Return what is in force now about a record of an open generation; None if nothing.

        Raises:
            CorpusError: the journal can't be read.
            CorruptError: a file of the generation is damaged.
        """
        with self._lock:
            return self._follow(snapshot).get_record(doc_id)

    def _follow(self, snapshot: OpenGeneration) -> Tally:
        """Take in the events since the last time; all of them, if it is another generation. Call with the lock."""
        new = self._review.journal.read(self._events[-1].number if self._events else 0)
        self._events += new
        if self._tally is None or self._pointer != snapshot.pointer:
            self._tally, self._pointer = Tally(snapshot.corpus, snapshot.generation.words), snapshot.pointer
            new = self._events
            self._state = None
        if new:
            self._tally.add(new)
            self._state = None
        return self._tally

    def find_place(self, decision: Decision) -> int | None:
        """Return the doc id of the record of a decision that was read; None if it is not in the generation."""
        with self._lock:
            return self._tally.find_place(decision.records[0]) if self._tally and decision.records else None
