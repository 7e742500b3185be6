"""The corpus of a published generation, read-only."""

from __future__ import annotations

import contextlib
import json
import math
import sqlite3
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from queue import Empty, LifoQueue

import numpy as np

from engine.corpus.storage.resolution import resolve_ids
from engine.corpus.storage.rows import parse_row
from engine.corpus.storage.values import format_uri
from engine.deadline import CURRENT, Deadline
from engine.errors import AbstractNotFoundError, BusyError, CorruptError
from engine.identifiers import strip_doi_address
from engine.records.abstract import SOURCE_FIELDS, Abstract
from engine.records.generation import DocIds, FileCounts

_LOOK = 0.1  # seconds between two checks of the deadline while all connections are in use
_STEPS = 100_000  # of SQLite between two checks of the deadline
SPACES = " \t\n\r\f\v\xa0\u2009\u202f\u3000"  # characters of a blank field
TOTALS = (
    "SELECT count(*), coalesce(sum(retracted), 0), coalesce(sum(trim(abstract, ?1) = ''), 0),"
    " coalesce(sum(trim(title, ?1) = ''), 0), coalesce(sum(truncated), 0) FROM abstracts"
)
_FILE_COLUMNS = ("generation", "name", "path", "n_bytes", "sha256", "format", "release")  # of AppliedFile
_COUNT_COLUMNS = tuple(field.name for field in fields(FileCounts))[1:]

_CONTRIBUTED = (
    (
        "SELECT count(*) FROM abstracts a WHERE NOT EXISTS"
        " (SELECT 1 FROM contributions c WHERE c.own_id = a.record_id AND c.doc_id = a.id)",
        "records have an id that none of their sources uses",
    ),
)
_LOOKED_UP = (
    (
        "SELECT count(*) FROM abstracts WHERE id NOT IN (SELECT id FROM words_docsize)",
        "records are missing from the full-text index",
    ),
    (
        "SELECT count(*) FROM words_docsize WHERE id NOT IN (SELECT id FROM abstracts)",
        "entries of the full-text index belong to no record",
    ),
)


@dataclass(frozen=True, slots=True)
class Totals:
    """Counts of the records in a corpus."""

    abstracts: int
    retracted: int
    without_abstract: int
    without_title: int
    truncated: int


@dataclass(frozen=True, slots=True)
class AppliedFile:
    """A source file that the corpus was made from."""

    generation: int  # for which it was read
    name: str
    path: str  # absolute
    n_bytes: int
    sha256: str
    format: str
    release: int
    counts: FileCounts  # of its records when it was read


@dataclass(frozen=True, slots=True)
class RecordSource:
    """One source of a record."""

    format: str
    own_id: str  # the id that this source gives the record
    file: str  # name of the file that gave it last
    generation: int  # for which that file was read
    first_file: str  # name of the file that gave it first


class Corpus:
    """A published abstracts.db, opened as immutable: without locks and without files beside it.

    Safe to use from several threads.
    """

    def __init__(self, path: Path) -> None:
        """Open the database.

        Raises:
            CorruptError: SQLite can't read the file, or it has no table of abstracts.
        """
        self.path = path
        self.patience: float | None = None  # seconds that one query may take; None: no limit
        self.connections: list[sqlite3.Connection] = []
        self.idle: LifoQueue[sqlite3.Connection] = LifoQueue()
        try:
            self.widen(1)
            self.connection = self.connections[0]
            self.connection.execute("SELECT 1 FROM abstracts LIMIT 1")
        except sqlite3.Error as err:
            raise CorruptError(f"{path} is not a readable database of abstracts ({err}). Run: engine rollback") from err

    def widen(self, n: int) -> None:
        """Open n connections, so that n queries can run at once.

        They are opened now because the file may be deleted while it is in use.

        Raises:
            CorruptError: the file can't be opened any more.
        """
        while len(self.connections) < n:
            try:
                connection = sqlite3.connect(format_uri(self.path), uri=True, check_same_thread=False)
            except sqlite3.Error as err:
                raise CorruptError(f"{self.path} can't be opened ({err}). Run: engine rollback") from err
            connection.row_factory = sqlite3.Row
            self.connections.append(connection)
            self.idle.put(connection)

    def close(self) -> None:
        """Close the database; no method works afterwards."""
        for connection in self.connections:
            connection.close()

    def borrow_connection(self, deadline: Deadline) -> sqlite3.Connection:
        """Return a connection for exclusive use; put it back into `idle` afterwards.

        Raises:
            BusyError: the deadline of the request has passed.
        """
        while True:
            deadline.check()
            with contextlib.suppress(Empty):
                return self.idle.get(timeout=_LOOK)

    def read_rows(self, sql: str, *values: object) -> list[sqlite3.Row]:
        """Run one query and return all its rows. Without `widen`, one query runs at a time.

        Raises:
            BusyError: it took longer than `patience`, or the deadline of the request has passed.
            CorruptError: SQLite found the file damaged.
        """
        deadline = CURRENT.get()
        connection = self.borrow_connection(deadline)
        try:
            end = time.monotonic() + (math.inf if self.patience is None else self.patience)
            connection.set_progress_handler(lambda: deadline.is_over or time.monotonic() > end, _STEPS)
            return connection.execute(sql, values).fetchall()
        except sqlite3.DatabaseError as err:
            if getattr(err, "sqlite_errorcode", None) == sqlite3.SQLITE_INTERRUPT:
                deadline.check()
                raise BusyError(
                    f"words and filters took longer than {self.patience:g} seconds. Use fewer of them"
                ) from err
            raise CorruptError(f"{self.path}: {err}. Run: engine verify --deep") from err
        finally:
            self.idle.put(connection)

    def read_ids(self) -> DocIds:
        """Return all doc ids, ascending, int64 (n,)."""
        return np.array([row[0] for row in self.read_rows("SELECT id FROM abstracts ORDER BY id")], dtype=np.int64)

    def fetch(self, doc_ids: Sequence[int]) -> dict[int, Abstract]:
        """Return abstracts by doc id; an unknown id is missing from the result."""
        sql = f"SELECT id, {', '.join(SOURCE_FIELDS)} FROM abstracts WHERE id IN (SELECT value FROM json_each(?))"
        return {row["id"]: parse_row(row) for row in self.read_rows(sql, json.dumps(doc_ids))}

    def find_doc_id(self, record_id: str) -> int:
        """Return the doc id of a record id, of a PMID or DOI (bare, prefixed or as a link), or of another source's id.

        Raises:
            AbstractNotFoundError: there is no such record.
        """
        (doc_id,) = resolve_ids(self, [record_id])
        if doc_id is not None:
            return doc_id
        text = strip_doi_address(record_id)[:80]
        raise AbstractNotFoundError(
            f"no record {text!r} in this index. Ids look like {self.find_example_id()!r}; engine search shows them"
        )

    def find_example_id(self) -> str:
        """Return a record id as an example for messages, "" if there is none."""
        return next((str(row[0]) for row in self.read_rows("SELECT record_id FROM abstracts ORDER BY id LIMIT 1")), "")

    def read_texts(self) -> Iterator[tuple[int, str, str, str]]:
        """Yield (doc id, title, abstract, SHA-256 of the encoder's text) of every row, by id."""
        last = -1
        while batch := self.read_rows(
            "SELECT id, title, abstract, text_sha256 FROM abstracts WHERE id > ? ORDER BY id LIMIT 1000", last
        ):
            for row in batch:
                yield row["id"], row["title"], row["abstract"], row["text_sha256"]
            last = batch[-1]["id"]

    def read_abstracts(self, doc_ids: DocIds | None = None) -> Iterator[Abstract]:
        """Yield the records with these doc ids, or every record, in order, reading 1,000 at a time."""
        ids = (self.read_ids() if doc_ids is None else doc_ids).tolist()
        for start in range(0, len(ids), 1000):
            page = ids[start : start + 1000]
            abstracts = self.fetch(page)
            yield from (abstracts[doc_id] for doc_id in page)

    def count_totals(self) -> Totals:
        """Count the records of the corpus."""
        return Totals(*self.read_rows(TOTALS, SPACES)[0])

    def read_generation(self) -> int:
        """Return the generation number stored in the database."""
        return int(self.read_rows("SELECT max(number) FROM generation")[0][0])

    def read_sources(self) -> list[AppliedFile]:
        """Return every file that was indexed, oldest first."""
        sql = f"SELECT {', '.join((*_FILE_COLUMNS, 'n_records', *_COUNT_COLUMNS))} FROM sources ORDER BY id"
        return [
            AppliedFile(
                **{name: row[name] for name in _FILE_COLUMNS},
                counts=FileCounts(row["n_records"], **{name: row[name] for name in _COUNT_COLUMNS}),
            )
            for row in self.read_rows(sql)
        ]

    def read_claims(self, doc_id: int) -> list[RecordSource]:
        """Return the sources of a record, oldest first."""
        sql = (
            "SELECT c.format, c.own_id, s.name AS file, s.generation, f.name AS first_file"
            " FROM contributions c JOIN sources s ON s.id = c.source_id JOIN sources f ON f.id = c.spoken"
            " WHERE c.doc_id = ? ORDER BY c.id"
        )
        return [RecordSource(**row) for row in self.read_rows(sql, doc_id)]

    def find_problems(self) -> list[str]:
        """Return the problems that SQLite's checks and checks between the tables find; empty if there are none."""
        problems = [str(row[0]) for row in self.read_rows("PRAGMA integrity_check") if row[0] != "ok"]
        orphans = self.read_rows(
            'SELECT "table", parent, count(*) FROM pragma_foreign_key_check GROUP BY 1, 2 ORDER BY 1, 2'
        )
        problems += [
            f"{self.path}: {n:,} rows of {table} refer to a missing row of {parent}" for table, parent, n in orphans
        ]
        for sql, problem in (*_CONTRIBUTED, *_LOOKED_UP):
            if n := self.read_rows(sql)[0][0]:
                problems.append(f"{self.path}: {n:,} {problem}")
        return problems
