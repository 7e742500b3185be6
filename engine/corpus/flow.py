"""The flow of records into an index, as a PRISMA 2020 diagram reports it: found, duplicates, others removed, left."""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

from engine.corpus.databases import Database, guess_database, name_origin
from engine.corpus.merging.sightings import PUBMED_FILES
from engine.corpus.storage.store import Corpus

_WITHIN = "file"  # the rule for a record that its file gives more than once
# Rules by which duplicates are recognised, in the order in which they are reported.
_RULES = ("PMID", "DOI", "id", "text", _WITHIN, "decision")
# Of the records that PubMed deleted, a file that was read again counts those that it still holds as withdrawn. Of the
# records that decisions join, each but the first is a duplicate, unless another rule made it one before.
_SIGHTINGS = """
    SELECT s.file_id, coalesce(s.origin, '') AS origin,
        coalesce(s.rule, CASE WHEN p.id IS NOT NULL THEN 'decision' END) AS rule, a.id IS NOT NULL AS is_present,
        sum(s.n) AS n_records, count(*) AS n_sightings
    FROM sightings s
    JOIN (SELECT file_id, max(id) AS last FROM sources GROUP BY file_id) f ON f.file_id = s.file_id
    LEFT JOIN parts p ON p.id = s.doc_id AND p.id != p.joined
    LEFT JOIN abstracts a ON a.id = coalesce(p.joined, s.doc_id)
    WHERE a.id IS NOT NULL OR s.file_id = 0 OR s.reading = f.last
    GROUP BY 1, 2, 3, 4
"""
_FILES = """
    SELECT file_id, name, format, rejected, withdrawn FROM sources
    WHERE id IN (SELECT max(id) FROM sources GROUP BY file_id) ORDER BY file_id
"""


@dataclass(slots=True)
class OriginFlow:
    """The records from one database or register; `found` is the sum of duplicates, rejected, withdrawn and left."""

    name: str
    is_register: bool
    files: list[str]
    found: int = 0
    duplicates: int = 0  # of records of this or another file that was read before
    rejected: int = 0  # that could not be indexed
    withdrawn: int = 0  # that PubMed deleted
    left: int = 0


@dataclass(frozen=True, slots=True)
class Flow:
    """The identification of records; the sums are those of the databases and registers."""

    origins: tuple[OriginFlow, ...]  # databases, then registers; most records first
    duplicates: dict[str, int]  # by rule, in the order of _RULES; rules without a record are left out
    found: int
    rejected: int
    withdrawn: int
    left: int  # records of the index


@dataclass(slots=True)
class _FlowCounts:
    """Counts while the sightings are read."""

    origins: dict[str, OriginFlow] = field(default_factory=dict)
    rules: Counter[str] = field(default_factory=Counter)

    def get(self, database: Database, file: str) -> OriginFlow:
        """Return the flow of a database, which has this file."""
        flow = self.origins.setdefault(database.name, OriginFlow(database.name, database.is_register, []))
        flow.files += [file] if file not in flow.files else []
        return flow


def count_flow(corpus: Corpus) -> Flow:
    """Count the records of all files of a corpus.

    A file that was read several times counts once, with all records that it ever gave.
    """
    sightings = corpus.read_rows(_SIGHTINGS)
    n_rejected = corpus.read_rows("SELECT sum(rejected) FROM sources WHERE file_id = ?", PUBMED_FILES)[0][0]
    tally = _FlowCounts()
    for file_id, name, kind, rejected, withdrawn in map(tuple, corpus.read_rows(_FILES)):
        shown = "numbered files of PubMed" if file_id == PUBMED_FILES else name
        rows = [row for row in sightings if row["file_id"] == file_id]
        database = guess_database(_rank_origins(rows), name, kind)
        flow = tally.get(database, shown)
        flow.rejected += n_rejected if file_id == PUBMED_FILES else rejected
        flow.withdrawn += 0 if file_id == PUBMED_FILES else withdrawn
        for row in rows:
            origin = name_origin(row["origin"]) if row["origin"] else database
            _count_rows(tally, tally.get(origin, shown), row)
    return _add_totals(tally)


def _rank_origins(rows: Iterable[sqlite3.Row]) -> tuple[str, ...]:
    """Return the databases that the records of a file name, the most frequent first."""
    counts: Counter[str] = Counter()
    for row in rows:
        counts[row["origin"]] += row["n_records"]
    return tuple(origin for origin, _ in counts.most_common() if origin)


def _count_rows(tally: _FlowCounts, flow: OriginFlow, row: sqlite3.Row) -> None:
    """Count the sightings of one file, database and rule."""
    n_repeated = row["n_records"] - row["n_sightings"]
    n_merged = row["n_sightings"] if row["is_present"] and row["rule"] else 0
    tally.rules[_WITHIN] += n_repeated
    tally.rules[row["rule"]] += n_merged
    flow.duplicates += n_repeated + n_merged
    flow.withdrawn += 0 if row["is_present"] else row["n_sightings"]
    flow.left += row["n_sightings"] if row["is_present"] and not row["rule"] else 0


def _add_totals(tally: _FlowCounts) -> Flow:
    """Return the flow with its sums."""
    flows = [flow for flow in tally.origins.values()]
    for flow in flows:
        flow.found = flow.duplicates + flow.rejected + flow.withdrawn + flow.left
    flows = [flow for flow in flows if flow.found or len(flows) == 1]
    return Flow(
        tuple(sorted(flows, key=lambda flow: (flow.is_register, -flow.found, flow.name))),
        {rule: tally.rules[rule] for rule in _RULES if tally.rules[rule]},
        sum(flow.found for flow in flows),
        sum(flow.rejected for flow in flows),
        sum(flow.withdrawn for flow in flows),
        sum(flow.left for flow in flows),
    )
