"""What runs on a node of the cluster: it opens segments of one index and ranks their records."""

from __future__ import annotations

import threading
import time
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
from numpy.typing import NDArray

from engine.config import check_ray_node
from engine.errors import CorruptError, EngineError, GenerationError
from engine.index.generations import manifest as manifests
from engine.index.generations.folder import Generation
from engine.index.generations.segment import Segment, SegmentFiles
from engine.index.generations.vectors import open_part
from engine.index.search.parts import SegmentedIndex
from engine.receipts import FileReceipt
from engine.records.encoder import Vectors
from engine.records.generation import DocIds, Manifest
from engine.scale.nodes.nodefiles import NodeFiles
from engine.scale.ranking.segmentfacts import SegmentFacts, describe_segment

_IDLE = 60.0  # seconds without a question, after which a segment that another node should hold is closed
_KEPT = 4  # generations of which segments stay open


@dataclass(frozen=True, slots=True)
class GenerationKey:
    """A generation that a question is answered from; another one of the same number has another digest."""

    number: int
    sha256: str  # of its manifest


def build_key(generation: Generation) -> GenerationKey:
    """Return what an open generation is called by where it is asked for."""
    return read_key(generation.path, generation.manifest.generation)


def read_key(path: Path, number: int) -> GenerationKey:
    """Return what the generation in a folder is called by.

    Raises:
        OSError: its manifest can't be read.
    """
    return GenerationKey(number, FileReceipt.of(path / manifests.NAME).sha256)


@dataclass(frozen=True, slots=True)
class HeldSegment:
    """A segment of a generation that a node has open."""

    key: GenerationKey
    name: str
    n_bytes: int  # of its vectors and codes


class Holder:
    """The segments that one node has open. Ray runs its methods in several threads."""

    def __init__(self, storage: str, cache_bytes: int) -> None:
        """Keep where the files are, and how many bytes of an object store this node may copy.

        Raises:
            ConfigError: this node asks nobody for a token, or the address of the files can't be used.
            ClusterError: this node has no folder for a cache.
        """
        check_ray_node()
        self._files = NodeFiles(storage, cache_bytes)
        self._lock = threading.Lock()
        self._opening: defaultdict[str, threading.Lock] = defaultdict(threading.Lock)  # by segment
        self._manifests: dict[GenerationKey, Manifest] = {}
        self._open: dict[tuple[GenerationKey, str], SegmentedIndex] = {}  # last used last
        self._used: dict[tuple[GenerationKey, str], float] = {}  # when each was used last
        self._kept: frozenset[GenerationKey] | None = None  # None: nothing was dropped yet

    def answer(self, key: GenerationKey, names: Sequence[str], operation: str, *args: Any) -> list[Any]:
        """Return what an operation of OPERATIONS gives for each segment, in the order of the names.

        Raises:
            GenerationError: the generation was dropped, a segment is missing here or damaged, or the generation is
                another one.
        """
        return [OPERATIONS[operation](self._get_segment(key, name), *args) for name in names]

    def describe(self, key: GenerationKey, names: Sequence[str], deep: bool) -> list[SegmentFacts | str]:
        """Return the facts of each segment, opened if it was not, or what is wrong with it here.

        deep: all vectors are read, and so are the files, whatever was read before.
        """
        return [self._describe_one(key, name, deep=deep) for name in names]

    def _describe_one(self, key: GenerationKey, name: str, *, deep: bool) -> SegmentFacts | str:
        """Return the facts of a segment, or what is wrong with it here."""
        try:
            index = self._get_segment(key, name)
            if deep:
                self._check_segment(key, name, quick=False)
            return describe_segment(index, self._get_manifest(key).encoder.fingerprint, deep=deep)
        except (EngineError, OSError) as err:
            return str(err)

    def drop(self, kept: Sequence[GenerationKey]) -> None:
        """Close the segments of all generations but some, and refuse older ones from now on."""
        with self._lock:
            self._kept = frozenset(kept)
            for key in {key for key, _ in self._open} | self._manifests.keys():
                if key not in self._kept:
                    self._close(key)
        self._files.drop_generations({key.number for key in kept})

    def settle(self, shares: Mapping[GenerationKey, Sequence[str]]) -> list[str]:
        """Open the segments that this node holds, and return what is wrong with those that can't be opened.

        Other segments of the same generations are closed when they were not used for a while.
        """
        problems = [
            f"segment {name}: {one}"
            for key, names in shares.items()
            for name, one in zip(names, map(partial(self._try_open, key), names), strict=True)
            if one
        ]
        late = time.monotonic() - _IDLE
        with self._lock:
            for at in [at for at in self._open if at[0] in shares and at[1] not in shares[at[0]]]:
                if self._used.get(at, 0.0) <= late:
                    del self._open[at]
        return problems

    def _try_open(self, key: GenerationKey, name: str) -> str:
        """Open a segment if it is not; return why it can't be, or nothing. A dropped generation needs nothing."""
        try:
            self._get_segment(key, name)
        except (EngineError, OSError) as err:
            return "" if type(err) is GenerationError else str(err)
        return ""

    def release(self, key: GenerationKey) -> None:
        """Close the segments of a generation that did not become current."""
        with self._lock:
            self._close(key)

    def list_held(self) -> list[HeldSegment]:
        """List the segments that are open here."""
        with self._lock:
            held = list(self._open.items())
        return [HeldSegment(key, name, _count_bytes(index)) for (key, name), index in held]

    def _was_dropped(self, key: GenerationKey) -> bool:
        """Return whether no kept generation is this one, and one as new is kept."""
        kept = self._kept
        return kept is not None and key not in kept and key.number <= max((one.number for one in kept), default=0)

    def _refuse_dropped(self, key: GenerationKey) -> None:
        """Refuse a generation that was dropped; call with the lock.

        Raises:
            GenerationError: it was.
        """
        if self._was_dropped(key):
            _raise_dropped(key)

    def _close(self, key: GenerationKey) -> None:
        """Forget a generation; call with the lock."""
        self._manifests.pop(key, None)
        for one in [one for one in self._used if one[0] == key]:
            self._open.pop(one, None)
            del self._used[one]

    def _get_manifest(self, key: GenerationKey) -> Manifest:
        """Return the manifest of a generation.

        Raises:
            GenerationError: it is no longer kept.
            CorruptError: it can't be read, or is another one.
        """
        manifest = self._manifests.get(key)
        if manifest is None:
            if self._files.was_removed(key.number):
                _raise_dropped(key)
            manifest = self._files.read_manifest(key.number, key.sha256)
            self._manifests[key] = manifest
        return manifest

    def _get_segment(self, key: GenerationKey, name: str) -> SegmentedIndex:
        """Return a segment as a generation uses it, opened and checked on first use. Others are used meanwhile.

        Raises:
            GenerationError: the generation was dropped, or the segment is missing here or damaged.
        """
        found = self._find_open(key, name)
        if found is not None:
            return found
        with self._opening[name]:
            return self._find_open(key, name) or self._keep_open(key, name, self._open_segment(key, name))

    def _find_open(self, key: GenerationKey, name: str) -> SegmentedIndex | None:
        """Return a segment that is open; None if it is not.

        Raises:
            GenerationError: the generation was dropped.
        """
        with self._lock:
            self._refuse_dropped(key)
            self._used[key, name] = time.monotonic()
            found = self._open.pop((key, name), None)
            if found is not None:
                self._open[key, name] = found
            return found

    def _keep_open(self, key: GenerationKey, name: str, index: SegmentedIndex) -> SegmentedIndex:
        """Keep a segment open, and the last used generations; return the segment.

        Raises:
            GenerationError: the generation was dropped meanwhile.
        """
        with self._lock:
            self._refuse_dropped(key)
            self._open[key, name] = index
            used = list(dict.fromkeys(one for one, _ in reversed(self._open)))
            for old in used[_KEPT:]:
                self._close(old)
            return index

    def _open_segment(self, key: GenerationKey, name: str) -> SegmentedIndex:
        """Open a segment; its vectors are shared with other generations.

        Raises:
            GenerationError: it is missing or damaged, or the generation does not name it.
        """
        segment, dim = self._check_segment(key, name, quick=True), self._get_manifest(key).encoder.dim
        with self._lock:
            opened = {part.index.path: part.index for one in self._open.values() for part in one.parts}
        return SegmentedIndex([open_part(segment, dim, opened)], dim)

    def _check_segment(self, key: GenerationKey, name: str, *, quick: bool) -> Segment:
        """Check the files of a segment, as this node sees them, and return it.

        Raises:
            GenerationError: the generation is no longer kept.
            CorruptError: the segment is missing or damaged, or the generation does not name it.
        """
        manifest = self._get_manifest(key)
        entry = next((one for one in manifest.segments if one.name == name), None)
        if entry is None:
            raise CorruptError(f"generation {key.number:06d} has no segment {name}. Run: engine verify")
        with self._lock:
            used = {name for _, name in self._open}
        return self._files.open_segment(key.number, manifest.encoder.fingerprint, entry, used, quick=quick)


def _raise_dropped(key: GenerationKey) -> NoReturn:
    """Raise the error for a generation that was dropped.

    Raises:
        GenerationError: always.
    """
    raise GenerationError(
        f"generation {key.number:06d} is no longer kept, so the nodes dropped it. Open the current one"
    )


def _count_bytes(index: SegmentedIndex) -> int:
    """Return the size of the files of vectors and codes."""
    files = [SegmentFiles(part.index.path.parent) for part in index.parts]
    return sum(path.stat().st_size for one in files for path in (one.vectors, one.codes) if path.exists())


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
