"""The corpus of the next generation while it is being written."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

import numpy as np
from sqlite_utils import Database

from engine.corpus.merging.deletions import Deletions
from engine.corpus.merging.intake import Intake
from engine.corpus.merging.ledger import Ledger, TextDigest
from engine.corpus.schema import create_tables
from engine.corpus.storage.store import SPACES, TOTALS, Totals
from engine.errors import CorpusError
from engine.records.abstract import Rejection
from engine.records.generation import DocIds


@dataclass(frozen=True, slots=True)
class SourceFile:
    """A file that a generation is made from."""

    name: str
    path: str  # absolute, where it lay
    n_bytes: int
    sha256: str
    format: str
    release: int = 0  # place in PubMed's own numbering, 0 for any other file


_CACHE_KIB = 64 << 10  # of pages in memory; five indexes grow while records come in
_TEXT_COLUMNS = "id, record_id, title, abstract, text_sha256"


@dataclass(frozen=True, slots=True)
class TextRow:
    """What is encoded of a record."""

    doc_id: int
    record_id: str
    title: str
    abstract: str
    sha256: str  # of the text as the encoder gets it


class Draft:
    """A private, unpublished database: no journal and no fsync, since a crash discards it whole.

    Use as a context manager: leaving it normally commits and closes, leaving it by an error drops the work. What SQLite
    can't write, on a full disk for example, leaves it as a CorpusError.
    """

    def __init__(
        self, path: Path, generation: int, created: str, text_digest: TextDigest, published: Path | None = None
    ) -> None:
        self.path = path
        self.generation = generation
        self.created = created
        self.db = Database(path)
        self.connection: sqlite3.Connection = self.db.conn
        self.ledger = Ledger(self.connection, generation, text_digest, published)
        self.intake = Intake(self.ledger, Deletions(self.connection, generation))

    def __enter__(self) -> Draft:
        try:
            self.begin()
        except sqlite3.Error as err:
            self.db.close()
            raise self.build_failure(err) from err
        return self

    def begin(self) -> None:
        """Create the tables of a new database and open the one transaction of this draft."""
        self.connection.execute("PRAGMA journal_mode = OFF")
        self.connection.execute("PRAGMA synchronous = OFF")
        self.connection.execute(f"PRAGMA cache_size = -{_CACHE_KIB}")
        self.connection.execute("PRAGMA recursive_triggers = ON")  # else REPLACE tells nobody what it deletes
        if not self.db["abstracts"].exists():
            create_tables(self.db)
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
            raise self.build_failure(err) from err
        finally:
            self.db.close()
        if isinstance(error, sqlite3.Error):
            raise self.build_failure(error) from error

    def build_failure(self, error: sqlite3.Error) -> CorpusError:
        """The error for a database that could not be written."""
        advice = "Check the space on the disk"
        if isinstance(error, sqlite3.IntegrityError):  # a fault of the engine, not of the disk
            advice = "Please report this; meanwhile build the index again from its sources: engine index FILE -i NEW"
        return CorpusError(f"{self.path} could not be written: {error}. Nothing was published. {advice}")

    def read_last_source(self) -> int:
        """Key of the file noted last, 0 when there is none."""
        return int(self.connection.execute("SELECT coalesce(max(id), 0) FROM sources").fetchone()[0])

    def read_known_files(self) -> set[tuple[int, str]]:
        """(bytes, SHA-256) of every file that this corpus was made from so far."""
        return set(self.connection.execute("SELECT n_bytes, sha256 FROM sources").fetchall())

    def note_source(self, file: SourceFile) -> int:
        """Record a file that this generation is made from, before it is read; returns its key."""
        cursor = self.connection.execute(
            "INSERT INTO sources (generation, name, path, n_bytes, sha256, format, release, n_records)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, 0)",
            (self.generation, file.name, file.path, file.n_bytes, file.sha256, file.format, file.release),
        )
        return int(cursor.lastrowid or 0)

    def note_records(self, source_id: int, n_records: int) -> None:
        """Record how many records a file held."""
        self.connection.execute("UPDATE sources SET n_records = ? WHERE id = ?", (n_records, source_id))

    def note_cause(self, parent: int | None, cause: str, counts: str) -> None:
        """Record what this generation was made from and for, and its counts as JSON."""
        self.connection.execute(
            "UPDATE generation SET parent = ?, cause = ?, counts = ? WHERE number = ?",
            (parent, cause, counts, self.generation),
        )

    def note_rejection(self, rejection: Rejection) -> None:
        """Record a refused record with its reason."""
        self.connection.execute(
            "INSERT INTO rejections (generation, source, place, reason) VALUES (?, ?, ?, ?)",
            (self.generation, rejection.source, rejection.place, rejection.reason),
        )

    def read_texts_to_encode(self, everything: bool, page: int) -> Iterator[list[TextRow]]:
        """Yield pages of the rows that need a new vector, by doc id: all, or what the run added or reworded.

        Rows may be updated or discarded between pages.
        """
        if not everything:
            wanted = self.ledger.list_to_encode()
            for start in range(0, len(wanted), page):
                yield self.read_texts_of(wanted[start : start + page])
            return
        sql = f"SELECT {_TEXT_COLUMNS} FROM abstracts WHERE id > ? ORDER BY id LIMIT {page:d}"
        last = -1
        while rows := self.connection.execute(sql, (last,)).fetchall():
            yield [TextRow(*row) for row in rows]
            last = rows[-1][0]

    def read_texts_of(self, doc_ids: Sequence[int]) -> list[TextRow]:
        """Rows like those of texts_to_encode, by doc id."""
        sql = f"SELECT {_TEXT_COLUMNS} FROM abstracts WHERE id IN (SELECT value FROM json_each(?)) ORDER BY id"
        return [TextRow(*row) for row in self.connection.execute(sql, (json.dumps(doc_ids),)).fetchall()]

    def count_to_encode(self, everything: bool) -> int:
        """How many rows texts_to_encode yields."""
        if not everything:
            return len(self.ledger.list_to_encode())
        return int(self.connection.execute("SELECT count(*) FROM abstracts").fetchone()[0])

    def is_empty(self) -> bool:
        """Whether no abstract is left."""
        return self.connection.execute("SELECT 1 FROM abstracts LIMIT 1").fetchone() is None

    def count_totals(self) -> Totals:
        """Count what the draft holds."""
        return Totals(*self.connection.execute(TOTALS, (SPACES,)).fetchone())

    def read_ids(self) -> DocIds:
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
