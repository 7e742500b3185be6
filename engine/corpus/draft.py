"""The corpus of the next generation while it is being written."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from enum import Enum
from pathlib import Path
from types import TracebackType

import numpy as np
from sqlite_utils import Database

from engine.corpus.rows import SOURCE_COLUMNS, as_values
from engine.corpus.schema import migrations
from engine.records import Abstract, DocIds, Rejection

SAME_ROW = f"SELECT id, text_sha256, {', '.join(SOURCE_COLUMNS)} FROM abstracts WHERE record_id = ?"
INSERT = (
    f"INSERT INTO abstracts ({', '.join(SOURCE_COLUMNS)}, text_sha256, first_generation, changed_generation,"
    f" text_generation) VALUES ({', '.join('?' * (len(SOURCE_COLUMNS) + 4))})"
)
UPDATE = f"UPDATE abstracts SET {', '.join(f'{c} = ?' for c in SOURCE_COLUMNS)}, changed_generation = ? WHERE id = ?"


class Change(Enum):
    """What storing an abstract did."""

    ADDED = "added"
    TEXT = "text changed"  # its vector must be computed again
    METADATA = "metadata changed"
    NONE = "unchanged"


class Draft:
    """A private, unpublished database: no journal and no fsync, since a crash discards it whole.

    Use as a context manager: leaving it normally commits and closes, leaving it by an error drops the work.
    """

    def __init__(self, path: Path, generation: int, created: str) -> None:
        self.generation = generation
        self.db = Database(path)
        self.connection: sqlite3.Connection = self.db.conn
        self.connection.execute("PRAGMA journal_mode = OFF")
        self.connection.execute("PRAGMA synchronous = OFF")
        migrations.apply(self.db)
        self.connection.execute("BEGIN")
        self.connection.execute("DELETE FROM generation")
        self.connection.execute("INSERT INTO generation (number, created) VALUES (?, ?)", (generation, created))

    def __enter__(self) -> Draft:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            self.connection.commit()
            self.connection.execute("PRAGMA journal_mode = DELETE")
        self.db.close()

    def put(self, abstract: Abstract, text_sha256: str) -> tuple[int, Change]:
        """Store one abstract under its record id and return (doc id, what changed)."""
        values = as_values(abstract)
        row = self.connection.execute(SAME_ROW, (abstract.record_id,)).fetchone()
        if row is None:
            cursor = self.connection.execute(INSERT, (*values, text_sha256, *[self.generation] * 3))
            return int(cursor.lastrowid or 0), Change.ADDED
        doc_id = int(row[0])
        text_changed = row[1] != text_sha256
        if not text_changed and row[2:] == values:
            return doc_id, Change.NONE
        self.connection.execute(UPDATE, (*values, self.generation, doc_id))
        if not text_changed:
            return doc_id, Change.METADATA
        self.connection.execute(
            "UPDATE abstracts SET text_sha256 = ?, text_generation = ?, n_tokens = NULL, truncated = NULL WHERE id = ?",
            (text_sha256, self.generation, doc_id),
        )
        return doc_id, Change.TEXT

    def delete(self, record_id: str) -> bool:
        """Remove a record; False when there was none."""
        return self.connection.execute("DELETE FROM abstracts WHERE record_id = ?", (record_id,)).rowcount > 0

    def discard(self, doc_ids: Iterable[int]) -> None:
        """Remove rows by doc id: those that the encoder could not encode."""
        self.connection.executemany("DELETE FROM abstracts WHERE id = ?", ((i,) for i in doc_ids))

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
