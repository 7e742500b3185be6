"""The map of a generation as a file."""

from pathlib import Path

import numpy as np
import pytest

from engine.errors import CorruptError
from engine.index.corpusmap import Axes, CorpusMap, read_map, write_map

AXES = Axes(
    mean=np.array([0.5, 0, 0], np.float32),
    axes=np.array([[1, 0, 0], [0, 0, 1]], np.float32),
    share=np.array([0.75, 0.25]),
    n_records=3,
)
MADE = CorpusMap(np.array([2, 5, 9]), np.array([[0, 1], [2, 3], [4, 5]], np.float32), AXES)


def test_a_place_is_what_lies_along_the_axes_from_the_mean() -> None:
    places = AXES.project(np.array([[0.5, 7, 0], [1, 0, 2]], np.float32))
    assert places.dtype == np.float32
    assert places.tolist() == [[0, 0], [0.5, 2]]


def test_rows_are_in_the_order_asked_for_and_unknown_ids_are_left_out() -> None:
    assert MADE.find_rows(np.array([9, 2, 4, 10])).tolist() == [2, 0]
    nothing = CorpusMap(np.zeros(0, np.int64), np.zeros((0, 2), np.float32), AXES)
    assert nothing.find_rows(np.array([1])).tolist() == []


def test_what_is_written_is_read(tmp_path: Path) -> None:
    write_map(tmp_path / "map.npz", MADE)
    found = read_map(tmp_path / "map.npz")
    assert found.doc_ids.tolist() == [2, 5, 9]
    assert found.places.tolist() == MADE.places.tolist()
    assert found.axes.n_records == 3
    for name in ("mean", "axes", "share"):
        assert getattr(found.axes, name).tolist() == getattr(AXES, name).tolist()


def test_the_same_map_is_the_same_bytes(tmp_path: Path) -> None:
    for name in ("a", "b"):
        write_map(tmp_path / name, MADE)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_a_file_that_is_no_map_is_refused_by_name(tmp_path: Path) -> None:
    path = tmp_path / "map.npz"
    write_map(path, MADE)
    whole = path.read_bytes()
    for damaged in (b"", b"no archive", whole[: len(whole) // 2]):
        path.write_bytes(damaged)
        with pytest.raises(CorruptError, match=r"map\.npz can't be read"):
            read_map(path)
    with pytest.raises(CorruptError, match="can't be read"):
        read_map(tmp_path / "none")


def test_an_archive_of_other_arrays_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "map.npz"
    np.savez(path, doc_ids=np.arange(3))
    with pytest.raises(CorruptError, match="can't be read"):
        read_map(path)
    write_map(path, CorpusMap(np.arange(4), MADE.places, AXES))
    with pytest.raises(CorruptError, match="arrays whose shapes don't match"):
        read_map(path)


def test_a_pickle_in_the_archive_is_not_run(tmp_path: Path) -> None:
    path = tmp_path / "map.npz"
    np.savez(path, doc_ids=np.array([print], object))
    with pytest.raises(CorruptError, match="allow_pickle=False"):
        read_map(path)
