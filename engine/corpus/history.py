"""History of the corpus: its generations, the changes since one of them, and the differences of two."""

from __future__ import annotations

import json
import math
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from sqlite3 import Row

import numpy as np

from engine.corpus.storage.connections import SharedDatabase
from engine.corpus.storage.store import Corpus
from engine.deadline import CURRENT
from engine.errors import CorruptError
from engine.records.abstract import SOURCE_FIELDS
from engine.records.generation import Counts, DocIds

_PAGE = 1000  # records compared at once

GenerationKey = tuple[int, str]  # number and date: a number alone may be used again after a rollback

ADDED, TEXT, METADATA, REMOVED = "added", "text changed", "metadata changed", "removed"


@dataclass(frozen=True, slots=True)
class Event:
    """A generation and how it was made."""

    generation: int
    created: str  # UTC, ISO 8601
    parent: int | None
    cause: str  # the command that made it
    counts: Counts
    files: tuple[str, ...]  # read for it, in order


@dataclass(frozen=True, slots=True)
class RecordDifference:
    """A record that differs between two generations."""

    change: str  # ADDED, REMOVED, TEXT or METADATA
    record_id: str
    title: str
    fields: tuple[str, ...] = ()  # columns that differ


def read_events(corpus: Corpus) -> list[Event]:
    """Return the generations that led to this one, oldest first, without those that were rolled back."""
    files: dict[int, list[str]] = {}
    for file in corpus.read_sources():
        files.setdefault(file.generation, []).append(file.name)
    return [
        Event(
            generation=row["number"],
            created=row["created"],
            parent=row["parent"],
            cause=row["cause"],
            counts=Counts(**json.loads(row["counts"])),
            files=tuple(files.get(row["number"], ())),
        )
        for row in corpus.read_state("SELECT number, created, parent, cause, counts FROM generation ORDER BY number")
    ]


def read_lineage(state: Path) -> frozenset[GenerationKey]:
    """Return number and date of a generation and of those that led to it, from its state.db.

    Raises:
        CorruptError: SQLite can't read the file.
    """
    database = SharedDatabase(state)
    try:
        with database.borrow(CURRENT.get(), math.inf) as connection:
            rows = connection.execute("SELECT number, created FROM generation").fetchall()
    except sqlite3.Error as err:
        raise CorruptError(f"{state}: {err}. Run: engine verify --deep") from err
    finally:
        database.close()
    return frozenset((int(number), str(created)) for number, created in rows)


def find_generation_before(corpus: Corpus, date: str) -> int:
    """Return the last generation made before a date (ISO 8601, UTC), 0 if there is none.

    Generations are ordered by number. If the clock ran backwards, it is the one before the first generation made on or
    after the date, so that too many records rather than too few count as new.
    """
    first_after = corpus.read_state("SELECT min(number) FROM generation WHERE created >= ?", date)[0][0]
    last = corpus.read_state("SELECT max(number) FROM generation")[0][0]
    return int(last if first_after is None else first_after - 1)


def find_changed(corpus: Corpus, generation: int) -> dict[int, str]:
    """Return doc id -> ADDED, TEXT or METADATA of the records that changed after a generation, by doc id."""
    sql = (  # the plus makes SQLite look up the index of changed_generation instead of reading all rows in order
        f"SELECT id, CASE WHEN first_generation > ?1 THEN '{ADDED}' WHEN reworded_generation > ?1 THEN '{TEXT}'"
        f" ELSE '{METADATA}' END FROM abstracts WHERE changed_generation > ?1 ORDER BY +id"
    )
    return dict(sorted((row[0], row[1]) for row in corpus.read_live(sql, generation)))


def find_differences(old: Corpus, new: Corpus) -> Iterator[RecordDifference]:
    """Yield the records that differ between two corpora: removed ones, then added and changed ones, each by doc id.

    Records are compared by doc id, which is never reused except after a rollback. Segments that both have, with the
    same dead records, are not read. Of those with other dead records, only these are.
    """
    old_generation = old.read_generation()
    gone, come = old.list_ids_beside(new), new.list_ids_beside(old)
    for page in _split_pages(np.setdiff1d(gone, come, assume_unique=True)):
        yield from (RecordDifference(REMOVED, *tuple(row)[1:]) for row in old.read_by_ids("record_id, title", page))
    columns = f"changed_generation, {', '.join(SOURCE_FIELDS)}"
    for page in _split_pages(come):
        before = {row["id"]: row for row in old.read_by_ids(columns, page)}
        for row in new.read_by_ids(columns, page):
            yield from _compare_rows(before.get(row["id"]), row, old_generation)


def _split_pages(doc_ids: DocIds) -> Iterator[list[int]]:
    """Yield ids in their order, a page at a time."""
    for start in range(0, len(doc_ids), _PAGE):
        yield doc_ids[start : start + _PAGE].tolist()


def _compare_rows(before: Row | None, row: Row, generation: int) -> Iterator[RecordDifference]:
    """Yield how a row differs from what it was in a generation; with equal values, only the sources may differ."""
    record_id, title = row["record_id"], row["title"]
    if before is None:
        yield RecordDifference(ADDED, record_id, title)
        return
    fields = tuple(c for c in SOURCE_FIELDS if row[c] != before[c])
    if fields or row["changed_generation"] > generation:
        change = TEXT if {"title", "abstract"} & set(fields) else METADATA
        yield RecordDifference(change, record_id, title, fields or ("sources",))
