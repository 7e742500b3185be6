"""The map of the next generation: all records along the two axes on which they differ most.

These are the first two principal components of the vectors (Pearson, Phil Mag 1901;2:559,
doi:10.1080/14786440109462720). The axes are kept while the encoder and the approximate number of records stay the
same, so that a record keeps its point from one generation to the next.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from engine.errors import CorruptError
from engine.index.corpusmap import Axes, Points, project_records, read_axes, write_axes, write_points
from engine.index.flat import FlatIndex
from engine.index.folder import AXES
from engine.index.parts import SegmentedIndex
from engine.records.encoder import EncoderIdentity, Vectors
from engine.reindex.generationfiles import open_next_vectors
from engine.reindex.order import Build
from engine.reindex.seal import Filled

_SAMPLE = 50_000  # records that the axes are computed from
_DRIFT = 2.0  # the axes are kept while the number of records changes by less than this factor


def draw_map(build: Build, encoder: EncoderIdentity, filled: Filled) -> None:
    """Write the axes of the next generation, and the points of the new segment in ``building``.

    Raises:
        OSError: the disk is full or broken.
    """
    axes = _choose_axes(open_next_vectors(build, filled.parts, encoder.dim), _read_axes(build, encoder))
    write_axes(build.folder.building_generation / AXES, axes)
    if filled.parts.has_new:
        files = build.folder.building_segment
        vectors = FlatIndex(files.vectors, encoder.dim)
        doc_ids = np.unique(vectors.doc_ids)
        write_points(files.map, Points(doc_ids, project_records(vectors, doc_ids, axes), axes.digest))


def _read_axes(build: Build, encoder: EncoderIdentity) -> Axes | None:
    """Return the axes of the current map; None if there is none that can be read, or its encoder is another."""
    current = build.current
    if current is None or current.manifest.encoder.fingerprint != encoder.fingerprint:
        return None
    try:
        return read_axes(current.axes)
    except CorruptError:
        return None


def _choose_axes(vectors: FlatIndex | SegmentedIndex, previous: Axes | None) -> Axes:
    """Return the previous axes if they are still valid, else new ones; of no vectors at all, axes of length 0."""
    if previous is not None and (not vectors.size or _is_current(previous, vectors.size)):
        return previous
    if not vectors.size:
        return Axes(np.zeros(vectors.dim, np.float32), np.zeros((2, vectors.dim), np.float32), np.zeros(2), 0)
    return _find_axes(vectors)


def _is_current(axes: Axes, n: int) -> bool:
    """Return whether axes were computed from about n records."""
    return axes.n_records / _DRIFT <= n <= axes.n_records * _DRIFT


def _find_axes(vectors: FlatIndex | SegmentedIndex) -> Axes:
    """Compute the axes along which records differ most, from at most _SAMPLE records spread over the corpus."""
    doc_ids = np.unique(vectors.doc_ids)
    rows = np.unique(np.linspace(0, len(doc_ids) - 1, min(_SAMPLE, len(doc_ids)), dtype=np.int64))
    return Axes(*_compute_components(vectors.get_points(doc_ids[rows])), len(doc_ids))


def _compute_components(points: Vectors) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float64]]:
    """Compute the first two principal components of points (n, dim), n at least 1.

    Returns their mean (dim,), the components (2, dim) and their shares of the variance (2,). The sign of a component is
    arbitrary, so its largest entry is made positive.
    """
    mean = points.mean(axis=0, dtype=np.float64)
    centred = points - mean
    variances, directions = np.linalg.eigh(centred.T @ centred / len(points))  # ascending
    axes = directions[:, :-3:-1].T
    largest = np.take_along_axis(axes, np.abs(axes).argmax(axis=1, keepdims=True), axis=1)
    share = variances[:-3:-1] / (variances.sum() or 1.0)
    return mean.astype(np.float32), (axes * np.sign(largest)).astype(np.float32), share.clip(0, 1)
