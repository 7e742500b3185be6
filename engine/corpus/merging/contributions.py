"""What each source says of each record, and which record a source's record is: the SQL beside ``merge``."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Collection
from dataclasses import dataclass, replace

from engine.corpus.merging.merge import Contribution, Origin, is_same_work
from engine.corpus.storage.rows import SOURCE_COLUMNS, dump_abstract, load_abstract, parse_row
from engine.records.abstract import Abstract

COLUMNS = "id, doc_id, own_id, format, source_id, spoken, version, revised, release, digest"
_SAID = "format, source_id, spoken, version, revised, release, digest, record"
_PLACES = ", ".join("?" * (_SAID.count(",") + 1))
_INSERT = f"INSERT INTO contributions (doc_id, own_id, {_SAID}) VALUES (?, ?, {_PLACES})"
_UPDATE = f"UPDATE contributions SET ({_SAID}) = ({_PLACES}) WHERE id = ?"
_MANY = 25  # records of one DOI; where there are more it is a congress, and no DOI tells its abstracts apart
_KEPT_APART = "same DOI as another record, but another title: kept apart (engine duplicates lists them)"
_TWO_PMIDS = "same DOI as another record, but another PMID: kept apart"


@dataclass(frozen=True, slots=True)
class Held:
    """A row of the table contributions, without what it says."""

    contribution_id: int
    doc_id: int
    own_id: str
    format: str
    source_id: int  # that said it last
    spoken: int  # that said it first
    version: int
    revised: str
    release: int
    digest: bytes

    @property
    def age(self) -> tuple[int, str, int]:
        """What merge.is_outdated compares."""
        return self.version, self.revised, self.release


@dataclass(frozen=True, slots=True)
class Match:
    """The record that a source's record belongs to."""

    doc_id: int | None  # None: to none that is there
    remark: str | None = None  # why it was kept apart from one with the same DOI


class Contributions:
    """The contributions in the database of a draft."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self.connection = connection

    def find_by_own_id(self, own_id: str) -> list[Held]:
        """All contributions under this id, oldest first; all are of one record."""
        rows = self.connection.execute(f"SELECT {COLUMNS} FROM contributions WHERE own_id = ? ORDER BY id", (own_id,))
        return [Held(*row) for row in rows.fetchall()]

    def read_claims(self, doc_id: int) -> list[Contribution]:
        """What the sources of a record say, oldest source first."""
        columns = "id, format, own_id, record, version, revised, spoken"
        sql = f"SELECT {columns} FROM contributions WHERE doc_id = ? ORDER BY id"
        rows = self.connection.execute(sql, (doc_id,)).fetchall()
        return [
            Contribution(number, kind, self.parse_claim(said, doc_id, own_id), *age)
            for number, kind, own_id, said, *age in rows
        ]

    def get_claim(self, held: Held) -> Abstract:
        """What one source says."""
        sql = "SELECT record FROM contributions WHERE id = ?"
        (said,) = self.connection.execute(sql, (held.contribution_id,)).fetchone()
        return self.parse_claim(said, held.doc_id, held.own_id)

    def parse_claim(self, said: str | None, doc_id: int, own_id: str) -> Abstract:
        """What a source says, from its JSON or from the row that says the same."""
        return load_abstract(said) if said else replace(self.read_record_row(doc_id), record_id=own_id)

    def record_id(self, doc_id: int) -> str:
        """The name of a record."""
        return str(self.connection.execute("SELECT record_id FROM abstracts WHERE id = ?", (doc_id,)).fetchone()[0])

    def find_by_pmid(self, record_id: str, pmid: str) -> list[tuple[int, int]]:
        """(doc id, newest release) of the records of this id or PMID."""
        sql = (
            "SELECT id, coalesce((SELECT max(release) FROM contributions WHERE doc_id = abstracts.id), 0)"
            " FROM abstracts WHERE record_id = ? OR pmid = ?"
        )
        return self.connection.execute(sql, (record_id, pmid)).fetchall()

    def read_record_row(self, doc_id: int) -> Abstract:
        """The record as the table abstracts has it."""
        sql = f"SELECT {', '.join(SOURCE_COLUMNS)} FROM abstracts WHERE id = ?"
        values = self.connection.execute(sql, (doc_id,)).fetchone()
        return parse_row(dict(zip(SOURCE_COLUMNS, values, strict=True)))

    def write_out(self, doc_id: int) -> None:
        """Store apart what the only source of a record says, before a second one changes the row in abstracts."""
        for contribution in self.read_claims(doc_id):
            self.connection.execute(
                "UPDATE contributions SET record = ? WHERE id = ? AND record IS NULL",
                (dump_abstract(contribution.abstract), contribution.contribution_id),
            )

    def add(self, doc_id: int, abstract: Abstract, origin: Origin, digest: bytes, *, alone: bool) -> int:
        """Store what a source says for the first time; returns the key. alone: no other source has the record."""
        cursor = self.connection.execute(
            _INSERT,
            (doc_id, abstract.record_id, *_build_claim_values(abstract, origin, digest, alone=alone)),
        )
        return int(cursor.lastrowid or 0)

    def replace(self, held: Held, abstract: Abstract, origin: Origin, digest: bytes, *, alone: bool) -> None:
        """Store what a source says now in place of what it said before."""
        self.connection.execute(
            _UPDATE,
            (*_build_claim_values(abstract, origin, digest, alone=alone), held.contribution_id),
        )

    def remove(self, contribution_id: int) -> None:
        """Forget what one source says."""
        self.connection.execute("DELETE FROM contributions WHERE id = ?", (contribution_id,))

    def touch(self, held: Held, abstract: Abstract, origin: Origin) -> bool:
        """Note that a source said the same again; a date or release only ever grows. True when version or date did."""
        later = (max(abstract.version, held.version), max(abstract.revised, held.revised))
        release = max(origin.release, held.release)
        if (origin.source_id, *later, release) != (held.source_id, *held.age):
            self.connection.execute(
                "UPDATE contributions SET source_id = ?, version = ?, revised = ?, release = ? WHERE id = ?",
                (origin.source_id, *later, release, held.contribution_id),
            )
        return later != (held.version, held.revised)

    def match(self, abstract: Abstract, origin: Origin, besides: int = 0) -> Match:
        """Find the record with the same PMID, or with the same DOI where nothing speaks against it.

        Two records of one file are two records whatever they share: their source tells them apart. `besides` is a
        record that is not looked at.
        """
        remark = None
        for where, value in (("pmid = ?", abstract.pmid), ("doi = ? COLLATE NOCASE", abstract.doi)):
            if not value:
                continue
            sql = f"SELECT id FROM abstracts WHERE {where} AND id != ? ORDER BY id LIMIT {_MANY + 1}"
            found_ids = self.connection.execute(sql, (value, besides)).fetchall()
            if len(found_ids) > _MANY:
                return Match(None, _KEPT_APART)
            for (doc_id,) in found_ids:
                if self.was_given_by(doc_id, origin.source_id):
                    continue
                found = self.read_record_row(doc_id)
                if where.startswith("pmid"):
                    return Match(doc_id)
                if abstract.pmid and found.pmid and abstract.pmid != found.pmid:
                    remark = remark or _TWO_PMIDS
                elif not is_same_work(abstract, found):
                    remark = remark or _KEPT_APART
                else:
                    return Match(doc_id)
        return Match(None, remark)

    def was_given_by(self, doc_id: int, source_id: int) -> bool:
        """Whether a file, as it is now or as it was when it was read before, gave this record."""
        sql = "SELECT source_id FROM contributions WHERE doc_id = ?"
        found = self.connection.execute(sql, (doc_id,)).fetchall()
        return any(self.is_same_file(other, source_id) for (other,) in found)

    def is_same_file(self, one: int, other: int) -> bool:
        """Whether two rows of sources are one file, by where it lies."""
        if one == other:
            return True
        sql = "SELECT count(*) > 1 AND min(path) = max(path) FROM sources WHERE id IN (?, ?)"
        return bool(self.connection.execute(sql, (one, other)).fetchone()[0])

    def hand_back(self, held: Held) -> None:
        """Let what two files said be the word of the first of them alone."""
        self.connection.execute("UPDATE contributions SET source_id = spoken WHERE id = ?", (held.contribution_id,))

    def move(self, doc_id: int, to: int) -> None:
        """Give all contributions of one record to another."""
        self.write_out(doc_id)
        self.connection.execute("UPDATE contributions SET doc_id = ? WHERE doc_id = ?", (to, doc_id))

    def list_unseen(self, run_from: int, doubtful: Collection[int]) -> list[tuple[int, int]]:
        """(key, doc id) of what a file said before and says no longer, now that it was read again.

        A file is known by where it lies. run_from is the first sources.id of this run; files among the doubtful count
        as not read.
        """
        again = "SELECT path FROM sources WHERE id >= ?1 AND id NOT IN (SELECT value FROM json_each(?2))"
        return self.connection.execute(
            "SELECT c.id, c.doc_id FROM contributions c JOIN sources s ON s.id = c.source_id WHERE c.source_id < ?1"
            f" AND s.path IN ({again}) ORDER BY c.id",
            (run_from, json.dumps(list(doubtful))),
        ).fetchall()


def _build_claim_values(
    abstract: Abstract, origin: Origin, digest: bytes, *, alone: bool
) -> tuple[str | int | bytes | None, ...]:
    """Values of the columns SAID."""
    return (
        origin.format,
        origin.source_id,
        origin.source_id,
        abstract.version,
        abstract.revised,
        origin.release,
        digest,
        None if alone else dump_abstract(abstract),
    )
