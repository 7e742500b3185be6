"""Sets of doc ids: what SQL selects, and how such sets combine."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from engine.corpus.storage.store import Corpus
from engine.records.generation import DocIds


@dataclass(frozen=True, slots=True)
class Selected:
    """The ids that one SELECT finds, in any order, repeated or not."""

    sql: str  # of one column, id; what people wrote is bound, never part of it
    values: tuple[str | int, ...] = ()


@dataclass(frozen=True, slots=True, eq=False)
class Listed:
    """Ids that are known already."""

    doc_ids: DocIds


@dataclass(frozen=True, slots=True)
class Not:
    """All records but those of the part."""

    part: DocSet


@dataclass(frozen=True, slots=True)
class All:
    """The records that are in every part; of no part, all records."""

    parts: tuple[DocSet, ...]


@dataclass(frozen=True, slots=True)
class Some:
    """The records that are in some part; of no part, none."""

    parts: tuple[DocSet, ...]


DocSet = Selected | Listed | Not | All | Some
_EVERY = Selected("SELECT id FROM abstracts")


def read_members(corpus: Corpus, docset: DocSet) -> DocIds:
    """The ids of a set, ascending and unique, int64 (n,). One statement finds what all its parts select.

    Ids travel as one text per part: a row of Python objects for each would take many times as long.

    Raises:
        CorruptError: SQLite found the file damaged.
    """
    docset = docset if _is_bounded(docset) else All((_EVERY, docset))
    parts = tuple(dict.fromkeys(_build_selections(docset)))
    columns = "".join(f", (SELECT group_concat(id) FROM ({part.sql}))" for part in parts)
    values = (value for part in parts for value in part.values)
    last, *texts = corpus.read_rows(f"SELECT (SELECT max(id) FROM abstracts){columns}", *values)[0]
    found = {part: _parse_ids(text) for part, text in zip(parts, texts, strict=True)}
    return np.flatnonzero(_mask(docset, found, (last or 0) + 1)).astype(np.int64, copy=False)


def _is_bounded(docset: DocSet) -> bool:
    """Whether the set needs no look at all records to tell which there are."""
    if isinstance(docset, All):
        return any(map(_is_bounded, docset.parts))
    if isinstance(docset, Some):
        return all(map(_is_bounded, docset.parts))
    return not isinstance(docset, Not)


def _build_selections(docset: DocSet) -> Iterator[Selected]:
    """Yield what SQL must select."""
    if isinstance(docset, Selected):
        yield docset
    elif isinstance(docset, Not):
        yield from _build_selections(docset.part)
    elif isinstance(docset, All | Some):
        for part in docset.parts:
            yield from _build_selections(part)


def _parse_ids(ids: str | None) -> DocIds:
    """Ids from a text like "3,1,2"; none from None."""
    return np.fromstring(ids or "", dtype=np.int64, sep=",")


def _mask(docset: DocSet, found: Mapping[Selected, DocIds], size: int) -> NDArray[np.bool_]:
    """Whether each id from 0 is in the set, bool (size,). A set without bounds has ids of no record in it too."""
    if isinstance(docset, Not):
        return ~_mask(docset.part, found, size)
    if isinstance(docset, Selected | Listed):
        inside = np.zeros(size, np.bool_)
        inside[found[docset] if isinstance(docset, Selected) else docset.doc_ids] = True
        return inside
    inside = np.full(size, isinstance(docset, All))
    for part in docset.parts:
        other = _mask(part, found, size)
        inside = inside & other if isinstance(docset, All) else inside | other
    return inside
