"""The database of the next generation while it is written."""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from types import TracebackType

import numpy as np
from sqlite_utils import Database

from engine.corpus.merging.base import Base, Deaths, Published
from engine.corpus.merging.deletions import Deletions
from engine.corpus.merging.intake import Intake
from engine.corpus.merging.ledger import Ledger, TextDigest
from engine.corpus.merging.parts import Parts
from engine.corpus.merging.sightings import PUBMED_FILES, Sightings
from engine.corpus.schema import create_state, create_tables, finish_tables
from engine.corpus.storage.store import SPACES, TOTALS
from engine.errors import CorpusError, CorruptError
from engine.records.abstract import Rejection
from engine.records.generation import DocIds, FileReading, Totals


@dataclass(frozen=True, slots=True)
class SourceFile:
    """A file that a generation is made from."""

    name: str
    path: str  # absolute
    n_bytes: int
    sha256: str
    format: str
    release: int = 0  # number of PubMed's file, 0 for any other file


@dataclass(frozen=True, slots=True)
class DraftFiles:
    """The files of a draft."""

    database: Path  # records of the new segment
    state: Path  # sources, history and deletions of the generation


_CACHE_KIB = 64 << 10  # page cache; several indexes grow while records are added
_WRITABLE = 0o644
_MAX_FREE = 0.1  # share of free pages
_PAGES = ("page_size", "page_count", "freelist_count")
_SCHEMAS = ("main", "state")
_PAGE, _SMALL_PAGE = 4096, 512  # bytes
_SMALL, _LARGE = 1 << 18, 1 << 22  # bytes of a database that has small pages, or large ones; between, what it had
_NONE = Totals(0, 0, 0, 0, 0)
_TEXT_COLUMNS = "id, record_id, title, abstract, text_sha256"


@dataclass(frozen=True, slots=True)
class TextRow:
    """The text of a record that is encoded."""

    doc_id: int
    record_id: str
    title: str
    abstract: str
    sha256: str  # of the encoder's text


class Draft:
    """The unpublished records of a generation, without journal and fsync, since a crash discards them as a whole.

    It holds the records that this run meets; those that it does not meet stay in the published segments. Use it as a
    context manager: a normal exit commits and closes, an error discards the changes. An error of SQLite,
    such as a full disk, is raised as a CorpusError.
    """

    def __init__(
        self,
        files: DraftFiles,
        generation: int,
        created: str,
        text_digest: TextDigest,
        published: Published | None = None,
    ) -> None:
        """Open the database, and the published segments that it continues.

        Raises:
            CorruptError: SQLite can't open a segment.
        """
        self.files = files
        self.generation = generation
        self.created = created
        self.db = Database(files.database)
        self.connection: sqlite3.Connection = self.db.conn
        try:
            self.base = Base(published, self.connection) if published else None
        except BaseException:
            self.db.close()
            raise
        self.ledger = Ledger(self.connection, generation, text_digest, self.base)
        self.intake = Intake(self.ledger, Deletions(self.connection, generation))
        self.parts = Parts(self.ledger)
        self.is_finished = False

    def __enter__(self) -> Draft:
        try:
            self.begin()
        except BaseException as err:
            self.close()
            if isinstance(err, sqlite3.Error):
                raise self.build_failure(err) from err
            raise
        return self

    def begin(self) -> None:
        """Create the tables, take over the published state and open a transaction.

        Raises:
            CorruptError: the published state is missing.
        """
        published = self.base.published if self.base else None
        if published:
            self._copy_state(published.state)
        self.connection.execute("ATTACH ? AS state", (os.fspath(self.files.state),))
        for schema in _SCHEMAS:
            self.connection.execute(f"PRAGMA {schema}.journal_mode = OFF")
            self.connection.execute(f"PRAGMA {schema}.synchronous = OFF")
        self.connection.execute(f"PRAGMA main.cache_size = -{_CACHE_KIB}")
        create_tables(self.db)
        if published:
            self.connection.execute("INSERT INTO sqlite_sequence VALUES ('abstracts', ?)", (published.last_id,))
        else:
            create_state(self.db, "state")
        self.connection.commit()
        self.connection.execute("BEGIN")
        values = (self.generation, self.created)
        self.connection.execute("INSERT INTO generation (number, created) VALUES (?, ?)", values)

    def _copy_state(self, published: Path) -> None:
        """Copy the state of the current generation.

        Raises:
            CorruptError: it is missing.
        """
        try:
            shutil.copyfile(published, self.files.state)
        except FileNotFoundError as err:
            raise CorruptError(f"{published} is missing. Nothing was published. Run: engine verify") from err
        self.files.state.chmod(_WRITABLE)

    def release_unchanged(self) -> None:
        """Remove records that were loaded but are as they were published."""
        if self.base:
            self.base.release_unchanged()

    def merge_segments(self, positions: Sequence[int]) -> None:
        """Copy the live records of published segments into the draft, which then replaces them."""
        if self.base:
            self.base.merge(positions)

    def list_deaths(self) -> dict[int, Deaths]:
        """Return the dead ids of the published segments that stay, by position."""
        return self.base.list_deaths() if self.base else {}

    def finish(self) -> None:
        """Complete the tables, when no record is added or changed any more. Then only closing is allowed."""
        finish_tables(self.db, "state")
        self.is_finished = True

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if kind is None:
                self.connection.commit()
                for schema in _SCHEMAS:
                    if self.is_finished:
                        self._compact(schema)
                    self.connection.execute(f"PRAGMA {schema}.journal_mode = DELETE")
        except sqlite3.Error as err:
            raise self.build_failure(err) from err
        finally:
            self.close()
        if isinstance(error, sqlite3.Error):
            raise self.build_failure(error) from error

    def _compact(self, schema: str) -> None:
        """Write a database anew if many of its pages are free or too large.

        Pages are free after records were loaded and released. Every table and index has a page at least, so a small
        database has small ones.
        """
        size, pages, free = (self.connection.execute(f"PRAGMA {schema}.{name}").fetchone()[0] for name in _PAGES)
        n_bytes = size * (pages - free)
        fitting = _SMALL_PAGE if n_bytes <= _SMALL else size if n_bytes <= _LARGE else max(size, _PAGE)
        if fitting != size:
            self.connection.execute(f"PRAGMA {schema}.page_size = {fitting}")
        if fitting != size or free > _MAX_FREE * pages:
            self.connection.execute(f"VACUUM {schema}")

    def close(self) -> None:
        """Close all databases."""
        self.db.close()
        if self.base:
            self.base.close()

    def build_failure(self, error: sqlite3.Error) -> CorpusError:
        """Return the error for a database that could not be written."""
        advice = "Check the free space on the disk"
        if isinstance(error, sqlite3.IntegrityError):  # a fault of the engine, not of the disk
            advice = "Please report this; meanwhile, build a new index from the sources: engine index FILE -i NEW"
        return CorpusError(f"{self.files.database} could not be written: {error}. Nothing was published. {advice}")

    def read_last_source(self) -> int:
        """Return the key of the last source file, 0 if there is none."""
        return int(self.connection.execute("SELECT coalesce(max(id), 0) FROM sources").fetchone()[0])

    def read_known_files(self) -> set[tuple[int, str]]:
        """Return (bytes, SHA-256) of every file that this corpus was made from so far."""
        return set(self.connection.execute("SELECT n_bytes, sha256 FROM sources").fetchall())

    def note_source(self, file: SourceFile) -> int:
        """Record a file that this generation is made from, before it is read; return its key."""
        same = (
            "SELECT file_id FROM sources s WHERE file_id > 0 AND (path = ?1 OR (n_bytes, sha256) = (?2, ?3))"
            " AND id = (SELECT max(id) FROM sources WHERE file_id = s.file_id) ORDER BY path != ?1, file_id LIMIT 1"
        )
        (file_id,) = self.connection.execute(same, (file.path, file.n_bytes, file.sha256)).fetchone() or (None,)
        values = (file.name, file.path, file.n_bytes, file.sha256, file.format, file.release)
        source_id = self.read_last_source() + 1
        self.connection.execute(
            "INSERT INTO sources (id, generation, name, path, n_bytes, sha256, format, release, file_id, n_records)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, 0)",
            (source_id, self.generation, *values, PUBMED_FILES if file.release else file_id or source_id),
        )
        self.sightings.counts[source_id] = Counter()
        return source_id

    def write_counts(self, deletions: Mapping[int, int]) -> Iterator[FileReading]:
        """Store the counts of the files of this run and yield them, in the order in which they were read.

        Those that it published before are stored, too, but not yielded.

        deletions: number of deletions that each file gave, by sources.id.
        """
        for source_id in self.sightings.counts:
            counts = self.sightings.count_file(source_id, deletions.get(source_id, 0))
            values = {"n_records" if name == "read" else name: n for name, n in asdict(counts).items()}
            assignments = ", ".join(f"{name} = ?" for name in values)
            sql = f"UPDATE sources SET {assignments} WHERE id = ? RETURNING name, path, format, generation"
            name, path, kind, generation = self.connection.execute(sql, (*values.values(), source_id)).fetchone()
            if generation == self.generation:
                yield FileReading(name, path, kind, generation, counts)

    @property
    def sightings(self) -> Sightings:
        """Which file gives which record, with the counts of each file that this run reads."""
        return self.ledger.sightings

    def note_cause(self, parent: int | None, cause: str, counts: str) -> None:
        """Record the parent, the command and the counts (JSON) of this generation."""
        self.connection.execute(
            "UPDATE generation SET parent = ?, cause = ?, counts = ? WHERE number = ?",
            (parent, cause, counts, self.generation),
        )

    def note_rejection(self, rejection: Rejection) -> None:
        """Record a rejected record with the reason."""
        self.connection.execute(
            "INSERT INTO rejections (generation, source, place, reason) VALUES (?, ?, ?, ?)",
            (self.generation, rejection.source, rejection.place, rejection.reason),
        )

    def read_texts_to_encode(self, everything: bool, page: int) -> Iterator[list[TextRow]]:
        """Yield pages of rows that need a new vector, by doc id: everything, or the rows whose text is new or changed.

        Rows may be updated or discarded between pages.
        """
        if not everything:
            doc_ids = self.ledger.list_to_encode()
            for start in range(0, len(doc_ids), page):
                yield self.read_texts_of(doc_ids[start : start + page])
            return
        sql = f"SELECT {_TEXT_COLUMNS} FROM abstracts WHERE id > ? ORDER BY id LIMIT {page:d}"
        last = -1
        while rows := self.connection.execute(sql, (last,)).fetchall():
            yield [TextRow(*row) for row in rows]
            last = rows[-1][0]

    def read_texts_of(self, doc_ids: Sequence[int]) -> list[TextRow]:
        """Return the texts of these records, by doc id; an unknown id is missing."""
        sql = f"SELECT {_TEXT_COLUMNS} FROM abstracts WHERE id IN (SELECT value FROM json_each(?)) ORDER BY id"
        return [TextRow(*row) for row in self.connection.execute(sql, (json.dumps(doc_ids),)).fetchall()]

    def count_to_encode(self, everything: bool) -> int:
        """Count the rows that read_texts_to_encode yields."""
        if not everything:
            return len(self.ledger.list_to_encode())
        return self.count_own() + (self.base.count_rest().abstracts if self.base else 0)

    def count_own(self) -> int:
        """Count the records in the draft itself, without reading them."""
        return int(self.connection.execute("SELECT count(*) FROM abstracts").fetchone()[0])

    def is_empty(self) -> bool:
        """Return whether no abstract is left in the next generation."""
        return self.count_to_encode(everything=True) == 0

    def has_rows(self) -> bool:
        """Return whether the draft itself holds a record, or notes which file gave one that PubMed deleted."""
        sql = "SELECT EXISTS (SELECT 1 FROM abstracts) OR EXISTS (SELECT 1 FROM sightings)"
        return bool(self.connection.execute(sql).fetchone()[0])

    def count_segment(self) -> Totals:
        """Count the records in the draft itself."""
        return Totals(*self.connection.execute(TOTALS, (SPACES,)).fetchone())

    def count_totals(self) -> Totals:
        """Count the records of the next generation: those in the draft, and the published ones that stay."""
        return self.count_segment() + (self.base.count_rest() if self.base else _NONE)

    def read_last_ids(self) -> tuple[int, int]:
        """Return the highest doc id and the highest key of a contribution that were ever given."""
        sql = "SELECT seq FROM sqlite_sequence WHERE name = 'abstracts'"
        row = self.connection.execute(sql).fetchone()
        return (row[0] if row else 0), self.ledger.contributions.last_id

    def read_ids(self) -> DocIds:
        """Return the doc ids in the draft itself, ascending, int64 (n,)."""
        return np.array(
            [row[0] for row in self.connection.execute("SELECT id FROM abstracts ORDER BY id")], dtype=np.int64
        )

    def list_own_ids(self) -> DocIds:
        """Return the ids of the records that this run added or changed, ascending; not those of merged segments."""
        merged = self.base.merged_ids if self.base else []
        return np.setdiff1d(self.read_ids(), np.concatenate([np.empty(0, np.int64), *merged]), assume_unique=True)

    def list_loaded_ids(self) -> DocIds:
        """Return the ids of the published records that this run changed or removed, ascending."""
        if self.base is None:
            return np.empty(0, np.int64)
        came, loaded = self.base.merged_ids, np.array(list(self.base.loaded), np.int64)
        removed = [np.setdiff1d(np.concatenate(came), self.read_ids())] if came else []  # no vector, after the merge
        return np.unique(np.concatenate([loaded, *removed]))

    def note_lengths(self, lengths: Sequence[tuple[int, bool, int]]) -> None:
        """Record (tokens before truncation, whether truncated, doc id) of rows after encoding."""
        self.connection.executemany(
            "UPDATE abstracts SET n_tokens = ?, truncated = ?, text_generation = ? WHERE id = ?",
            ((n, int(cut), self.generation, doc_id) for n, cut, doc_id in lengths),
        )
