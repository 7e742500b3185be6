"""Drafts whose text digest is "title|abstract", so that expected digests are readable."""

import json
import sqlite3
from contextlib import closing
from pathlib import Path
from types import TracebackType

import numpy as np

from engine.corpus.draft import Draft, DraftFiles
from engine.corpus.merging.base import Published
from engine.corpus.merging.intake import Outcome
from engine.corpus.merging.ledger import Change
from engine.corpus.merging.merge import Origin
from engine.corpus.storage.store import SPACES, TOTALS, SegmentDatabase
from engine.records.generation import Totals

NOTE_SOURCES = """
    INSERT OR IGNORE INTO sources (id, generation, name, path, n_bytes, sha256, format, release, file_id, n_records)
    SELECT id, ?, 'file' || id, '/files/file' || id, 0, '', 'JSONL', 0, id, 0
    FROM (SELECT source_id AS id FROM contributions UNION SELECT spoken FROM contributions)
"""


def digest(title: str, abstract: str) -> str:
    return f"{title}|{abstract}" if (title + abstract).strip() else ""


class DraftOfAnySource(Draft):
    """A draft that accepts records of sources not yet noted, and notes and completes them at the end."""

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            self.connection.execute(NOTE_SOURCES, (self.generation,))
            self.finish()
        super().__exit__(kind, error, trace)
        if kind is None:
            embed_state(self.files)


class WholeDraft(DraftOfAnySource):
    """A draft that holds every record from the start."""

    def begin(self) -> None:
        super().begin()
        if self.base:
            self.base.load_selected("SELECT id FROM abstracts UNION SELECT doc_id FROM sightings")


def opened(path: Path, generation: int) -> Draft:
    """Open a draft that goes on from the one that was at this path, if there was one."""
    published = None
    if path.exists():
        old = path.rename(path.with_name(f"{path.name}.{generation}"))
        published = publish([SegmentDatabase(old, np.empty(0, np.int64))], old)
    return WholeDraft(DraftFiles(path, state_of(path)), generation, created(generation), digest, published)


def embed_state(files: DraftFiles) -> None:
    """Put the whole state into the database of the records, so that one file holds everything."""
    with closing(sqlite3.connect(files.database)) as db:
        db.execute("ATTACH ? AS state", (str(files.state),))
        for table in ("generation", "sources", "rejections", "deletions"):
            (sql,) = db.execute("SELECT sql FROM state.sqlite_master WHERE name = ?", (table,)).fetchone()
            db.execute(f"DROP TABLE IF EXISTS main.{table}")
            db.execute(sql)
            db.execute(f"INSERT INTO main.{table} SELECT * FROM state.{table}")
        db.commit()
    files.state.unlink()


def created(generation: int) -> str:
    return f"2026-01-{generation:02d}T00:00:00+00:00"


def state_of(path: Path) -> Path:
    """The file of the state beside that of the records."""
    return path.with_name(f"{path.name}.state")


def publish(segments: list[SegmentDatabase], state: Path, last: tuple[int, int] = (0, 0)) -> Published:
    """Describe segments as published, from their content; last: the highest doc id and key of a contribution."""
    totals, ids, keys = Totals(0, 0, 0, 0, 0), [last[0]], [last[1]]
    for segment in segments:
        with closing(sqlite3.connect(segment.path)) as connection:
            dead = json.dumps(segment.dead.tolist())
            kept = "WHERE id NOT IN (SELECT value FROM json_each(?2))"
            totals += Totals(*connection.execute(f"{TOTALS} {kept}", (SPACES, dead)).fetchone())
            ids += [seq for (seq,) in connection.execute("SELECT seq FROM sqlite_sequence")]
            keys += [key for (key,) in connection.execute("SELECT max(id) FROM contributions") if key]
    return Published(tuple(segments), state, totals, max(ids), max(keys))


def origin(source_id: int, kind: str = "JSONL", release: int = 0) -> Origin:
    return Origin(kind, source_id, release)


def stored(outcome: Outcome) -> tuple[int, Change]:
    return outcome.doc_id, outcome.change
