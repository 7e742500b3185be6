"""Vectors that were computed elsewhere: looked up by the id of a record, and taken if its text is the same.

A record takes 64 bytes of memory, the vectors stay on disk. Records are told apart by 16 bytes of a hash of their ids.
"""

from __future__ import annotations

import hashlib
from array import array
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from engine.encode.execution.encoder import LENGTH_TOLERANCE
from engine.errors import EncoderMismatchError, UsageError
from engine.index.generations.vectorfolder import VectorRow, VectorTable
from engine.phrases import pluralize
from engine.records.encoder import EncoderIdentity, Vectors

TAKEN = "an encoder elsewhere (vectors taken over)"  # the way in which the texts were encoded
_NAME_BYTES = 16
_DIGEST_BYTES = 32
_UNKNOWN = bytes(_DIGEST_BYTES)  # of a text whose hash is not given
_MAX_UNUSABLE = 0.05  # share of the vectors; a folder with more was made in another way
_SCALE = "Scale them: vectors / numpy.linalg.norm(vectors, axis=1, keepdims=True)"
_AGAIN = "Make these vectors again, or leave their rows out"
_MIN_UNUSABLE = 10  # up to this many, the vectors are the likely cause


@dataclass(frozen=True, slots=True)
class _RecordRows:
    """The vectors of one record."""

    first: int  # row
    n: int
    problem: str  # why they can't be used; ""


class VectorSource:
    """A folder of vectors, looked up by record."""

    def __init__(self, folder: Path) -> None:
        """Read the table and check every vector.

        Raises:
            UsageError: no folder of vectors, or too many of its vectors can't be used.
            CorruptError: a file differs from what the manifest says.
            MissingExtraError: it holds Parquet, and pyarrow is not installed.
        """
        self.table = VectorTable(folder)
        self.folder = folder
        names, firsts, counts, digests = _read_places(self.table)
        self._order = np.argsort(names[:, 0], kind="stable")
        self._names = names[self._order]
        self._firsts, self._counts, self._digests = firsts, counts, digests
        self._unusable = _find_unusable(self.table)

    @property
    def n_records(self) -> int:
        """Number of records that have a vector here."""
        return len(self._firsts)

    def check_encoder(self, identity: EncoderIdentity) -> None:
        """Refuse vectors that another encoder made, as the manifest says.

        Raises:
            EncoderMismatchError: the fingerprint or the number of dimensions is another one.
        """
        declared, dim = self.table.manifest.get("fingerprint"), self.table.shape[1]
        named = "no encoder" if declared is None else f"the encoder {str(declared)[:80]!r}"
        if dim != identity.dim:
            raise EncoderMismatchError(
                f"{self.folder} holds vectors of {dim} dimensions, expected {identity.dim}, as {identity} makes them. "
                "Name the model that made them: -m MODEL"
            )
        if declared != identity.fingerprint:
            raise EncoderMismatchError(
                f"the manifest of {self.folder} names {named}, expected the fingerprint of "
                f"{identity.short_name} with this recipe: {identity.fingerprint}. If that model made the vectors from "
                'the texts of this recipe, write it there as "fingerprint"; otherwise name the other model: -m MODEL'
            )

    def find(self, record_id: str, digest: str, n_texts: int) -> _RecordRows:
        """Return where the vectors of a record are, or why it has none here.

        digest: SHA-256 of the text of the record. n_texts: number of texts, 1 or one per passage.
        """
        name = _hash_name(record_id)
        start, end = (int(np.searchsorted(self._names[:, 0], name[0], side)) for side in ("left", "right"))
        found = [int(self._order[at]) for at in range(start, end) if self._names[at, 1] == name[1]]
        if not found:
            return _RecordRows(0, 0, "no vectors given")
        first, n = int(self._firsts[found[0]]), int(self._counts[found[0]])
        given = self._digests[found[0]].tobytes()
        problem = ""
        if len(found) > 1:
            problem = "vectors given more than once"
        elif given not in (_UNKNOWN, bytes.fromhex(digest)):
            problem = "vectors given for another text"
        elif n != n_texts:
            problem = "vectors given in another number than the record has passages"
        elif np.isin(np.arange(first, first + n), self._unusable).any():
            problem = "vectors given with NaN, or not of length 1"
        return _RecordRows(first, n, problem)

    def read(self, place: _RecordRows) -> Vectors:
        """Return the vectors of a place, (n, dim), as they are stored."""
        return self.table.read_vectors(place.first, place.n)


def _read_places(
    table: VectorTable,
) -> tuple[NDArray[np.uint64], NDArray[np.int64], NDArray[np.int64], NDArray[np.uint8]]:
    """Return of each record the hash of its id (r, 2), its first row, its number of vectors and its digest (r, 32).

    Raises:
        UsageError: a row of the table can't be read.
    """
    names, digests, firsts, counts = bytearray(), bytearray(), array("q"), array("q")
    for first, n, row in _group_rows(table.read_rows()):
        names += _hash_name(row.record_id).tobytes()
        digests += bytes.fromhex(row.digest) or _UNKNOWN
        firsts.append(first)
        counts.append(n if row.passage == n else 0)  # 0: the first passages are missing
    return (
        np.frombuffer(names, np.uint64).reshape(-1, 2),
        np.array(firsts, np.int64),
        np.array(counts, np.int64),
        np.frombuffer(digests, np.uint8).reshape(-1, _DIGEST_BYTES),
    )


def _group_rows(rows: Iterator[VectorRow]) -> Iterator[tuple[int, int, VectorRow]]:
    """Yield first row, number of rows and last row of each record: rows of one id whose passages count up from 1.

    Other rows of an id are a record of their own, so that it is known to be given more than once.
    """
    first, last = 0, VectorRow("", 0, "")
    for at, row in enumerate(rows):
        if at and row != VectorRow(last.record_id, last.passage + 1, last.digest):
            yield first, at - first, last
            first = at
        last = row
    if last.record_id:
        yield first, at + 1 - first, last


def _hash_name(record_id: str) -> NDArray[np.uint64]:
    """Return 16 bytes of a hash of an id, as two numbers."""
    return np.frombuffer(
        hashlib.blake2b(record_id.encode("utf-8", "surrogatepass"), digest_size=_NAME_BYTES).digest(), np.uint64
    )


def _find_unusable(table: VectorTable) -> NDArray[np.int64]:
    """Return the rows of the vectors with NaN, infinity or another length than 1.

    Raises:
        UsageError: there are too many of them.
    """
    rows, example, advice = [np.empty(0, np.int64)], "", _SCALE
    for start, vectors in table.scan_vectors():
        with np.errstate(over="ignore", invalid="ignore"):
            lengths = np.sqrt(np.einsum("ij,ij->i", vectors, vectors, dtype=np.float64))
        found = np.flatnonzero(~(np.abs(lengths - 1) <= LENGTH_TOLERANCE))
        if len(found) and not example:
            example = f"row {start + int(found[0]) + 1:,} has the length {lengths[found[0]]:.3g}"
            advice = _SCALE if np.isfinite(lengths[found[0]]) else _AGAIN
        rows.append(start + found)
    unusable = np.concatenate(rows)
    if len(unusable) > max(_MIN_UNUSABLE, _MAX_UNUSABLE * table.shape[0]):
        raise UsageError(
            f"{table.path}: {len(unusable):,} of {pluralize(table.shape[0], 'vector')} can't be used: {example}, "
            f"expected 1. {advice}"
        )
    return unusable
