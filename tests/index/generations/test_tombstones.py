"""The ids of a segment that are not of a generation, as a file."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.errors import CorruptError
from engine.index.generations.tombstones import read_tombstones, write_tombstones

HEADER = 25  # bytes: magic 8, kind 1, count 8, first id 8


@pytest.mark.parametrize(
    ("ids", "n_bytes"),
    [
        ([], 0),
        ([7], 1),  # a bit is less than a number of 8 bytes
        ([1, 2, 3, 9], 2),  # the bits of 1 to 9
        ([5, 5_000_000_000], 16),  # far apart: two numbers
        (list(range(100, 900)), 100),
    ],
)
def test_ids_are_stored_as_numbers_or_as_bits_whichever_is_smaller(
    tmp_path: Path, ids: list[int], n_bytes: int
) -> None:
    path = tmp_path / "dead"
    write_tombstones(path, np.array(ids, np.int64))
    assert path.stat().st_size == HEADER + n_bytes
    found = read_tombstones(path)
    assert found.dtype == np.int64 and found.tolist() == ids


@given(st.sets(st.integers(1, 400) | st.integers(1, 2**62), max_size=40).map(sorted))
def test_what_is_written_is_read(tmp_path_factory: pytest.TempPathFactory, ids: list[int]) -> None:
    path = tmp_path_factory.mktemp("dead") / "dead"
    write_tombstones(path, np.array(ids, np.int64))
    assert read_tombstones(path).tolist() == ids


def test_a_file_that_is_no_list_of_ids_is_refused_by_name(tmp_path: Path) -> None:
    path = tmp_path / "dead-000001"
    write_tombstones(path, np.array([5, 5_000_000_000]))
    whole = path.read_bytes()
    swapped = whole[:HEADER] + whole[HEADER + 8 :] + whole[HEADER : HEADER + 8]
    for damaged in (b"", whole[:10], whole[:-1], whole[:-8], b"X" + whole[1:], swapped):
        path.write_bytes(damaged)
        with pytest.raises(CorruptError, match=r"dead-000001 .*Run: engine verify"):
            read_tombstones(path)
    path.unlink()
    with pytest.raises(CorruptError, match=r"dead-000001 can't be read .*Run: engine verify"):
        read_tombstones(path)
