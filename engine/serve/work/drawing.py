"""The map of a generation as a browser draws it."""

from __future__ import annotations

import struct
from collections import Counter
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from weakref import WeakKeyDictionary

import numpy as np
from numpy.typing import NDArray

from engine.corpus.facets import read_years_and_journals
from engine.corpus.storage.store import Corpus
from engine.index.corpusmap import CorpusMap, read_map
from engine.index.folder import MAP
from engine.query.generation import OpenGeneration
from engine.query.index import Index, get_generation
from engine.records.encoder import Vectors

_NAMED = 8  # journals with a colour of their own
HEAD = struct.Struct("<4sI")  # "MAP1", number of points


@dataclass(frozen=True, slots=True)
class Drawing:
    """All points of a map with what they are coloured by."""

    map: CorpusMap
    years: NDArray[np.uint16]  # (n,), 0 where it is not known
    journals: NDArray[np.uint16]  # (n,): place in names, from 1; 0 for any other
    names: tuple[str, ...]  # of the journals with most records

    @property
    def points(self) -> bytes:
        """What the browser reads, little-endian: HEAD, then x float32 (n,), y float32 (n,), year and journal uint16."""
        places = self.map.places.astype("<f4")
        parts = (places[:, 0], places[:, 1], self.years.astype("<u2"), self.journals.astype("<u2"))
        return HEAD.pack(b"MAP1", len(places)) + b"".join(part.tobytes() for part in parts)

    def place(self, vector: Vectors) -> tuple[float, float]:
        """Where a vector (dim,) lies."""
        x, y = self.map.axes.project(vector[None])[0].tolist()
        return round(x, 6), round(y, 6)

    def find_rows(self, doc_ids: Sequence[int]) -> list[int]:
        """Places of records among the points."""
        found: list[int] = self.map.find_rows(np.array(doc_ids, np.int64)).tolist()
        return found


_drawings: WeakKeyDictionary[OpenGeneration, Drawing] = WeakKeyDictionary()


def draw_map_of(index: Index) -> Drawing:
    """Return the drawing of the generation that an index holds.

    Raises:
        CorruptError: the map is damaged.
    """
    snapshot = get_generation(index)
    if snapshot not in _drawings:
        _drawings[snapshot] = _read_drawing(snapshot)
    return _drawings[snapshot]


def _read_drawing(snapshot: OpenGeneration) -> Drawing:
    """Read the map of a generation.

    Raises:
        CorruptError: it is damaged.
    """
    found = read_map(snapshot.folder.get_generation_path(snapshot.manifest.generation) / MAP)
    with closing(Corpus(snapshot.corpus.path)) as corpus:  # of its own: counting must not keep answers waiting
        rows = read_years_and_journals(corpus)
    names = [name for name, _ in Counter(journal for _, journal in rows if journal).most_common(_NAMED)]
    number = {name: place for place, name in enumerate(names, 1)}
    years = np.array([min(max(year, 0), 65_535) for year, _ in rows], np.uint16)
    journals = np.array([number.get(journal, 0) for _, journal in rows], np.uint16)
    return Drawing(found, years, journals, tuple(names))
