"""A review as it is now, read again and again, each time only what is new."""

from __future__ import annotations

import threading

from engine.corpus.storage.journal import Decision
from engine.query.generation import OpenGeneration
from engine.review.reviews import Review, read_settings
from engine.review.state import ReviewState, Tally


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
            new = self._review.journal.read(self._events[-1].number if self._events else 0)
            self._events += new
            if self._tally is None or self._pointer != snapshot.pointer:
                self._tally, self._pointer = Tally(snapshot.corpus, snapshot.generation.words), snapshot.pointer
                self._tally.add(self._events)
            elif new:
                self._tally.add(new)
            elif self._state is not None:
                return self._state
            self._state = ReviewState(
                self._review.name,
                read_settings(self._events),
                tuple(self._tally.list_records()),
                snapshot.manifest.counts.abstracts,
                self._tally.reviewers,
            )
            return self._state

    def find_place(self, decision: Decision) -> int | None:
        """Return the doc id of the record of a decision that was read; None if it is not in the generation."""
        with self._lock:
            return self._tally.find_place(decision.records[0]) if self._tally and decision.records else None
