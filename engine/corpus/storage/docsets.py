"""Sets of doc ids selected by SQL, and their combinations."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from engine.corpus.storage.store import Corpus
from engine.records.generation import DocIds


@dataclass(frozen=True, slots=True)
class Selected:
    """The ids that a SELECT returns, in any order, possibly repeated."""

    sql: str  # with one column, id; user input is bound, never part of it
    values: tuple[str | int, ...] = ()


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


DocSet = Selected | Listed | Not | All | Some
_SPARSE = 32  # numbers an id, from which sets are combined as lists of ids and not as masks over all numbers


def read_members(corpus: Corpus, docset: DocSet) -> DocIds:
    """Return the ids of a set, ascending and unique, int64 (n,).

    Raises:
        CorruptError: SQLite found the file damaged.
    """
    docset = docset if _is_bounded(docset) else All((Listed(corpus.read_ids()), docset))
    parts = tuple(dict.fromkeys(_build_selections(docset)))
    found = dict(zip(parts, corpus.select_ids([(part.sql, part.values) for part in parts]), strict=True))
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


def _build_selections(docset: DocSet) -> Iterator[Selected]:
    """Yield the SELECTs of a set."""
    if isinstance(docset, Selected):
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


def _mask(docset: DocSet, selections: Mapping[Selected, DocIds], size: int) -> NDArray[np.bool_]:
    """Return whether each id from 0 is in the set, bool (size,). An unbounded set includes ids without a record."""
    if isinstance(docset, Not):
        return ~_mask(docset.part, selections, size)
    if isinstance(docset, Selected | Listed):
        inside = np.zeros(size, np.bool_)
        inside[selections[docset] if isinstance(docset, Selected) else docset.doc_ids] = True
        return inside
    inside = np.full(size, isinstance(docset, All))
    for part in docset.parts:
        other = _mask(part, selections, size)
        inside = inside & other if isinstance(docset, All) else inside | other
    return inside
