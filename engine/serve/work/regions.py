"""The named regions of a map, found once per generation."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from threading import Lock
from weakref import WeakKeyDictionary

import numpy as np
from numpy.typing import NDArray

from engine.corpus.facets import read_headlines
from engine.corpus.words.keyterms import name_groups
from engine.index.map.regions import find_centres, find_regions
from engine.query.index import Index, get_generation
from engine.query.opening.generation import OpenGeneration
from engine.records.generation import DocIds
from engine.serve.work.drawing import draw_map_of

_READ = 10_000  # records whose titles the names are made from
_TERMS = 4  # of a name


@dataclass(frozen=True, slots=True)
class _Region:
    """A part of the map, and where its label is."""

    number: int  # from 1, the region with the most records first
    terms: tuple[str, ...]  # that tell it from the other regions, the best first
    n_records: int
    place: tuple[float, float]  # the middle of its records

    @property
    def name(self) -> str:
        """The name of the region."""
        return " · ".join(self.terms) or f"Region {self.number}"

    @property
    def label(self) -> str:
        """A short name, for the map itself."""
        return " · ".join(self.terms[:2]) or f"Region {self.number}"


@dataclass(frozen=True, slots=True)
class _Regions:
    """The regions of a map, and the region of each point."""

    regions: tuple[_Region, ...]
    numbers: NDArray[np.uint16]  # (n,): the number of the region of each row of the map

    def list_rows(self, number: int) -> NDArray[np.int64]:
        """Return the rows of the map in a region, ascending."""
        return np.flatnonzero(self.numbers == number)


_found: WeakKeyDictionary[OpenGeneration, _Regions] = WeakKeyDictionary()
_lock = Lock()  # they are found once, whoever asks first


def read_regions(index: Index) -> _Regions:
    """Return the regions of the open generation of an index.

    Raises:
        CorruptError: the map is damaged.
    """
    snapshot = get_generation(index)
    with _lock:
        if (regions := _found.get(snapshot)) is None:
            regions = _found[snapshot] = _find_regions(index)
    return regions


def _find_regions(index: Index) -> _Regions:
    """Find the regions of the open generation of an index."""
    snapshot, corpus_map = get_generation(index), draw_map_of(index).map
    if not len(corpus_map.doc_ids):
        return _Regions((), np.zeros(0, np.uint16))
    centres = find_centres(snapshot.vectors, corpus_map.doc_ids)
    assigned = find_regions(snapshot.vectors, corpus_map.doc_ids, centres)
    counts = np.bincount(assigned, minlength=len(centres))
    order = np.argsort(-counts, kind="stable")
    order = order[counts[order] > 0]
    number_of = np.zeros(len(centres), np.uint16)
    number_of[order] = np.arange(1, len(order) + 1)
    numbers = number_of[assigned]
    names = _name_regions(snapshot, corpus_map.doc_ids, numbers, len(order))
    places = [np.median(corpus_map.places[numbers == n + 1], axis=0).tolist() for n in range(len(order))]
    regions = (
        _Region(n + 1, names[n], int(counts[row]), (round(places[n][0], 6), round(places[n][1], 6)))
        for n, row in enumerate(order.tolist())
    )
    return _Regions(tuple(regions), numbers)


def _name_regions(
    snapshot: OpenGeneration, doc_ids: DocIds, numbers: NDArray[np.uint16], n: int
) -> Sequence[tuple[str, ...]]:
    """Return the terms of each region, from at most _READ records spread over the corpus."""
    rows = np.unique(np.linspace(0, len(doc_ids) - 1, min(_READ, len(doc_ids)), dtype=np.int64))
    with closing(snapshot.corpus.open_again()) as corpus:  # own connection: reading must not block answers
        headlines = read_headlines(corpus, doc_ids[rows].tolist())
    return name_groups(headlines, [int(number) - 1 for number in numbers[rows]], n, _TERMS)
