"""Records of sources into the draft of the next corpus: added, replaced, merged, deleted, put back."""

from __future__ import annotations

import contextlib
import os
import sqlite3
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from urllib.parse import quote

from engine.corpus.contributions import Contributions, Held
from engine.corpus.deletions import Deletions
from engine.corpus.merge import Origin, is_outdated, merged
from engine.corpus.rows import SOURCE_COLUMNS, Value, Values, as_values, digest
from engine.records import Abstract

# Columns that the engine keeps about a record, beside those of the source.
KEPT_COLUMNS = (
    "text_sha256",
    "n_tokens",
    "truncated",
    "changed_generation",
    "text_generation",
    "reworded_generation",
)
FIND = f"SELECT {', '.join((*KEPT_COLUMNS, *SOURCE_COLUMNS))} FROM abstracts WHERE id = ?"
INSERT = (
    f"INSERT INTO abstracts ({', '.join((*KEPT_COLUMNS, *SOURCE_COLUMNS))}, first_generation)"
    f" VALUES ({', '.join('?' * (len(KEPT_COLUMNS) + len(SOURCE_COLUMNS) + 1))})"
)
UPDATE = f"UPDATE abstracts SET {', '.join(f'{c} = ?' for c in (*KEPT_COLUMNS, *SOURCE_COLUMNS))} WHERE id = ?"
NOWHERE = -1  # the doc id of what was not stored

TextDigest = Callable[[str, str], str]  # title, abstract -> digest of what the encoder reads; "" where it reads nothing


class Change(Enum):
    """How a record differs from what the run found."""

    ADDED = "added"
    TEXT = "text changed"  # its vector must be computed again
    METADATA = "metadata changed"
    NONE = "unchanged"
    OUTDATED = "older than what the index holds, ignored"
    HELD_BACK = "of a PMID that PubMed deleted, left out"
    UNREADABLE = "no readable character in title and abstract"


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one record of a source."""

    doc_id: int  # NOWHERE for what was not stored
    change: Change  # of the whole record, against what the run found
    repeated: bool = False  # this source gave it before in this run
    retracted: bool = False  # it was there and is retracted only now
    absorbed: tuple[int, ...] = ()  # doc ids that turned out to be the same record and are no more
    remark: str | None = None


@dataclass(frozen=True, slots=True)
class Original:
    """A record as the run found it: a digest of its values, and what the engine kept about it."""

    digest: bytes
    text_sha256: str
    kept: tuple[Value, ...]  # values of KEPT_COLUMNS
    retracted: bool


class Intake:
    """The records of a draft as they come in, and how each differs from what the run found."""

    def __init__(
        self, connection: sqlite3.Connection, generation: int, text_digest: TextDigest, published: Path | None
    ) -> None:
        self.connection = connection
        self.generation = generation
        self.text_digest = text_digest
        self.published = published  # the database that the draft began as a copy of
        self.contributions = Contributions(connection)
        self.deletions = Deletions(connection, generation)
        self.changes: dict[int, Change] = {}  # doc id -> against what the run found; of all that the run has met
        self.originals: dict[int, Original] = {}  # of the records that the run has changed
        self.widened: set[int] = set()  # records that have other sources than before
        self.given: set[int] = set()  # contributions that the run has met

    def put(self, abstract: Abstract, origin: Origin) -> Outcome:
        """Bring what a source says of one record into the corpus.

        It replaces what the same source said before, unless that was newer. A record that other sources have too, by
        PMID or DOI, becomes one with theirs. Given twice and ending as it was, it is as unchanged as one never touched.
        """
        if self.deletions.hold(abstract.pmid, origin.release):
            return Outcome(NOWHERE, Change.HELD_BACK)
        others = self.contributions.by_own_id(abstract.record_id)
        held = next((h for h in others if h.format in (origin.format, "")), None)
        values = as_values(abstract)
        said = digest(values)
        if held and held.digest == said:
            self.contributions.touch(held, abstract, origin)
            return self.met(held.doc_id, held.contribution_id)
        if held and is_outdated((abstract.version, abstract.revised, origin.release), held.age):
            return Outcome(NOWHERE, Change.OUTDATED)
        text = self.text_digest(abstract.title, abstract.abstract)
        if not text:
            return Outcome(NOWHERE, Change.UNREADABLE)
        self.deletions.lift(abstract.pmid)
        if others:
            return self.revise(others[0].doc_id, held, abstract, origin, said)
        match = self.contributions.match(abstract, origin)
        if match.doc_id is None:
            kept = self.fresh(text)
            cursor = self.connection.execute(INSERT, (*kept, *values, self.generation))
            return self.added(int(cursor.lastrowid or 0), abstract, origin, said, match.remark)
        return self.revise(match.doc_id, None, abstract, origin, said)

    def met(self, doc_id: int, contribution_id: int) -> Outcome:
        """A source says what it said before."""
        repeated = contribution_id in self.given
        self.given.add(contribution_id)
        return Outcome(doc_id, self.changes.setdefault(doc_id, Change.NONE), repeated)

    def added(self, doc_id: int, abstract: Abstract, origin: Origin, said: bytes, remark: str | None) -> Outcome:
        """Note the only source so far of a record that is new."""
        self.given.add(self.contributions.add(doc_id, abstract, origin, said, alone=True))
        self.changes[doc_id] = Change.ADDED
        return Outcome(doc_id, Change.ADDED, remark=remark)

    def revise(self, doc_id: int, held: Held | None, abstract: Abstract, origin: Origin, said: bytes) -> Outcome:
        """Store what a source says of a record that is there; held is what the same source said before."""
        self.remember(doc_id)
        before = self.contributions.row(doc_id)
        n_others = len(self.contributions.of(doc_id)) - (held is not None)
        if n_others:
            self.contributions.write_out(doc_id)
        if held:
            self.contributions.replace(held, abstract, origin, said, alone=not n_others)
            number = held.contribution_id
        else:
            number = self.contributions.add(doc_id, abstract, origin, said, alone=False)
            self.widened.add(doc_id)
        repeated = number in self.given
        self.given.add(number)
        alone = None if n_others else abstract
        absorbed = self.absorb(doc_id, origin, before, alone)
        change = self.settle(doc_id, None if absorbed else alone)
        original = self.originals.get(doc_id)
        now = self.contributions.row(doc_id)
        fresh = bool(now.retracted and original and not original.retracted)
        return Outcome(doc_id, change, repeated, fresh, absorbed)

    def absorb(self, doc_id: int, origin: Origin, before: Abstract, alone: Abstract | None) -> tuple[int, ...]:
        """Take in a record that turns out to be the same one, now that a PMID or DOI is known that was not before."""
        now = alone or merged(before.record_id, self.contributions.of(doc_id))
        if (now.pmid, now.doi) == (before.pmid, before.doi):
            return ()
        other = self.contributions.match(now, origin, besides=doc_id).doc_id
        if other is None:
            return ()
        self.settle(doc_id, alone)
        self.contributions.write_out(doc_id)
        self.contributions.move(other, doc_id)
        self.widened.add(doc_id)
        self.discard(other)
        return (other,)

    def settle(self, doc_id: int, alone: Abstract | None = None) -> Change:
        """Write the row of a record from what its sources say now (alone: the only one of them); return its change."""
        record_id = self.contributions.row(doc_id).record_id
        record = alone or merged(record_id, self.contributions.of(doc_id))
        values = (record_id, *as_values(record)[1:])
        text = self.text_digest(record.title, record.abstract)
        if doc_id not in self.originals:
            kept = self.fresh(text)
            change = Change.ADDED
        else:
            original = self.originals[doc_id]
            change = difference(original, values, text, widened=doc_id in self.widened)
            kept = self.kept(original, change, text)
        self.connection.execute(UPDATE, (*kept, *values, doc_id))
        self.changes[doc_id] = change
        return change

    def remember(self, doc_id: int) -> None:
        """Keep what the run found of a record, before the first change; nothing for one that the run added."""
        if doc_id in self.originals or self.changes.get(doc_id) is Change.ADDED:
            return
        row = self.connection.execute(FIND, (doc_id,)).fetchone()
        kept, found = row[: len(KEPT_COLUMNS)], row[len(KEPT_COLUMNS) :]
        retracted = bool(found[SOURCE_COLUMNS.index("retracted")])
        self.originals[doc_id] = Original(digest(found), kept[0], kept, retracted)

    def fresh(self, text: str) -> tuple[Value, ...]:
        """Values of KEPT_COLUMNS of a record whose text, of this digest, is to be encoded."""
        return text, None, None, self.generation, self.generation, self.generation

    def kept(self, original: Original, change: Change, text: str) -> tuple[Value, ...]:
        """Values of KEPT_COLUMNS after a change: those of the text go back with the text."""
        if change is Change.TEXT:
            return self.fresh(text)
        if change is Change.NONE:
            return original.kept
        return (*original.kept[:3], self.generation, *original.kept[4:])

    def delete(self, record_id: str, release: int = 0) -> list[int]:
        """Remove what a deletion of PubMed means: the record of this id, and any with this PMID under an id of its own.

        What PubMed issued again in a later release stays. Returns the doc ids removed.
        """
        pmid = record_id.removeprefix("PMID:")
        self.deletions.note(pmid, release)
        sql = (
            "SELECT id, coalesce((SELECT max(release) FROM contributions WHERE doc_id = abstracts.id), 0)"
            " FROM abstracts WHERE record_id = ? OR pmid = ?"
        )
        rows = self.connection.execute(sql, (record_id, pmid)).fetchall()
        gone = [int(doc_id) for doc_id, issued in rows if not (release and issued > release)]
        for doc_id in gone:
            self.discard(doc_id)
        return gone

    def discard(self, doc_id: int) -> None:
        """Remove a row and what its sources said."""
        self.connection.execute("DELETE FROM abstracts WHERE id = ?", (doc_id,))
        self.connection.execute("DELETE FROM contributions WHERE doc_id = ?", (doc_id,))

    def drop_unseen(self, run_from: int) -> list[tuple[int, bool]]:
        """Forget what the files of this run no longer say; returns (doc id, whether the record is gone).

        run_from is the first sources.id of this run. A record that another source still has stays.
        """
        touched = []
        for number, doc_id in self.contributions.unseen(run_from):
            self.remember(doc_id)
            if len(self.contributions.of(doc_id)) > 1:
                self.contributions.write_out(doc_id)
                self.connection.execute("DELETE FROM contributions WHERE id = ?", (number,))
                self.widened.add(doc_id)  # its sources are others than before
                self.settle(doc_id)
                touched.append((doc_id, False))
            else:
                self.discard(doc_id)
                touched.append((doc_id, True))
        return touched

    def restore(self, doc_id: int) -> bool:
        """Put a changed record back as it was published; False when it was not there, or is not known to be."""
        if doc_id not in self.originals or self.published is None:
            return False
        uri = f"file:{quote(os.fsencode(self.published.resolve()))}?mode=ro&immutable=1"
        with contextlib.closing(sqlite3.connect(uri, uri=True)) as published:
            self.put_back(published, "abstracts", "id", doc_id)
            tables = published.execute("SELECT name FROM sqlite_master WHERE name = 'contributions'").fetchall()
            self.connection.execute("DELETE FROM contributions WHERE doc_id = ?", (doc_id,))
            if tables:
                self.put_back(published, "contributions", "doc_id", doc_id)
            else:
                self.contributions.add(doc_id, self.contributions.row(doc_id), Origin("", 0), b"", alone=True)
        del self.originals[doc_id]
        self.changes[doc_id] = Change.NONE
        return True

    def put_back(self, published: sqlite3.Connection, table: str, key: str, doc_id: int) -> None:
        """Copy the rows of one record from the published database."""
        cursor = published.execute(f"SELECT * FROM {table} WHERE {key} = ?", (doc_id,))
        columns = [column[0] for column in cursor.description]
        places = ", ".join("?" * len(columns))
        self.connection.executemany(f"REPLACE INTO {table} ({', '.join(columns)}) VALUES ({places})", cursor)


def difference(original: Original, values: Values, text_sha256: str, *, widened: bool) -> Change:
    """How new values differ from the original record; another source of the same values is metadata."""
    if original.text_sha256 != text_sha256:
        return Change.TEXT
    return Change.NONE if original.digest == digest(values) and not widened else Change.METADATA
