"""Tombstones: the ids of a segment that are not of a generation, as it stores them.

The file begins with a magic number, the kind and the count of the ids. The ids are ascending; they follow as 64-bit
numbers, or as bits from the first to the last, whichever is smaller.
"""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np

from engine.errors import CorruptError
from engine.index.files import durable
from engine.records.generation import DocIds

_HEADER = struct.Struct("<8sBQq")  # magic, kind, count, first id
_MAGIC = b"ENGDEAD1"
_LIST, _BITS = 0, 1


def write_tombstones(path: Path, doc_ids: DocIds) -> None:
    """Write and fsync ids (n,), ascending and distinct.

    Raises:
        OSError: the disk is full or broken.
    """
    first, last = (int(doc_ids[0]), int(doc_ids[-1])) if len(doc_ids) else (0, -1)
    is_dense = (last - first + 8) // 8 < 8 * len(doc_ids)
    if is_dense:
        mask = np.zeros(last - first + 1, bool)
        mask[doc_ids - first] = True
        content = np.packbits(mask, bitorder="little").tobytes()
    else:
        content = doc_ids.astype("<i8").tobytes()
    header = _HEADER.pack(_MAGIC, _BITS if is_dense else _LIST, len(doc_ids), first)
    durable.write_bytes(path, header + content)


def read_tombstones(path: Path) -> DocIds:
    """Read the ids, int64 (n,), ascending.

    Raises:
        CorruptError: it can't be read, or is no such file.
    """
    try:
        raw = path.read_bytes()
        magic, kind, n, first = _HEADER.unpack(raw[: _HEADER.size])
        content = raw[_HEADER.size :]
        if kind == _BITS:
            ids = first + np.flatnonzero(np.unpackbits(np.frombuffer(content, np.uint8), bitorder="little"))
        else:
            ids = np.frombuffer(content, "<i8")
    except (OSError, struct.error, ValueError) as err:
        raise CorruptError(f"{path} can't be read ({err}). Run: engine verify") from err
    if magic != _MAGIC or len(ids) != n or not (np.diff(ids) > 0).all():
        raise CorruptError(f"{path} holds no {n:,} ascending ids, expected a list of dead ids. Run: engine verify")
    doc_ids: DocIds = ids.astype(np.int64)
    return doc_ids
