"""The rows of the table abstracts in a draft, and how each differs from what the run found."""

from __future__ import annotations

import contextlib
import os
import sqlite3
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from urllib.parse import quote

from engine.corpus.merging.contributions import Contributions
from engine.corpus.merging.merge import merge_records
from engine.corpus.storage.rows import SOURCE_COLUMNS, Value, Values, build_row, hash_row
from engine.records.abstract import Abstract

# Columns that the engine keeps about a record, beside those of the source.
_KEPT_COLUMNS = (
    "text_sha256",
    "n_tokens",
    "truncated",
    "changed_generation",
    "text_generation",
    "reworded_generation",
)
_FIND = f"SELECT {', '.join((*_KEPT_COLUMNS, *SOURCE_COLUMNS))} FROM abstracts WHERE id = ?"
_INSERT = (
    f"INSERT INTO abstracts ({', '.join((*_KEPT_COLUMNS, *SOURCE_COLUMNS))}, first_generation)"
    f" VALUES ({', '.join('?' * (len(_KEPT_COLUMNS) + len(SOURCE_COLUMNS) + 1))})"
)
_UPDATE = f"UPDATE abstracts SET {', '.join(f'{c} = ?' for c in (*_KEPT_COLUMNS, *SOURCE_COLUMNS))} WHERE id = ?"

TextDigest = Callable[[str, str], str]  # title, abstract -> digest of what the encoder reads; "" where it reads nothing


class Change(Enum):
    """How a record differs from what the run found, or why it was not stored."""

    ADDED = "added"
    TEXT = "text changed"  # its vector must be computed again
    METADATA = "metadata changed"
    NONE = "unchanged"
    OUTDATED = "older than what the index holds, ignored"
    HELD_BACK = "of a PMID that PubMed deleted, left out"
    UNREADABLE = "no readable character in title and abstract"


@dataclass(frozen=True, slots=True)
class _Original:
    """A record as the run found it: a digest of its values, and what the engine kept about it."""

    digest: bytes
    text_sha256: str
    kept: tuple[Value, ...]  # values of KEPT_COLUMNS
    retracted: bool


class Ledger:
    """Rows that are added, changed, united, discarded and put back. Not safe for several threads."""

    def __init__(
        self, connection: sqlite3.Connection, generation: int, text_digest: TextDigest, published: Path | None
    ) -> None:
        self.connection = connection
        self.generation = generation
        self.text_digest = text_digest
        self.published = published  # the database that the draft began as a copy of
        self.contributions = Contributions(connection)
        self.changes: dict[int, Change] = {}  # doc id -> against what the run found; of all that the run has met
        self.originals: dict[int, _Original] = {}  # of the records that the run has changed
        self.resourced: set[int] = set()  # records whose sources are others than before
        self.absorbed: dict[int, list[int]] = {}  # doc id -> the records that became one with it in this run

    def insert(self, values: Values, text: str) -> int:
        """Add a record whose text has this digest; returns its doc id."""
        cursor = self.connection.execute(_INSERT, (*self.build_fresh_values(text), *values, self.generation))
        doc_id = int(cursor.lastrowid or 0)
        self.changes[doc_id] = Change.ADDED
        return doc_id

    def remember(self, doc_id: int) -> None:
        """Keep what the run found of a record, before the first change; nothing for one that the run added."""
        if doc_id in self.originals or self.changes.get(doc_id) is Change.ADDED:
            return
        row = self.connection.execute(_FIND, (doc_id,)).fetchone()
        kept, found = row[: len(_KEPT_COLUMNS)], row[len(_KEPT_COLUMNS) :]
        retracted = bool(found[SOURCE_COLUMNS.index("retracted")])
        self.originals[doc_id] = _Original(hash_row(found), kept[0], kept, retracted)

    def settle(self, doc_id: int, alone: Abstract | None = None) -> Change:
        """Write the row of a record from what its sources say now (alone: the only one of them); return its change.

        A record whose name came from a source that left it takes the name that its first source gives it.
        """
        record_id = self.contributions.record_id(doc_id)
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

    def is_newly_retracted(self, doc_id: int) -> bool:
        """Whether a record was there and is retracted only now."""
        original = self.originals.get(doc_id)
        return bool(original and not original.retracted and self.contributions.read_record_row(doc_id).retracted)

    def unite(self, one: int, other: int) -> int:
        """Make two records one, under the id of the older; returns it. The newer one is no more."""
        keep, gone = min(one, other), max(one, other)
        for doc_id in (keep, gone):
            self.remember(doc_id)
            self.contributions.write_out(doc_id)
        self.contributions.move(gone, keep)
        self.resourced.add(keep)
        self.absorbed.setdefault(keep, []).extend([gone, *self.absorbed.pop(gone, [])])
        self.discard(gone)
        self.settle(keep)
        return keep

    def build_fresh_values(self, text: str) -> tuple[Value, ...]:
        """Values of KEPT_COLUMNS of a record whose text, of this digest, is to be encoded."""
        return text, None, None, self.generation, self.generation, self.generation

    def build_kept_values(self, original: _Original, change: Change, text: str) -> tuple[Value, ...]:
        """Values of KEPT_COLUMNS after a change: those of the text go back with the text."""
        if change is Change.TEXT:
            return self.build_fresh_values(text)
        if change is Change.NONE:
            return original.kept
        return (*original.kept[:3], self.generation, *original.kept[4:])

    def list_to_encode(self) -> list[int]:
        """Doc ids, ascending, of the records that the run added or whose text it changed."""
        return sorted(doc_id for doc_id, change in self.changes.items() if change in (Change.ADDED, Change.TEXT))

    def discard(self, doc_id: int) -> None:
        """Remove a row and what its sources said."""
        self.connection.execute("DELETE FROM abstracts WHERE id = ?", (doc_id,))
        self.connection.execute("DELETE FROM contributions WHERE doc_id = ?", (doc_id,))

    def restore(self, doc_id: int) -> list[int]:
        """Put a changed record back as it was published, and those that became one with it in this run.

        Returns their doc ids, the record's own first; none when it was not there, or is not known to be.
        """
        if doc_id not in self.originals or self.published is None:
            return []
        uri = f"file:{quote(os.fsencode(self.published.resolve()))}?mode=ro&immutable=1"
        wanted = [doc_id, *(other for other in self.absorbed.pop(doc_id, []) if other in self.originals)]
        self.discard(doc_id)
        with contextlib.closing(sqlite3.connect(uri, uri=True)) as published:
            for back in wanted:
                self.put_back(published, "abstracts", "id", back)
                self.put_back(published, "contributions", "doc_id", back)
                del self.originals[back]
                self.changes[back] = Change.NONE
        return wanted

    def put_back(self, published: sqlite3.Connection, table: str, key: str, doc_id: int) -> None:
        """Copy the rows of one record from the published database."""
        cursor = published.execute(f"SELECT * FROM {table} WHERE {key} = ?", (doc_id,))
        columns = [column[0] for column in cursor.description]
        places = ", ".join("?" * len(columns))
        self.connection.executemany(f"REPLACE INTO {table} ({', '.join(columns)}) VALUES ({places})", cursor)


def _compare_values(original: _Original, values: Values, text_sha256: str, *, resourced: bool) -> Change:
    """How new values differ from the original record; other sources of the same values are metadata."""
    if original.text_sha256 != text_sha256:
        return Change.TEXT
    return Change.NONE if original.digest == hash_row(values) and not resourced else Change.METADATA
