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
_EVERY = Selected("SELECT id FROM abstracts")


def read_members(corpus: Corpus, docset: DocSet) -> DocIds:
    """Return the ids of a set, ascending and unique, int64 (n,).

    One statement selects all parts and returns the ids of each as one text, which is many times faster than rows.

    Raises:
        CorruptError: SQLite found the file damaged.
    """
    docset = docset if _is_bounded(docset) else All((_EVERY, docset))
    parts = tuple(dict.fromkeys(_build_selections(docset)))
    columns = "".join(f", (SELECT group_concat(id) FROM ({part.sql}))" for part in parts)
    values = (value for part in parts for value in part.values)
    last, *texts = corpus.read_rows(f"SELECT (SELECT max(id) FROM abstracts){columns}", *values)[0]
    selections = {part: _parse_ids(text) for part, text in zip(parts, texts, strict=True)}
    return np.flatnonzero(_mask(docset, selections, (last or 0) + 1)).astype(np.int64, copy=False)


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


def _parse_ids(ids: str | None) -> DocIds:
    """Parse ids from a text like "3,1,2"; none from None."""
    return np.fromstring(ids or "", dtype=np.int64, sep=",")


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
