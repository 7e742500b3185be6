"""The axes of a generation and the points of a segment as files, and the map that they make."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from engine.errors import CorruptError
from engine.index.map.corpusmap import (
    Anchors,
    Axes,
    CorpusMap,
    Points,
    open_map,
    read_layout,
    read_points,
    write_layout,
    write_points,
)
from tests.index.search.test_flat import unit
from tests.index.search.test_parts import write_part

AXES = Axes(
    mean=np.array([0.5, 0, 0], np.float32),
    axes=np.array([[1, 0, 0], [0, 0, 1]], np.float32),
    share=np.array([0.75, 0.25]),
    n_records=3,
)
Kind = tuple[Callable[[Path, Any], None], Callable[[Path], Any], Any]  # to write, to read, what is written
MADE = CorpusMap(np.array([2, 5, 9]), np.array([[0, 1], [2, 3], [4, 5]], np.float32), AXES)


def test_a_place_is_what_lies_along_the_axes_from_the_mean() -> None:
    places = AXES.project(np.array([[0.5, 7, 0], [1, 0, 2]], np.float32))
    assert places.dtype == np.float32
    assert places.tolist() == [[0, 0], [0.5, 2]]


def test_rows_are_in_the_order_asked_for_and_unknown_ids_are_left_out() -> None:
    assert MADE.find_rows(np.array([9, 2, 4, 10])).tolist() == [2, 0]
    nothing = CorpusMap(np.zeros(0, np.int64), np.zeros((0, 2), np.float32), AXES)
    assert nothing.find_rows(np.array([1])).tolist() == []


POINTS = Points(MADE.doc_ids, MADE.places, AXES.digest)
ANCHORS = Anchors.of(np.eye(3, dtype=np.float32), np.array([[0, 0], [4, 0], [0, 8]], np.float32), 7)
KINDS: dict[str, Kind] = {
    "axes.npz": (write_layout, read_layout, AXES),
    "anchors.npz": (write_layout, read_layout, ANCHORS),
    "map.npz": (write_points, read_points, POINTS),
}


def test_an_anchor_lies_where_it_was_placed_and_others_between_the_nearest() -> None:
    assert ANCHORS.project(np.eye(3, dtype=np.float32)).tolist() == [[0, 0], [4, 0], [0, 8]]
    # Cosines 0.8, 0.6 and 0: with squares of what they exceed the last by, 0.64 and 0.36 of the way.
    between = ANCHORS.project(np.array([[0.8, 0.6, 0], [0, 0.6, 0.8]], np.float32))
    assert between == pytest.approx(np.array([[0.36 * 4, 0], [0.36 * 4, 0.64 * 8]]), abs=1e-4)
    assert ANCHORS.project(np.zeros((0, 3), np.float32)).shape == (0, 2)
    alone = Anchors.of(np.eye(1, 3, dtype=np.float32), np.array([[5, 6]], np.float32), 1)
    assert alone.project(np.array([[0, 1, 0]], np.float32)).tolist() == [[5, 6]]


def test_a_place_does_not_depend_on_what_else_is_placed() -> None:
    vectors = unit(300, 16, 1)
    anchors = Anchors.of(vectors[:200], np.random.default_rng(1).normal(size=(200, 2)).astype(np.float32), 200)
    whole = anchors.project(vectors)
    assert np.allclose(whole[:200], anchors.places) and np.allclose(whole[[7, 250]], anchors.project(vectors[[7, 250]]))


def test_anchors_that_are_written_are_read(tmp_path: Path) -> None:
    write_layout(tmp_path / "axes.npz", ANCHORS)
    found = read_layout(tmp_path / "axes.npz")
    assert isinstance(found, Anchors) and (found.kind, found.n_records) == ("umap", 7)
    assert found.digest == ANCHORS.digest and np.array_equal(found.codes, ANCHORS.codes)
    assert ANCHORS.digest != Anchors(ANCHORS.codes, ANCHORS.step, ANCHORS.places + 1, 7).digest
    write_layout(tmp_path / "axes.npz", Anchors(ANCHORS.codes, ANCHORS.step, ANCHORS.places[:2], 7))
    with pytest.raises(CorruptError, match=r"axes\.npz holds arrays whose shapes don't match"):
        read_layout(tmp_path / "axes.npz")


def test_axes_of_length_0_are_no_map() -> None:
    none = replace(AXES, axes=np.zeros((2, 3), np.float32))
    assert (AXES.kind, none.kind) == ("pca", "none") and none.project(unit(2, 3, 1)).tolist() == [[0, 0], [0, 0]]


def test_axes_that_are_written_are_read(tmp_path: Path) -> None:
    write_layout(tmp_path / "axes.npz", AXES)
    found = read_layout(tmp_path / "axes.npz")
    assert found.digest == AXES.digest and found.n_records == 3
    for name in ("mean", "axes", "share"):
        assert getattr(found, name).tolist() == getattr(AXES, name).tolist()


def test_points_that_are_written_are_read(tmp_path: Path) -> None:
    write_points(tmp_path / "map.npz", POINTS)
    found = read_points(tmp_path / "map.npz")
    assert found.doc_ids.tolist() == [2, 5, 9]
    assert found.places.tolist() == MADE.places.tolist()
    assert found.made_with == AXES.digest


@pytest.mark.parametrize(("name", "kind"), KINDS.items(), ids=KINDS)
def test_the_same_content_is_the_same_bytes(tmp_path: Path, name: str, kind: Kind) -> None:
    write, _, made = kind
    for copy in ("a", "b"):
        write(tmp_path / copy, made)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


@pytest.mark.parametrize(("name", "kind"), KINDS.items(), ids=KINDS)
def test_a_file_that_is_no_archive_is_refused_by_name(tmp_path: Path, name: str, kind: Kind) -> None:
    write, read, made = kind
    write(tmp_path / name, made)
    whole = (tmp_path / name).read_bytes()
    for damaged in (b"", b"no archive", whole[: len(whole) // 2]):
        (tmp_path / name).write_bytes(damaged)
        with pytest.raises(CorruptError, match=rf"{name} can't be read .*Run: engine verify"):
            read(tmp_path / name)
    with pytest.raises(CorruptError, match="can't be read"):
        read(tmp_path / "none")


def test_an_archive_of_other_arrays_is_refused(tmp_path: Path) -> None:
    write_layout(tmp_path / "axes.npz", AXES)
    write_points(tmp_path / "map.npz", POINTS)
    for read, name in ((read_layout, "map.npz"), (read_points, "axes.npz")):
        with pytest.raises(CorruptError, match=rf"{name} can't be read"):
            read(tmp_path / name)
    write_points(tmp_path / "map.npz", replace(POINTS, doc_ids=np.arange(4)))
    write_layout(tmp_path / "axes.npz", replace(AXES, mean=np.zeros(4, np.float32)))
    for read, name in ((read_points, "map.npz"), (read_layout, "axes.npz")):
        with pytest.raises(CorruptError, match=rf"{name} holds arrays whose shapes don't match"):
            read(tmp_path / name)


@pytest.mark.parametrize(("read", "field"), [(read_points, "doc_ids"), (read_layout, "mean")])
def test_a_pickle_in_the_archive_is_not_run(tmp_path: Path, read: Callable[[Path], object], field: str) -> None:
    np.savez(tmp_path / "x.npz", **{field: np.array([print], object)})
    with pytest.raises(CorruptError, match="allow_pickle=False"):
        read(tmp_path / "x.npz")


def test_the_digest_of_axes_is_of_what_decides_a_place() -> None:
    assert replace(AXES, n_records=9).digest == AXES.digest
    assert replace(AXES, mean=AXES.mean + 1).digest != AXES.digest != replace(AXES, axes=-AXES.axes).digest


def test_a_map_has_the_points_of_all_segments_without_the_dead(tmp_path: Path) -> None:
    """The points of the first are in the file as they are; those of the second are of other axes and made anew."""
    vectors = unit(5, 3, 1)
    old = write_part(tmp_path / "a", np.array([2, 5, 9]), vectors[:3], np.array([5]))
    new = write_part(tmp_path / "b", np.array([5, 5]), vectors[3:])
    write_points(tmp_path / "a.npz", Points(MADE.doc_ids, MADE.places, AXES.digest))
    write_points(tmp_path / "b.npz", Points(np.array([5]), np.ones((1, 2), np.float32), bytes(32)))
    found = open_map([(tmp_path / "a.npz", old), (tmp_path / "b.npz", new)], AXES)
    mean = vectors[3:].sum(axis=0)
    place = AXES.project((mean / np.linalg.norm(mean))[None])[0]
    assert found.doc_ids.tolist() == [2, 5, 9]
    assert found.places == pytest.approx(np.array([[0, 1], place, [4, 5]]))
    assert found.layout is AXES
    assert len(open_map([], AXES).doc_ids) == 0


def test_points_of_other_records_are_refused(tmp_path: Path) -> None:
    part = write_part(tmp_path / "a", np.array([2, 5, 7]), unit(3, 3, 1))
    write_points(tmp_path / "a.npz", Points(MADE.doc_ids, MADE.places, AXES.digest))
    with pytest.raises(CorruptError, match=r"a\.npz holds the points of other records than .*a\. Run: engine verify"):
        open_map([(tmp_path / "a.npz", part)], AXES)
