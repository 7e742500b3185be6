"""Counts of what a source file contains, without storing anything."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from dataclasses import fields as dataclass_fields
from pathlib import Path

from engine.collect.source import check_source, read_source
from engine.records.abstract import Abstract, Deletion, Rejection, Remark

_N_REJECTIONS = 5
_N_OTHERS = 200  # names of columns and tags that are counted one by one
_FURTHER = "further ones"
KINDS = re.compile(r"(PMID|DOI|TEXT|Embase|CENTRAL|WOS|Scopus|PsycINFO|ProQuest):|(W)\d{4,}$")


@dataclass(frozen=True, slots=True)
class SourceFacts:
    """Counts of one source file."""

    format: str
    n_bytes: int  # on disk, compressed or not
    n_records: int
    n_deletions: int
    n_rejected: int
    fields: tuple[tuple[str, int], ...]  # (field, number of records with it) in the order of Abstract; none with 0
    years: tuple[int, int] | None  # earliest and latest; None when no record has one
    ids: tuple[tuple[str, int], ...]  # (kind of record id, count), most frequent first
    others: tuple[tuple[str, int], ...]  # (column or tag that no field takes, number of records with it), most first
    remarks: tuple[tuple[str, int, str], ...]  # (kind, count, place of the first), in order of appearance
    rejections: tuple[Rejection, ...]  # the first _N_REJECTIONS


class _FactTally:
    """Running counts while a file is read."""

    def __init__(self) -> None:
        self.n_records = self.n_deletions = self.n_rejected = 0
        self.fields: Counter[str] = Counter()
        self.ids: Counter[str] = Counter()
        self.others: Counter[str] = Counter()
        self.years: tuple[int, int] | None = None
        self.remarks: dict[str, tuple[int, str]] = {}
        self.rejections: list[Rejection] = []

    def record(self, abstract: Abstract) -> None:
        """Count one record."""
        self.n_records += 1
        self.fields.update(name for name, nothing in _EMPTY.items() if getattr(abstract, name) != nothing)
        self.ids[_classify_id(abstract.record_id)] += 1
        self._count_others({text.partition(": ")[0] for text in abstract.other_tags})
        if abstract.year is not None:
            low, high = self.years or (abstract.year, abstract.year)
            self.years = min(low, abstract.year), max(high, abstract.year)

    def _count_others(self, names: Iterable[str]) -> None:
        """Count columns and tags that no field takes; when there are too many, new ones together."""
        for name in names:
            self.others[name if name in self.others or len(self.others) < _N_OTHERS else _FURTHER] += 1

    def reject(self, rejection: Rejection) -> None:
        """Count one record that can't be used."""
        self.n_rejected += 1
        if len(self.rejections) < _N_REJECTIONS:
            self.rejections.append(rejection)

    def count_remark(self, remark: Remark) -> None:
        """Count one remark."""
        count, first = self.remarks.get(remark.kind, (0, remark.place))
        self.remarks[remark.kind] = count + 1, first


_EMPTY = {
    field.name: getattr(Abstract("", "", ""), field.name)
    for field in dataclass_fields(Abstract)
    if field.name != "record_id"
}


def _classify_id(record_id: str) -> str:
    """Return the database that a record id comes from, or "own" for an id of the source itself."""
    match = KINDS.match(record_id)
    return "own" if not match else match[1] or "OpenAlex"


def read_facts(path: Path, format_name: str | None = None) -> SourceFacts:
    """Read a whole file and count what it contains, in bounded memory.

    Raises:
        SourceError: the file can't be opened, has no known format, or is truncated.
    """
    source_format, tally = check_source(path, format_name), _FactTally()
    for entry in read_source(path, source_format.name):
        if isinstance(entry, Abstract):
            tally.record(entry)
        elif isinstance(entry, Deletion):
            tally.n_deletions += 1
        elif isinstance(entry, Rejection):
            tally.reject(entry)
        else:
            tally.count_remark(entry)
    return SourceFacts(
        format=source_format.name,
        n_bytes=path.stat().st_size,
        n_records=tally.n_records,
        n_deletions=tally.n_deletions,
        n_rejected=tally.n_rejected,
        fields=tuple((name, tally.fields[name]) for name in _EMPTY if tally.fields[name]),
        years=tally.years,
        ids=tuple(tally.ids.most_common()),
        others=tuple(sorted(tally.others.items(), key=lambda item: (-item[1], item[0]))),
        remarks=tuple((kind, count, first) for kind, (count, first) in tally.remarks.items()),
        rejections=tuple(tally.rejections),
    )
