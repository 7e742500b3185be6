"""The flow of records into an index, as a PRISMA 2020 diagram reports it: found, duplicates, others removed, left."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
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
        CASE WHEN a.id IS NULL THEN s.reading END AS reading, sum(s.n) AS n_records, count(*) AS n_sightings
    FROM sightings s
    LEFT JOIN parts p ON p.id = s.doc_id AND p.id != p.joined
    LEFT JOIN abstracts a ON a.id = coalesce(p.joined, s.doc_id)
    WHERE s.doc_id NOT IN (SELECT id FROM dead)
    GROUP BY 1, 2, 3, 4, 5
"""
_FILES = """
    SELECT file_id, name, format, rejected, withdrawn, id FROM sources
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


@dataclass(frozen=True, slots=True)
class _Sightings:
    """The records of one file, database and rule."""

    origin: str  # database that the records name, "" if none
    rule: str  # by which they are duplicates, "" if they are not
    is_present: bool  # in the index; PubMed deleted the others
    n_records: int  # of the file
    n_sightings: int  # of the index


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
    files = [tuple(row) for row in corpus.read_state(_FILES)]
    sightings = _read_sightings(corpus, {file_id: last for file_id, *_, last in files})
    n_rejected = corpus.read_state("SELECT sum(rejected) FROM sources WHERE file_id = ?", PUBMED_FILES)[0][0]
    tally = _FlowCounts()
    for file_id, name, kind, rejected, withdrawn, _ in files:
        shown = "numbered files of PubMed" if file_id == PUBMED_FILES else name
        rows = sightings.get(file_id, [])
        database = guess_database(_rank_origins(rows), name, kind)
        flow = tally.get(database, shown)
        flow.rejected += n_rejected if file_id == PUBMED_FILES else rejected
        flow.withdrawn += 0 if file_id == PUBMED_FILES else withdrawn
        for row in rows:
            origin = name_origin(row.origin) if row.origin else database
            _count_rows(tally, tally.get(origin, shown), row)
    return _add_totals(tally)


def _read_sightings(corpus: Corpus, last: Mapping[int, int]) -> dict[int, list[_Sightings]]:
    """Return the sightings of each file, by database and rule; last: the last reading of each file."""
    counts: dict[tuple[int, str, str, bool], tuple[int, int]] = {}
    for row in (row for rows in corpus.read_each(_SIGHTINGS) for row in rows):
        file_id, is_present = row["file_id"], bool(row["is_present"])
        if file_id in last and (is_present or file_id == PUBMED_FILES or row["reading"] == last[file_id]):
            key = file_id, row["origin"], row["rule"] or "", is_present
            n_records, n_sightings = counts.get(key, (0, 0))
            counts[key] = n_records + row["n_records"], n_sightings + row["n_sightings"]
    by_file: dict[int, list[_Sightings]] = {}
    for (file_id, origin, rule, is_present), (n_records, n_sightings) in sorted(counts.items()):
        by_file.setdefault(file_id, []).append(_Sightings(origin, rule, is_present, n_records, n_sightings))
    return by_file


def _rank_origins(rows: Iterable[_Sightings]) -> tuple[str, ...]:
    """Return the databases that the records of a file name, the most frequent first."""
    counts: Counter[str] = Counter()
    for row in rows:
        counts[row.origin] += row.n_records
    return tuple(origin for origin, _ in counts.most_common() if origin)


def _count_rows(tally: _FlowCounts, flow: OriginFlow, row: _Sightings) -> None:
    """Count the sightings of one file, database and rule."""
    n_repeated = row.n_records - row.n_sightings
    n_merged = row.n_sightings if row.is_present and row.rule else 0
    tally.rules[_WITHIN] += n_repeated
    tally.rules[row.rule] += n_merged
    flow.duplicates += n_repeated + n_merged
    flow.withdrawn += 0 if row.is_present else row.n_sightings
    flow.left += row.n_sightings if row.is_present and not row.rule else 0


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
