"""Template values of a record that is screened, and of a review."""

from __future__ import annotations

import re
import secrets
import time
from collections.abc import Sequence
from dataclasses import dataclass

from engine.corpus.storage.journal import DecisionKind
from engine.identifiers import build_doi_url, build_pubmed_url
from engine.records.abstract import Abstract
from engine.references.citation import format_locator
from engine.review.blinding import find_own
from engine.review.state import DecidedRecord, RecordDecision, ReviewState
from engine.serve.pages.views import list_badges
from engine.serve.work.openreview import find_record

DONE = {"include": "included", "exclude": "excluded", "maybe": "maybe", "undecided": "undecided"}
_HEADING = re.compile(r"([A-Z][A-Z0-9 ,/&'()-]{2,60}):\s+")


@dataclass(frozen=True, slots=True)
class _Paragraph:
    """A section of an abstract."""

    heading: str  # "" without one
    text: str


@dataclass(frozen=True, slots=True)
class _RecordCard:
    """A record, ready to decide about."""

    record: Abstract
    paragraphs: tuple[_Paragraph, ...]
    badges: list[str]
    locator: str
    pubmed: str
    doi: str
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


def build_card(record: Abstract, doc_id: int, state: ReviewState, who: str) -> _RecordCard:
    """Return a record of a state that this reviewer may see, ready to decide about."""
    decided = find_record(state, doc_id)
    own = find_own(decided, who)
    return _RecordCard(
        record=record,
        paragraphs=tuple(_split_paragraphs(record.abstract)),
        badges=list(list_badges(record)),
        locator=format_locator(record),
        pubmed=build_pubmed_url(record.pmid),
        doi=build_doi_url(record.doi),
        own=own,
        others=tuple(each for each in (decided.decisions if decided else ()) if each is not own),
        key=secrets.token_urlsafe(12),
        shown=int(time.time()),
    )


def count_decisions(state: ReviewState) -> _ReviewCounts:
    """Return how far a reviewer is; state holds what counts for them."""
    counts = state.count_kinds()
    kinds = [counts[kind] for kind in (DecisionKind.INCLUDE, DecisionKind.EXCLUDE, DecisionKind.MAYBE, None)]
    return _ReviewCounts(state.n_records, *kinds)


def list_criteria(text: str) -> list[str]:
    """Return the criteria of a review, one a line, without blank lines."""
    return [line.strip() for line in text.splitlines() if line.strip()]


def find_last(state: ReviewState, who: str) -> tuple[DecidedRecord, RecordDecision] | None:
    """Return a reviewer's last decision in force, with its record; None without one."""
    own = [(record, each) for record in state.records for each in record.decisions if each.who == who]
    return max(own, key=lambda pair: pair[1].number, default=None)


def _split_paragraphs(text: str) -> Sequence[_Paragraph]:
    """Return the sections of an abstract: each line, with its heading in capitals, if it has one."""
    found = []
    for line in filter(None, (line.strip() for line in text.splitlines())):
        match = _HEADING.match(line)
        found.append(_Paragraph(match[1] if match else "", line[match.end() :] if match else line))
    return found
