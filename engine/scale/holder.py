"""What runs on a node of the cluster: it opens segments of one index and ranks their records."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine.errors import CorruptError
from engine.index.generations import manifest as manifests
from engine.index.generations.folder import IndexFolder
from engine.index.generations.vectors import open_part
from engine.index.search.flat import FlatIndex
from engine.index.search.parts import SegmentedIndex
from engine.receipts import FileReceipt
from engine.records.encoder import Vectors
from engine.records.generation import DocIds, Manifest

_KEPT = 4  # generations of which segments stay open


@dataclass(frozen=True, slots=True)
class GenerationKey:
    """A generation that a question is answered from; another one of the same number has another digest."""

    number: int
    sha256: str  # of its manifest


class Holder:
    """The segments that one node has open. Ray runs its methods in several threads."""

    def __init__(self, storage: str) -> None:
        """Keep the folder of the index, as this node sees it."""
        self._folder = IndexFolder(Path(storage))
        self._lock = threading.Lock()
        self._manifests: dict[GenerationKey, Manifest] = {}
        self._open: dict[tuple[GenerationKey, str], SegmentedIndex] = {}  # newest last

    def answer(self, key: GenerationKey, names: Sequence[str], operation: str, *args: Any) -> list[Any]:
        """Return what an operation of OPERATIONS gives for each segment, in the order of the names.

        Raises:
            GenerationError: a segment is missing here or damaged, or the generation is another one.
        """
        return [OPERATIONS[operation](self._get_segment(key, name), *args) for name in names]

    def _get_manifest(self, key: GenerationKey) -> Manifest:
        """Return the manifest of a generation.

        Raises:
            CorruptError: it can't be read, or is another one.
        """
        if key not in self._manifests:
            path = self._folder.get_generation_path(key.number)
            manifest = manifests.read_manifest(path)
            found = FileReceipt.of(path / manifests.NAME).sha256
            if found != key.sha256:
                raise CorruptError(
                    f"{path} on this node has the manifest {found[:12]}, expected {key.sha256[:12]}. Share the folder "
                    "of the index with every node"
                )
            self._manifests[key] = manifest
        return self._manifests[key]

    def _get_segment(self, key: GenerationKey, name: str) -> SegmentedIndex:
        """Return a segment as a generation uses it, opened and checked on first use.

        Raises:
            GenerationError: it is missing here or damaged.
        """
        with self._lock:
            found = self._open.get((key, name))
            if found is None:
                found = self._open[key, name] = self._open_segment(key, name)
                known = list(dict.fromkeys(one for one, _ in self._open))
                for one in [one for one in self._open if one[0] in known[:-_KEPT]]:
                    del self._open[one]
            return found

    def _open_segment(self, key: GenerationKey, name: str) -> SegmentedIndex:
        """Open a segment; its vectors are shared with other generations.

        Raises:
            CorruptError: the generation does not name it.
            GenerationError: it is missing or damaged.
        """
        manifest = self._get_manifest(key)
        entry = next((one for one in manifest.segments if one.name == name), None)
        if entry is None:
            raise CorruptError(f"generation {key.number:06d} has no segment {name}. Run: engine verify")
        segment = self._folder.open_segment(key.number, manifest.encoder.fingerprint, entry, quick=True)
        opened: dict[Path, FlatIndex] = {
            part.index.path: part.index for one in self._open.values() for part in one.parts
        }
        return SegmentedIndex([open_part(segment, manifest.encoder.dim, opened)], manifest.encoder.dim)


def _score_known(index: SegmentedIndex, query: Vectors, ids: DocIds) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """Return the positions of the ids alive here, and their scores."""
    at = np.flatnonzero(index.has_ids(ids))
    return at, index.score_ids(query, ids[at])


def _get_known_points(index: SegmentedIndex, ids: DocIds) -> tuple[NDArray[np.int64], Vectors]:
    """Return the positions of the ids alive here, and their points."""
    at = np.flatnonzero(index.has_ids(ids))
    return at, index.get_points(ids[at])


def _read_known(index: SegmentedIndex, ids: DocIds) -> tuple[NDArray[np.int64], Vectors, NDArray[np.int64]]:
    """Return the positions of the ids alive here, their vectors, and how many each has."""
    at = np.flatnonzero(index.has_ids(ids))
    return at, *index.read_vectors(ids[at])


def _has_known(index: SegmentedIndex, ids: DocIds, among: DocIds | None) -> NDArray[np.bool_]:
    """Return which ids are alive here and among some."""
    found = index.has_ids(ids)
    return found if among is None else found & np.isin(ids, among)


OPERATIONS: Mapping[str, Callable[..., Any]] = {
    "search": lambda index, queries, top_k, shallow: index.search(queries, top_k, shallow=shallow),
    "search_exhaustively": SegmentedIndex.search_exhaustively,
    "search_among": lambda index, queries, ids, top_k, shallow: index.search_among(
        queries, ids, top_k, shallow=shallow
    ),
    "score_known": _score_known,
    "get_known_points": _get_known_points,
    "read_known": _read_known,
    "has_known": _has_known,
    "count_better": SegmentedIndex.count_better,
    "get_ids": lambda index: index.doc_ids,
    "count": lambda index: (index.size, index.n_rows),
}  # what a node computes from one of its segments
