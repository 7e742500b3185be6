"""Division of a built database into the segments of a generation, with rows of records that are dead in some of them."""

import sqlite3
from collections.abc import Collection, Iterable, Sequence
from contextlib import closing
from pathlib import Path
from random import Random

import numpy as np
from sqlite_utils import Database

from engine.corpus.schema import KINDS, _fill_terms
from engine.corpus.selection.arrays import write_arrays
from engine.corpus.storage.store import SegmentDatabase

STALE = {  # of the row of a dead record: what must never be found
    "title": "Stale",
    "abstract": "Stale",
    "journal": "Stale Journal",
    "mesh": '["Stale"]',
    "year": 1066,
    "retracted": 1,
    "urls": '["https://stale.example"]',
    "notes": '["stale"]',
    "truncated": 1,
    "changed_generation": 99,
}
RECORDS = {"abstracts": "id", "contributions": "doc_id", "parts": "joined", "sightings": "doc_id"}


def divide(database: Path, place: Path, n: int, random: Random) -> tuple[list[SegmentDatabase], Path]:
    """Write the records of a database as n segments and a state; some are dead in segments before their own.

    The parts of a record, and what was seen of it, lie in the same segment.
    """
    home, units = {}, list_units(database)
    for unit in units:
        home |= dict.fromkeys(unit, random.randrange(n))
    segments = []
    for number in range(n):
        live = {doc_id for doc_id, where in home.items() if where == number}
        stale = {d for unit in units for d in unit if home[unit[0]] > number and random.random() < 0.5}
        dead = {doc_id for unit in units if stale & set(unit) for doc_id in unit}
        path = place / f"segment{number}.db"
        write_segment(database, path, live, dead, number)
        segments.append(SegmentDatabase(path, np.array(sorted(dead), np.int64)))
    return segments, write_state(database, place / "state.db")


def list_units(database: Path) -> list[list[int]]:
    """List the ids that lie together: a record with its parts, or what is left of a deleted one."""
    with closing(sqlite3.connect(database)) as db:
        joined = dict(db.execute("SELECT id, joined FROM parts"))
        ids = {row[0] for row in db.execute("SELECT id FROM abstracts UNION SELECT doc_id FROM sightings")}
    units: dict[int, list[int]] = {}
    for doc_id in sorted(ids | joined.keys()):
        units.setdefault(joined.get(doc_id, doc_id), []).append(doc_id)
    return list(units.values())


def write_segment(database: Path, path: Path, live: Collection[int], dead: Collection[int], number: int) -> None:
    """Write a segment with the rows of these records, with ids of terms of its own, without state."""
    path.write_bytes(database.read_bytes())
    with closing(sqlite3.connect(path)) as db:
        for table, key in RECORDS.items():
            db.execute(f"DELETE FROM {table} WHERE {key} NOT IN ({list_sql([*live, *dead])})")
        values = ", ".join(f"{column} = ?" for column in STALE)
        for table, key in (("abstracts", "id"), ("parts", "joined")):
            db.execute(f"UPDATE {table} SET {values} WHERE {key} IN ({list_sql(dead)})", tuple(STALE.values()))
        db.execute(f"UPDATE sightings SET n = n + 7, origin = 'Stale' WHERE doc_id IN ({list_sql(dead)})")
        for table in ("members", "terms"):
            db.execute(f"DELETE FROM {table}")
        for kind, column in KINDS.items():
            _fill_terms(Database(db), kind, column)
        db.execute("UPDATE terms SET id = id + ?", (10_000 * (number + 1),))
        db.execute("UPDATE members SET term_id = term_id + ?", (10_000 * (number + 1),))
        db.execute("DROP TABLE IF EXISTS arrays")
        write_arrays(db)
        db.execute(
            "DELETE FROM sources WHERE id NOT IN"
            " (SELECT source_id FROM contributions UNION SELECT spoken FROM contributions)"
        )
        for table in ("rejections", "deletions"):
            db.execute(f"DROP TABLE {table}")
        db.commit()


def write_state(database: Path, path: Path) -> Path:
    """Write a state: only the tables without records."""
    path.write_bytes(database.read_bytes())
    with closing(sqlite3.connect(path)) as db:
        for kind, name in db.execute(
            "SELECT type, name FROM sqlite_schema WHERE type IN ('view', 'trigger')"
        ).fetchall():
            db.execute(f"DROP {kind} {name}")
        for table in ("members", "terms", *reversed(RECORDS)):
            db.execute(f"DROP TABLE {table}")
        db.commit()
    return path


def list_sql(doc_ids: Iterable[int]) -> str:
    """Return ids as SQL."""
    return ", ".join(map(str, sorted(doc_ids)))


def list_dead(segments: Sequence[SegmentDatabase]) -> set[int]:
    """List the ids that are dead in some segment."""
    return {doc_id for segment in segments for doc_id in segment.dead.tolist()}
