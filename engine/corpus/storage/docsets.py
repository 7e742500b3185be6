"""Sets of doc ids selected by SQL, and their combinations."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from engine.corpus.storage.arrays import IDS, YEARS, find_years, name_term, parse_flags, parse_places
from engine.corpus.storage.idsets import NO_IDS
from engine.corpus.storage.store import Corpus, SegmentReader
from engine.records.generation import DocIds


@dataclass(frozen=True, slots=True)
class Selected:
    """The ids that a SELECT returns, in any order, possibly repeated."""

    sql: str  # with one column, id; user input is bound, never part of it
    values: tuple[str | int, ...] = ()
    array: str = ""  # name of the flags of these ids, where a segment keeps them

    def read_ids(self, segment: SegmentReader) -> DocIds:
        """Return the ids in a segment, dead ones too."""
        flags = segment.read_array(self.array) if self.array else None
        if flags is None:
            return segment.read_ids(self.sql, self.values)
        ids = segment.list_ids()
        return ids[parse_flags(flags, len(ids))]


@dataclass(frozen=True, slots=True)
class InYears:
    """The records of some years, never those without a year."""

    ranges: tuple[tuple[int, int], ...]  # both ends included, 64 bits

    @property
    def sql(self) -> str:
        """The SELECT of their ids."""
        return (
            "SELECT a.id AS id FROM json_each(?) v CROSS JOIN abstracts a"
            " ON a.year BETWEEN json_extract(v.value, '$[0]') AND json_extract(v.value, '$[1]')"
        )

    @property
    def values(self) -> tuple[str, ...]:
        """The values of that SELECT."""
        return (json.dumps(self.ranges),)

    def read_ids(self, segment: SegmentReader) -> DocIds:
        """Return the ids in a segment, dead ones too."""
        years = segment.read_array(YEARS)
        if years is None:
            return segment.read_ids(self.sql, self.values)
        ids = segment.list_ids()
        return ids[find_years(years, len(ids), self.ranges)]


@dataclass(frozen=True, slots=True)
class WithTerms:
    """The records with at least one of some terms."""

    terms: str  # a SELECT of one column, id: keys of terms; user input is bound, never part of it
    values: tuple[str | int, ...] = ()

    @property
    def sql(self) -> str:
        """The SELECT of the ids of the records."""
        return f"SELECT m.doc_id AS id FROM ({self.terms}) t CROSS JOIN members m ON m.term_id = t.id"

    def read_ids(self, segment: SegmentReader) -> DocIds:
        """Return the ids in a segment, dead ones too; the members of frequent terms are read at once."""
        if not segment.has_array(IDS):
            return segment.read_ids(self.sql, self.values)
        names = map(name_term, segment.read_ids(self.terms, self.values).tolist())
        arrays = [content for name in dict.fromkeys(names) if (content := segment.read_array(name)) is not None]
        others = f"{self.sql} AND NOT EXISTS (SELECT 1 FROM arrays WHERE name = '{name_term('')}' || t.id)"
        found = [segment.read_ids(others if arrays else self.sql, self.values)]
        ids = segment.list_ids() if arrays else NO_IDS
        return np.concatenate([*found, *(ids[parse_places(content)] for content in arrays)])


@dataclass(frozen=True, slots=True, eq=False)
class Listed:
    """A list of known ids."""

    doc_ids: DocIds


@dataclass(frozen=True, slots=True)
class Not:
    """All records except those of the part."""

    part: DocSet


@dataclass(frozen=True, slots=True)
class All:
    """The records that are in every part; without parts, all records."""

    parts: tuple[DocSet, ...]


@dataclass(frozen=True, slots=True)
class Some:
    """The records that are in at least one part; without parts, none."""

    parts: tuple[DocSet, ...]


_Leaf = Selected | InYears | WithTerms
DocSet = _Leaf | Listed | Not | All | Some
_SPARSE = 32  # numbers an id, from which sets are combined as lists of ids and not as masks over all numbers


def read_members(corpus: Corpus, docset: DocSet) -> DocIds:
    """Return the ids of a set, ascending and unique, int64 (n,).

    Raises:
        CorruptError: SQLite found the file damaged.
    """
    docset = docset if _is_bounded(docset) else All((Listed(corpus.read_ids()), docset))
    parts = tuple(dict.fromkeys(_build_selections(docset)))
    found = dict(zip(parts, corpus.select_ids(parts), strict=True))
    lists = [*found.values(), *(part.doc_ids for part in _list_known(docset))]
    size = max((int(ids.max()) + 1 for ids in lists if len(ids)), default=0)
    if size <= _SPARSE * sum(map(len, lists)):
        return np.flatnonzero(_mask(docset, found, size)).astype(np.int64, copy=False)
    numbers = np.unique(np.concatenate(lists))
    places = {part: np.searchsorted(numbers, ids) for part, ids in found.items()}
    return numbers[_mask(_place(docset, numbers), places, len(numbers))]


def _is_bounded(docset: DocSet) -> bool:
    """Return whether the set can be computed without the list of all records."""
    if isinstance(docset, All):
        return any(map(_is_bounded, docset.parts))
    if isinstance(docset, Some):
        return all(map(_is_bounded, docset.parts))
    return not isinstance(docset, Not)


def _build_selections(docset: DocSet) -> Iterator[_Leaf]:
    """Yield the selections of a set."""
    if isinstance(docset, _Leaf):
        yield docset
    elif isinstance(docset, Not):
        yield from _build_selections(docset.part)
    elif isinstance(docset, All | Some):
        for part in docset.parts:
            yield from _build_selections(part)


def _list_known(docset: DocSet) -> Iterator[Listed]:
    """Yield the lists of known ids of a set."""
    if isinstance(docset, Listed):
        yield docset
    elif isinstance(docset, Not):
        yield from _list_known(docset.part)
    elif isinstance(docset, All | Some):
        for part in docset.parts:
            yield from _list_known(part)


def _place(docset: DocSet, numbers: DocIds) -> DocSet:
    """Return a set with its known ids replaced by their places in numbers (ascending, which contain them)."""
    if isinstance(docset, Listed):
        return Listed(np.searchsorted(numbers, docset.doc_ids))
    if isinstance(docset, Not):
        return Not(_place(docset.part, numbers))
    if isinstance(docset, All | Some):
        return type(docset)(tuple(_place(part, numbers) for part in docset.parts))
    return docset


def _mask(docset: DocSet, selections: Mapping[_Leaf, DocIds], size: int) -> NDArray[np.bool_]:
    """Return whether each id from 0 is in the set, bool (size,). An unbounded set includes ids without a record."""
    if isinstance(docset, Not):
        return ~_mask(docset.part, selections, size)
    if isinstance(docset, _Leaf | Listed):
        inside = np.zeros(size, np.bool_)
        inside[docset.doc_ids if isinstance(docset, Listed) else selections[docset]] = True
        return inside
    inside = np.full(size, isinstance(docset, All))
    for part in docset.parts:
        other = _mask(part, selections, size)
        inside = inside & other if isinstance(docset, All) else inside | other
    return inside
