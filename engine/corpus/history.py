"""History of the corpus: its generations, the changes since one of them, and the differences of two."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from sqlite3 import Row

from engine.corpus.storage.store import Corpus
from engine.corpus.storage.values import format_uri
from engine.records.abstract import SOURCE_FIELDS
from engine.records.generation import Counts

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
        for row in corpus.read_rows("SELECT number, created, parent, cause, counts FROM generation ORDER BY number")
    ]


def find_generation_before(corpus: Corpus, date: str) -> int:
    """Return the last generation made before a date (ISO 8601, UTC), 0 if there is none.

    Generations are ordered by number. If the clock ran backwards, it is the one before the first generation made on or
    after the date, so that too many records rather than too few count as new.
    """
    first_after = corpus.read_rows("SELECT min(number) FROM generation WHERE created >= ?", date)[0][0]
    last = corpus.read_rows("SELECT max(number) FROM generation")[0][0]
    return int(last if first_after is None else first_after - 1)


def find_changed(corpus: Corpus, generation: int) -> dict[int, str]:
    """Return doc id -> ADDED, TEXT or METADATA of the records that changed after a generation, by doc id."""
    sql = (
        f"SELECT id, CASE WHEN first_generation > ?1 THEN '{ADDED}' WHEN reworded_generation > ?1 THEN '{TEXT}'"
        f" ELSE '{METADATA}' END FROM abstracts WHERE changed_generation > ?1 ORDER BY id"
    )
    return {row[0]: row[1] for row in corpus.read_rows(sql, generation)}


def find_differences(old: Path, new: Path) -> Iterator[RecordDifference]:
    """Yield the records that differ between two databases: removed ones, then added and changed ones, each by doc id.

    Records are compared by doc id, which is never reused except after a rollback.
    """
    with closing(Corpus(old)) as old_corpus, closing(Corpus(new)) as new_corpus:
        old_generation = old_corpus.read_generation()
        new_corpus.connection.execute("ATTACH ? AS old", (format_uri(old),))
        removed_sql = (
            "SELECT record_id, title FROM old.abstracts WHERE id NOT IN (SELECT id FROM main.abstracts) ORDER BY id"
        )
        yield from (RecordDifference(REMOVED, *row) for row in new_corpus.read_rows(removed_sql))
        for row in new_corpus.read_rows(f"{_build_pair_sql()} ORDER BY n.id", old_generation):
            yield _describe_difference(row)


def _build_pair_sql() -> str:
    """Return SQL for rows that differ: `was` (old id, NULL if new), then new and old value of each column."""
    sides = ", ".join(f"n.{c} AS new_{c}, o.{c} AS old_{c}" for c in SOURCE_FIELDS)
    new, old = (", ".join(f"{table}.{c}" for c in SOURCE_FIELDS) for table in "no")
    return (
        f"SELECT o.id AS was, {sides} FROM main.abstracts n LEFT JOIN old.abstracts o ON o.id = n.id"
        f" WHERE o.id IS NULL OR n.changed_generation > ? OR ({new}) IS NOT ({old})"
    )


def _describe_difference(row: Row) -> RecordDifference:
    """Return the difference that a row of `_build_pair_sql` holds; with equal values, only the sources differ."""
    record_id, title = row["new_record_id"], row["new_title"]
    if row["was"] is None:
        return RecordDifference(ADDED, record_id, title)
    fields = tuple(c for c in SOURCE_FIELDS if row[f"new_{c}"] != row[f"old_{c}"]) or ("sources",)
    return RecordDifference(TEXT if {"title", "abstract"} & set(fields) else METADATA, record_id, title, fields)
