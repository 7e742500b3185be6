"""The file layout of FAISS ``IDMap2,Flat``: written in chunks, and memory-mapped for reading.

FAISS's own writer needs the whole index in memory, and its reader builds a table of all ids each time. The layout is
that of faiss/impl/index_write.cpp: header IxM2, header IxFI, count and vectors, count and ids; all little-endian.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from engine.errors import CorruptError
from engine.platform import sync_file
from engine.records.encoder import Vectors
from engine.records.generation import DocIds

FACTORY = "IDMap2,Flat"
_HEADER = struct.Struct("<4siqqqBi")  # fourcc, dimensions, vectors, two unused numbers, trained, metric
_COUNT = struct.Struct("<Q")
_UNUSED = 1 << 20
_IN_MEMORY = 4 << 20  # bytes; a file up to this size is read, since it may be cut off while it is mapped (bus error)
_INNER_PRODUCT = 0
OUTER, INNER = b"IxM2", b"IxFI"
_START = 2 * _HEADER.size + _COUNT.size  # offset of the vectors


@dataclass(frozen=True, slots=True)
class _Mapped:
    """A mapped or read file; all arrays are views of it."""

    doc_ids: DocIds  # (n,); not aligned to 8 bytes, so NumPy copies all of it for most calculations
    vectors: Vectors  # (n, dim); not aligned to 4 bytes, so copy rows before long calculations
    inner: NDArray[np.uint8]  # bytes of the inner Flat index, as FAISS reads them


def write_file(path: Path, doc_ids: DocIds, dim: int, chunks: Iterable[Vectors]) -> None:
    """Write and fsync ids (n,) int64, ascending, one per vector, and the vectors, in chunks (m, dim) float32.

    Raises:
        OSError: the disk is full or broken; a partial file may remain.
        ValueError: the numbers of vectors and ids differ.
    """
    n, written = len(doc_ids), 0
    with path.open("wb") as file:
        for kind in (OUTER, INNER):
            file.write(_HEADER.pack(kind, dim, n, _UNUSED, _UNUSED, 1, _INNER_PRODUCT))
        file.write(_COUNT.pack(n * dim))
        for chunk in chunks:
            written += len(chunk)
            file.write(np.ascontiguousarray(chunk, "<f4").data)
        file.write(_COUNT.pack(n))
        file.write(np.ascontiguousarray(doc_ids, "<i8").data)
        file.flush()
        sync_file(file.fileno())
    if written != n:
        raise ValueError(f"{written:,} vectors for {n:,} ids")
    if path.stat().st_size != _size_of(n, dim):
        raise OSError(f"{path} has {path.stat().st_size:,} bytes after writing {_size_of(n, dim):,}")


def _size_of(n: int, dim: int) -> int:
    """Return the size in bytes of a file of n vectors."""
    return _START + n * dim * 4 + _COUNT.size + n * 8


def map_file(path: Path, dim: int) -> _Mapped:
    """Map a file read-only; a small one is read.

    Raises:
        CorruptError: not an IDMap2,Flat inner-product index of this dimension, or its length does not match its header.
    """
    expected = f"expected an {FACTORY} inner-product index of {dim} dimensions. Run: engine verify"
    try:
        is_small = path.stat().st_size <= _IN_MEMORY
        content = np.frombuffer(path.read_bytes(), np.uint8) if is_small else np.memmap(path, np.uint8, "r")
    except (OSError, ValueError) as err:  # ValueError: an empty file
        raise CorruptError(f"{path} can't be read: {str(err)[:200]}; {expected}") from err
    if len(content) < _START + _COUNT.size:
        raise CorruptError(f"{path} has {len(content):,} bytes, {expected}")
    outer, inner = (_HEADER.unpack(content[at : at + _HEADER.size].tobytes()) for at in (0, _HEADER.size))
    n = outer[2]
    kinds, trained, metric = (outer[0], inner[0]), outer[5], outer[6]
    sound = kinds == (OUTER, INNER) and outer[1:] == inner[1:] and (trained, metric) == (1, _INNER_PRODUCT)
    if not sound or outer[1] != dim or n < 0:
        raise CorruptError(f"{path} has another type: {expected}")
    end = _START + n * dim * 4
    counts = n * dim, n
    if len(content) != _size_of(n, dim) or counts != (
        _count_at(content, _START - _COUNT.size),
        _count_at(content, end),
    ):
        raise CorruptError(f"{path} has {len(content):,} bytes, but its header says {n:,} vectors; {expected}")
    vectors = np.frombuffer(content, "<f4", n * dim, _START).reshape(n, dim)
    doc_ids = np.frombuffer(content, "<i8", n, end + _COUNT.size)
    return _Mapped(doc_ids, vectors, content[_HEADER.size : end])


def _count_at(content: NDArray[np.uint8], offset: int) -> int:
    """Return the count at an offset."""
    return int(_COUNT.unpack(content[offset : offset + _COUNT.size].tobytes())[0])
