"""Decisions in from the files of other tools, and out to them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from pathlib import Path

from engine.collect.source import read_source
from engine.corpus.duplicates.resolution import IdentityFinder
from engine.corpus.selection.idlist import read_ids
from engine.corpus.storage.journal import Decision, DecisionKind, NewDecision, RecordIdentity
from engine.corpus.storage.store import Corpus
from engine.errors import SourceError, UsageError
from engine.query.opening import open_corpus
from engine.query.recordlist import identify_record, match_records, name_record
from engine.records.abstract import Abstract, Rejection
from engine.references.citation import Cited
from engine.review.marks import Mark, list_columns, list_notes, read_marks, strip_marks
from engine.review.reviews import NewLabel, Review
from engine.review.state import DecidedRecord, RecordDecision, ReviewState, read_state

_AT_ONCE = 1000  # records fetched at once


@dataclass(frozen=True, slots=True)
class _Row:
    """A record of a file."""

    place: str  # for messages: the file, and what names the record in it
    record: RecordIdentity
    marks: tuple[Mark, ...]


@dataclass(slots=True)
class Imported:
    """What became of the records of files; the numbers add up to `read`."""

    read: int = 0
    rejected: list[str] = field(default_factory=list)  # that can't be read, each with its place and the reason
    without: int = 0  # that carry no decision
    unmatched: list[str] = field(default_factory=list)  # that are not in the index, each with its place
    contradictory: list[str] = field(default_factory=list)  # that these files give other decisions of the same reviewer
    repeated: int = 0  # that these files give again
    unchanged: int = 0  # that were decided so before
    decided: int = 0
    rules: Counter[str] = field(default_factory=Counter)  # by which the records of the index were recognised
    made: list[Decision] = field(default_factory=list)


def add_decisions(review: Review, who: str, files: Sequence[Path], kind: DecisionKind | None = None) -> Imported:
    """Add the decisions in files to a review, all or none, and return what became of the records.

    Files are those that `engine index` reads, or lists of ids. A record is recognised by its PMID, its DOI, its id, or
    by title and year if only one record of the index has them.

    who: the reviewer, where a file does not name one.
    kind: decision on every record of the files, whatever they say; a list of ids needs one.

    Raises:
        UsageError: the review was not started, or a file can't be read, or is a list of ids without a kind.
        GenerationError: there is no index, or it is damaged.
        CorpusError: the journal can't be read or written.
    """
    found = Imported()
    state = read_state(review)
    rows = [row for path in files for row in _read_rows(path, kind, found)]
    generation = review.folder.open_current(quick=True)
    with closing(open_corpus(generation)) as corpus:
        finder = IdentityFinder(corpus, words=generation.words)
        wanted = _group_rows(rows, _match_rows(rows, corpus, finder, found), found)
        known = {each.doc_id: each for each in state.records}
        new: list[NewDecision] = []
        for doc_id, marks in wanted.items():
            fresh = [mark for mark in marks if not _is_known(known.get(doc_id), mark, who)]
            found.decided += bool(fresh)
            found.unchanged += not fresh
            new += [_build_decision(finder.identify(doc_id), mark) for mark in fresh]
    found.made += review.journal.append(who, new) if new else []
    return found


def cite_decisions(state: ReviewState, corpus: Corpus, *, as_columns: bool, undecided: bool) -> Iterator[Cited]:
    """Yield the records of the index with their decisions, in the order in which they were indexed.

    as_columns: decisions are further columns; otherwise they are notes, as ASReview and Rayyan write them.
    undecided: whether to yield the records without a decision, too.
    """
    decided = {each.doc_id: each for each in state.records if each.doc_id is not None}
    doc_ids = corpus.read_ids().tolist() if undecided else sorted(decided)
    for start in range(0, len(doc_ids), _AT_ONCE):
        page = doc_ids[start : start + _AT_ONCE]
        records = corpus.fetch(page)
        for doc_id in page:
            yield _cite_record(records[doc_id], decided.get(doc_id), as_columns=as_columns)


def _cite_record(record: Abstract, decided: DecidedRecord | None, *, as_columns: bool) -> Cited:
    """Return a record with what was decided about it."""
    kind = decided.kind if decided else DecisionKind.UNDECIDED
    marks = [_describe_mark(each) for each in decided.decisions] if decided else []
    if as_columns:
        return Cited(None, record, tuple(list_columns(kind, marks).items()))
    labels = [*record.labels, *(label for mark in marks for label in mark.labels)]
    notes = [*filter(None, map(strip_marks, record.notes)), *list_notes(kind, marks)]
    return Cited(None, replace(record, labels=tuple(dict.fromkeys(labels)), notes=tuple(dict.fromkeys(notes))))


def _read_rows(path: Path, kind: DecisionKind | None, found: Imported) -> Iterator[_Row]:
    """Yield the records of a file that carry a decision, and count the others.

    Raises:
        UsageError: it can't be read, or is a list of ids without a kind.
    """
    try:
        entries = list(read_source(path))
    except SourceError as err:
        entries = []
        if kind is None:
            raise UsageError(f"{err}. To decide about a list of ids, say how: --as include|exclude|maybe") from err
    records = [entry for entry in entries if isinstance(entry, Abstract)]
    if not records and kind is not None:
        ids = read_ids(path)
        found.read += len(ids)
        yield from (_Row(f"{path.name}: {name}", RecordIdentity((name,)), (Mark(kind),)) for name in ids)
        return
    rejected = [f"{entry}" for entry in entries if isinstance(entry, Rejection)]
    found.rejected += rejected
    found.read += len(records) + len(rejected)
    for record in records:
        marks = (Mark(kind),) if kind else tuple(read_marks(record))
        found.without += not marks
        if marks:
            place = f"{path.name}: {name_record(record)} {record.title[:80]}".rstrip()
            yield _Row(place, identify_record(record), marks)


def _match_rows(rows: Sequence[_Row], corpus: Corpus, finder: IdentityFinder, found: Imported) -> list[int | None]:
    """Return the doc id of each row, None for one that is not in the index; count the rules."""
    matches = match_records([row.record for row in rows], corpus, finder)
    found.rules += Counter(match.rule for match in matches if match.doc_id is not None)
    found.unmatched += [row.place for row, match in zip(rows, matches, strict=True) if match.doc_id is None]
    return [match.doc_id for match in matches]


def _group_rows(rows: Sequence[_Row], doc_ids: Sequence[int | None], found: Imported) -> dict[int, tuple[Mark, ...]]:
    """Return the decisions on each record of the index; rows that contradict each other give none."""
    groups: dict[int, list[_Row]] = {}
    for row, doc_id in zip(rows, doc_ids, strict=True):
        if doc_id is not None:
            groups.setdefault(doc_id, []).append(row)
    wanted = {}
    for doc_id, same in groups.items():
        marks = tuple(dict.fromkeys(mark for row in same for mark in row.marks))
        if len({mark.who for mark in marks}) < len(marks):
            found.contradictory += [row.place for row in same]
        else:
            wanted[doc_id] = marks
            found.repeated += len(same) - 1
    return wanted


def _is_known(record: DecidedRecord | None, mark: Mark, who: str) -> bool:
    """Return whether a reviewer's decision in force says the same."""
    own = replace(mark, who=mark.who or who)
    decisions = record.decisions if record else ()
    return any(_describe_mark(each) == own for each in decisions)


def _describe_mark(decision: RecordDecision) -> Mark:
    """Return a decision in force as a file has it."""
    return Mark(decision.kind, decision.who, decision.reason, decision.note, decision.labels)


def _build_decision(record: RecordIdentity, mark: Mark) -> NewDecision:
    """Return a decision to write."""
    label = NewLabel(mark.kind, mark.reason, mark.note, mark.labels)
    return NewDecision(mark.kind, (record,), label.details, mark.note, mark.who)
