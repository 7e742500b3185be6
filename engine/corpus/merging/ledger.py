"""Changes to the table abstracts of a draft, compared with the start of the run."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum

from engine.corpus.merging.base import Base
from engine.corpus.merging.contributions import Contributions
from engine.corpus.merging.merge import MergeRule, merge_records
from engine.corpus.merging.sightings import Fate, Sightings
from engine.corpus.storage.rows import Value, Values, build_row, hash_row
from engine.records.abstract import SOURCE_FIELDS, Abstract

# Columns that the engine adds to those of the source.
KEPT_COLUMNS = (
    "text_sha256",
    "n_tokens",
    "truncated",
    "changed_generation",
    "text_generation",
    "reworded_generation",
)
_FIND = f"SELECT {', '.join((*KEPT_COLUMNS, *SOURCE_FIELDS))} FROM abstracts WHERE id = ?"
_INSERT = (
    f"INSERT INTO abstracts ({', '.join((*KEPT_COLUMNS, *SOURCE_FIELDS))}, first_generation)"
    f" VALUES ({', '.join('?' * (len(KEPT_COLUMNS) + len(SOURCE_FIELDS) + 1))})"
)
_UPDATE = f"UPDATE abstracts SET {', '.join(f'{c} = ?' for c in (*KEPT_COLUMNS, *SOURCE_FIELDS))} WHERE id = ?"

TextDigest = Callable[[str, str], str]  # title, abstract -> digest of the encoder's text; "" if it is empty


class Change(Enum):
    """The change of a record since the start of the run, or the reason why it was not stored."""

    ADDED = "added"
    TEXT = "text changed"  # its vector must be computed again
    METADATA = "metadata changed"
    NONE = "unchanged"
    OUTDATED = "older than the version in the index, ignored"
    DELETED = "deleted by PubMed, skipped"
    UNREADABLE = "no readable character in title or abstract"


@dataclass(frozen=True, slots=True)
class Original:
    """A record at the start of the run: a digest of its source values, and the engine's own values."""

    digest: bytes
    text_sha256: str
    kept: tuple[Value, ...]  # values of KEPT_COLUMNS
    retracted: bool


class Ledger:
    """Adds, changes, unites, discards and restores rows. Not safe for several threads."""

    def __init__(
        self, connection: sqlite3.Connection, generation: int, text_digest: TextDigest, base: Base | None
    ) -> None:
        self.connection = connection
        self.generation = generation
        self.text_digest = text_digest
        self.base = base  # the published records; None: there are none
        self.contributions = Contributions(connection, base)
        self.sightings = Sightings(connection, base)
        self.changes: dict[int, Change] = {}  # doc id -> change, of all records in this run
        self.originals: dict[int, Original] = {}  # of the changed records
        self.resourced: set[int] = set()  # records whose sources changed
        self.absorbed: dict[int, list[int]] = {}  # doc id -> records merged into it in this run

    def insert(self, values: Values, text: str) -> int:
        """Add a record whose text has this digest; return its doc id."""
        cursor = self.connection.execute(_INSERT, (*self.build_fresh_values(text), *values, self.generation))
        doc_id = int(cursor.lastrowid or 0)
        self.changes[doc_id] = Change.ADDED
        return doc_id

    def remember(self, doc_id: int) -> None:
        """Remember a record before its first change. Does nothing for a record that this run added."""
        if doc_id in self.originals or self.changes.get(doc_id) is Change.ADDED:
            return
        row = self.connection.execute(_FIND, (doc_id,)).fetchone()
        kept, values = row[: len(KEPT_COLUMNS)], row[len(KEPT_COLUMNS) :]
        retracted = bool(values[SOURCE_FIELDS.index("retracted")])
        self.originals[doc_id] = Original(hash_row(values), kept[0], kept, retracted)

    def settle(self, doc_id: int, alone: Abstract | None = None) -> Change:
        """Rewrite the row of a record from its sources and return its change.

        alone: the record as its only source gives it. A record whose id came from a source that was removed takes the
        id that its first source gives it.
        """
        record_id = self.contributions.read_record_id(doc_id)
        if alone is None:
            sources = self.contributions.read_claims(doc_id)
            names = [source.abstract.record_id for source in sources]
            record_id = record_id if record_id in names else names[0]
            record = merge_records(record_id, sources)
        else:
            record = alone
        values = (record_id, *build_row(record)[1:])
        text = self.text_digest(record.title, record.abstract)
        if doc_id not in self.originals:
            kept = self.build_fresh_values(text)
            change = Change.ADDED
        else:
            original = self.originals[doc_id]
            change = _compare_values(original, values, text, resourced=doc_id in self.resourced)
            kept = self.build_kept_values(original, change, text)
        self.connection.execute(_UPDATE, (*kept, *values, doc_id))
        self.changes[doc_id] = change
        return change

    def settle_sightings(self) -> None:
        """Let the counts of the files agree with the changes of the run, at its end."""
        fates = {Change.NONE: Fate.UNCHANGED, Change.METADATA: Fate.METADATA}
        for doc_id in self.sightings.changed:
            if doc_id >= self.sightings.first_added:
                continue  # the run added it
            if fate := fates.get(self.changes.get(doc_id, Change.TEXT)):
                self.sightings.settle(doc_id, fate)

    def is_newly_retracted(self, doc_id: int) -> bool:
        """Return whether a record existed before and was retracted in this run."""
        original = self.originals.get(doc_id)
        return bool(original and not original.retracted and self.contributions.read_record_row(doc_id).retracted)

    def unite(self, one: int, other: int, rule: MergeRule = MergeRule.DECISION) -> int:
        """Merge two records under the doc id of the older and return it. The newer row is removed.

        rule: why they are one.
        """
        older, newer = min(one, other), max(one, other)
        for doc_id in (older, newer):
            self.remember(doc_id)
            self.contributions.write_out(doc_id)
        self.contributions.move(newer, older)
        self.sightings.move(newer, older, rule)
        self.resourced.add(older)
        self.absorbed.setdefault(older, []).extend([newer, *self.absorbed.pop(newer, [])])
        self.discard(newer)
        self.settle(older)
        return older

    def build_fresh_values(self, text: str) -> tuple[Value, ...]:
        """Return the values of KEPT_COLUMNS for a record whose text, with this digest, must be encoded."""
        return text, None, None, self.generation, self.generation, self.generation

    def build_kept_values(self, original: Original, change: Change, text: str) -> tuple[Value, ...]:
        """Return the values of KEPT_COLUMNS after a change; an unchanged text keeps its own values."""
        if change is Change.TEXT:
            return self.build_fresh_values(text)
        if change is Change.NONE:
            return original.kept
        return (*original.kept[:3], self.generation, *original.kept[4:])

    def list_to_encode(self) -> list[int]:
        """Return the doc ids, ascending, of the records that this run added or whose text it changed."""
        return sorted(doc_id for doc_id, change in self.changes.items() if change in (Change.ADDED, Change.TEXT))

    def discard(self, doc_id: int) -> None:
        """Delete a row and its contributions."""
        self.connection.execute("DELETE FROM abstracts WHERE id = ?", (doc_id,))
        self.connection.execute("DELETE FROM contributions WHERE doc_id = ?", (doc_id,))

    def reject(self, doc_id: int) -> None:
        """Delete a row whose text can't be encoded; the records of the files that gave it count as rejected."""
        self.discard(doc_id)
        self.sightings.drop(doc_id, Fate.REJECTED)

    def restore(self, doc_id: int) -> list[int]:
        """Restore a changed record to its published state, with the records merged into it in this run.

        What was published as a part of a joined record comes back with that record alone. Returns the doc ids, the
        record's own first; empty if it was not changed or nothing is published.
        """
        if doc_id not in self.originals or self.base is None:
            return []
        absorbed = (other for other in self.absorbed.pop(doc_id, []) if other in self.originals)
        to_restore = [doc_id, *(other for other in absorbed if other in self.base.loaded)]
        self.connection.execute("DELETE FROM parts WHERE joined = ?", (doc_id,))
        for restored in to_restore:
            for part in self.base.read_part_ids(restored):
                self.reject(part)
                self.changes.pop(part, None)
            self.reject(restored)
        for restored in to_restore:
            self.base.put_back(restored)
            del self.originals[restored]
            self.changes[restored] = Change.NONE
        return to_restore


def _compare_values(original: Original, values: Values, text_sha256: str, *, resourced: bool) -> Change:
    """Compare new values with the original record; new sources of the same values count as metadata."""
    if original.text_sha256 != text_sha256:
        return Change.TEXT
    return Change.NONE if original.digest == hash_row(values) and not resourced else Change.METADATA
