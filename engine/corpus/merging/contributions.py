"""Contributions of the sources to each record, and the lookup of the record that a source's record belongs to.

The SQL for the rules in ``merge``.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Collection
from dataclasses import dataclass, replace

from engine.corpus.merging.base import Base
from engine.corpus.merging.merge import Contribution, MergeRule, Origin, is_same_work
from engine.corpus.merging.sightings import GIVER, PUBMED_FILES
from engine.corpus.storage.rows import dump_abstract, load_abstract, parse_row
from engine.records.abstract import SOURCE_FIELDS, Abstract

COLUMNS = "id, doc_id, own_id, format, source_id, spoken, version, revised, release, digest"
_CLAIM_COLUMNS = "format, source_id, spoken, version, revised, release, digest, record"
_PLACES = ", ".join("?" * (_CLAIM_COLUMNS.count(",") + 1))
_INSERT = f"INSERT INTO contributions (id, doc_id, own_id, {_CLAIM_COLUMNS}) VALUES (?, ?, ?, {_PLACES})"
_UPDATE = f"UPDATE contributions SET ({_CLAIM_COLUMNS}) = ({_PLACES}) WHERE id = ?"
# Contributions to a record (?1) whose first file is not the last, and now gives another one (?2), or none.
_STALE = """
    SELECT c.id, f.file_id, c.spoken
    FROM contributions c JOIN sources f ON f.id = c.spoken JOIN sources l ON l.id = c.source_id
    WHERE c.doc_id = ?1 AND c.id != ?2 AND f.file_id != l.file_id AND CASE WHEN ?2
        THEN f.file_id = (SELECT r.file_id FROM contributions o JOIN sources r ON r.id = o.source_id WHERE o.id = ?2)
        ELSE f.file_id NOT IN (SELECT file_id FROM sightings WHERE doc_id = ?1) END
"""
_MANY = 25  # records of one DOI; more belong to a congress, whose DOI does not identify its abstracts
_KEPT_APART = "same DOI as another record but a different title: kept apart"
_TWO_PMIDS = "same DOI as another record but a different PMID: kept apart"


@dataclass(frozen=True, slots=True)
class ContributionRow:
    """A row of the table contributions, without its record."""

    contribution_id: int
    doc_id: int
    own_id: str
    format: str
    source_id: int  # of the file that gave it last
    spoken: int  # of the first of the files that give it
    version: int
    revised: str
    release: int
    digest: bytes

    @property
    def age(self) -> tuple[int, str, int]:
        """The version, revision date and release that `merge.is_outdated` compares."""
        return self.version, self.revised, self.release


@dataclass(frozen=True, slots=True)
class Match:
    """The record that a source's record belongs to."""

    doc_id: int | None  # None: no record of the draft
    remark: str | None = None  # why it was kept apart from a record with the same DOI
    rule: MergeRule = MergeRule.DOI  # by which it was found


class Contributions:
    """The table contributions of a draft."""

    def __init__(self, connection: sqlite3.Connection, base: Base | None) -> None:
        self.connection = connection
        self.base = base
        self.last_id = base.published.last_contribution if base else 0  # the highest key so far

    def find_by_own_id(self, own_id: str) -> list[ContributionRow]:
        """Return all contributions with this id, oldest first; they all belong to one record."""
        if self.base:
            self.base.load_own_id(own_id)
        rows = self.connection.execute(f"SELECT {COLUMNS} FROM contributions WHERE own_id = ? ORDER BY id", (own_id,))
        return [ContributionRow(*row) for row in rows.fetchall()]

    def read_claims(self, doc_id: int) -> list[Contribution]:
        """Return the contributions to a record, oldest first."""
        columns = "id, format, own_id, record, version, revised, spoken"
        sql = f"SELECT {columns} FROM contributions WHERE doc_id = ? ORDER BY id"
        rows = self.connection.execute(sql, (doc_id,)).fetchall()
        return [
            Contribution(number, kind, self.parse_claim(record_json, doc_id, own_id), *details)
            for number, kind, own_id, record_json, *details in rows
        ]

    def get_claim(self, row: ContributionRow) -> Abstract:
        """Return the record as one source gives it."""
        sql = "SELECT record FROM contributions WHERE id = ?"
        (record_json,) = self.connection.execute(sql, (row.contribution_id,)).fetchone()
        return self.parse_claim(record_json, row.doc_id, row.own_id)

    def parse_claim(self, record_json: str | None, doc_id: int, own_id: str) -> Abstract:
        """Return the record as a source gives it: from its JSON or, if that is None, from its row in abstracts."""
        return load_abstract(record_json) if record_json else replace(self.read_record_row(doc_id), record_id=own_id)

    def read_record_id(self, doc_id: int) -> str:
        """Return the id of a record."""
        return str(self.connection.execute("SELECT record_id FROM abstracts WHERE id = ?", (doc_id,)).fetchone()[0])

    def find_by_pmid(self, record_id: str, pmid: str) -> list[tuple[int, int]]:
        """Return (doc id, newest release) of the records with this id or PMID, in no order."""
        if self.base:
            self.base.load_record_id(record_id)
            self.base.load_pmid(pmid)
        sql = (
            "SELECT id, coalesce((SELECT max(release) FROM contributions WHERE doc_id = abstracts.id), 0)"
            " FROM abstracts WHERE record_id = ? OR pmid = ?"
        )
        return self.connection.execute(sql, (record_id, pmid)).fetchall()

    def read_record_row(self, doc_id: int) -> Abstract:
        """Return the record as stored in the table abstracts."""
        sql = f"SELECT {', '.join(SOURCE_FIELDS)} FROM abstracts WHERE id = ?"
        values = self.connection.execute(sql, (doc_id,)).fetchone()
        return parse_row(dict(zip(SOURCE_FIELDS, values, strict=True)))

    def write_out(self, doc_id: int) -> None:
        """Store each contribution to a record as JSON.

        A record with one source stands only in abstracts; call this before a second source changes that row.
        """
        for contribution in self.read_claims(doc_id):
            self.connection.execute(
                "UPDATE contributions SET record = ? WHERE id = ? AND record IS NULL",
                (dump_abstract(contribution.abstract), contribution.contribution_id),
            )

    def add(self, doc_id: int, abstract: Abstract, origin: Origin, digest: bytes, *, alone: bool) -> int:
        """Store the first contribution of a source to a record and return its key.

        alone: whether no other source has the record.
        """
        self.last_id += 1
        values = (self.last_id, doc_id, abstract.record_id, *_build_claim_values(abstract, origin, digest, alone=alone))
        self.connection.execute(_INSERT, values)
        return self.last_id

    def replace(self, row: ContributionRow, abstract: Abstract, origin: Origin, digest: bytes, *, alone: bool) -> None:
        """Replace the earlier contribution of a source."""
        self.connection.execute(
            _UPDATE,
            (*_build_claim_values(abstract, origin, digest, alone=alone), row.contribution_id),
        )

    def remove(self, contribution_id: int) -> None:
        """Delete one contribution."""
        self.connection.execute("DELETE FROM contributions WHERE id = ?", (contribution_id,))

    def touch(self, row: ContributionRow, abstract: Abstract, origin: Origin) -> bool:
        """Note that a source gave the same values again. Version, date and release never decrease.

        Returns whether the version or the date increased.
        """
        later = (max(abstract.version, row.version), max(abstract.revised, row.revised))
        release = max(origin.release, row.release)
        if (origin.source_id, *later, release) != (row.source_id, *row.age):
            self.connection.execute(
                "UPDATE contributions SET source_id = ?, version = ?, revised = ?, release = ? WHERE id = ?",
                (origin.source_id, *later, release, row.contribution_id),
            )
        return later != (row.version, row.revised)

    def match(self, abstract: Abstract, origin: Origin, besides: int = 0) -> Match:
        """Find the record with the same PMID, or with the same DOI unless PMID, title or abstract differ.

        Two records of one file never match: their source keeps them apart. The record `besides` is ignored.
        """
        remark = None
        self._load_alike(abstract)
        for where, value in (("pmid = ?", abstract.pmid), ("doi = ? COLLATE NOCASE", abstract.doi)):
            if not value:
                continue
            sql = f"SELECT id FROM abstracts WHERE {where} AND id != ? ORDER BY id LIMIT {_MANY + 1}"
            rows = self.connection.execute(sql, (value, besides)).fetchall()
            if len(rows) > _MANY:
                return Match(None, _KEPT_APART)
            for (doc_id,) in rows:
                if self.was_given_by(doc_id, origin.source_id):
                    continue
                candidate = self.read_record_row(doc_id)
                if where.startswith("pmid"):
                    return Match(doc_id, rule=MergeRule.PMID)
                if abstract.pmid and candidate.pmid and abstract.pmid != candidate.pmid:
                    remark = remark or _TWO_PMIDS
                elif not is_same_work(abstract, candidate):
                    remark = remark or _KEPT_APART
                else:
                    return Match(doc_id)
        return Match(None, remark)

    def _load_alike(self, abstract: Abstract) -> None:
        """Load the published records with the same PMID or DOI: of a DOI enough to tell that there are too many."""
        if self.base and abstract.pmid:
            self.base.load_pmid(abstract.pmid)
        if self.base and abstract.doi:
            self.base.load_doi(abstract.doi, _MANY + 2)

    def was_given_by(self, doc_id: int, source_id: int) -> bool:
        """Return whether a file gave this record, now or when it was read before."""
        sql = "SELECT source_id FROM contributions WHERE doc_id = ?"
        rows = self.connection.execute(sql, (doc_id,)).fetchall()
        return any(self.is_same_file(other, source_id) for (other,) in rows)

    def is_same_file(self, source_id: int, other: int) -> bool:
        """Return whether two rows of sources are the same file, by path."""
        if source_id == other:
            return True
        sql = "SELECT count(*) > 1 AND min(path) = max(path) FROM sources WHERE id IN (?, ?)"
        return bool(self.connection.execute(sql, (source_id, other)).fetchone()[0])

    def hand_over(self, row: ContributionRow, reading: int) -> None:
        """Attribute a contribution that several files gave to one of them alone."""
        first = row.spoken if self.is_same_file(row.spoken, reading) else reading
        sql = "UPDATE contributions SET source_id = ?, spoken = ? WHERE id = ?"
        self.connection.execute(sql, (reading, first, row.contribution_id))

    def choose_first(self, doc_id: int, besides: int = 0) -> bool:
        """Let another file count as the first one of the contributions that the first one no longer gives.

        besides: the contribution that the first file gives in their place; 0: it no longer gives the record. Returns
        whether there were any.
        """
        rows = self.connection.execute(_STALE, (doc_id, besides)).fetchall()
        for contribution_id, file_id, since in rows:
            first = self.connection.execute(GIVER, (doc_id, contribution_id, since, file_id, file_id)).fetchone()
            sql = "UPDATE contributions SET spoken = coalesce(?, source_id) WHERE id = ?"
            self.connection.execute(sql, (first[0] if first else None, contribution_id))
        return bool(rows)

    def move(self, doc_id: int, to: int) -> None:
        """Move all contributions of one record to the record `to`."""
        self.write_out(doc_id)
        self.connection.execute("UPDATE contributions SET doc_id = ? WHERE doc_id = ?", (to, doc_id))

    def list_unseen(self, run_from: int, doubtful: Collection[int]) -> list[ContributionRow]:
        """Return contributions that a file gave before but not when it was read again in this run.

        Files are told apart by file_id, those of PubMed by their path. run_from is the first sources.id of this run;
        `doubtful` files count as not read. Ordered by key.
        """
        again = "FROM sources WHERE id >= ?1 AND id NOT IN (SELECT value FROM json_each(?2))"
        which = f"file_id IN (SELECT file_id {again}) AND (file_id != {PUBMED_FILES} OR path IN (SELECT path {again}))"
        sql = f"SELECT id FROM sources WHERE id < ?1 AND {which}"
        earlier = [row[0] for row in self.connection.execute(sql, (run_from, json.dumps(list(doubtful)))).fetchall()]
        if self.base:
            self.base.load_given_by(earlier)
        sql = f"SELECT {COLUMNS} FROM contributions WHERE source_id IN (SELECT value FROM json_each(?)) ORDER BY id"
        return [ContributionRow(*row) for row in self.connection.execute(sql, (json.dumps(earlier),)).fetchall()]


def _build_claim_values(
    abstract: Abstract, origin: Origin, digest: bytes, *, alone: bool
) -> tuple[str | int | bytes | None, ...]:
    """Return the values of the columns in _CLAIM_COLUMNS."""
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
