"""Vectors of a stopped run, kept so that the next run need not compute them again.

The key is the digest of the text and the fingerprint of the encoder, never a position. So a vector found here is always
the one that this encoder would compute for the text.

A shard is one file: a header, the first 8 bytes of the digest of each text, a JSON list of the ways in which texts were
encoded, and a row for each text. Opening a shard reads all but the rows. A row is checked when it is used: its check is
a hash over fingerprint, whole digest and content. So two texts whose digests begin alike are told apart, and a damaged
row is a text that must be encoded again, never a wrong vector. In memory a text takes 16 bytes.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import logging
import os
import shutil
import struct
import time
from bisect import bisect
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from engine.encode.execution.encoder import LENGTH_TOLERANCE
from engine.index.files import durable
from engine.platform import open_to_read, read_at, replace_path, sync_path
from engine.records.encoder import Vectors

_SUFFIX = ".shard"
_MAGIC = b"shard 1\n"
_HEADER = struct.Struct("<8sIII")  # magic, dimensions, texts, bytes of the list of ways
_KEY_BYTES = 8  # of the digest; among 10^9 texts, two share them with a probability of 3 %
_CHECK_BYTES = 16
_MOST_WAITING = 64 << 20  # bytes of vectors not on disk yet; with more, a shard is due earlier
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class StoredText:
    """A text that an earlier run has encoded."""

    vector: Vectors  # (dim,)
    n_tokens: int  # before truncation
    made_by: str  # as engine.records.encoder.Encoded


@dataclass(frozen=True, slots=True)
class _Shard:
    """Where the rows of one shard file are; its path is made from its number, since there may be thousands."""

    number: int
    ways: tuple[str, ...]  # as StoredText.made_by; a row holds a position in it
    rows_at: int  # offset of the rows in the file


@dataclass(slots=True)
class Shards:
    """The shards of one encoder in the folder of an index. Not safe for several threads."""

    folder: Path  # shards/<fingerprint>
    dim: int
    every: float  # seconds of encoding between two shards: the work that a kill may lose
    keys: NDArray[np.uint64] = field(default_factory=lambda: np.empty(0, np.uint64))  # (n,) ascending
    rows: NDArray[np.int64] = field(default_factory=lambda: np.empty(0, np.int64))  # (n,) row of each key
    read: list[_Shard] = field(default_factory=list)  # shards of an earlier run; rows are counted through all of them
    starts: list[int] = field(default_factory=list)  # first row of each shard
    damaged: set[int] = field(default_factory=set)  # numbers of the shards in which a damaged row was found
    last: int | None = None  # number of the newest shard on disk; None: not looked at yet
    digests: list[str] = field(default_factory=list)  # not yet written
    vectors: list[Vectors] = field(default_factory=list)
    n_tokens: list[int] = field(default_factory=list)
    made_by: list[str] = field(default_factory=list)
    written: float = field(default_factory=time.monotonic)

    def load(self) -> int:
        """Open the shards of an earlier run and return the number of texts. A shard that can't be one is deleted."""
        self.read, self.starts, start = [], [], 0
        keys = [np.empty(0, np.uint64)]
        known: dict[bytes, tuple[str, ...]] = {}
        for number in self._list_numbers():
            path = self._locate(number)
            try:
                opened = _open_shard(path, number, self.dim, known)
            except OSError:  # unreadable now, but perhaps not damaged
                continue
            if opened is None:
                self._warn(number)
                path.unlink()
                continue
            self.read.append(opened[0])
            self.starts.append(start)
            keys.append(opened[1])
            start += len(opened[1])
        every = np.concatenate(keys)
        self.rows = np.argsort(every)
        self.keys = every[self.rows]
        return int(np.count_nonzero(np.diff(self.keys)) + 1) if len(self.keys) else 0

    def get(self, digest: str) -> StoredText | None:
        """Return what an earlier run stored for the digest of a text; None if the text must be encoded."""
        key = np.frombuffer(bytes.fromhex(digest), "<u8", 1)[0]
        first, end = (int(np.searchsorted(self.keys, key, side)) for side in ("left", "right"))
        found = (self._read_row(int(row), digest) for row in self.rows[first:end])
        return next((stored for stored in found if stored is not None), None)

    def _read_row(self, row: int, digest: str) -> StoredText | None:
        """Read and check one row; None if it is damaged, unreadable or that of another text."""
        position = bisect(self.starts, row) - 1
        shard = self.read[position]
        kind = _build_row_type(self.dim)
        raw = _read_at(
            self._locate(shard.number), shard.rows_at + (row - self.starts[position]) * kind.itemsize, kind.itemsize
        )
        cell = np.frombuffer(raw, kind)[0] if raw else None
        way = shard.ways[cell["way"]] if cell is not None and cell["way"] < len(shard.ways) else ""
        if cell is None or raw[-_CHECK_BYTES:] != self._compute_check(digest, raw[:-_CHECK_BYTES], way):
            self._warn(shard.number)
            return None
        vector = cell["vector"].astype(np.float32)
        is_unit = abs(float(np.linalg.norm(vector.astype(np.float64))) - 1) <= LENGTH_TOLERANCE
        return StoredText(vector, int(cell["n_tokens"]), way) if is_unit else None

    def _warn(self, number: int) -> None:
        """Log once that a shard is damaged."""
        if number not in self.damaged:
            self.damaged.add(number)
            _log.warning("%s is damaged: its damaged texts are encoded again", self._locate(number))

    def _compute_check(self, digest: str, content: bytes, way: str) -> bytes:
        """Return the check of a row: a hash over all that it stands for."""
        key = f"{self.folder.name} {digest} {way}\n".encode()
        return hashlib.blake2b(key + content, digest_size=_CHECK_BYTES).digest()

    def _list_numbers(self) -> list[int]:
        """Return the numbers of the shards on disk, ascending."""
        paths = self.folder.glob(f"*{_SUFFIX}")
        return sorted(int(path.stem) for path in paths if path.stem.isdecimal())

    def _locate(self, number: int) -> Path:
        """Return the path of a shard."""
        return self.folder / f"{number:06d}{_SUFFIX}"

    def add(self, digests: Sequence[str], vectors: Vectors, n_tokens: NDArray[np.int64], made_by: str = "") -> None:
        """Add newly encoded texts with their vectors, row by row; write a shard when one is due.

        Raises:
            OSError: the disk is full or not writable.
        """
        self.digests += digests
        self.vectors.append(vectors)
        self.n_tokens += n_tokens.tolist()
        self.made_by += [made_by] * len(digests)
        is_much = len(self.digests) * self.dim * 4 >= _MOST_WAITING
        if is_much or time.monotonic() - self.written >= self.every:
            self.flush()

    def flush(self) -> None:
        """Write the vectors that are not on disk yet.

        Raises:
            OSError: the disk is full or not writable.
        """
        self.written = time.monotonic()
        if not self.digests:
            return
        self.folder.mkdir(parents=True, exist_ok=True)
        if self.last is None:
            self.last = max(self._list_numbers(), default=0)
        target = self._locate(self.last + 1)
        temporary = target.with_suffix(".tmp")
        durable.write_bytes(temporary, b"".join(self._format_shard()))
        replace_path(temporary, target)
        sync_path(self.folder)
        self.last += 1
        self.digests.clear()
        self.vectors.clear()
        self.n_tokens.clear()
        self.made_by.clear()

    def write_as(self, number: int) -> None:
        """Write the vectors that are not on disk yet, under a number, or the next that is free.

        Raises:
            OSError: the disk is full or not writable.
        """
        while self._locate(number).exists():
            number += 1
        self.last = number - 1
        self.flush()

    def _format_shard(self) -> Iterator[bytes]:
        """Yield the bytes of a shard of the texts that are not on disk yet."""
        ways = list(dict.fromkeys(self.made_by))
        names = json.dumps(ways).encode()
        yield _HEADER.pack(_MAGIC, self.dim, len(self.digests), len(names))
        yield b"".join(bytes.fromhex(digest)[:_KEY_BYTES] for digest in self.digests)
        yield names
        rows = np.zeros(len(self.digests), _build_row_type(self.dim))
        rows["vector"], rows["n_tokens"] = np.concatenate(self.vectors), self.n_tokens
        rows["way"] = [ways.index(way) for way in self.made_by]
        for digest, row, way in zip(self.digests, rows, self.made_by, strict=True):
            content = row.tobytes()[:-_CHECK_BYTES]
            yield content + self._compute_check(digest, content, way)


@cache
def _build_row_type(dim: int) -> np.dtype[np.void]:
    """Return the layout of a row: vector, tokens before truncation, position in the list of ways, check."""
    return np.dtype([("vector", "<f4", (dim,)), ("n_tokens", "<i8"), ("way", "<u4"), ("check", f"V{_CHECK_BYTES}")])


def _open_shard(
    path: Path, number: int, dim: int, known: dict[bytes, tuple[str, ...]]
) -> tuple[_Shard, NDArray[np.uint64]] | None:
    """Open a shard and return it with its keys (n,); None if its header, its size or its list of ways is damaged.

    known holds lists of ways that were read before, since most shards have the same.

    Raises:
        OSError: the file can't be read now.
    """
    with path.open("rb") as file:
        head, size = file.read(_HEADER.size), os.fstat(file.fileno()).st_size
        if len(head) < _HEADER.size:
            return None
        magic, its_dim, n, n_names = _HEADER.unpack(head)
        rows_at = _HEADER.size + n * _KEY_BYTES + n_names
        if magic != _MAGIC or its_dim != dim or size != rows_at + n * _build_row_type(dim).itemsize:
            return None
        keys = np.frombuffer(file.read(n * _KEY_BYTES), "<u8").astype(np.uint64)
        names = file.read(n_names)
    if names not in known:
        try:
            known[names] = tuple(map(str, json.loads(names)))
        except (ValueError, TypeError, RecursionError):
            return None
    return _Shard(number, known[names], rows_at), keys


def _read_at(path: Path, offset: int, n_bytes: int) -> bytes:
    """Read bytes of a file, which is not kept open, since there may be thousands; none if they can't all be read."""
    try:
        descriptor = open_to_read(path)
        try:
            raw = read_at(descriptor, n_bytes, offset)
        finally:
            os.close(descriptor)
    except OSError:
        return b""
    return raw if len(raw) == n_bytes else b""


def count_shards(folder: Path) -> int:
    """Count the shards of all encoders in the folder of shards; 0 if there is none."""
    return sum(1 for _ in folder.glob(f"*/*{_SUFFIX}"))


def clear(folder: Path, keep: str | None = None) -> None:
    """Delete all shards except those of the fingerprint `keep`. What can't be deleted stays."""
    if not folder.is_dir():
        return
    for path in folder.iterdir():
        if path.name != keep:
            with contextlib.suppress(OSError):
                shutil.rmtree(path)
    with contextlib.suppress(OSError):
        folder.rmdir()
