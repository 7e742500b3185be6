"""Reading of source files into the draft of the next corpus, with counts of all changes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass, field

from engine.corpus.draft import Draft
from engine.corpus.merging.intake import NOWHERE, Outcome
from engine.corpus.merging.ledger import Change
from engine.corpus.merging.merge import Origin
from engine.corpus.merging.sightings import Fate
from engine.encode.models.recipe import hash_text, prepare_text
from engine.errors import SourceError
from engine.progress import Progress
from engine.receipts import FileReceipt
from engine.records.abstract import Abstract, Deletion, Entry, Rejection, Remark
from engine.records.generation import FileReading
from engine.reindex.intake.reading import OpenFile, read_files
from engine.reindex.intake.sources import Source, build_source_file

MAX_SHOWN = 20  # rejections kept for the report; the database has all of them
_MAX_EXAMPLES = 3  # records named per kind of change
_REPORT_EVERY = 500  # records
DELETED, RETRACTED, MERGED = "deleted", "newly retracted", "found to be one record"


@dataclass(slots=True)
class Gathered:
    """What was read from the sources. Filled while reading, read afterwards."""

    changes: dict[int, Change]  # doc id -> change by this run; the dict of the draft, which still grows
    deleted: int = 0
    deletions: int = 0  # new deletions of PubMed, whether or not the index had the record
    retracted: set[int] = field(default_factory=set)  # existing records that are newly retracted
    merged: int = 0  # records that were merged into another one
    decided: int = 0  # of those: by a decision
    readings: tuple[FileReading, ...] = ()  # the files, in order, with their counts; filled by count_files
    rejected: int = 0
    n_records: int = 0
    n_resumed: int = 0  # texts whose vectors an earlier run had computed
    n_taken: int = 0  # records whose vectors were given
    made_by: Counter[str] = field(default_factory=Counter)  # texts by the way the encoder was run
    texts_per_s: float | None = None  # of the texts encoded in this run; None: too few to tell
    deletions_by_file: Counter[int] = field(default_factory=Counter)  # by sources.id
    new_files: list[int] = field(default_factory=list)  # positions of files whose content is new to the index
    new_releases: int = 0  # new files with a release number of PubMed
    doubtful: set[int] = field(default_factory=set)  # ids of sources with rejected records
    rejections: list[Rejection] = field(default_factory=list)
    remarks: Counter[str] = field(default_factory=Counter)
    first_places: dict[str, str] = field(default_factory=dict)  # remark -> first place
    examples: dict[str, list[str]] = field(default_factory=dict)  # kind of change -> "PMID:1 (file)"

    def count(self, change: Change) -> int:
        """Return the number of records with this change."""
        return sum(each is change for each in self.changes.values())

    @property
    def changed_anything(self) -> bool:
        """Whether the records of the next generation differ from those of the current one."""
        return self.deleted + self.merged + self.deletions > 0 or any(
            change is not Change.NONE for change in self.changes.values()
        )

    @property
    def remark_counts(self) -> tuple[tuple[str, int, str], ...]:
        """The remarks as (text, count, first place), the most frequent first."""
        return tuple((kind, n, self.first_places[kind]) for kind, n in self.remarks.most_common())

    def count_remark(self, kind: str, place: str) -> None:
        """Count a remark and keep its first place."""
        self.remarks[kind] += 1
        self.first_places.setdefault(kind, place)

    def keep_example(self, kind: str, record_id: str, source: str) -> None:
        """Keep a record as an example of a kind of change, up to _MAX_EXAMPLES."""
        shown = self.examples.setdefault(kind, [])
        if len(shown) < _MAX_EXAMPLES:
            shown.append(f"{record_id} ({source})")


def hash_prepared(title: str, abstract: str) -> str:
    """Return the digest of the prepared text of a record; "" if the text is empty."""
    text = prepare_text(title, abstract)
    return hash_text(text) if text else ""


def gather(draft: Draft, sources: Sequence[Source], progress: Progress) -> Gathered:
    """Read the sources into the draft, in order; if a source has a record several times, the last one counts.

    Raises:
        SourceError: a file is truncated or unreadable, or changes while it is read.
    """
    gathered = Gathered(draft.ledger.changes)
    seen = draft.read_known_files()
    with closing(read_files(sources)) as files:
        for position, file in enumerate(files):
            refused, receipt = gathered.rejected, file.receipt
            origin = _gather_file(draft, gathered, file, progress)
            if (receipt.n_bytes, receipt.sha256) not in seen:
                gathered.new_files.append(position)
                gathered.new_releases += origin.release > 0
            gathered.doubtful.update([origin.source_id] if gathered.rejected > refused else [])
    gathered.deletions = draft.intake.deletions.n_noted
    progress("reading", gathered.n_records, gathered.n_records)
    return gathered


def _gather_file(draft: Draft, gathered: Gathered, file: OpenFile, progress: Progress) -> Origin:
    """Read one file into the draft.

    Raises:
        SourceError: it is truncated or unreadable, or changes while it is read.
    """
    source = file.source
    row = build_source_file(source, file.receipt)
    origin = Origin(row.format, draft.note_source(row), row.release)
    for entry in file.entries:
        _take(draft, gathered, entry, origin, source.name)
        if gathered.n_records % _REPORT_EVERY == 0:
            progress("reading", gathered.n_records, None)
    if FileReceipt.of(source.path) != file.receipt:
        raise SourceError(f"{source.path} was changed while it was read. Nothing was published. Run the command again")
    return origin


def _take(draft: Draft, gathered: Gathered, entry: Entry, origin: Origin, source: str) -> None:
    """Store, delete or count one entry."""
    match entry:
        case Abstract():
            gathered.n_records += 1
            _note(draft, gathered, entry, draft.intake.put(entry, origin), source)
        case Deletion():
            gathered.deletions_by_file[origin.source_id] += 1
            for doc_id in draft.intake.delete(entry.record_id, origin.release):
                gathered.deleted += gathered.changes.pop(doc_id, None) is not Change.ADDED
                gathered.keep_example(DELETED, entry.record_id, source)
        case Rejection():
            gathered.n_records += 1
            draft.sightings.tally(origin.source_id, Fate.REJECTED)
            refuse(draft, gathered, entry)
        case Remark():
            gathered.count_remark(entry.kind, f"{source}, {entry.place}")


def _note(draft: Draft, gathered: Gathered, abstract: Abstract, outcome: Outcome, source: str) -> None:
    """Count the outcome of an abstract."""
    if outcome.change is Change.UNREADABLE:
        refuse(draft, gathered, Rejection(source, abstract.record_id, Change.UNREADABLE.value))
        return
    place = f"{source}, {abstract.record_id}"
    if outcome.doc_id == NOWHERE:
        gathered.count_remark(outcome.change.value, place)
        return
    if outcome.remark:
        gathered.count_remark(outcome.remark, place)
    if (
        abstract.retracted
        and outcome.doc_id not in gathered.retracted
        and draft.ledger.is_newly_retracted(outcome.doc_id)
    ):
        gathered.retracted.add(outcome.doc_id)
        gathered.keep_example(RETRACTED, abstract.record_id, source)
    for doc_id in outcome.absorbed:
        is_published = gathered.changes.pop(doc_id, None) is not Change.ADDED and doc_id not in draft.parts.unpublished
        gathered.merged += is_published
        gathered.keep_example(MERGED, abstract.record_id, source)
    if outcome.change is not Change.NONE and outcome.fate is not Fate.REPEATED:
        gathered.keep_example(outcome.change.value, abstract.record_id, source)


def count_files(draft: Draft, gathered: Gathered) -> None:
    """Store the counts of the files of this run in the draft and in gathered.readings. May be repeated."""
    draft.ledger.settle_sightings()
    gathered.readings = tuple(draft.write_counts(gathered.deletions_by_file))


def drop_unseen(draft: Draft, gathered: Gathered, run_from: int) -> None:
    """Remove records that the files of this run no longer contain; run_from is the id of its first source.

    A file with a rejected record may contain more than could be read, so its earlier records stay.
    """
    for doc_id, record_id in draft.intake.drop_unseen(run_from, gathered.doubtful):
        gathered.changes.pop(doc_id, None)
        gathered.deleted += 1
        gathered.keep_example(DELETED, record_id, "no longer in its file")
    if gathered.doubtful:
        what = "files with rejected records, so none of their records were removed"
        gathered.remarks[what] = len(gathered.doubtful)
        gathered.first_places[what] = str(gathered.rejections[0])


def refuse(draft: Draft, gathered: Gathered, rejection: Rejection) -> None:
    """Count and store the rejection of a record that can't be indexed."""
    gathered.rejected += 1
    draft.note_rejection(rejection)
    if len(gathered.rejections) < MAX_SHOWN:
        gathered.rejections.append(rejection)
