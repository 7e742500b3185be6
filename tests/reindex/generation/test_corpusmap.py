"""The map that each generation gets."""

import sys
from collections.abc import Callable
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from engine.config import Settings
from engine.index.generations.folder import IndexFolder
from engine.index.map.corpusmap import Anchors, Axes, CorpusMap, open_map, project_records, read_layout, read_points
from engine.index.search.flat import FlatIndex
from engine.index.search.layout import write_file
from engine.reindex.generation.corpusmap import _choose_layout, _close_gaps, _compute_components
from engine.reindex.generation.generationfiles import _make_part, open_current_vectors
from engine.reindex.generation.order import Report
from engine.reindex.generation.verify import _check_map
from engine.reindex.runs.compaction import compact_index
from engine.reindex.runs.update import Request, reindex
from tests.conftest import jsonl, silent

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


def draw(vectors: FlatIndex, previous: Axes | Anchors | None = None) -> CorpusMap:
    """The map of an index of one segment."""
    axes, doc_ids = _choose_layout(vectors, previous, "pca"), np.unique(vectors.doc_ids)
    return CorpusMap(doc_ids, project_records(vectors, doc_ids, axes), axes)


def test_one_record_lies_in_the_middle(tmp_path: Path) -> None:
    found = draw(flat(tmp_path / "v", np.eye(1, 4, dtype=np.float32)))
    assert found.places.tolist() == [[0, 0]]
    assert found.layout.share.tolist() == [0, 0]


def test_axes_stay_while_the_number_of_records_is_about_the_same(tmp_path: Path) -> None:
    points = unit(np.random.default_rng(2).normal(size=(41, 8)))
    first = draw(flat(tmp_path / "a", points[:20]))
    more = draw(flat(tmp_path / "b", points[:40]), first.layout)
    assert more.layout is first.layout
    assert np.array_equal(more.places[:20], first.places)  # what was there stays where it was
    anew = draw(flat(tmp_path / "c", points), first.layout)
    assert anew.layout.n_records == 41
    assert not np.array_equal(anew.layout.axes, first.layout.axes)


def test_an_index_without_records_has_a_map_without_points(tmp_path: Path) -> None:
    points = unit(np.random.default_rng(2).normal(size=(20, 8)))
    first, empty = draw(flat(tmp_path / "a", points)), flat(tmp_path / "b", points[:0])
    assert draw(empty).places.shape == (0, 2) and draw(empty).layout.n_records == 0
    assert draw(empty, first.layout).layout is first.layout
    assert _choose_layout(flat(tmp_path / "c", points), draw(empty).layout, "pca").n_records == 20


def test_a_record_of_several_passages_has_one_place(tmp_path: Path) -> None:
    points = unit(np.random.default_rng(3).normal(size=(6, 8)))
    vectors = flat(tmp_path / "v", points, np.array([1, 1, 2, 3, 3, 3]))
    found = draw(vectors)
    assert found.doc_ids.tolist() == [1, 2, 3]
    assert np.allclose(found.places, found.layout.project(vectors.get_points(found.doc_ids)))


def open_whole(folder: IndexFolder) -> CorpusMap:
    """The map of the current generation."""
    current = folder.open_current()
    parts = [(segment.files.map, _make_part(segment, 32, segment.dead)) for segment in current.segments]
    return open_map(parts, read_layout(current.axes))


@pytest.mark.parametrize("one_segment_below", [0, 50_000], ids=["several segments", "one segment"])
def test_every_generation_has_a_map_of_its_records(toy: IndexFolder, add: Add, one_segment_below: int) -> None:
    first = open_whole(toy)
    add({"id": "gout", "title": "Gout"}, one_segment_below=one_segment_below)
    second, found = toy.open_current(), open_whole(toy)
    assert len(second.segments) == (1 if one_segment_below else 2)
    assert "axes.npz" in {file.name for file in second.manifest.files}
    assert all("map.npz" in {file.name for file in segment.receipt.files} for segment in second.segments)
    assert found.layout.n_records == 40  # those of the first generation still hold
    assert found.doc_ids.tolist() == list(range(1, 42))
    assert np.allclose(found.places[:40], first.places, atol=1e-6)
    vectors = open_current_vectors(second)
    assert np.allclose(found.places, found.layout.project(vectors.get_points(found.doc_ids)), atol=1e-6)
    add({"id": "lupus", "title": "Lupus"}, {"id": "toy-03", "title": "Gout"}, one_segment_below=one_segment_below)
    third = open_whole(toy)
    assert (third.layout.n_records, len(third.doc_ids)) == (40, 42)
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


class Laid:
    """Stands in for UMAP: the places that it is to begin with, three times as far apart."""

    made: list[dict[str, object]] = []

    def __init__(self, **given: object) -> None:
        self.made.append(given)

    def fit_transform(self, points: np.ndarray) -> np.ndarray:
        """Places of points."""
        begin: np.ndarray = self.made[-1]["init"]  # type: ignore[assignment]
        assert begin.shape == (len(points), 2)
        return 3 * begin


@pytest.fixture
def with_umap(monkeypatch: pytest.MonkeyPatch) -> type[Laid]:
    """Pretend that umap-learn is installed."""
    module = ModuleType("umap")
    module.UMAP = Laid  # type: ignore[attr-defined]
    module.__spec__ = ModuleSpec("umap", None)
    monkeypatch.setitem(sys.modules, "umap", module)
    Laid.made = []
    return Laid


MANY = tuple({"id": f"r{n}", "title": f"Gout of toe {n}", "abstract": f"Pain {n} in joint {n % 7}."} for n in range(30))


def test_a_map_by_neighbours_is_made_once_and_new_records_move_no_other(
    toy: IndexFolder, add: Add, with_umap: type[Laid]
) -> None:
    add(*MANY, map_kind="umap")
    first = open_whole(toy)
    assert (first.layout.kind, first.layout.n_records, len(with_umap.made)) == ("umap", 70, 1)
    assert isinstance(first.layout, Anchors)
    assert np.allclose(first.places, first.layout.places, atol=1e-6)  # all are anchors
    given = with_umap.made[0]
    assert (given["n_neighbors"], given["random_state"], given["n_jobs"]) == (15, 1, 1)
    rows, distances, _ = given["precomputed_knn"]  # type: ignore[misc]
    assert rows.shape == distances.shape == (70, 15) and distances.min() >= 0
    before = toy.open_current().axes
    report = add({"id": "new", "title": "Gout"}, {"id": "toy-03", "title": "Gout"})  # the kind is the index's own
    second = open_whole(toy)
    assert second.layout.digest == first.layout.digest and len(with_umap.made) == 1 and not report.notes
    same = [n for n in range(70) if n != 2]
    assert np.array_equal(second.places[same], first.places[same])
    assert before.samefile(toy.open_current().axes)  # shared, so that a night costs what changed
    assert list(_check_map(toy.open_current().segments[0].files.map, second.doc_ids)) == []


def test_another_kind_of_map_is_made_where_nothing_else_changed(
    toy: IndexFolder, add: Add, with_umap: type[Laid]
) -> None:
    add(*MANY)
    for kind in ("umap", "none", "pca"):
        assert add(*MANY, map_kind=kind).published
        assert not add(*MANY, map_kind=kind).published
        found = open_whole(toy)
        assert found.layout.kind == kind and bool(found.places.any()) == (kind != "none")
        digest = found.layout.digest
        assert {read_points(each.files.map).made_with for each in toy.open_current().segments} == {digest}
    assert not add(*MANY).published


def test_compact_and_reindex_make_the_kind_of_map_that_index_toml_names(toy: IndexFolder, tmp_path: Path) -> None:
    source = jsonl(tmp_path / "rows.jsonl", MANY)
    (toy.path / "index.toml").write_text(f'map = "none"\n[[sources]]\npath = "{source}"\n')
    assert compact_index(toy, Settings.load(toy.path), silent).notes == ("drew the map",)
    assert open_whole(toy).layout.kind == "none" and not compact_index(toy, Settings.load(toy.path), silent).published
    for kind in ("none", "pca"):
        settings = Settings.load(toy.path, map_kind=kind)
        assert reindex(toy, settings, Request(), silent).published  # the first has the records of the file
        assert not reindex(toy, settings, Request(), silent).published
        assert open_whole(toy).layout.kind == kind


def test_without_the_package_the_map_has_two_components_and_a_note_says_so(
    toy: IndexFolder, add: Add, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    report = add(*MANY, map_kind="umap")
    assert [note for note in report.notes if "pip install 'abstract-engine[map]'" in note]
    assert open_whole(toy).layout.kind == "pca"
    assert not add(*MANY, map_kind="umap").published


def test_a_map_by_neighbours_stays_while_the_package_is_missing(
    toy: IndexFolder, add: Add, with_umap: type[Laid], monkeypatch: pytest.MonkeyPatch
) -> None:
    add(*MANY, map_kind="umap")
    first = open_whole(toy)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    more = tuple({"id": f"more{n}", "title": f"Asthma {n}"} for n in range(90))
    assert not add(*more, map_kind="umap").notes
    assert open_whole(toy).layout.digest == first.layout.digest


def test_wide_gaps_are_closed_and_the_order_stays() -> None:
    values = np.array([0.0, 100, 1, 99, 0.5])  # from 0, 0.5, 1, 99, 100; a gap is 2 wide at most
    assert (_close_gaps(values) - _close_gaps(values)[0]).tolist() == pytest.approx([0, 4, 1, 3, 0.5])
    assert _close_gaps(np.zeros(3)).tolist() == [0, 0, 0]


def test_few_records_lie_along_axes(toy: IndexFolder, add: Add, with_umap: type[Laid]) -> None:
    add({"id": "gout", "title": "Gout"}, map_kind="umap")
    assert open_whole(toy).layout.kind == "pca" and not with_umap.made


@pytest.mark.slow
def test_umap_itself_keeps_bundles_apart(tmp_path: Path) -> None:
    pytest.importorskip("umap", reason="needs the extra [map]: pip install umap-learn")
    rng = np.random.default_rng(4)
    points = unit(np.repeat(rng.normal(size=(3, 32)), 40, axis=0) + 0.1 * rng.normal(size=(120, 32)))
    vectors = flat(tmp_path / "v", points)
    made = [_choose_layout(vectors, None, "umap") for _ in range(2)]
    assert made[0].digest == made[1].digest
    places = made[0].project(points).reshape(3, 40, 2)
    middles = places.mean(axis=1)
    spread = np.abs(places - middles[:, None]).max()
    assert min(np.linalg.norm(middles[a] - middles[b]) for a, b in ((0, 1), (0, 2), (1, 2))) > spread
