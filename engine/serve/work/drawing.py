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
from engine.index.generations.folder import AXES
from engine.index.generations.vectors import open_vectors
from engine.index.map.corpusmap import CorpusMap, open_map, read_layout
from engine.index.search.parts import SegmentedIndex
from engine.query.index import Index, get_generation
from engine.query.opening.generation import OpenGeneration
from engine.records.encoder import Vectors

_NAMED = 8  # journals with a colour of their own
HEAD = struct.Struct("<4sI")  # "MAP2", number of points


@dataclass(frozen=True, slots=True)
class Drawing:
    """All points of a map, with the years and journals that they are coloured by."""

    map: CorpusMap
    years: NDArray[np.uint16]  # (n,), 0 if unknown
    journals: NDArray[np.uint16]  # (n,): position in names, from 1; 0 for any other journal
    names: tuple[str, ...]  # the journals with the most records, most first

    @property
    def key(self) -> str:
        """The name of the layout: while it is the same, each record stays where it is."""
        return self.map.layout.digest.hex()[:8]

    def dump_points(self, regions: NDArray[np.uint16]) -> bytes:
        """Return the bytes a browser reads; regions are the numbers (n,) of the regions of the points.

        They are little-endian: HEAD, then x and y float32 (n,), year, journal and region uint16 (n,).
        """
        places = self.map.places.astype("<f4")
        columns = (self.years, self.journals, regions)
        parts = (places[:, 0], places[:, 1], *(column.astype("<u2") for column in columns))
        return HEAD.pack(b"MAP2", len(places)) + b"".join(part.tobytes() for part in parts)

    def place(self, vector: Vectors) -> tuple[float, float]:
        """Return the x and y of a vector (dim,) on the map."""
        x, y = self.map.layout.project(vector[None])[0].tolist()
        return round(x, 6), round(y, 6)

    def find_rows(self, doc_ids: Sequence[int]) -> list[int]:
        """Return the rows of records among the points, in the order of doc_ids."""
        rows: list[int] = self.map.find_rows(np.array(doc_ids, np.int64)).tolist()
        return rows


_drawings: WeakKeyDictionary[OpenGeneration, Drawing] = WeakKeyDictionary()


def draw_map_of(index: Index) -> Drawing:
    """Return the drawing of the open generation of an index.

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
        CorruptError: the map is damaged.
    """
    layout = read_layout(snapshot.folder.get_generation_path(snapshot.manifest.generation) / AXES)
    paths = [snapshot.folder.get_segment_files(entry.name).map for entry in snapshot.manifest.segments]
    held = snapshot.vectors  # where other machines rank, the ids are read from the files here
    parts = held.parts if isinstance(held, SegmentedIndex) else open_vectors(snapshot.generation).parts
    corpus_map = open_map(list(zip(paths, parts, strict=True)), layout)
    with closing(snapshot.corpus.open_again()) as corpus:  # own connection: counting must not block answers
        rows = read_years_and_journals(corpus)
    names = [name for name, _ in Counter(journal for _, journal in rows if journal).most_common(_NAMED)]
    number = {name: position for position, name in enumerate(names, 1)}
    years = np.array([min(max(year, 0), 65_535) for year, _ in rows], np.uint16)
    journals = np.array([number.get(journal, 0) for _, journal in rows], np.uint16)
    return Drawing(corpus_map, years, journals, tuple(names))
