"""The flow of records into an index, as a PRISMA 2020 diagram reports it: found, duplicates, others removed, left."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from engine.corpus.databases import Database, guess_database, name_origin
from engine.corpus.merging.sightings import PUBMED_FILES
from engine.corpus.storage.store import Corpus

_WITHIN = "file"  # the rule for a record that its file gives more than once
# Rules by which duplicates are recognised, in the order in which they are reported.
_RULES = ("PMID", "DOI", "id", "text", _WITHIN, "decision")
# Of the records that PubMed deleted, a file that was read again counts those that it still holds as withdrawn. Of the
# records that decisions join, each but the first is a duplicate, unless another rule made it one before.
# The plus makes SQLite read the ids from an index, not from the rows with their texts, and the limit only once.
_SIGHTINGS = """
    SELECT file_id, origin, rule, is_present, CASE WHEN NOT is_present THEN reading END AS reading,
        sum(n) AS n_records, count(*) AS n_sightings
    FROM (
        SELECT s.file_id, coalesce(s.origin, '') AS origin, s.reading, s.n,
            coalesce(s.rule, CASE WHEN p.id IS NOT NULL THEN 'decision' END) AS rule,
            coalesce(p.joined, s.doc_id) IN (SELECT +id FROM abstracts) AS is_present
        FROM sightings s
        LEFT JOIN parts p ON p.id = s.doc_id AND p.id != p.joined
        WHERE s.doc_id NOT IN (SELECT id FROM dead)
        LIMIT -1
    )
    GROUP BY 1, 2, 3, 4, 5
"""
_FILES = """
    SELECT s.file_id, s.name, s.format, s.rejected, s.withdrawn, s.id, d.first_read, d.last_read
    FROM sources s JOIN (
        SELECT file_id, max(s.id) AS id, coalesce(min(date(created)), '') AS first_read,
            coalesce(max(date(created)), '') AS last_read
        FROM sources s LEFT JOIN generation g ON g.number = s.generation GROUP BY file_id
    ) d ON d.id = s.id ORDER BY s.file_id
"""


@dataclass(slots=True)
class _FileFlow:
    """The records of one database or register in one file; all numbered files of PubMed count as one."""

    name: str
    first_read: str  # UTC, YYYY-MM-DD; "" if unknown
    last_read: str
    found: int = 0


@dataclass(slots=True)
class OriginFlow:
    """The records from one database or register.

    `found` is the sum of duplicates, rejected, withdrawn and left, and that of the files.
    """

    name: str
    is_register: bool
    files: list[_FileFlow]
    found: int = 0
    duplicates: int = 0  # of records of this or another file that was read before
    rejected: int = 0  # that could not be indexed
    withdrawn: int = 0  # that PubMed deleted
    left: int = 0

    @property
    def first_read(self) -> str:
        """The day on which a file of it was read for the first time: UTC, YYYY-MM-DD; "" if unknown."""
        return min((file.first_read for file in self.files), default="")

    @property
    def last_read(self) -> str:
        """The day on which a file of it was read for the last time."""
        return max((file.last_read for file in self.files), default="")


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


@dataclass(frozen=True, slots=True)
class _File:
    """A file as it was read last."""

    file_id: int
    name: str
    format: str
    rejected: int
    withdrawn: int
    source_id: int
    first_read: str
    last_read: str


@dataclass(slots=True)
class _FlowCounts:
    """Counts while the sightings are read."""

    origins: dict[str, OriginFlow] = field(default_factory=dict)
    files: dict[tuple[str, int], _FileFlow] = field(default_factory=dict)  # by database and file_id
    rules: Counter[str] = field(default_factory=Counter)

    def get(self, database: Database, file: _File) -> tuple[OriginFlow, _FileFlow]:
        """Return the flow of a database, and that of its records in a file."""
        flow = self.origins.setdefault(database.name, OriginFlow(database.name, database.is_register, []))
        key = database.name, file.file_id
        if key not in self.files:
            self.files[key] = _FileFlow(file.name, file.first_read, file.last_read)
            flow.files.append(self.files[key])
        return flow, self.files[key]


def count_flow(corpus: Corpus) -> Flow:
    """Count the records of all files of a corpus.

    A file that was read several times counts once, with all records that it ever gave.
    """
    n_rejected = corpus.read_state("SELECT sum(rejected) FROM sources WHERE file_id = ?", PUBMED_FILES)[0][0]
    files = [_File(*row) for row in corpus.read_state(_FILES)]
    files = [
        replace(file, name="numbered files of PubMed", rejected=n_rejected, withdrawn=0)
        if file.file_id == PUBMED_FILES
        else file
        for file in files
    ]
    sightings = _read_sightings(corpus, {file.file_id: file.source_id for file in files})
    tally = _FlowCounts()
    for file in files:
        rows = sightings.get(file.file_id, [])
        database = guess_database(_rank_origins(rows), file.name, file.format)
        flow, of_file = tally.get(database, file)
        flow.rejected += file.rejected
        flow.withdrawn += file.withdrawn
        of_file.found += file.rejected + file.withdrawn
        for row in rows:
            _count_rows(tally, file, name_origin(row.origin) if row.origin else database, row)
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


def _count_rows(tally: _FlowCounts, file: _File, database: Database, row: _Sightings) -> None:
    """Count the sightings of one file, database and rule."""
    flow, of_file = tally.get(database, file)
    n_repeated = row.n_records - row.n_sightings
    n_merged = row.n_sightings if row.is_present and row.rule else 0
    tally.rules[_WITHIN] += n_repeated
    tally.rules[row.rule] += n_merged
    flow.duplicates += n_repeated + n_merged
    flow.withdrawn += 0 if row.is_present else row.n_sightings
    flow.left += row.n_sightings if row.is_present and not row.rule else 0
    of_file.found += row.n_records


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
