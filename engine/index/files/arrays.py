"""Files of NumPy arrays: uncompressed archives, written whole and read without pickle."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from engine.errors import CorruptError
from engine.index.files import durable

Arrays = Mapping[str, Any]  # NumPy arrays


def write_arrays(path: Path, arrays: Arrays) -> None:
    """Write and fsync an archive of arrays.

    Raises:
        OSError: the disk is full or broken.
    """
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)
    durable.write_bytes(path, buffer.getvalue())


def read_arrays(path: Path, names: Sequence[str]) -> Arrays:
    """Read some arrays of an archive.

    Raises:
        CorruptError: it can't be read, or lacks one of them.
    """
    try:
        with np.load(io.BytesIO(path.read_bytes()), allow_pickle=False) as content:
            found = {name: content[name] for name in names}
    except Exception as err:  # NumPy raises many types
        raise CorruptError(f"{path} can't be read ({err}). Run: engine verify") from err
    for name, one in found.items():
        if not isinstance(one, np.ndarray):  # NumPy gives the bytes of what has another head
            raise CorruptError(f"{path} can't be read ({name} is no array). Run: engine verify")
    return found


def list_arrays(path: Path) -> frozenset[str]:
    """Return the names of the arrays of an archive.

    Raises:
        CorruptError: it can't be read.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            return frozenset(name.removesuffix(".npy") for name in archive.namelist())
    except (OSError, ValueError, EOFError, zipfile.BadZipFile) as err:
        raise CorruptError(f"{path} can't be read ({err}). Run: engine verify") from err
