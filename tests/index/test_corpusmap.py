"""The axes of a generation and the points of a segment as files, and the map that they make."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from engine.errors import CorruptError
from engine.index.corpusmap import (
    Axes,
    CorpusMap,
    Points,
    open_map,
    read_axes,
    read_points,
    write_axes,
    write_points,
)
from tests.index.test_flat import unit
from tests.index.test_parts import write_part

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
KINDS = {"axes.npz": (write_axes, read_axes, AXES), "map.npz": (write_points, read_points, POINTS)}


def test_axes_that_are_written_are_read(tmp_path: Path) -> None:
    write_axes(tmp_path / "axes.npz", AXES)
    found = read_axes(tmp_path / "axes.npz")
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
    write_axes(tmp_path / "axes.npz", AXES)
    write_points(tmp_path / "map.npz", POINTS)
    for read, name in ((read_axes, "map.npz"), (read_points, "axes.npz")):
        with pytest.raises(CorruptError, match=rf"{name} can't be read"):
            read(tmp_path / name)
    write_points(tmp_path / "map.npz", replace(POINTS, doc_ids=np.arange(4)))
    write_axes(tmp_path / "axes.npz", replace(AXES, mean=np.zeros(4, np.float32)))
    for read, name in ((read_points, "map.npz"), (read_axes, "axes.npz")):
        with pytest.raises(CorruptError, match=rf"{name} holds arrays whose shapes don't match"):
            read(tmp_path / name)


@pytest.mark.parametrize(("read", "field"), [(read_points, "doc_ids"), (read_axes, "mean")])
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
    assert found.axes is AXES
    assert len(open_map([], AXES).doc_ids) == 0


def test_points_of_other_records_are_refused(tmp_path: Path) -> None:
    part = write_part(tmp_path / "a", np.array([2, 5, 7]), unit(3, 3, 1))
    write_points(tmp_path / "a.npz", Points(MADE.doc_ids, MADE.places, AXES.digest))
    with pytest.raises(CorruptError, match=r"a\.npz holds the points of other records than .*a\. Run: engine verify"):
        open_map([(tmp_path / "a.npz", part)], AXES)
