"""The map of a generation: a place in two dimensions for each record, and how a vector becomes a place.

The file map.npz is an uncompressed archive of NumPy arrays, read without pickle: doc_ids int64 (n,) ascending, places
float32 (n, 2), mean float32 (dim,), axes float32 (2, dim), share float64 (2,), n_records int64 ().
"""

from __future__ import annotations

import io
import zipfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from engine.errors import CorruptError
from engine.index import durable
from engine.records.encoder import Vectors
from engine.records.generation import DocIds


@dataclass(frozen=True, slots=True)
class Axes:
    """Two directions in the space of the vectors."""

    mean: NDArray[np.float32]  # (dim,): what lies in the middle of the map
    axes: NDArray[np.float32]  # (2, dim), of unit length
    share: NDArray[np.float64]  # (2,): of all the difference between records, what lies along each
    n_records: int  # in the index when they were found

    def project(self, vectors: Vectors) -> NDArray[np.float32]:
        """Where vectors (n, dim) lie: float32 (n, 2)."""
        return ((vectors - self.mean) @ self.axes.T).astype(np.float32)


@dataclass(frozen=True, slots=True)
class CorpusMap:
    """The places of all records."""

    doc_ids: DocIds  # (n,), ascending
    places: NDArray[np.float32]  # (n, 2)
    axes: Axes

    def find_rows(self, doc_ids: DocIds) -> NDArray[np.int64]:
        """The row of each of some doc ids, in their order; one that is not there is left out."""
        if not len(self.doc_ids):
            return np.zeros(0, np.int64)
        at = np.searchsorted(self.doc_ids, doc_ids).clip(max=len(self.doc_ids) - 1)
        rows: NDArray[np.int64] = at[self.doc_ids[at] == doc_ids]
        return rows


def write_map(path: Path, made: CorpusMap) -> None:
    """Write and fsync a map.

    Raises:
        OSError: the disk is full or broken.
    """
    buffer = io.BytesIO()
    np.savez(
        buffer,
        doc_ids=made.doc_ids.astype("<i8"),
        places=made.places.astype("<f4"),
        mean=made.axes.mean.astype("<f4"),
        axes=made.axes.axes.astype("<f4"),
        share=made.axes.share.astype("<f8"),
        n_records=np.array(made.axes.n_records, "<i8"),
    )
    durable.write_bytes(path, buffer.getvalue())


def read_map(path: Path) -> CorpusMap:
    """Read a map.

    Raises:
        CorruptError: it can't be read, or its arrays don't belong together.
    """
    try:
        with np.load(io.BytesIO(path.read_bytes()), allow_pickle=False) as content:
            found = {name: content[name] for name in content}
        axes = Axes(found["mean"], found["axes"], found["share"], int(found["n_records"]))
        made = CorpusMap(found["doc_ids"], found["places"], axes)
    except (OSError, ValueError, TypeError, KeyError, EOFError, zipfile.BadZipFile) as err:
        raise CorruptError(f"{path} can't be read ({err}). Run: engine rollback") from err
    shapes = made.places.shape, axes.axes.shape, axes.share.shape
    if shapes != ((len(made.doc_ids), 2), (2, len(axes.mean)), (2,)):
        raise CorruptError(f"{path} holds arrays that don't belong together. Run: engine rollback")
    return made
