"""The map of a generation: a point in two dimensions for each record, and the layout that gives a vector its point.

A layout is either a pair of axes that vectors are projected on, or anchors: records with a place each, by which others
are placed. It belongs to a generation, the points to a segment, with the digest of the layout that they were made with.
A segment with points of another layout is placed anew when the map is opened.

Files are uncompressed archives of NumPy arrays, read without pickle. Axes: mean float32 (dim,), axes float32 (2, dim),
share float64 (2,), n_records int64 (). Anchors: anchors int8 (m, dim), their vectors in multiples of step float32 ();
anchor_places float32 (m, 2), n_records int64 (). Points: doc_ids int64 (n,) ascending, places float32 (n, 2), made_with
uint8 (32,), the SHA-256 of what decides where a vector lies.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from engine.errors import CorruptError
from engine.index.files.arrays import Arrays, list_arrays, read_arrays, write_arrays
from engine.index.search.flat import FlatRows
from engine.index.search.library import faiss
from engine.index.search.parts import Part, SegmentedIndex
from engine.options import MapKind
from engine.records.encoder import Vectors
from engine.records.generation import DocIds

_CHUNK = 16_384  # records placed at once
_NEAREST = 5  # anchors that a record is placed by
_SAME = 0.999  # cosine from which a record lies where the anchor does
_LEVELS = 127


class _MapLayout(Protocol):
    """Where a vector lies on a map."""

    @property
    def kind(self) -> MapKind:
        """How it was made, as index.toml names it."""

    @property
    def n_records(self) -> int:
        """Records in the index when it was made."""

    @property
    def digest(self) -> bytes:
        """SHA-256 of what decides where a vector lies."""

    def project(self, vectors: Vectors) -> NDArray[np.float32]:
        """Return the points of vectors (n, dim), float32 (n, 2)."""


@dataclass(frozen=True, slots=True)
class Axes:
    """Two directions in the space of the vectors."""

    mean: NDArray[np.float32]  # (dim,): projected to the origin of the map
    axes: NDArray[np.float32]  # (2, dim), of unit length
    share: NDArray[np.float64]  # (2,): share of the total variance along each axis
    n_records: int  # records in the index when the axes were computed

    @property
    def kind(self) -> MapKind:
        """How the axes were made: principal components, or not at all, if both have length 0."""
        return "pca" if self.axes.any() else "none"

    @property
    def digest(self) -> bytes:
        """SHA-256 of what decides where a vector lies."""
        return hashlib.sha256(self.mean.astype("<f4").tobytes() + self.axes.astype("<f4").tobytes()).digest()

    def project(self, vectors: Vectors) -> NDArray[np.float32]:
        """Project vectors (n, dim) to points, float32 (n, 2).

        The sums are in float64, so that a vector has the same point whatever it is projected with.
        """
        return ((vectors.astype(np.float64) - self.mean) @ self.axes.T.astype(np.float64)).astype(np.float32)


class Anchors:
    """Records whose places were found together; others lie between those that are nearest to them."""

    kind: MapKind = "umap"

    def __init__(self, codes: NDArray[np.int8], step: float, places: NDArray[np.float32], n_records: int) -> None:
        """Keep anchors.

        codes: (m, dim), m at least 1: the vectors in multiples of step. places: (m, 2). n_records: records in the index
        when the anchors were placed.
        """
        self.codes, self.step, self.places, self.n_records = codes, step, places, n_records

    @staticmethod
    def of(vectors: Vectors, places: NDArray[np.float32], n_records: int) -> Anchors:
        """Return anchors with these vectors (m, dim)."""
        step = float(np.float32(np.abs(vectors).max() / _LEVELS)) or 1.0
        return Anchors(np.rint(vectors / step).astype(np.int8), step, places.astype(np.float32), n_records)

    @property
    def digest(self) -> bytes:
        """SHA-256 of what decides where a vector lies."""
        step = np.array(self.step, "<f4")
        return hashlib.sha256(self.codes.tobytes() + step.tobytes() + self.places.astype("<f4").tobytes()).digest()

    @cached_property
    def vectors(self) -> Vectors:
        """The vectors of the anchors, float32 (m, dim), of unit length."""
        vectors = self.codes.astype(np.float32)
        vectors /= np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), np.float32(1e-9))
        return vectors

    def project(self, vectors: Vectors) -> NDArray[np.float32]:
        """Place vectors (n, dim) between the nearest anchors, float32 (n, 2).

        The weight of an anchor is the square of how much nearer it is than the next one that has no weight. A record
        with nearly the vector of an anchor has its place.
        """
        n = min(_NEAREST + 1, len(self.codes))
        cosines, rows = faiss.knn(np.ascontiguousarray(vectors), self.vectors, n, metric=faiss.METRIC_INNER_PRODUCT)
        found = cosines.astype(np.float64)
        weights = (found - found[:, -1:]) ** 2 + 1e-12
        weights[found[:, 0] >= _SAME, 1:] = 0
        weights /= weights.sum(axis=1, keepdims=True)
        points: NDArray[np.float32] = np.einsum("nk,nkd->nd", weights, self.places[rows]).astype(np.float32)
        return points


@dataclass(frozen=True, slots=True)
class Points:
    """The points of a segment."""

    doc_ids: DocIds  # (n,), ascending
    places: NDArray[np.float32]  # (n, 2)
    made_with: bytes  # the digest of the layout


@dataclass(frozen=True, slots=True)
class CorpusMap:
    """The points of all records."""

    doc_ids: DocIds  # (n,), ascending
    places: NDArray[np.float32]  # (n, 2)
    layout: _MapLayout

    def find_rows(self, doc_ids: DocIds) -> NDArray[np.int64]:
        """Return the rows of doc ids, in their order; unknown ids are left out."""
        if not len(self.doc_ids):
            return np.zeros(0, np.int64)
        at = np.searchsorted(self.doc_ids, doc_ids).clip(max=len(self.doc_ids) - 1)
        rows: NDArray[np.int64] = at[self.doc_ids[at] == doc_ids]
        return rows


def open_map(parts: Sequence[tuple[Path, Part]], layout: _MapLayout) -> CorpusMap:
    """Return the map of all records alive, from the file of points of each segment.

    Raises:
        CorruptError: a file can't be read, or its points are not those of its segment.
    """
    found = [_read_living_points(path, part, layout) for path, part in parts]
    doc_ids = np.concatenate([np.empty(0, np.int64), *(ids for ids, _ in found)])
    places = np.concatenate([np.empty((0, 2), np.float32), *(places for _, places in found)])
    order = np.argsort(doc_ids, kind="stable")
    return CorpusMap(doc_ids[order], places[order], layout)


def _read_living_points(path: Path, part: Part, layout: _MapLayout) -> tuple[DocIds, NDArray[np.float32]]:
    """Return the ids of a segment that are alive and their places in a layout.

    Raises:
        CorruptError: the file can't be read, or its points are not those of the segment.
    """
    points = read_points(path)
    if len(points.doc_ids) != part.index.size or (part.index.find_rows(points.doc_ids) < 0).any():
        raise CorruptError(f"{path} holds the points of other records than {part.index.path}. Run: engine verify")
    living = np.isin(points.doc_ids, part.dead, assume_unique=True, invert=True)
    doc_ids, places = points.doc_ids[living], points.places[living]
    return doc_ids, places if points.made_with == layout.digest else project_records(part.index, doc_ids, layout)


def project_records(vectors: FlatRows | SegmentedIndex, doc_ids: DocIds, layout: _MapLayout) -> NDArray[np.float32]:
    """Return the points of records (n,) in a layout, float32 (n, 2)."""
    chunks = [doc_ids[start : start + _CHUNK] for start in range(0, len(doc_ids), _CHUNK)]
    return np.concatenate(
        [np.empty((0, 2), np.float32), *(layout.project(vectors.get_points(chunk)) for chunk in chunks)]
    )


def write_layout(path: Path, layout: Axes | Anchors) -> None:
    """Write and fsync a layout.

    Raises:
        OSError: the disk is full or broken.
    """
    write_arrays(path, _list_axes(layout) if isinstance(layout, Axes) else _list_anchors(layout))


def read_layout(path: Path) -> Axes | Anchors:
    """Read a layout.

    Raises:
        CorruptError: it can't be read, or the shapes of the arrays don't match.
    """
    if "anchors" in list_arrays(path):
        return _build_anchors(path, read_arrays(path, ("anchors", "step", "anchor_places", "n_records")))
    return _build_axes(path, read_arrays(path, ("mean", "axes", "share", "n_records")))


def write_points(path: Path, points: Points) -> None:
    """Write and fsync the points of a segment.

    Raises:
        OSError: the disk is full or broken.
    """
    made_with = np.frombuffer(points.made_with, np.uint8)
    write_arrays(path, {**_list_points(points.doc_ids, points.places), "made_with": made_with})


def read_points(path: Path) -> Points:
    """Read the points of a segment.

    Raises:
        CorruptError: they can't be read, or the shapes of the arrays don't match.
    """
    arrays = read_arrays(path, ("doc_ids", "places", "made_with"))
    doc_ids, places = _check_points(path, arrays)
    return Points(doc_ids, places, arrays["made_with"].tobytes())


def _list_axes(axes: Axes) -> Arrays:
    """Return the arrays of axes."""
    return {
        "mean": axes.mean.astype("<f4"),
        "axes": axes.axes.astype("<f4"),
        "share": axes.share.astype("<f8"),
        "n_records": np.array(axes.n_records, "<i8"),
    }


def _list_anchors(anchors: Anchors) -> Arrays:
    """Return the arrays of anchors."""
    return {
        "anchors": anchors.codes.astype("i1"),
        "step": np.array(anchors.step, "<f4"),
        "anchor_places": anchors.places.astype("<f4"),
        "n_records": np.array(anchors.n_records, "<i8"),
    }


def _list_points(doc_ids: DocIds, places: NDArray[np.float32]) -> Arrays:
    """Return the arrays of points."""
    return {"doc_ids": doc_ids.astype("<i8"), "places": places.astype("<f4")}


def _build_axes(path: Path, arrays: Arrays) -> Axes:
    """Return the axes in some arrays.

    Raises:
        CorruptError: the shapes of the arrays don't match.
    """
    mean, axes, share, n_records = (arrays[name] for name in ("mean", "axes", "share", "n_records"))
    if (mean.ndim, axes.shape, share.shape, n_records.shape) != (1, (2, len(mean)), (2,), ()):
        raise CorruptError(f"{path} holds arrays whose shapes don't match. Run: engine verify")
    return Axes(mean, axes, share, int(n_records))


def _build_anchors(path: Path, arrays: Arrays) -> Anchors:
    """Return the anchors in some arrays.

    Raises:
        CorruptError: the shapes of the arrays don't match.
    """
    codes, step, places, n_records = (arrays[name] for name in ("anchors", "step", "anchor_places", "n_records"))
    if (codes.ndim, step.shape, places.shape, n_records.shape) != (2, (), (len(codes), 2), ()) or not len(codes):
        raise CorruptError(f"{path} holds arrays whose shapes don't match. Run: engine verify")
    return Anchors(codes, float(step), places, int(n_records))


def _check_points(path: Path, arrays: Arrays) -> tuple[DocIds, NDArray[np.float32]]:
    """Return the ids and places in some arrays.

    Raises:
        CorruptError: the shapes of the arrays don't match.
    """
    doc_ids, places = arrays["doc_ids"], arrays["places"]
    if (doc_ids.ndim, places.shape) != (1, (len(doc_ids), 2)):
        raise CorruptError(f"{path} holds arrays whose shapes don't match. Run: engine verify")
    return doc_ids, places
