"""The map of a generation: a point in two dimensions for each record, and the axes that project a vector to a point.

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

    mean: NDArray[np.float32]  # (dim,): projected to the origin of the map
    axes: NDArray[np.float32]  # (2, dim), of unit length
    share: NDArray[np.float64]  # (2,): share of the total variance along each axis
    n_records: int  # records in the index when the axes were computed

    def project(self, vectors: Vectors) -> NDArray[np.float32]:
        """Project vectors (n, dim) to points, float32 (n, 2)."""
        return ((vectors - self.mean) @ self.axes.T).astype(np.float32)


@dataclass(frozen=True, slots=True)
class CorpusMap:
    """The points of all records."""

    doc_ids: DocIds  # (n,), ascending
    places: NDArray[np.float32]  # (n, 2)
    axes: Axes

    def find_rows(self, doc_ids: DocIds) -> NDArray[np.int64]:
        """Return the rows of doc ids, in their order; unknown ids are left out."""
        if not len(self.doc_ids):
            return np.zeros(0, np.int64)
        at = np.searchsorted(self.doc_ids, doc_ids).clip(max=len(self.doc_ids) - 1)
        rows: NDArray[np.int64] = at[self.doc_ids[at] == doc_ids]
        return rows


def write_map(path: Path, corpus_map: CorpusMap) -> None:
    """Write and fsync a map.

    Raises:
        OSError: the disk is full or broken.
    """
    buffer = io.BytesIO()
    np.savez(
        buffer,
        doc_ids=corpus_map.doc_ids.astype("<i8"),
        places=corpus_map.places.astype("<f4"),
        mean=corpus_map.axes.mean.astype("<f4"),
        axes=corpus_map.axes.axes.astype("<f4"),
        share=corpus_map.axes.share.astype("<f8"),
        n_records=np.array(corpus_map.axes.n_records, "<i8"),
    )
    durable.write_bytes(path, buffer.getvalue())


def read_map(path: Path) -> CorpusMap:
    """Read a map.

    Raises:
        CorruptError: it can't be read, or the shapes of its arrays don't match.
    """
    try:
        with np.load(io.BytesIO(path.read_bytes()), allow_pickle=False) as content:
            arrays = {name: content[name] for name in content}
        axes = Axes(arrays["mean"], arrays["axes"], arrays["share"], int(arrays["n_records"]))
        corpus_map = CorpusMap(arrays["doc_ids"], arrays["places"], axes)
    except (OSError, ValueError, TypeError, KeyError, EOFError, zipfile.BadZipFile) as err:
        raise CorruptError(f"{path} can't be read ({err}). Run: engine rollback") from err
    shapes = corpus_map.places.shape, axes.axes.shape, axes.share.shape
    if shapes != ((len(corpus_map.doc_ids), 2), (2, len(axes.mean)), (2,)):
        raise CorruptError(f"{path} holds arrays whose shapes don't match. Run: engine rollback")
    return corpus_map
