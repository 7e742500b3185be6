"""Source files into the draft of the next corpus, with a count of everything that happened."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from engine.collect.source import read_source, source_name
from engine.corpus.draft import Change, Draft
from engine.encode.recipe import prepared, text_sha256
from engine.records import Abstract, Deletion, Entry, FileReceipt, Rejection, Remark

Progress = Callable[[str, int, int | None], None]  # phase, done, total where known

MAX_SHOWN = 20  # rejections kept for the report; all of them are in the database
REPORT_EVERY = 500  # records


@dataclass(slots=True)
class Gathered:
    """What the sources held. Filled while reading, read afterwards."""

    changes: dict[int, Change] = field(default_factory=dict)  # doc id -> against what the run found
    deleted: int = 0
    duplicates: int = 0
    rejected: int = 0
    rejections: list[Rejection] = field(default_factory=list)
    remarks: Counter[str] = field(default_factory=Counter)
    first_places: dict[str, str] = field(default_factory=dict)  # remark -> where it was first seen
    n_records: int = 0

    def count(self, change: Change) -> int:
        """How many records changed in this way."""
        return sum(found is change for found in self.changes.values())

    @property
    def changed_anything(self) -> bool:
        """Whether the next generation would differ from the current one."""
        return self.deleted > 0 or any(change is not Change.NONE for change in self.changes.values())


def gather(draft: Draft, sources: Sequence[Path], progress: Progress) -> Gathered:
    """Read the sources in order into the draft; of several records with one id the last one wins.

    Raises:
        SourceError: a file breaks off or turns out not to be readable.
    """
    gathered = Gathered()
    for path in sources:
        before = gathered.n_records
        for entry in read_source(path):
            take(draft, gathered, entry, source_name(path))
            if gathered.n_records % REPORT_EVERY == 0:
                progress("reading", gathered.n_records, None)
        receipt = FileReceipt.of(path)
        draft.note_source(source_name(path), receipt.n_bytes, receipt.sha256, gathered.n_records - before)
    progress("reading", gathered.n_records, gathered.n_records)
    return gathered


def take(draft: Draft, gathered: Gathered, entry: Entry, source: str) -> None:
    """Store, delete or note one entry."""
    match entry:
        case Abstract():
            gathered.n_records += 1
            take_abstract(draft, gathered, entry, source)
        case Deletion():
            for doc_id in draft.delete(entry.record_id):
                gathered.deleted += gathered.changes.pop(doc_id, None) is not Change.ADDED
        case Rejection():
            gathered.n_records += 1
            refuse(draft, gathered, entry)
        case Remark():
            gathered.remarks[entry.kind] += 1
            gathered.first_places.setdefault(entry.kind, f"{source}, {entry.place}")


def take_abstract(draft: Draft, gathered: Gathered, abstract: Abstract, source: str) -> None:
    """Store one abstract and note what that changed."""
    text = prepared(abstract.title, abstract.abstract)
    if not text:
        refuse(draft, gathered, Rejection(source, abstract.record_id, "no readable character in title and abstract"))
        return
    doc_id, change = draft.put(abstract, text_sha256(text))
    gathered.duplicates += doc_id in gathered.changes
    gathered.changes[doc_id] = change


def refuse(draft: Draft, gathered: Gathered, rejection: Rejection) -> None:
    """Note a record that can't be indexed."""
    gathered.rejected += 1
    draft.note_rejection(rejection)
    if len(gathered.rejections) < MAX_SHOWN:
        gathered.rejections.append(rejection)
