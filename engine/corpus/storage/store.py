"""The corpus of a published generation, read-only: the records of its segments, and its state."""

from __future__ import annotations

import contextlib
import heapq
import json
import math
import sqlite3
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, fields
from itertools import chain
from operator import itemgetter
from pathlib import Path
from typing import Protocol

import numpy as np

from engine.corpus.storage.arrays import IDS, parse_ids
from engine.corpus.storage.connections import SharedDatabase
from engine.corpus.storage.idsets import NO_IDS, PackedIds, find_among
from engine.corpus.storage.resolution import resolve_ids
from engine.corpus.storage.rows import parse_row
from engine.deadline import CURRENT
from engine.errors import AbstractNotFoundError, BusyError, CorruptError
from engine.identifiers import strip_doi_address
from engine.records.abstract import SOURCE_FIELDS, Abstract
from engine.records.generation import DocIds, FileCounts, Totals

_MOST = 512  # connections of a corpus with many segments: the files that a process may open are limited
_PAGE = 1000  # rows read at once
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


@dataclass(frozen=True, slots=True, eq=False)
class SegmentDatabase:
    """The abstracts.db of a segment, and which of its records are dead in a generation."""

    path: Path
    dead: DocIds  # ascending, int64 (n,)


@dataclass(frozen=True, slots=True, eq=False)
class _Segment:
    """An open segment."""

    database: SharedDatabase
    dead: DocIds  # ascending

    def keep_live(self, rows: list[sqlite3.Row]) -> list[sqlite3.Row]:
        """Return the rows whose first column is a live id."""
        if not len(self.dead) or not rows:
            return rows
        gone = find_among(np.array([row[0] for row in rows], np.int64), self.dead)
        return [row for row, is_dead in zip(rows, gone.tolist(), strict=True) if not is_dead]

    def keep_live_ids(self, ids: DocIds) -> DocIds:
        """Return the ids that are not dead, in their order."""
        return ids[~find_among(ids, self.dead)] if len(self.dead) else ids


@dataclass(frozen=True, slots=True, eq=False)
class SegmentReader:
    """A segment as selections read it, the dead records included."""

    corpus: Corpus
    segment: _Segment
    end: float  # of time.monotonic(), until when a query may run

    def list_ids(self) -> DocIds:
        """Return the ids of all records, ascending, int64 (n,)."""
        return self.corpus.read_stored_ids(self.segment, self.end)

    def has_array(self, name: str) -> bool:
        """Return whether the segment has an array of this name."""
        return name in self.corpus.list_arrays(self.segment, self.end)

    def read_array(self, name: str) -> bytes | None:
        """Return an array; None if the segment does not have it."""
        if not self.has_array(name):
            return None
        return self.corpus.read_array(self.segment, name, self.end)

    def read_ids(self, sql: str, values: Sequence[object] = ()) -> DocIds:
        """Return the ids that a SELECT of one column gives, int64 (n,)."""
        return self.corpus.read_column(self.segment, sql, values, self.end)


class _Selection(Protocol):
    """A set of records that can be read from each segment."""

    def read_ids(self, segment: SegmentReader) -> DocIds:
        """Return their ids in a segment, dead ones too; unsorted, perhaps repeated, int64 (n,)."""
        ...


class Corpus:
    """The records of a generation: an id is live in exactly one of its segments. Safe to use from several threads."""

    def __init__(
        self,
        segments: Sequence[SegmentDatabase],
        state: Path,
        open_file: Callable[[Path], SharedDatabase] = SharedDatabase,
    ) -> None:
        """Open the databases.

        state is the database with the tables sources, generation, rejections and deletions. open_file opens a file;
        `open_shared` of the corpus of another generation spares what is open already.

        Raises:
            CorruptError: SQLite can't read a file, or it is empty.
        """
        self.path = state  # names the corpus in messages
        self.patience: float | None = None  # seconds that one query may take; None: no limit
        self.databases: dict[Path, SharedDatabase] = {}
        try:
            self.segments = tuple(
                _Segment(self._open(open_file, part.path, "abstracts"), part.dead) for part in segments
            )
            self.state = self._open(open_file, state, "the state of an index")
        except BaseException:
            self.close()
            raise

    def _open(self, open_file: Callable[[Path], SharedDatabase], path: Path, what: str) -> SharedDatabase:
        """Return the database of a path, which must have tables. They are read with the first query.

        Raises:
            CorruptError: SQLite can't read the file, or it is empty.
        """
        if path in self.databases:
            return self.databases[path]
        database = self.databases[path] = open_file(path)
        try:
            with database.borrow(CURRENT.get(), math.inf) as connection:
                problem = "" if connection.execute("PRAGMA schema_version").fetchone()[0] else "it has no tables"
        except sqlite3.Error as err:
            problem = str(err)
        if problem:
            raise CorruptError(f"{path} is not a readable database of {what} ({problem}). Run: engine verify")
        return database

    def open_shared(self, path: Path) -> SharedDatabase:
        """Return the open database of a path, shared with this corpus; open it if this corpus does not have it.

        Raises:
            CorruptError: SQLite can't open the file.
        """
        database = self.databases.get(path)
        if database is not None and database.is_at(path) and database.add_user():
            return database
        return SharedDatabase(path)

    def open_again(self) -> Corpus:
        """Return the same corpus over connections of its own, so that long queries don't block others.

        Raises:
            CorruptError: a file can't be opened.
        """
        parts = [SegmentDatabase(segment.database.path, segment.dead) for segment in self.segments]
        return Corpus(parts, self.state.path, lambda path: self.databases[path].open_again())

    def widen(self, n: int) -> None:
        """Open n connections to each database, fewer if there are many databases, so that n queries can run at once.

        Raises:
            CorruptError: a file can't be opened any more.
        """
        for database in self.databases.values():
            database.widen(min(n, _MOST // len(self.databases)))

    def close(self) -> None:
        """Close the databases that no other corpus uses; no method works afterwards."""
        for database in self.databases.values():
            database.close()

    def _run(
        self, database: SharedDatabase, sql: str, values: Sequence[object], end: float, dead: DocIds | None = None
    ) -> list[sqlite3.Row]:
        """Run one query until end (of time.monotonic()); dead: the ids in its table dead.

        Raises:
            BusyError: it took longer than `patience`, or the deadline of the request has passed.
            CorruptError: SQLite found the file damaged.
        """
        with self._borrow(database, end) as connection:
            if dead is not None:
                database.load_dead(connection, dead)
            return connection.execute(sql, values).fetchall()

    @contextlib.contextmanager
    def _borrow(self, database: SharedDatabase, end: float) -> Iterator[sqlite3.Connection]:
        """Lend a connection for one query, until end.

        Raises:
            BusyError: it took longer than `patience`, or the deadline of the request has passed.
            CorruptError: SQLite found the file damaged.
        """
        deadline = CURRENT.get()
        try:
            with database.borrow(deadline, end) as connection:
                yield connection
        except sqlite3.DatabaseError as err:
            if getattr(err, "sqlite_errorcode", None) == sqlite3.SQLITE_INTERRUPT:
                deadline.check()
                raise BusyError(
                    f"words and filters took longer than {self.patience:g} seconds. Use fewer of them"
                ) from err
            raise CorruptError(f"{database.path}: {err}. Run: engine verify --deep") from err

    def _find_end(self) -> float:
        """Return until when a query that begins now may run."""
        return time.monotonic() + (math.inf if self.patience is None else self.patience)

    def read_rows(self, sql: str, *values: object) -> list[sqlite3.Row]:
        """Run one query of a corpus with one segment and return all its rows, those of dead records too.

        Without `widen`, one query runs at a time.

        Raises:
            BusyError: it took longer than `patience`, or the deadline of the request has passed.
            CorruptError: SQLite found the file damaged.
        """
        (segment,) = self.segments
        return self._run(segment.database, sql, values, self._find_end())

    def read_state(self, sql: str, *values: object) -> list[sqlite3.Row]:
        """Run one query of the state and return all its rows.

        Raises:
            BusyError, CorruptError: as `read_rows`.
        """
        return self._run(self.state, sql, values, self._find_end())

    def read_live(self, sql: str, *values: object) -> list[sqlite3.Row]:
        """Run a query in every segment; return the rows whose first column is the id of a live record.

        The rows of one segment follow those of the other.

        Raises:
            BusyError, CorruptError: as `read_rows`; all segments together may take `patience` seconds.
        """
        end = self._find_end()
        return [
            row for segment in self.segments for row in segment.keep_live(self._run(segment.database, sql, values, end))
        ]

    def read_each(self, sql: str, *values: object) -> list[list[sqlite3.Row]]:
        """Run a query in every segment; return the rows of each. The table dead has the ids of its dead records.

        Raises:
            BusyError, CorruptError: as `read_live`.
        """
        end = self._find_end()
        return [self._run(segment.database, sql, values, end, segment.dead) for segment in self.segments]

    def read_by_ids(self, columns: str, doc_ids: Sequence[int]) -> list[sqlite3.Row]:
        """Return the id and columns of the records with these doc ids, by id; an unknown id is missing.

        Raises:
            BusyError, CorruptError: as `read_live`.
        """
        sql = f"SELECT id, {columns} FROM abstracts WHERE id IN (SELECT value FROM json_each(?))"
        left, end = np.unique(np.array(doc_ids, np.int64)), self._find_end()
        found: list[sqlite3.Row] = []
        for segment in self.segments:
            if not len(left):
                break
            asked = json.dumps(segment.keep_live_ids(left).tolist())
            rows = self._run(segment.database, sql, (asked,), end)
            found += rows
            left = left[~np.isin(left, [row[0] for row in rows])]
        return sorted(found, key=itemgetter(0))

    def read_all(self, columns: str, page: int = _PAGE) -> Iterator[sqlite3.Row]:
        """Yield the id and columns of every record, by id, reading a page at a time.

        Raises:
            BusyError, CorruptError: as `read_live`, for each page.
        """
        size = max(20, page // max(len(self.segments), 1))
        sql = f"SELECT id, {columns} FROM abstracts WHERE id > ? ORDER BY id LIMIT {size}"
        return heapq.merge(*(self._read_pages(segment, sql) for segment in self.segments), key=itemgetter(0))

    def _read_pages(self, segment: _Segment, sql: str) -> Iterator[sqlite3.Row]:
        """Yield the live rows of a segment, by id; sql selects those that follow an id."""
        last = -1
        while rows := self._run(segment.database, sql, (last,), self._find_end()):
            yield from segment.keep_live(rows)
            last = rows[-1][0]

    def select_ids(self, selections: Sequence[_Selection]) -> list[DocIds]:
        """Return the live ids of each selection; unsorted, perhaps repeated, int64 (n,).

        Raises:
            BusyError, CorruptError: as `read_live`.
        """
        end = self._find_end()
        readers = [SegmentReader(self, segment, end) for segment in self.segments]
        return [
            np.concatenate([NO_IDS, *(one.segment.keep_live_ids(selection.read_ids(one)) for one in readers)])
            for selection in selections
        ]

    def read_column(self, segment: _Segment, sql: str, values: Sequence[object], end: float) -> DocIds:
        """Return the ids that a SELECT of one column gives in a segment, int64 (n,), until end.

        Raises:
            BusyError, CorruptError: as `read_live`.
        """
        with self._borrow(segment.database, end) as connection:
            cursor = connection.cursor()
            cursor.row_factory = None  # plain tuples, which are read faster
            return np.fromiter(chain.from_iterable(cursor.execute(sql, values)), np.int64)

    def list_arrays(self, segment: _Segment, end: float) -> frozenset[str]:
        """Return the names of the arrays of a segment; they are kept, since a segment never changes."""
        database = segment.database
        if database.array_names is None:
            sql = "SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = 'arrays'"
            there = self._run(database, sql, (), end)
            rows = self._run(database, "SELECT name FROM arrays", (), end) if there else []
            database.array_names = frozenset(row[0] for row in rows)
        return database.array_names

    def read_array(self, segment: _Segment, name: str, end: float) -> bytes:
        """Return an array that a segment has."""
        content: bytes = self._run(segment.database, "SELECT content FROM arrays WHERE name = ?", (name,), end)[0][0]
        return content

    def read_ids(self) -> DocIds:
        """Return all doc ids, ascending, int64 (n,)."""
        end = self._find_end()
        found = [segment.keep_live_ids(self.read_stored_ids(segment, end)) for segment in self.segments]
        return found[0] if len(found) == 1 else np.sort(np.concatenate([NO_IDS, *found]))

    def list_ids_beside(self, other: Corpus) -> DocIds:
        """Return the ids of the rows that another corpus lacks, ascending, int64 (n,).

        These are all live rows of the segments that it does not have, and of the others those that are dead there.
        """
        found, end = [NO_IDS], self._find_end()
        for segment in self.segments:
            same = next((part for part in other.segments if part.database.is_same(segment.database)), None)
            ids = self.read_stored_ids(segment, end) if same is None else np.setdiff1d(same.dead, segment.dead)
            found.append(segment.keep_live_ids(ids))
        return np.sort(np.concatenate(found))

    def read_stored_ids(self, segment: _Segment, end: float) -> DocIds:
        """Return the ids of a segment, dead ones too, ascending; they are kept, since a segment never changes.

        Raises:
            BusyError, CorruptError: as `read_live`.
        """
        database = segment.database
        if database.packed_ids is None:
            if IDS in self.list_arrays(segment, end):
                ids = parse_ids(self.read_array(segment, IDS, end))
            else:  # without ORDER BY, SQLite reads a narrow index instead of the rows
                ids = np.sort(self.read_column(segment, "SELECT id FROM abstracts", (), end))
            database.packed_ids = PackedIds.build(ids)
        return database.packed_ids.list_ids()

    def fetch(self, doc_ids: Sequence[int]) -> dict[int, Abstract]:
        """Return abstracts by doc id; an unknown id is missing from the result."""
        return {row["id"]: parse_row(row) for row in self.read_by_ids(", ".join(SOURCE_FIELDS), doc_ids)}

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
        return next((str(row["record_id"]) for row in self.read_all("record_id", 1)), "")

    def read_texts(self) -> Iterator[tuple[int, str, str, str]]:
        """Yield (doc id, title, abstract, SHA-256 of the encoder's text) of every row, by id."""
        for row in self.read_all("title, abstract, text_sha256"):
            yield row["id"], row["title"], row["abstract"], row["text_sha256"]

    def read_abstracts(self, doc_ids: DocIds | None = None) -> Iterator[Abstract]:
        """Yield the records with these doc ids, or every record, in order, reading 1,000 at a time."""
        ids = (self.read_ids() if doc_ids is None else doc_ids).tolist()
        for start in range(0, len(ids), 1000):
            page = ids[start : start + 1000]
            abstracts = self.fetch(page)
            yield from (abstracts[doc_id] for doc_id in page)

    def count_totals(self) -> Totals:
        """Count the records of the corpus."""
        counts = self.read_each(f"{TOTALS} WHERE id NOT IN (SELECT id FROM dead)", SPACES)
        return Totals(*map(sum, zip((0,) * 5, *(tuple(row) for (row,) in counts), strict=True)))

    def read_generation(self) -> int:
        """Return the generation number stored in the database."""
        return int(self.read_state("SELECT max(number) FROM generation")[0][0])

    def read_sources(self) -> list[AppliedFile]:
        """Return every file that was indexed, oldest first."""
        sql = f"SELECT {', '.join((*_FILE_COLUMNS, 'n_records', *_COUNT_COLUMNS))} FROM sources ORDER BY id"
        return [
            AppliedFile(
                **{name: row[name] for name in _FILE_COLUMNS},
                counts=FileCounts(row["n_records"], **{name: row[name] for name in _COUNT_COLUMNS}),
            )
            for row in self.read_state(sql)
        ]

    def read_claims(self, doc_id: int) -> list[RecordSource]:
        """Return the sources of a record, oldest first."""
        sql = (
            "SELECT c.doc_id, c.format, c.own_id, s.name AS file, s.generation, f.name AS first_file"
            " FROM contributions c JOIN sources s ON s.id = c.source_id JOIN sources f ON f.id = c.spoken"
            " WHERE c.doc_id = ? ORDER BY c.id"
        )
        return [RecordSource(*tuple(row)[1:]) for row in self.read_live(sql, doc_id)]

    def find_problems(self) -> list[str]:
        """Return the problems that SQLite's checks and checks between the tables find; empty if there are none."""
        stored = {segment.database for segment in self.segments}
        return [
            problem
            for database in self.databases.values()
            for problem in self._find_damage(database, database in stored)
        ]

    def _find_damage(self, database: SharedDatabase, has_records: bool) -> Iterator[str]:
        """Yield the problems of one database, dead records included."""
        size = database.path.stat().st_size  # mapped, since the checks read most pages many times
        self._run(database, f"PRAGMA mmap_size = {size}", (), math.inf)
        for (found,) in self._run(database, "PRAGMA integrity_check", (), math.inf):
            if found != "ok":
                yield f"{database.path}: {found}"
        sql = 'SELECT "table", parent, count(*) FROM pragma_foreign_key_check GROUP BY 1, 2 ORDER BY 1, 2'
        for table, parent, n in self._run(database, sql, (), math.inf):
            yield f"{database.path}: {n:,} rows of {table} refer to a missing row of {parent}"
        for sql, problem in _CONTRIBUTED if has_records else ():
            if n := self._run(database, sql, (), math.inf)[0][0]:
                yield f"{database.path}: {n:,} {problem}"
        self._run(database, "PRAGMA mmap_size = 0", (), math.inf)


def open_database(path: Path) -> Corpus:
    """Open one abstracts.db that holds all records and their state.

    Raises:
        CorruptError: SQLite can't read the file, or it is empty.
    """
    return Corpus([SegmentDatabase(path, NO_IDS)], path)
