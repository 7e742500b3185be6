"""Decisions in from the files of other tools, and out to them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TypeVar

from engine.collect.source import read_source
from engine.corpus.duplicates.resolution import IdentityFinder
from engine.corpus.selection.asreview import is_project, read_project
from engine.corpus.selection.idlist import read_id_rows, read_ids
from engine.corpus.storage.journal import Decision, DecisionKind, NewDecision, RecordIdentity
from engine.corpus.storage.store import Corpus
from engine.errors import SourceError, UsageError
from engine.identifiers import parse_doi, parse_pmid
from engine.query.opening.corpus import open_corpus
from engine.query.question.recordlist import identify_record, match_records, name_record
from engine.records.abstract import Abstract, Rejection
from engine.references.values.citation import Cited
from engine.review.decisions.marks import (
    Mark,
    has_decision,
    is_decision_tag,
    list_columns,
    list_notes,
    list_tags,
    read_cells,
    read_marks,
    strip_columns,
    strip_marks,
)
from engine.review.decisions.reviews import NewLabel, Review, check_label
from engine.review.decisions.state import DecidedRecord, RecordDecision, ReviewState, read_state

_T = TypeVar("_T")
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
    refused: list[str] = field(default_factory=list)  # whose decision can't be kept, each with its place and the reason
    repeated: int = 0  # that these files give again
    unchanged: int = 0  # that were decided so before
    decided: int = 0
    rules: Counter[str] = field(default_factory=Counter)  # by which the records of the index were recognised
    made: list[Decision] = field(default_factory=list)


def add_decisions(review: Review, who: str, files: Sequence[Path], kind: DecisionKind | None = None) -> Imported:
    """Add the decisions in files to a review, all or none, and return what became of the records.

    Files are those that `engine index` reads, projects of ASReview, tables of ids with decisions, or lists of ids. A
    record is recognised by its PMID, its DOI, its id, or by title and year if only one record of the index has them.

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
    rows = [row for row in rows if _check_row(row, who, found)]
    generation = review.folder.open_current(quick=True)
    with closing(open_corpus(generation)) as corpus:
        finder = IdentityFinder(corpus, words=generation.words)
        wanted = _group_rows(rows, _match_rows(rows, corpus, finder, found), found)
        known = {each.doc_id: each for each in state.records}
        new: list[NewDecision] = []
        for doc_id, marks in _drop_labels(wanted, corpus):
            fresh = [mark for mark in marks if not _is_known(known.get(doc_id), mark, who)]
            found.decided += bool(fresh)
            found.unchanged += not fresh
            new += [_build_decision(finder.identify(doc_id), mark) for mark in fresh]
    found.made += review.journal.append(who, new) if new else []
    return found


def cite_decisions(
    state: ReviewState,
    corpus: Corpus,
    *,
    as_columns: bool,
    as_tags: bool = False,
    undecided: bool = False,
    only: DecisionKind | None = None,
) -> Iterator[Cited]:
    """Yield the records of list_decided with their decisions, in that order.

    What the sources of a record say of other decisions is left out.

    as_columns: decisions are further columns; otherwise they are notes, as ASReview and Rayyan write them.
    as_tags: decisions are tags, too, which reference managers show.
    undecided, only: as of list_decided.
    """
    for page in _split_pages(list_decided(state, corpus, undecided=undecided, only=only)):
        records = corpus.fetch([doc_id for doc_id, _ in page])
        for doc_id, each in page:
            yield _cite_record(records[doc_id], each, as_columns=as_columns, as_tags=as_tags)


def list_decided(
    state: ReviewState, corpus: Corpus, *, undecided: bool = False, only: DecisionKind | None = None
) -> list[tuple[int, DecidedRecord | None]]:
    """Return (doc id, what was decided) of records of the index, in the order in which they were indexed.

    undecided: whether to return the records without a decision, too.
    only: return the records alone about which this was decided.
    """
    decided = {each.doc_id: each for each in state.records if each.doc_id is not None}
    if only is not None:
        decided = {doc_id: each for doc_id, each in decided.items() if each.kind is only}
    doc_ids = corpus.read_ids().tolist() if undecided else sorted(decided)
    return [(doc_id, decided.get(doc_id)) for doc_id in doc_ids]


def _split_pages(rows: Sequence[_T]) -> Iterator[Sequence[_T]]:
    """Yield the rows, some at a time."""
    for start in range(0, len(rows), _AT_ONCE):
        yield rows[start : start + _AT_ONCE]


def _cite_record(record: Abstract, decided: DecidedRecord | None, *, as_columns: bool, as_tags: bool) -> Cited:
    """Return a record with what was decided about it, instead of what its sources say was decided."""
    kind = decided.kind if decided else DecisionKind.UNDECIDED
    marks = [_describe_mark(each) for each in decided.decisions] if decided else []
    keywords = [keyword for keyword in record.keywords if not is_decision_tag(keyword)]
    record = replace(
        record,
        other_tags=strip_columns(record.other_tags),
        notes=tuple(dict.fromkeys(filter(None, map(strip_marks, record.notes)))),
        labels=tuple(label for label in record.labels if not is_decision_tag(label)),
        keywords=(*keywords, *(list_tags(kind, marks) if as_tags else ())),
    )
    if as_columns:
        return Cited(None, record, tuple(list_columns(kind, marks).items()))
    labels = dict.fromkeys((*record.labels, *(label for mark in marks for label in mark.labels)))
    notes = dict.fromkeys((*record.notes, *list_notes(kind, marks)))
    return Cited(None, replace(record, labels=tuple(labels), notes=tuple(notes)))


def _read_rows(path: Path, kind: DecisionKind | None, found: Imported) -> Iterator[_Row]:
    """Yield the records of a file that carry a decision, and count the others.

    Raises:
        UsageError: it can't be read, or is a list of ids without a kind.
    """
    if is_project(path):
        yield from _keep_decided(_read_project(path), kind, found)
        return
    try:
        entries, error = list(read_source(path)), None
    except SourceError as err:
        entries, error = [], err
    records = [entry for entry in entries if isinstance(entry, Abstract)]
    if not records and (kind is not None or _has_id_decisions(path)):
        yield from _keep_decided(_read_ids(path, found), kind, found)
        return
    if error is not None:
        raise UsageError(f"{error}. To decide about a list of ids, say how: --as include|exclude|maybe") from error
    found.rejected += [f"{entry}" for entry in entries if isinstance(entry, Rejection)]
    found.read += sum(isinstance(entry, Rejection) for entry in entries)
    yield from _keep_decided((_read_record(record, path) for record in records), kind, found)


def _keep_decided(rows: Iterable[_Row], kind: DecisionKind | None, found: Imported) -> Iterator[_Row]:
    """Yield the rows that carry a decision, all with that of this kind if there is one; count all."""
    for row in rows:
        found.read += 1
        marks = (Mark(kind),) if kind else row.marks
        found.without += not marks
        if marks:
            yield replace(row, marks=marks)


def _read_record(record: Abstract, path: Path) -> _Row:
    """Return the row of a record of a file."""
    place = f"{path.name}: {name_record(record)} {record.title[:80]}".rstrip()
    return _Row(place, identify_record(record), tuple(read_marks(record, path.name)))


def _has_id_decisions(path: Path) -> bool:
    """Return whether a file is a table with a column of ids and one of decisions."""
    try:
        rows = read_id_rows(path)
    except UsageError:
        return False
    return bool(rows) and has_decision(rows[0].cells)


def _read_ids(path: Path, found: Imported) -> Iterator[_Row]:
    """Yield the rows of a table of ids, or the ids of a list; count the rows without an id.

    Raises:
        UsageError: the file has no id, or is not text.
    """
    rows = read_id_rows(path)
    if not rows:
        yield from (_Row(f"{path.name}: {name}", RecordIdentity((name,)), ()) for name in read_ids(path))
    for row in rows:
        place = f"{path.name}, line {row.number}"
        if not row.ids:
            found.read += 1
            found.rejected.append(f"{place}: no PMID, DOI or id")
            continue
        first = next(iter(row.ids.values()))
        pmid, doi = parse_pmid(row.ids.get("pmid")), parse_doi(row.ids.get("doi"))
        identity = RecordIdentity((row.ids.get("id", first),), pmid, doi)
        yield _Row(f"{place}: {first}", identity, tuple(read_cells(row.cells)))


def _read_project(path: Path) -> Iterator[_Row]:
    """Yield the records of a project of ASReview.

    Raises:
        UsageError: it is damaged, or of an older version.
    """
    kinds = {1: DecisionKind.INCLUDE, 0: DecisionKind.EXCLUDE}
    for record in read_project(path):
        identity = RecordIdentity(
            ("",), None, parse_doi(record.doi), record.title, record.year, next(iter(record.authors), "")
        )
        marks = [
            Mark(kind, note=record.note, labels=record.tags) for label, kind in kinds.items() if record.label == label
        ]
        yield _Row(f"{path.name}: {record.title[:80]}".rstrip(), identity, tuple(marks))


def _check_row(row: _Row, who: str, found: Imported) -> bool:
    """Return whether the decisions of a row can be kept; what can't is listed with the reason."""
    try:
        for mark in row.marks:
            check_label(mark.who or who, NewLabel(mark.kind, mark.reason, mark.note, mark.labels))
    except UsageError as err:
        found.refused.append(f"{row.place}: {err}")
        return False
    return True


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
        marks = _choose_latest([mark for row in same for mark in row.marks])
        if len({mark.who for mark in marks}) < len(marks):
            found.contradictory += [row.place for row in same]
        else:
            wanted[doc_id] = marks
            found.repeated += len(same) - 1
    return wanted


def _choose_latest(marks: Sequence[Mark]) -> tuple[Mark, ...]:
    """Return the different decisions of each reviewer at the last level of screening at which they made one."""
    last: dict[str, int] = {}
    for mark in marks:
        last[mark.who] = max(mark.level, last.get(mark.who, 0))
    return tuple(dict.fromkeys(mark for mark in marks if mark.level == last[mark.who]))


def _drop_labels(wanted: Mapping[int, tuple[Mark, ...]], corpus: Corpus) -> Iterator[tuple[int, tuple[Mark, ...]]]:
    """Yield the decisions on each record without the labels that its sources gave the record already."""
    for page in _split_pages(list(wanted.items())):
        records = corpus.fetch([doc_id for doc_id, _ in page])
        for doc_id, marks in page:
            own = records[doc_id].labels
            yield (
                doc_id,
                tuple(
                    replace(mark, labels=tuple(label for label in mark.labels if label not in own)) for mark in marks
                ),
            )


def _is_known(record: DecidedRecord | None, mark: Mark, who: str) -> bool:
    """Return whether a reviewer's decision in force says the same; a note alone takes none back."""
    own = replace(mark, who=mark.who or who)
    decisions = record.decisions if record else ()
    if own.kind is DecisionKind.UNDECIDED and any(each.who == own.who for each in decisions):
        return True
    return any(_describe_mark(each) == own for each in decisions)


def _describe_mark(decision: RecordDecision) -> Mark:
    """Return a decision in force as a file has it."""
    return Mark(decision.kind, decision.who, decision.reason, decision.note, decision.labels)


def _build_decision(record: RecordIdentity, mark: Mark) -> NewDecision:
    """Return a decision to write."""
    label = NewLabel(mark.kind, mark.reason, mark.note, mark.labels)
    return NewDecision(mark.kind, (record,), label.details, mark.note, mark.who)
