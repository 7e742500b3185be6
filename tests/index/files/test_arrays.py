"""Archives of arrays: read as written, and what is damaged is reported."""

import zipfile
from pathlib import Path

import numpy as np
import pytest

from engine.errors import CorruptError
from engine.index.files.arrays import list_arrays, read_arrays, write_arrays


def test_arrays_are_read_as_written(tmp_path: Path) -> None:
    arrays = {"ids": np.arange(3), "places": np.ones((2, 2), np.float32)}
    write_arrays(tmp_path / "toy.npz", arrays)
    assert list_arrays(tmp_path / "toy.npz") == {"ids", "places"}
    found = read_arrays(tmp_path / "toy.npz", ("places",))
    assert list(found) == ["places"]
    np.testing.assert_array_equal(found["places"], arrays["places"])


@pytest.mark.parametrize("content", [b"", b"gout", b"\x93NUMPY\x01\0\x03\0(3\n"])
def test_a_damaged_array_is_reported(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "toy.npz"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("ids.npy", content)
    with pytest.raises(CorruptError, match=r"toy\.npz can't be read .* Run: engine verify"):
        read_arrays(path, ("ids",))
