"""The corpus of the next generation while it is being written."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import sqlite3
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from types import TracebackType
from urllib.parse import quote

import numpy as np
from sqlite_utils import Database

from engine.corpus.rows import SOURCE_COLUMNS, as_values
from engine.corpus.schema import migrations
from engine.errors import CorpusError
from engine.records import Abstract, DocIds, Rejection

# Columns that the engine keeps about a record, beside those of the source.
KEPT_COLUMNS = ("text_sha256", "n_tokens", "truncated", "changed_generation", "text_generation")
FIND = f"SELECT {', '.join(('id', *KEPT_COLUMNS, *SOURCE_COLUMNS))} FROM abstracts WHERE record_id = ?"
INSERT = (
    f"INSERT INTO abstracts ({', '.join((*KEPT_COLUMNS, *SOURCE_COLUMNS))}, first_generation)"
    f" VALUES ({', '.join('?' * (len(KEPT_COLUMNS) + len(SOURCE_COLUMNS) + 1))})"
)
UPDATE = f"UPDATE abstracts SET {', '.join(f'{c} = ?' for c in (*KEPT_COLUMNS, *SOURCE_COLUMNS))} WHERE id = ?"


@dataclass(frozen=True, slots=True)
class Original:
    """A record as the run found it: a digest of what its source said, and what the engine kept about it."""

    digest: bytes
    text_sha256: str
    kept: tuple[str | int | None, ...]  # values of KEPT_COLUMNS


def digest(values: tuple[str | int | None, ...]) -> bytes:
    """SHA-256 of the values of SOURCE_COLUMNS; a run that changes a million records must not keep their texts."""
    return hashlib.sha256(repr(values).encode("utf-8")).digest()


class Change(Enum):
    """How a record differs from what the run found."""

    ADDED = "added"
    TEXT = "text changed"  # its vector must be computed again
    METADATA = "metadata changed"
    NONE = "unchanged"


class Draft:
    """A private, unpublished database: no journal and no fsync, since a crash discards it whole.

    Use as a context manager: leaving it normally commits and closes, leaving it by an error drops the work. What SQLite
    can't write, on a full disk for example, leaves it as a CorpusError.
    """

    def __init__(self, path: Path, generation: int, created: str, published: Path | None = None) -> None:
        self.path = path
        self.published = published  # the database that this one began as a copy of
        self.generation = generation
        self.added: set[int] = set()
        self.originals: dict[int, Original] = {}  # of the records that the run has changed
        self.created = created
        self.db = Database(path)
        self.connection: sqlite3.Connection = self.db.conn

    def __enter__(self) -> Draft:
        try:
            self.begin()
        except sqlite3.Error as err:
            self.db.close()
            raise self.failure(err) from err
        return self

    def begin(self) -> None:
        """Bring the tables up to date and open the one transaction of this draft."""
        self.connection.execute("PRAGMA journal_mode = OFF")
        self.connection.execute("PRAGMA synchronous = OFF")
        migrations.apply(self.db)
        self.connection.execute("BEGIN")
        values = (self.generation, self.created)
        self.connection.execute("INSERT INTO generation (number, created) VALUES (?, ?)", values)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if kind is None:
                self.connection.commit()
                self.connection.execute("PRAGMA journal_mode = DELETE")
        except sqlite3.Error as err:
            raise self.failure(err) from err
        finally:
            self.db.close()
        if isinstance(error, sqlite3.Error):
            raise self.failure(error) from error

    def failure(self, error: sqlite3.Error) -> CorpusError:
        """The error for a database that could not be written."""
        return CorpusError(
            f"{self.path} could not be written: {error}. Nothing was published. Check the space on the disk"
        )

    def put(self, abstract: Abstract, text_sha256: str) -> tuple[int, Change]:
        """Store one abstract under its record id; return its doc id and how it now differs from what the run found.

        A record that is given twice and ends as it was is as unchanged as one that was never touched.
        """
        values = as_values(abstract)
        row = self.connection.execute(FIND, (abstract.record_id,)).fetchone()
        fresh = (text_sha256, None, None, self.generation, self.generation)
        if row is None:
            cursor = self.connection.execute(INSERT, (*fresh, *values, self.generation))
            doc_id = int(cursor.lastrowid or 0)
            self.added.add(doc_id)
            return doc_id, Change.ADDED
        doc_id = int(row[0])
        if doc_id in self.added:
            self.connection.execute(UPDATE, (*fresh, *values, doc_id))
            return doc_id, Change.ADDED
        kept, found = row[1 : 1 + len(KEPT_COLUMNS)], row[1 + len(KEPT_COLUMNS) :]
        original = self.originals.get(doc_id) or Original(digest(found), kept[0], kept)
        change = difference(original, values, text_sha256)
        if change is not Change.NONE or doc_id in self.originals:
            self.originals[doc_id] = original
            self.connection.execute(UPDATE, (*self.kept(original, change, fresh), *values, doc_id))
        return doc_id, change

    def kept(
        self, original: Original, change: Change, fresh: tuple[str | int | None, ...]
    ) -> tuple[str | int | None, ...]:
        """Values of KEPT_COLUMNS after a change: those of the text go back with the text."""
        if change is Change.TEXT:
            return fresh
        if change is Change.NONE:
            return original.kept
        text_sha256, n_tokens, truncated, _, text_generation = original.kept
        return text_sha256, n_tokens, truncated, self.generation, text_generation

    def delete(self, record_id: str) -> list[int]:
        """Remove what a deletion of PubMed means: the record of this id, and any with this PMID under an id of its own.

        Returns the doc ids removed.
        """
        sql = "SELECT id FROM abstracts WHERE record_id = ? OR pmid = ?"
        rows = self.connection.execute(sql, (record_id, record_id.removeprefix("PMID:"))).fetchall()
        for row in rows:
            self.discard(row[0])
        return [int(row[0]) for row in rows]

    def discard(self, doc_id: int) -> None:
        """Remove a row."""
        self.connection.execute("DELETE FROM abstracts WHERE id = ?", (doc_id,))

    def restore(self, doc_id: int) -> bool:
        """Put a changed row back as it was published; False when it was not there, or is not known to be."""
        if doc_id not in self.originals or self.published is None:
            return False
        uri = f"file:{quote(os.fsencode(self.published.resolve()))}?mode=ro&immutable=1"
        with contextlib.closing(sqlite3.connect(uri, uri=True)) as published:
            cursor = published.execute("SELECT * FROM abstracts WHERE id = ?", (doc_id,))
            columns, row = [column[0] for column in cursor.description], cursor.fetchone()
        places = ", ".join("?" * len(columns))
        self.connection.execute(f"REPLACE INTO abstracts ({', '.join(columns)}) VALUES ({places})", row)
        del self.originals[doc_id]
        return True

    def note_source(self, name: str, n_bytes: int, sha256: str, n_records: int) -> None:
        """Record a file that this generation was made from."""
        self.connection.execute(
            "INSERT INTO sources (generation, name, n_bytes, sha256, n_records) VALUES (?, ?, ?, ?, ?)",
            (self.generation, name, n_bytes, sha256, n_records),
        )

    def note_rejection(self, rejection: Rejection) -> None:
        """Record a refused record with its reason."""
        self.connection.execute(
            "INSERT INTO rejections (generation, source, place, reason) VALUES (?, ?, ?, ?)",
            (self.generation, rejection.source, rejection.place, rejection.reason),
        )

    def texts_to_encode(self, everything: bool, page: int) -> Iterator[list[tuple[int, str, str, str]]]:
        """Yield pages of (doc id, record id, title, abstract) of the rows that need a new vector, by doc id.

        Rows may be updated or discarded between pages.
        """
        where = "id > ?" if everything else "id > ? AND text_generation = ?"
        sql = f"SELECT id, record_id, title, abstract FROM abstracts WHERE {where} ORDER BY id LIMIT {page:d}"
        last = -1
        while rows := self.connection.execute(sql, (last,) if everything else (last, self.generation)).fetchall():
            yield rows
            last = rows[-1][0]

    def texts_of(self, doc_ids: Sequence[int]) -> list[tuple[int, str, str, str]]:
        """Rows like those of texts_to_encode, by doc id."""
        sql = "SELECT id, record_id, title, abstract FROM abstracts WHERE id IN (SELECT value FROM json_each(?))"
        return self.connection.execute(f"{sql} ORDER BY id", (json.dumps(doc_ids),)).fetchall()

    def count_to_encode(self, everything: bool) -> int:
        """How many rows texts_to_encode yields."""
        where = "" if everything else "WHERE text_generation = ?"
        row = self.connection.execute(
            f"SELECT count(*) FROM abstracts {where}", () if everything else (self.generation,)
        ).fetchone()
        return int(row[0])

    def ids(self) -> DocIds:
        """All doc ids, ascending, int64 (n,)."""
        return np.array(
            [row[0] for row in self.connection.execute("SELECT id FROM abstracts ORDER BY id")], dtype=np.int64
        )

    def note_lengths(self, lengths: Sequence[tuple[int, bool, int]]) -> None:
        """Record (tokens before truncation, whether truncated, doc id) of encoded rows."""
        self.connection.executemany(
            "UPDATE abstracts SET n_tokens = ?, truncated = ?, text_generation = ? WHERE id = ?",
            ((n, int(cut), self.generation, doc_id) for n, cut, doc_id in lengths),
        )


def difference(original: Original, values: tuple[str | int | None, ...], text_sha256: str) -> Change:
    """How new values differ from the original record."""
    if original.text_sha256 != text_sha256:
        return Change.TEXT
    return Change.NONE if original.digest == digest(values) else Change.METADATA
