"""The published records that a draft continues, and how they come into it.

A draft holds only the records that a run meets. Before records are looked up by an id or a number, those that have it
are copied from the published segments into the draft ("loaded"). At the end of the run, what is as it was leaves the
draft again; the other loaded records are dead in their old segments.
"""

from __future__ import annotations

import contextlib
import json
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from engine.corpus.storage.store import SPACES, TOTALS, SegmentDatabase
from engine.corpus.storage.values import format_uri
from engine.errors import CorruptError
from engine.records.generation import DocIds, Totals

_CACHE_KIB = 8 << 10  # page cache of each segment
_AT_ONCE = 8  # segments merged in one transaction; SQLite attaches ten databases, of which the state is one
_PAGE = 1000  # records compared or counted at once
# Codes of SQLite about a file that can't be read. The draft is new, so they are about the segment.
_UNREADABLE = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_CANTOPEN)
_IDS = "(SELECT value FROM json_each(?1))"
# Everything that belongs to a record, by its id: table -> condition. Parts are the records that a decision joined.
_OWNED = {
    "abstracts": f"id IN {_IDS}",
    "contributions": f"doc_id IN {_IDS}",
    "sightings": f"(doc_id IN {_IDS} OR doc_id IN (SELECT id FROM parts WHERE joined IN {_IDS}))",
    "parts": f"joined IN {_IDS}",  # last, since the sightings of parts are found by it
}
_LEFT_OUT = {"abstracts": "id", "contributions": "doc_id", "sightings": "doc_id", "parts": "joined"}


@dataclass(frozen=True, slots=True)
class Published:
    """The corpus of the current generation."""

    segments: tuple[SegmentDatabase, ...]
    state: Path  # database of its sources, history and deletions
    totals: Totals
    last_id: int  # highest doc id that was ever given
    last_contribution: int  # highest key that a contribution ever had
    words: Path | None = None  # folder of its words; None: titles are looked up by reading all of them


@dataclass(frozen=True, slots=True, eq=False)
class Deaths:
    """The ids of a segment that are dead in the next generation."""

    dead: DocIds  # ascending, with the parts of records
    new: DocIds  # ascending: the records that die in this run


class Base:
    """The segments of the current generation, as a draft uses them."""

    def __init__(self, published: Published, draft: sqlite3.Connection) -> None:
        """Open the segments.

        Raises:
            CorruptError: SQLite can't open one; then none stays open.
        """
        self.published = published
        self.draft = draft
        self.connections = _open_segments([segment.path for segment in published.segments])
        self.loaded: dict[int, int] = {}  # doc id -> position of its segment
        self.part_ids: dict[int, list[int]] = {}  # loaded record -> its parts, as published
        self.loaded_parts: set[int] = set()  # all of them
        self.merged: set[int] = set()  # positions of segments that are in the draft as a whole
        self.n_merged = Totals(0, 0, 0, 0, 0)  # of the records that came with them
        self.merged_ids: list[DocIds] = []  # of these records

    def close(self) -> None:
        """Close the segments."""
        for connection in self.connections:
            connection.close()

    def load_own_id(self, own_id: str) -> None:
        """Load the record to which a source gives this id."""
        self.load_selected("SELECT doc_id FROM contributions WHERE own_id = ?", own_id)

    def load_pmid(self, pmid: str) -> None:
        """Load the records with this PMID."""
        self.load_selected("SELECT id FROM abstracts WHERE pmid = ?", pmid)

    def load_record_id(self, record_id: str) -> None:
        """Load the record with this id."""
        self.load_selected("SELECT id FROM abstracts WHERE record_id = ?", record_id)

    def load_doi(self, doi: str, most: int) -> None:
        """Load the records with this DOI, one segment after the other, until the draft holds `most` of them."""
        held = "SELECT count(*) FROM (SELECT 1 FROM main.abstracts WHERE doi = ? COLLATE NOCASE LIMIT ?)"
        sql = "SELECT id FROM abstracts WHERE doi = ? COLLATE NOCASE AND id > ? ORDER BY id LIMIT ?"
        for position in range(len(self.connections)):
            last = -1  # page by page, since dead records have the DOI, too
            while position not in self.merged and self.draft.execute(held, (doi, most)).fetchone()[0] < most:
                ids = [row[0] for row in self._read(position, sql, doi, last, most)]
                if not ids:
                    break
                self._load(position, ids)
                last = ids[-1]

    def load_joined(self) -> None:
        """Load the records that decisions joined."""
        self.load_selected("SELECT DISTINCT joined FROM parts")

    def load_given_by(self, source_ids: Sequence[int]) -> None:
        """Load the records of which one of these readings of files gave the last contribution."""
        self.load_selected(f"SELECT doc_id FROM contributions WHERE source_id IN {_IDS}", json.dumps(source_ids))

    def load_sighted(self, file_ids: Sequence[int], before: int) -> None:
        """Load the records that one of these files gave, in a reading before this one."""
        self.load_selected(
            f"SELECT DISTINCT doc_id FROM sightings WHERE file_id IN {_IDS} AND reading < ?2",
            json.dumps(file_ids),
            before,
        )

    def load_ids(self, doc_ids: Iterable[int]) -> None:
        """Load the records with these doc ids."""
        self.load_selected(f"SELECT id FROM abstracts WHERE id IN {_IDS}", json.dumps(list(doc_ids)))

    def read_live(self, sql: str, *values: str | int) -> Iterator[tuple[Any, ...]]:
        """Yield the rows of a SELECT, whose first column is a doc id, of the records that are not in the draft.

        Raises:
            CorruptError: SQLite can't read a segment.
        """
        for position in range(len(self.connections)):
            if position in self.merged:
                continue
            with self.guard_reading(position):
                cursor = self.connections[position].execute(sql, values)
            while rows := self._fetch_page(position, cursor):
                kept = set(self._leave_out(position, [row[0] for row in rows]))
                yield from (row for row in rows if row[0] in kept)

    def _fetch_page(self, position: int, cursor: sqlite3.Cursor) -> list[tuple[Any, ...]]:
        """Return the next rows of a query of a segment, none at its end.

        Raises:
            CorruptError: SQLite can't read the segment.
        """
        with self.guard_reading(position):
            return cursor.fetchmany(_PAGE)

    @contextlib.contextmanager
    def guard_reading(self, position: int) -> Iterator[None]:
        """Name a segment that SQLite can't read.

        Raises:
            CorruptError: SQLite says so.
        """
        try:
            yield
        except sqlite3.DatabaseError as err:
            raise CorruptError(_describe_damage(self.published.segments[position].path, err)) from err

    def load_selected(self, sql: str, *values: str | int) -> None:
        """Load the records whose doc ids a SELECT returns in its first column, from every segment."""
        for position in range(len(self.connections)):
            if position not in self.merged:
                self._load(position, [row[0] for row in self._read(position, sql, *values)])

    def _read(self, position: int, sql: str, *values: str | int) -> list[tuple[Any, ...]]:
        """Return all rows of a query of a segment.

        Raises:
            CorruptError: SQLite can't read the segment.
        """
        with self.guard_reading(position):
            return self.connections[position].execute(sql, values).fetchall()

    def _load(self, position: int, ids: Sequence[int]) -> None:
        """Load those of the records of a segment that are live and not loaded yet."""
        if new := self._leave_out(position, ids):
            self._copy(position, new)

    def _leave_out(self, position: int, ids: Sequence[int]) -> list[int]:
        """Return those of the ids that are live in a segment and not loaded yet, each once."""
        fresh = [each for each in dict.fromkeys(ids) if each not in self.loaded and each not in self.loaded_parts]
        dead = self.published.segments[position].dead
        if not fresh or not len(dead):
            return fresh
        at = np.searchsorted(dead, fresh).clip(max=len(dead) - 1)
        return [doc_id for doc_id, place in zip(fresh, at.tolist(), strict=True) if dead[place] != doc_id]

    def _copy(self, position: int, ids: Sequence[int], insert: str = "INSERT") -> None:
        """Copy the rows of records from a segment into the draft."""
        tables = self._read_rows(position, ids)
        for table, rows in tables.items():
            if rows:
                places = ", ".join("?" * len(rows[0]))
                self.draft.executemany(f"{insert} INTO main.{table} VALUES ({places})", rows)
        self.loaded.update(dict.fromkeys(ids, position))
        for doc_id in ids:
            self.part_ids.pop(doc_id, None)
        for part, joined in _list_parts(tables):
            self.part_ids.setdefault(joined, []).append(part)
            self.loaded_parts.add(part)

    def _read_rows(self, position: int, ids: Sequence[int]) -> dict[str, list[tuple[object, ...]]]:
        """Return the rows of records of a segment by table, in the order of their keys."""
        chosen = json.dumps(ids)
        return {
            table: self._read(position, f"SELECT * FROM {table} WHERE {owned} ORDER BY 1, 2", chosen)
            for table, owned in _OWNED.items()
        }

    def read_part_ids(self, doc_id: int) -> list[int]:
        """Return the doc ids of the parts of a record as it was published."""
        return self.part_ids.get(doc_id, [])

    def put_back(self, doc_id: int) -> None:
        """Let the draft hold the published rows of a loaded record again."""
        self._copy(self.loaded[doc_id], [doc_id], "REPLACE")

    def release_unchanged(self) -> None:
        """Remove the loaded records that are as they were published from the draft."""
        for position, ids in self._group_loaded().items():
            if position not in self.merged:
                for start in range(0, len(ids), _PAGE):
                    self._release(position, ids[start : start + _PAGE])

    def _release(self, position: int, ids: Sequence[int]) -> None:
        """Remove those of the records of a segment that are as they were published."""
        before = _group_rows(self._read_rows(position, ids))
        chosen = json.dumps(ids)
        now = _group_rows(
            {
                table: self.draft.execute(
                    f"SELECT * FROM main.{table} WHERE {owned} ORDER BY 1, 2", (chosen,)
                ).fetchall()
                for table, owned in _OWNED.items()
            }
        )
        same = [doc_id for doc_id in ids if before.get(doc_id) == now.get(doc_id)]
        released = json.dumps(same)
        for table, owned in _OWNED.items():
            self.draft.execute(f"DELETE FROM main.{table} WHERE {owned}", (released,))
        for doc_id in same:
            del self.loaded[doc_id]
            self.loaded_parts.difference_update(self.part_ids.pop(doc_id, ()))

    def list_dead(self, position: int) -> DocIds:
        """Return the ids of a segment that are dead in the next generation, ascending, parts of records included."""
        new = [doc_id for doc_id, at in self.loaded.items() if at == position]
        new += [part for doc_id in new for part in self.part_ids.get(doc_id, ())]
        return np.union1d(self.published.segments[position].dead, np.array(new, np.int64))

    def list_deaths(self) -> dict[int, Deaths]:
        """Return the dead ids of the segments that stay, by position."""
        loaded = self._group_loaded()
        return {
            at: Deaths(self.list_dead(at), self._list_dying(at, loaded.get(at, [])))
            for at in range(len(self.connections))
            if at not in self.merged
        }

    def _group_loaded(self) -> dict[int, list[int]]:
        """Return the loaded records by the position of their segment."""
        by_segment: dict[int, list[int]] = {}
        for doc_id, position in self.loaded.items():
            by_segment.setdefault(position, []).append(doc_id)
        return by_segment

    def _list_dying(self, position: int, ids: Sequence[int]) -> DocIds:
        """Return those of the loaded ids of a segment that are records, ascending."""
        sql = f"SELECT id FROM abstracts WHERE id IN {_IDS}"
        found = [row[0] for page in _split_pages(ids) for row in self._read(position, sql, page)]
        return np.sort(np.array(found, np.int64))

    def merge(self, positions: Sequence[int]) -> None:
        """Copy all live records of segments into the draft, whose transaction is committed.

        Several segments share a transaction, so that pages of the draft that all of them change are written once.

        Raises:
            CorruptError: SQLite can't read a segment.
            sqlite3.DatabaseError: it can't write the draft.
        """
        for start in range(0, len(positions), _AT_ONCE):
            self.draft.commit()
            some = positions[start : start + _AT_ONCE]
            for position in some:
                with self._name_damage(position):
                    path = self.published.segments[position].path
                    self.draft.execute(f"ATTACH ? AS merged{position}", (format_uri(path),))
            self.draft.execute("BEGIN")
            for position in some:
                with self._name_damage(position):
                    self._merge(position)
            self.draft.commit()
            for position in some:
                self.draft.execute(f"DETACH merged{position}")
            self.draft.execute("BEGIN")
            self.merged.update(some)

    @contextlib.contextmanager
    def _name_damage(self, position: int) -> Iterator[None]:
        """Name the segment that SQLite can't read in the block.

        Raises:
            CorruptError: it can't read the segment.
            sqlite3.DatabaseError: it can't write the draft.
        """
        try:
            yield
        except sqlite3.DatabaseError as err:
            if err.sqlite_errorcode & 0xFF not in _UNREADABLE:  # the draft can't be written
                raise
            raise CorruptError(_describe_damage(self.published.segments[position].path, err)) from err

    def _merge(self, position: int) -> None:
        """Copy the live records of a segment that is attached."""
        merged = f"merged{position}"
        self.draft.execute("CREATE TEMP TABLE IF NOT EXISTS left_out (id INTEGER PRIMARY KEY)")
        self.draft.execute("DELETE FROM temp.left_out")
        left_out = ((doc_id,) for doc_id in self.list_dead(position).tolist())
        self.draft.executemany("INSERT INTO left_out VALUES (?)", left_out)
        kept = "NOT IN (SELECT id FROM temp.left_out)"
        sql = f"{TOTALS.replace('FROM abstracts', f'FROM {merged}.abstracts')} WHERE id {kept}"
        self.n_merged += Totals(*self.draft.execute(sql, (SPACES,)).fetchone())
        ids = self.draft.execute(f"SELECT id FROM {merged}.abstracts WHERE id {kept}").fetchall()
        self.merged_ids.append(np.array(ids, np.int64).reshape(-1))
        for table, key in _LEFT_OUT.items():
            self.draft.execute(f"INSERT INTO main.{table} SELECT * FROM {merged}.{table} WHERE {key} {kept}")

    def count_rest(self) -> Totals:
        """Count the published records that are not in the draft."""
        rest = self.published.totals - self.n_merged
        sql = f"{TOTALS} WHERE id IN (SELECT value FROM json_each(?2))"
        for position, ids in self._group_loaded().items():
            for page in _split_pages(ids):
                rest -= Totals(*self._read(position, sql, SPACES, page)[0])
        return rest


def _open_segments(paths: Sequence[Path]) -> list[sqlite3.Connection]:
    """Open the databases of segments for reading.

    Raises:
        CorruptError: SQLite can't open a file; then none stays open.
    """
    with contextlib.ExitStack() as opened:
        connections = []
        for path in paths:
            connections.append(_open_segment(path))
            opened.callback(connections[-1].close)
        opened.pop_all()
    return connections


def _open_segment(path: Path) -> sqlite3.Connection:
    """Open the database of a segment for reading.

    Raises:
        CorruptError: SQLite can't open the file.
    """
    with contextlib.ExitStack() as opened:
        try:
            connection = sqlite3.connect(format_uri(path), uri=True)
            opened.callback(connection.close)
            connection.execute(f"PRAGMA cache_size = -{_CACHE_KIB}")
        except sqlite3.DatabaseError as err:
            raise CorruptError(_describe_damage(path, err)) from err
        opened.pop_all()
    return connection


def _describe_damage(path: Path, error: sqlite3.DatabaseError) -> str:
    """Return the message about a published database that can't be read."""
    return f"{path} can't be read: {error}. Nothing was published. Run: engine verify --deep"


def _group_rows(tables: dict[str, list[tuple[object, ...]]]) -> dict[int, list[tuple[object, ...]]]:
    """Group the rows of several tables by the record that they belong to."""
    joined = dict(_list_parts(tables))
    groups: dict[int, list[tuple[object, ...]]] = {}
    for table, rows in tables.items():
        for row in rows:
            key = {"contributions": row[1], "parts": row[-1]}.get(table, row[0])
            doc_id = int(str(key))
            owner = joined.get(doc_id, doc_id) if table == "sightings" else doc_id
            groups.setdefault(owner, []).append((table, *row))
    return groups


def _list_parts(tables: dict[str, list[tuple[object, ...]]]) -> list[tuple[int, int]]:
    """Return (part, record) of the rows of the table parts: its first and its last column."""
    return [(int(str(row[0])), int(str(row[-1]))) for row in tables["parts"]]


def _split_pages(ids: Sequence[int]) -> Iterator[str]:
    """Yield the ids in pages, each as a JSON array."""
    for start in range(0, len(ids), _PAGE):
        yield json.dumps(ids[start : start + _PAGE])
