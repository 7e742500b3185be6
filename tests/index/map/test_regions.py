"""Regions: clusters of vectors."""

from pathlib import Path

import numpy as np

from engine.index.map.regions import _count_regions, find_centres, find_regions
from engine.index.search.flat import FlatIndex
from engine.index.search.layout import write_file


def flat(path: Path, points: np.ndarray) -> FlatIndex:
    write_file(path, np.arange(1, len(points) + 1), points.shape[1], [points])
    return FlatIndex(path, points.shape[1])


def bundles(n: int) -> np.ndarray:
    """Three times n unit vectors, near the first, second and third axis in turn."""
    points = np.tile(np.eye(3, 8, dtype=np.float32), (n, 1)) + 0.01 * np.random.default_rng(1).normal(size=(3 * n, 8))
    return (points / np.linalg.norm(points, axis=1, keepdims=True)).astype(np.float32)


def test_bundles_of_vectors_are_regions(tmp_path: Path) -> None:
    vectors = flat(tmp_path / "v", bundles(8))  # 24 records: three regions
    centres = find_centres(vectors, vectors.doc_ids)
    assert centres.shape == (3, 8) and np.allclose(np.linalg.norm(centres, axis=1), 1, atol=1e-5)
    numbers = find_regions(vectors, vectors.doc_ids, centres)
    assert numbers.dtype == np.uint16 and sorted(set(numbers[:3].tolist())) == [0, 1, 2]
    assert np.array_equal(numbers, np.tile(numbers[:3], 8))
    assert find_regions(vectors, np.array([5, 2]), centres).tolist() == [numbers[4], numbers[1]]


def test_the_same_vectors_have_the_same_regions(tmp_path: Path) -> None:
    points = np.random.default_rng(2).normal(size=(200, 8)).astype(np.float32)
    vectors = flat(tmp_path / "v", points / np.linalg.norm(points, axis=1, keepdims=True))
    assert np.array_equal(find_centres(vectors, vectors.doc_ids), find_centres(vectors, vectors.doc_ids))


def test_there_are_no_more_regions_than_different_vectors(tmp_path: Path) -> None:
    vectors = flat(tmp_path / "v", np.repeat(np.eye(2, 8, dtype=np.float32), 50, axis=0))
    assert _count_regions(100) == 6 and len(find_centres(vectors, vectors.doc_ids)) == 2
    none = flat(tmp_path / "none", np.zeros((0, 8), np.float32))
    assert find_centres(none, none.doc_ids).shape == (0, 8)
