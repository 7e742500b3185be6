"""The map of the next generation, in one of several layouts.

pca: all records along the two axes on which they differ most, the first two principal components of the vectors
(Pearson, Phil Mag 1901;2:559, doi:10.1080/14786440109462720).

umap: at most 20,000 records spread over the corpus, laid out so that neighbours stay neighbours (McInnes, Healy and
Melville, arXiv:1802.03426), and the others between those that are nearest to them. No model is stored.

A layout is kept while the encoder, the kind and the approximate number of records stay the same, so that a record keeps
its point from one generation to the next: new records never move others.
"""

from __future__ import annotations

import importlib.util
import warnings
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine.errors import CorruptError
from engine.index.files import durable
from engine.index.generations.folder import AXES, Generation
from engine.index.map.corpusmap import Anchors, Axes, Points, project_records, read_layout, write_layout, write_points
from engine.index.map.regions import find_neighbours
from engine.index.search.flat import FlatIndex
from engine.index.search.parts import SegmentedIndex
from engine.options import DEFAULT_MAP, IndexSettings, MapKind
from engine.records.encoder import EncoderIdentity, Vectors
from engine.reindex.generation.generationfiles import open_next_vectors
from engine.reindex.generation.order import Build
from engine.reindex.generation.seal import Filled

_SAMPLE = 50_000  # records that the axes are computed from
_ANCHORS = 20_000  # records that are laid out together
_FEWEST = 50  # records; fewer have no neighbourhoods to lay out, so they lie along axes
_NEIGHBOURS = 15
_WIDEST = 0.02  # gap in a layout by neighbours, as a share of its width or height
_SEED = 1  # fixed, so that the same vectors have the same map
_DRIFT = 2.0  # a layout is kept while the number of records changes by less than this factor
_WITHOUT_UMAP = (
    "umap-learn is not installed, so the map shows two principal components. Install it, then run this again: "
    "pip install 'abstract-engine[map]'"
)

_Layout = Axes | Anchors


def draw_map(build: Build, encoder: EncoderIdentity, filled: Filled) -> tuple[str, ...]:
    """Write the layout of the next generation, and the points of the new segment in ``building``; return the notes.

    Raises:
        OSError: the disk is full or broken.
    """
    vectors, before = open_next_vectors(build, filled.parts, encoder.dim), _read_current(build.current, encoder)
    wanted, notes = _choose_kind(build.order.settings.map_kind, before)
    layout, path = _choose_layout(vectors, before, wanted), build.folder.building_generation / AXES
    if build.current is not None and layout is before and isinstance(layout, Anchors):  # megabytes; axes are small
        durable.share_file(build.current.axes, path)
    else:
        write_layout(path, layout)
    if filled.parts.has_new:
        files = build.folder.building_segment
        own = FlatIndex(files.vectors, encoder.dim)
        doc_ids = np.unique(own.doc_ids)
        write_points(files.map, Points(doc_ids, project_records(own, doc_ids, layout), layout.digest))
    return notes


def is_map_changed(current: Generation | None, settings: IndexSettings) -> bool:
    """Return whether the settings ask for another kind of map than the current generation has."""
    if current is None or settings.map_kind is None:
        return False
    before = _read_current(current, current.manifest.encoder)
    if before is None:
        return False
    wanted, _ = _choose_kind(settings.map_kind, before)
    return _limit_kind(wanted, current.manifest.counts.abstracts) != before.kind


def _choose_kind(asked: str | None, before: _Layout | None) -> tuple[MapKind, tuple[str, ...]]:
    """Return the kind of map to make, and a note if it is not the one that was asked for."""
    wanted: Any = asked or (before.kind if before is not None and before.n_records else DEFAULT_MAP)
    if wanted != "umap" or importlib.util.find_spec("umap") or (before is not None and before.kind == "umap"):
        return wanted, ()
    return "pca", (_WITHOUT_UMAP,) if asked else ()


def _limit_kind(wanted: MapKind, n: int) -> MapKind:
    """Return the kind of map that so many records can have."""
    return "pca" if wanted == "umap" and n < _FEWEST else wanted


def _read_current(current: Generation | None, encoder: EncoderIdentity) -> _Layout | None:
    """Return the layout of the current map; None if there is none that can be read, or its encoder is another."""
    if current is None or current.manifest.encoder.fingerprint != encoder.fingerprint:
        return None
    try:
        return read_layout(current.axes)
    except CorruptError:
        return None


def _choose_layout(vectors: FlatIndex | SegmentedIndex, previous: _Layout | None, wanted: MapKind) -> _Layout:
    """Return the previous layout if it is still valid, else a new one; of no vectors at all, axes of length 0.

    One of anchors is kept while umap-learn is not installed.
    """
    n, kind = vectors.size, _limit_kind(wanted, vectors.size)
    if previous is not None and (not n or (previous.kind == kind and _is_current(previous, n))):
        return previous
    if previous is not None and previous.kind == kind == "umap" and importlib.util.find_spec("umap") is None:
        return previous
    return make_layout(vectors, kind if n else "none")


def make_layout(vectors: FlatIndex | SegmentedIndex, kind: MapKind) -> Axes | Anchors:
    """Return a new layout of some vectors, axes of length 0 for none.

    Raises:
        ImportError: the kind is umap, and umap-learn is not installed.
    """
    if kind == "none":
        return Axes(
            np.zeros(vectors.dim, np.float32), np.zeros((2, vectors.dim), np.float32), np.zeros(2), vectors.size
        )
    return _find_axes(vectors) if kind == "pca" else _find_anchors(vectors)


def _is_current(layout: _Layout, n: int) -> bool:
    """Return whether a layout was made from about n records."""
    return layout.n_records / _DRIFT <= n <= layout.n_records * _DRIFT


def _sample(vectors: FlatIndex | SegmentedIndex, most: int) -> tuple[Vectors, int]:
    """Return the vectors of at most so many records spread over the corpus, and the number of all records."""
    doc_ids = np.unique(vectors.doc_ids)
    rows = np.unique(np.linspace(0, len(doc_ids) - 1, min(most, len(doc_ids)), dtype=np.int64))
    return vectors.get_points(doc_ids[rows]), len(doc_ids)


def _find_axes(vectors: FlatIndex | SegmentedIndex) -> Axes:
    """Compute the axes along which records differ most, from at most _SAMPLE records spread over the corpus."""
    points, n = _sample(vectors, _SAMPLE)
    return Axes(*_compute_components(points), n)


def _find_anchors(vectors: FlatIndex | SegmentedIndex) -> Anchors:
    """Lay out at most _ANCHORS records spread over the corpus by their neighbours, at least _FEWEST."""
    points, n = _sample(vectors, _ANCHORS)
    return Anchors.of(points, _place_anchors(points), n)


def _place_anchors(points: Vectors) -> NDArray[np.float32]:
    """Return places (n, 2) of points (n, dim), so that neighbours stay neighbours; they begin along the two axes."""
    import umap

    mean, axes, _ = _compute_components(points)
    along = (points - mean) @ axes.T
    begin = 10 * along / max(float(np.abs(along).max()), 1e-9)
    begin += np.random.default_rng(_SEED).normal(scale=1e-4, size=begin.shape)  # so that equal records can part
    cosines, rows = find_neighbours(points, _NEIGHBOURS)
    reducer = umap.UMAP(
        n_neighbors=_NEIGHBOURS,
        metric="cosine",
        init=begin.astype(np.float32),
        precomputed_knn=(rows, np.clip(1 - cosines, 0, 2), None),
        random_state=_SEED,
        n_jobs=1,
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that it can't place further records: anchors do
        laid_out = reducer.fit_transform(points)
    return np.stack([_close_gaps(values) for values in np.asarray(laid_out, np.float64).T], axis=1).astype(np.float32)


def _close_gaps(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return values (n,) in their order, with no gap between two that is wider than a share of their range.

    How far groups lie apart means nothing in such a layout, and leaves the middle of a map empty.
    """
    order = np.argsort(values, kind="stable")
    steps = np.diff(values[order], prepend=values[order[:1]])
    closed = np.empty_like(values)
    closed[order] = np.cumsum(np.minimum(steps, _WIDEST * np.ptp(values)))
    closed -= closed.mean()
    return closed


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
