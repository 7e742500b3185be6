"""Template values of a record that is screened, and of a review."""

from __future__ import annotations

import secrets
import time
from collections.abc import Sequence
from dataclasses import dataclass

from engine.corpus.storage.journal import DecisionKind
from engine.identifiers import build_doi_url, build_pubmed_url
from engine.records.abstract import Abstract
from engine.records.answer import Span
from engine.references.values.citation import format_locator
from engine.review.decisions.blinding import find_own
from engine.review.decisions.state import DecidedRecord, RecordDecision, ReviewState
from engine.review.desk.queue import QueuedRecord
from engine.review.desk.reading import RecordReading, WordMark
from engine.serve.pages.views import list_badges
from engine.serve.work.openreview import find_record

DONE = {"include": "included", "exclude": "excluded", "maybe": "maybe", "undecided": "undecided"}


@dataclass(frozen=True, slots=True)
class _Piece:
    """A piece of a text with its marks."""

    text: str
    word: str  # "wanted", "unwanted" or ""
    near: tuple[int, ...]  # numbers of the criteria to which its sentence is nearest, from 1
    begins: tuple[int, ...]  # those of them whose sentence begins here


@dataclass(frozen=True, slots=True)
class _Paragraph:
    """A section of an abstract."""

    heading: str  # "" without one
    pieces: tuple[_Piece, ...]


@dataclass(frozen=True, slots=True)
class _RecordCard:
    """A record, ready to decide about."""

    record: Abstract
    title: tuple[_Piece, ...]
    paragraphs: tuple[_Paragraph, ...]
    criteria: tuple[tuple[str, bool], ...]  # each, and whether a sentence is near it
    has_wanted: bool
    has_unwanted: bool
    badges: list[str]
    locator: str
    pubmed: str
    doi: str
    queued: QueuedRecord | None  # its place in the queue, and why
    own: RecordDecision | None  # the reviewer's own decision in force
    others: tuple[RecordDecision, ...]  # of others, as far as this reviewer may see them
    key: str  # of the next command on it
    shown: int  # seconds since 1970

    @property
    def seen(self) -> int:
        """The number of the reviewer's own decision that is shown; 0 for none."""
        return self.own.number if self.own else 0


@dataclass(frozen=True, slots=True)
class _ReviewCounts:
    """How far a reviewer is."""

    n_records: int
    included: int
    excluded: int
    maybe: int
    conflicts: int

    @property
    def n_done(self) -> int:
        """The number of records with a decision."""
        return self.included + self.excluded + self.maybe + self.conflicts

    @property
    def left(self) -> int:
        """The number of records without a decision."""
        return self.n_records - self.n_done


def build_card(
    reading: RecordReading, doc_id: int, state: ReviewState, who: str, queued: QueuedRecord | None = None
) -> _RecordCard:
    """Return a record, ready to decide about; state is what this reviewer may see."""
    record, decided = reading.record, find_record(state, doc_id)
    own, marks = find_own(decided, who), (*reading.title_marks, *reading.abstract_marks)
    near = [(n, one.nearest.span) for n, one in enumerate(reading.criteria, 1) if one.nearest]
    return _RecordCard(
        record=record,
        title=_split_pieces(record.title, (0, len(record.title)), reading.title_marks, ()),
        paragraphs=tuple(
            _Paragraph(one.label, _split_pieces(record.abstract, one.span, reading.abstract_marks, near))
            for one in reading.sections
        ),
        criteria=tuple((one.text, one.nearest is not None) for one in reading.criteria),
        has_wanted=any(mark.is_wanted for mark in marks),
        has_unwanted=any(not mark.is_wanted for mark in marks),
        badges=list(list_badges(record)),
        locator=format_locator(record),
        pubmed=build_pubmed_url(record.pmid),
        doi=build_doi_url(record.doi),
        queued=queued,
        own=own,
        others=tuple(each for each in (decided.decisions if decided else ()) if each is not own),
        key=secrets.token_urlsafe(12),
        shown=int(time.time()),
    )


def _split_pieces(
    text: str, window: Span, marks: Sequence[WordMark], near: Sequence[tuple[int, Span]]
) -> tuple[_Piece, ...]:
    """Return a window of a text in pieces that add up to it, with the marks of words and of nearest sentences."""
    first, last = window
    spans = [mark.span for mark in marks] + [span for _, span in near]
    ends = sorted({first, last} | {at for span in spans for at in span if first < at < last})
    pieces = []
    for start, end in zip(ends, ends[1:], strict=False):
        words = [mark for mark in marks if mark.span[0] <= start < mark.span[1]]
        numbers = tuple(n for n, span in near if span[0] <= start < span[1])
        begins = tuple(n for n, span in near if max(span[0], first) == start)
        word = ("wanted" if words[0].is_wanted else "unwanted") if words else ""
        pieces.append(_Piece(text[start:end], word, numbers, begins))
    return tuple(pieces)


def count_decisions(state: ReviewState) -> _ReviewCounts:
    """Return how far a reviewer is; state holds what counts for them."""
    counts = state.count_kinds()
    kinds = [counts[kind] for kind in (DecisionKind.INCLUDE, DecisionKind.EXCLUDE, DecisionKind.MAYBE, None)]
    return _ReviewCounts(state.n_records, *kinds)


def find_last(state: ReviewState, who: str) -> tuple[DecidedRecord, RecordDecision] | None:
    """Return a reviewer's last decision in force, with its record; None without one."""
    own = [(record, each) for record in state.records for each in record.decisions if each.who == who]
    return max(own, key=lambda pair: pair[1].number, default=None)
