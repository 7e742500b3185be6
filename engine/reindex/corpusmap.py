"""Draw the map of the next generation: all records along the two directions in which they differ most.

These are the first two principal components of the vectors (Pearson, Phil Mag 1901;2:559,
doi:10.1080/14786440109462720). They are kept while the encoder stays and the number of records is about the same, so
that a record stays where it was from one night to the next.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from engine.errors import CorruptError
from engine.index.corpusmap import Axes, CorpusMap, read_map, write_map
from engine.index.flat import FlatIndex
from engine.index.folder import MAP, VECTORS
from engine.records.encoder import EncoderIdentity, Vectors
from engine.records.generation import DocIds
from engine.reindex.order import Build

SAMPLE = 50_000  # records that the directions are found by
_CHUNK = 16_384  # records placed together
_DRIFT = 2.0  # times as many records, or as few, as when the directions were found


def draw_map(build: Build, encoder: EncoderIdentity) -> None:
    """Write the map of the vectors in ``building``.

    Raises:
        OSError: the disk is full or broken.
    """
    building = build.folder.building
    write_map(building / MAP, _draw_points(FlatIndex(building / VECTORS, encoder.dim), _read_axes(build, encoder)))


def _read_axes(build: Build, encoder: EncoderIdentity) -> Axes | None:
    """The axes of the current map; None where it is of another encoder."""
    current = build.current
    if current is None or current.manifest.encoder.fingerprint != encoder.fingerprint:
        return None
    try:
        return read_map(current.map).axes
    except CorruptError:
        return None


def _draw_points(vectors: FlatIndex, held: Axes | None = None) -> CorpusMap:
    """The map of some vectors, along axes found before where these still hold; there is at least one vector."""
    doc_ids = np.unique(vectors.doc_ids)
    axes = held if held is not None and _has_current_axes(held, len(doc_ids)) else _find_axes(vectors, doc_ids)
    places = [axes.project(vectors.get_points(part)) for part in _split_ids(doc_ids)]
    return CorpusMap(doc_ids, np.concatenate(places), axes)


def _has_current_axes(held: Axes, n: int) -> bool:
    """Whether axes were found on about n records."""
    return held.n_records / _DRIFT <= n <= held.n_records * _DRIFT


def _find_axes(vectors: FlatIndex, doc_ids: DocIds) -> Axes:
    """The axes along which the records differ most, by a spread of SAMPLE of them."""
    rows = np.unique(np.linspace(0, len(doc_ids) - 1, min(SAMPLE, len(doc_ids)), dtype=np.int64))
    return Axes(*_compute_components(vectors.get_points(doc_ids[rows])), len(doc_ids))


def _split_ids(doc_ids: DocIds) -> list[DocIds]:
    """Doc ids in stretches of at most CHUNK."""
    return [doc_ids[start : start + _CHUNK] for start in range(0, len(doc_ids), _CHUNK)]


def _compute_components(points: Vectors) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float64]]:
    """Mean (dim,), the first two principal components (2, dim) of points (n, dim), n at least 1, and their shares (2,).

    The largest entry of each component is positive: which way it points says nothing, so one way is chosen.
    """
    mean = points.mean(axis=0, dtype=np.float64)
    centred = points - mean
    variances, directions = np.linalg.eigh(centred.T @ centred / len(points))  # ascending
    axes = directions[:, :-3:-1].T
    largest = np.take_along_axis(axes, np.abs(axes).argmax(axis=1, keepdims=True), axis=1)
    share = variances[:-3:-1] / (variances.sum() or 1.0)
    return mean.astype(np.float32), (axes * np.sign(largest)).astype(np.float32), share.clip(0, 1)
