"""Sightings: which file gives which record, and what became of each record that a run reads from a file."""

from __future__ import annotations

import json
import math
import sqlite3
from collections import Counter
from collections.abc import Collection
from enum import Enum

from engine.corpus.merging.base import Base
from engine.corpus.merging.merge import MergeRule
from engine.records.generation import FileCounts

PUBMED_FILES = 0  # the file_id of all numbered files of PubMed, which together are one source
# The last reading of a file that still gives a contribution (?2) to a record (?1), besides two files (?4, ?5). A file
# gives it if it gave the record since the contribution came up (?3), and has no contribution of its own.
GIVER = """
    SELECT s.reading FROM sightings s
    WHERE s.doc_id = ?1 AND s.file_id NOT IN (?4, ?5) AND s.reading >= ?3 AND s.file_id NOT IN (
        SELECT r.file_id FROM contributions c JOIN sources r ON r.id IN (c.source_id, c.spoken)
        WHERE c.doc_id = ?1 AND c.id != ?2
    )
    ORDER BY s.reading LIMIT 1
"""
_NOTE = "INSERT INTO sightings (doc_id, file_id, reading, outcome, rule, n, origin) VALUES (?, ?, ?, ?, ?, 1, ?)"


class Fate(Enum):
    """What became of one record of a file: the name of its count in FileCounts, and of its column in sources."""

    REJECTED = "rejected"
    REPEATED = "repeated"
    MERGED = "merged"
    UNCHANGED = "unchanged"
    ADDED = "added"
    TEXT = "text_changed"
    METADATA = "metadata_changed"
    OUTDATED = "outdated"
    WITHDRAWN = "withdrawn"


_CHANGED = (Fate.TEXT, Fate.METADATA)


class Sightings:
    """The table sightings of a draft, and the counts of each file that this run reads.

    A reading is one of the file whose last reading has its path or content; all numbered files of PubMed count as one.
    """

    def __init__(self, connection: sqlite3.Connection, base: Base | None) -> None:
        self.connection = connection
        self.base = base
        self.counts: dict[int, Counter[Fate]] = {}  # sources.id of a file read in this run -> its counts
        self.file_ids: dict[int, int] = {}
        self.changed: set[int] = set()  # records that a file of this run gave before and now changed
        self.first_added: float = math.inf  # of a run that published before: the first doc id that it gave

    def find_file(self, source_id: int) -> int:
        """Return the id of the file that a row of sources is a reading of."""
        if source_id not in self.file_ids:
            sql = "SELECT file_id FROM sources WHERE id = ?"
            row = self.connection.execute(sql, (source_id,)).fetchone()
            self.file_ids[source_id] = row[0] if row else source_id
        return self.file_ids[source_id]

    def resume_run(self, first_source: int, first_doc: int) -> dict[int, int]:
        """Continue a run that published before: its files count as read in this run. Return the deletions of each.

        first_source: sources.id of its first file. first_doc: the first doc id that it gave.
        """
        self.first_added = first_doc
        columns = ", ".join(fate.value for fate in Fate)
        rows = self.connection.execute(f"SELECT id, deletions, {columns} FROM sources WHERE id >= ?", (first_source,))
        deletions = {}
        for source_id, n_deletions, *counts in rows.fetchall():
            self.counts[source_id] = Counter(dict(zip(Fate, counts, strict=True)))
            deletions[source_id] = n_deletions
        return deletions

    def tally(self, source_id: int, fate: Fate, n: int = 1) -> None:
        """Count n records of a file."""
        self.counts.setdefault(source_id, Counter())[fate] += n

    def note(self, source_id: int, doc_id: int, fate: Fate, rule: MergeRule | None, origin: str) -> Fate:
        """Note that a file gave a record, count it and return what became of it.

        fate: ADDED if the record is new; otherwise what it changed, which counts only if the file gave it before.
        rule: by what it was recognised; None if it is new. origin: the database that the record names, "" if none.
        """
        file_id = self.find_file(source_id)
        sql = "SELECT reading, outcome FROM sightings WHERE doc_id = ? AND file_id = ?"
        row = self.connection.execute(sql, (doc_id, file_id)).fetchone()
        if row is None:
            fate = fate if rule is None else Fate.MERGED
            values = (doc_id, file_id, source_id, fate.value, rule.value if rule else None, origin or None)
            self.connection.execute(_NOTE, values)
        elif row[0] == source_id:
            if fate in _CHANGED and row[1] == Fate.UNCHANGED.value:  # the last of several records of a file counts
                self._move_count(source_id, Fate.UNCHANGED, fate)
                self.changed.add(doc_id)
                self._update(doc_id, file_id, "outcome = ?", fate.value)
            self._update(doc_id, file_id, "n = n + 1")
            fate = Fate.REPEATED
        else:
            self._update(doc_id, file_id, "reading = ?, outcome = ?, n = 1", source_id, fate.value)
            if fate in _CHANGED:
                self.changed.add(doc_id)
        self.tally(source_id, fate)
        return fate

    def _update(self, doc_id: int, file_id: int, assignments: str, *values: int | str | None) -> None:
        """Change one row."""
        sql = f"UPDATE sightings SET {assignments} WHERE doc_id = ? AND file_id = ?"
        self.connection.execute(sql, (*values, doc_id, file_id))

    def _move_count(self, source_id: int, before: Fate, after: Fate, n: int = 1) -> None:
        """Count n records of a file read in this run in another way."""
        counts = self.counts[source_id]
        counts[before] -= n
        counts[after] += n

    def _read(self, doc_id: int) -> list[tuple[int, int, Fate, int]]:
        """Return (file id, reading, outcome, number of records) of the sightings of a record."""
        sql = "SELECT file_id, reading, outcome, n FROM sightings WHERE doc_id = ?"
        rows = self.connection.execute(sql, (doc_id,)).fetchall()
        return [(file_id, reading, Fate(outcome), n) for file_id, reading, outcome, n in rows]

    def is_repeated(self, doc_id: int, source_id: int) -> bool:
        """Return whether a file gave a record more than once when it was last read."""
        sql = "SELECT n FROM sightings WHERE doc_id = ? AND file_id = ?"
        row = self.connection.execute(sql, (doc_id, self.find_file(source_id))).fetchone()
        return bool(row and row[0] > 1)

    def move(self, doc_id: int, to: int, rule: MergeRule) -> None:
        """Move the sightings of one record to the record `to`, with which this rule merged it."""
        self.changed.update([to] if doc_id in self.changed else [])
        present = {file_id: (reading, n) for file_id, reading, _, n in self._read(to)}
        for file_id, reading, outcome, n in self._read(doc_id):
            is_read_now = reading in self.counts
            if present.get(file_id, (0, 0))[0] == reading:  # the file gives both, so it gives one record twice
                if is_read_now:
                    self._move_count(reading, outcome, Fate.REPEATED)
                self._update(to, file_id, "n = n + ?", n)
                continue
            if is_read_now and outcome is Fate.ADDED:
                self._move_count(reading, outcome, Fate.MERGED)
                outcome = Fate.MERGED
            if file_id in present:  # in an earlier or later reading: the later one counts
                if reading > present[file_id][0]:
                    self._update(to, file_id, "reading = ?, outcome = ?, n = ?", reading, outcome.value, n)
                continue
            self._update(doc_id, file_id, "outcome = ?", outcome.value)
            self._update(doc_id, file_id, "doc_id = ?, rule = coalesce(rule, ?)", to, rule.value)
        self.connection.execute("DELETE FROM sightings WHERE doc_id = ?", (doc_id,))

    def find_giver(self, doc_id: int, contribution_id: int, since: int, besides: tuple[int, int]) -> int | None:
        """Return the last reading of another file that still gives a contribution; None if there is no such file.

        since: the first reading that may have given it. besides: readings of the files that no longer give it.
        """
        one, other = map(self.find_file, besides)
        row = self.connection.execute(GIVER, (doc_id, contribution_id, since, one, other)).fetchone()
        return row[0] if row else None

    def forget(self, doc_id: int, source_id: int) -> None:
        """Forget that a file gave a record in an earlier reading: it now gives another one in its place."""
        values = (doc_id, self.find_file(source_id), source_id)
        sql = "DELETE FROM sightings WHERE doc_id = ? AND file_id = ? AND reading != ?"
        if self.connection.execute(sql, values).rowcount:
            self._choose_first(doc_id)

    def drop(self, doc_id: int, fate: Fate) -> None:
        """Forget a record; those of its records that this run added or changed count as `fate` instead."""
        for _, reading, outcome, n in self._read(doc_id):
            if reading in self.counts and outcome is not Fate.UNCHANGED:
                self._move_count(reading, outcome, fate)
                self._move_count(reading, Fate.REPEATED, fate, n - 1)
        self.connection.execute("DELETE FROM sightings WHERE doc_id = ?", (doc_id,))

    def mark_withdrawn(self, doc_id: int) -> None:
        """Count the records of a deleted citation that this run read as withdrawn; those read before stay noted."""
        for file_id, reading, outcome, n in self._read(doc_id):
            if reading in self.counts:
                self._move_count(reading, outcome, Fate.WITHDRAWN)
                self._move_count(reading, Fate.REPEATED, Fate.WITHDRAWN, n - 1)
                sql = "DELETE FROM sightings WHERE doc_id = ? AND file_id = ?"
                self.connection.execute(sql, (doc_id, file_id))

    def drop_unseen(self, run_from: int, doubtful: Collection[int]) -> list[int]:
        """Forget which records a file gave before but not when it was read again in this run; return their doc ids.

        run_from is the first sources.id of this run; `doubtful` are its files that could not be read completely.
        """
        again = (
            "SELECT file_id FROM sources WHERE id >= ?1 AND file_id != ?3"
            " EXCEPT SELECT file_id FROM sources WHERE id IN (SELECT value FROM json_each(?2))"
        )
        found = self.connection.execute(again, (run_from, json.dumps(list(doubtful)), PUBMED_FILES)).fetchall()
        file_ids = [file_id for (file_id,) in found]
        if self.base:
            self.base.load_sighted(file_ids, run_from)
        which = "reading < ?1 AND file_id IN (SELECT value FROM json_each(?2))"
        values = (run_from, json.dumps(file_ids))
        sql = f"SELECT DISTINCT doc_id FROM sightings WHERE {which} ORDER BY doc_id"
        touched = [doc_id for (doc_id,) in self.connection.execute(sql, values).fetchall()]
        self.connection.execute(f"DELETE FROM sightings WHERE {which}", values)
        for doc_id in touched:
            self._choose_first(doc_id)
        return touched

    def _choose_first(self, doc_id: int) -> None:
        """Let the first remaining file of a record count as the one that it came from, if no other does."""
        self.connection.execute(
            "UPDATE sightings SET rule = NULL WHERE doc_id = ?1"
            " AND file_id = (SELECT min(file_id) FROM sightings WHERE doc_id = ?1)"
            " AND NOT EXISTS (SELECT 1 FROM sightings WHERE doc_id = ?1 AND rule IS NULL)",
            (doc_id,),
        )

    def settle(self, doc_id: int, change: Fate) -> None:
        """Count the records that changed a record as it was changed by the run as a whole.

        A file that gives a work twice changes it first and then changes it back.
        """
        for file_id, reading, outcome, _ in self._read(doc_id):
            if reading in self.counts and outcome in _CHANGED:
                self._move_count(reading, outcome, change)
                self._update(doc_id, file_id, "outcome = ?", change.value)

    def count_file(self, source_id: int, n_deletions: int) -> FileCounts:
        """Return the counts of a file of this run."""
        counts = {fate.value: self.counts[source_id][fate] for fate in Fate}
        return FileCounts(sum(counts.values()), **counts, deletions=n_deletions)
