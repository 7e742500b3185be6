"""The map that each generation gets."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from engine.index.corpusmap import Axes, CorpusMap, open_map, project_records, read_axes, read_points
from engine.index.flat import FlatIndex
from engine.index.folder import IndexFolder
from engine.index.layout import write_file
from engine.reindex.corpusmap import _choose_axes, _compute_components
from engine.reindex.generationfiles import _make_part, open_current_vectors
from engine.reindex.order import Report
from engine.reindex.verify import _check_map

Add = Callable[..., Report]


def unit(points: np.ndarray) -> np.ndarray:
    return (points / np.linalg.norm(points, axis=1, keepdims=True)).astype(np.float32)


def flat(path: Path, points: np.ndarray, ids: np.ndarray | None = None) -> FlatIndex:
    write_file(path, np.arange(1, len(points) + 1) if ids is None else ids, points.shape[1], [points])
    return FlatIndex(path, points.shape[1])


def test_components_of_a_toy_are_the_axes_it_was_made_along() -> None:
    points = np.array([[2, 0, 0], [-2, 0, 0], [0, 1, 0], [0, -1, 0]], np.float32)
    mean, axes, share = _compute_components(points)
    assert mean.tolist() == [0, 0, 0]
    assert axes.round(6).tolist() == [[1, 0, 0], [0, 1, 0]]  # the largest entry is positive
    assert share.tolist() == pytest.approx([0.8, 0.2])  # variances 2 and 0.5


def test_components_are_those_of_a_singular_value_decomposition() -> None:
    points = unit(np.random.default_rng(1).normal(size=(500, 16)) * np.linspace(3, 0.5, 16))
    mean, axes, share = _compute_components(points)
    _, singular, directions = np.linalg.svd(points - points.mean(axis=0), full_matrices=False)
    assert np.abs((axes * directions[:2]).sum(axis=1)) == pytest.approx([1, 1], abs=1e-4)
    assert share == pytest.approx(singular[:2] ** 2 / (singular**2).sum(), abs=1e-5)
    assert mean == pytest.approx(points.mean(axis=0), abs=1e-6)


def draw(vectors: FlatIndex, previous: Axes | None = None) -> CorpusMap:
    """The map of an index of one segment."""
    axes, doc_ids = _choose_axes(vectors, previous), np.unique(vectors.doc_ids)
    return CorpusMap(doc_ids, project_records(vectors, doc_ids, axes), axes)


def test_one_record_lies_in_the_middle(tmp_path: Path) -> None:
    found = draw(flat(tmp_path / "v", np.eye(1, 4, dtype=np.float32)))
    assert found.places.tolist() == [[0, 0]]
    assert found.axes.share.tolist() == [0, 0]


def test_axes_stay_while_the_number_of_records_is_about_the_same(tmp_path: Path) -> None:
    points = unit(np.random.default_rng(2).normal(size=(41, 8)))
    first = draw(flat(tmp_path / "a", points[:20]))
    more = draw(flat(tmp_path / "b", points[:40]), first.axes)
    assert more.axes is first.axes
    assert np.array_equal(more.places[:20], first.places)  # what was there stays where it was
    anew = draw(flat(tmp_path / "c", points), first.axes)
    assert anew.axes.n_records == 41
    assert not np.array_equal(anew.axes.axes, first.axes.axes)


def test_an_index_without_records_has_a_map_without_points(tmp_path: Path) -> None:
    points = unit(np.random.default_rng(2).normal(size=(20, 8)))
    first, empty = draw(flat(tmp_path / "a", points)), flat(tmp_path / "b", points[:0])
    assert draw(empty).places.shape == (0, 2) and draw(empty).axes.n_records == 0
    assert draw(empty, first.axes).axes is first.axes
    assert _choose_axes(flat(tmp_path / "c", points), draw(empty).axes).n_records == 20


def test_a_record_of_several_passages_has_one_place(tmp_path: Path) -> None:
    points = unit(np.random.default_rng(3).normal(size=(6, 8)))
    vectors = flat(tmp_path / "v", points, np.array([1, 1, 2, 3, 3, 3]))
    found = draw(vectors)
    assert found.doc_ids.tolist() == [1, 2, 3]
    assert np.allclose(found.places, found.axes.project(vectors.get_points(found.doc_ids)))


def open_whole(folder: IndexFolder) -> CorpusMap:
    """The map of the current generation."""
    current = folder.open_current()
    parts = [(segment.files.map, _make_part(segment, 32, segment.dead)) for segment in current.segments]
    return open_map(parts, read_axes(current.axes))


@pytest.mark.parametrize("one_segment_below", [0, 50_000], ids=["several segments", "one segment"])
def test_every_generation_has_a_map_of_its_records(toy: IndexFolder, add: Add, one_segment_below: int) -> None:
    first = open_whole(toy)
    add({"id": "gout", "title": "Gout"}, one_segment_below=one_segment_below)
    second, found = toy.open_current(), open_whole(toy)
    assert len(second.segments) == (1 if one_segment_below else 2)
    assert "axes.npz" in {file.name for file in second.manifest.files}
    assert all("map.npz" in {file.name for file in segment.receipt.files} for segment in second.segments)
    assert found.axes.n_records == 40  # those of the first generation still hold
    assert found.doc_ids.tolist() == list(range(1, 42))
    assert np.allclose(found.places[:40], first.places, atol=1e-6)
    vectors = open_current_vectors(second)
    assert np.allclose(found.places, found.axes.project(vectors.get_points(found.doc_ids)), atol=1e-6)
    add({"id": "lupus", "title": "Lupus"}, {"id": "toy-03", "title": "Gout"}, one_segment_below=one_segment_below)
    third = open_whole(toy)
    assert (third.axes.n_records, len(third.doc_ids)) == (40, 42)
    same = [n for n in range(41) if n != 2]
    assert np.array_equal(third.places[same], found.places[same])
    assert third.places[2] == pytest.approx(third.places[40], abs=1e-6)  # toy-03 has the text of gout now


def test_a_map_of_other_records_is_a_problem(toy: IndexFolder, add: Add) -> None:
    add({"id": "gout", "title": "Gout"})
    (segment,) = toy.open_current().segments
    path = segment.files.map
    ids = read_points(path).doc_ids
    assert list(_check_map(path, ids)) == []
    assert list(_check_map(path, ids + 1)) == [f"{path}: its ids are not those of vectors.faiss"]
