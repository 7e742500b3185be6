"""Vectors of a run that did not end, kept so that the next run need not compute them again.

Keyed by the digest of the text and by the encoder's fingerprint, never by position: whatever the next run must encode,
a text found here has the vector that this encoder would give it.
"""

from __future__ import annotations

import contextlib
import io
import os
import shutil
import struct
import time
import zipfile
from bisect import bisect
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine.encode.contract import LENGTH_TOLERANCE
from engine.index import durable
from engine.records import Vectors

SUFFIX = ".npz"
DIGEST_BYTES = 32  # SHA-256
LENGTHS_AT = 26  # place of two lengths in the header of a zip entry (APPNOTE.TXT 4.3.7); name and extra field follow


@dataclass(frozen=True, slots=True)
class Shard:
    """What one file holds, mapped."""

    digests: NDArray[np.uint8]  # (n, 32)
    vectors: Vectors  # (n, dim)
    n_tokens: NDArray[np.int64]  # (n,) before the cut


@dataclass(slots=True)
class Shards:
    """The shards of one encoder beside an index. Not safe for several threads."""

    folder: Path  # shards/<fingerprint>
    dim: int
    every: float  # seconds of encoding that a kill may cost; a shard is written when so many have passed
    found: dict[bytes, int] = field(default_factory=dict)  # text digest -> row of `read`
    read: list[Shard] = field(default_factory=list)  # of an earlier run
    starts: list[int] = field(default_factory=list)  # first row of each
    digests: list[str] = field(default_factory=list)  # not yet written
    vectors: list[Vectors] = field(default_factory=list)
    n_tokens: list[int] = field(default_factory=list)
    written: float = field(default_factory=time.monotonic)

    def load(self) -> int:
        """Read what an earlier run left; returns the number of texts. A damaged shard counts as not there."""
        for path in sorted(self.folder.glob(f"*{SUFFIX}")):
            shard = read_shard(path, self.dim)
            if shard is None:
                path.unlink()
                continue
            start = self.starts[-1] + len(self.read[-1].n_tokens) if self.read else 0
            self.found.update((row.tobytes(), start + i) for i, row in enumerate(shard.digests))
            self.starts.append(start)
            self.read.append(shard)
        return len(self.found)

    def get(self, digest: str) -> tuple[Vectors, int] | None:
        """Vector (dim,) and length of a text in tokens, from an earlier run; None where it must be encoded."""
        row = self.found.get(bytes.fromhex(digest))
        if row is None:
            return None
        number = bisect(self.starts, row) - 1
        shard, at = self.read[number], row - self.starts[number]
        return np.array(shard.vectors[at]), int(shard.n_tokens[at])

    def add(self, digests: Sequence[str], vectors: Vectors, n_tokens: NDArray[np.int64]) -> None:
        """Take the vectors of newly encoded texts, rows matching; writes a shard when one is due.

        Raises:
            OSError: the disk is full or not writable.
        """
        self.digests += digests
        self.vectors.append(vectors)
        self.n_tokens += n_tokens.tolist()
        if time.monotonic() - self.written >= self.every:
            self.flush()

    def flush(self) -> None:
        """Write what was not yet written, so that it survives.

        Raises:
            OSError: the disk is full or not writable.
        """
        self.written = time.monotonic()
        if not self.digests:
            return
        self.folder.mkdir(parents=True, exist_ok=True)
        number = 1 + max((int(path.stem) for path in self.folder.glob(f"*{SUFFIX}")), default=0)
        content = io.BytesIO()
        np.savez(
            content,
            digests=np.frombuffer(bytes.fromhex("".join(self.digests)), np.uint8).reshape(len(self.digests), -1),
            vectors=np.concatenate(self.vectors).astype(np.float32),
            n_tokens=np.array(self.n_tokens, dtype=np.int64),
        )
        beside = self.folder / f"{number:06d}.tmp"
        durable.write_bytes(beside, content.getbuffer())
        beside.replace(beside.with_suffix(SUFFIX))
        durable.sync_folder(self.folder)
        self.digests.clear()
        self.vectors.clear()
        self.n_tokens.clear()


def read_shard(path: Path, dim: int) -> Shard | None:
    """Map one shard; None when any byte of it is damaged (the zip's CRC-32) or a vector is not one."""
    try:
        with zipfile.ZipFile(path) as archive:
            if archive.testzip() is not None:
                return None
            entries = {entry.filename: entry for entry in archive.infolist()}
        found = [mapped_array(path, entries[f"{name}.npy"]) for name in ("digests", "vectors", "n_tokens")]
    except (OSError, ValueError, KeyError, EOFError, RuntimeError, zipfile.BadZipFile):  # RuntimeError: "encrypted"
        return None
    shard = Shard(*found)
    n = len(shard.digests)
    right = shard.digests.dtype == np.uint8 and shard.digests.shape == (n, DIGEST_BYTES)
    if not right or shard.vectors.dtype != np.float32 or shard.vectors.shape != (n, dim) or len(shard.n_tokens) != n:
        return None
    lengths = np.sqrt(np.einsum("ij,ij->i", shard.vectors, shard.vectors))
    return shard if (np.abs(lengths - 1) <= LENGTH_TOLERANCE).all() else None


def mapped_array(path: Path, entry: zipfile.ZipInfo) -> NDArray[Any]:
    """Map one array of an uncompressed .npz file, so that what a run resumes from takes no memory.

    Raises:
        ValueError: compressed, or not an array of numbers.
    """
    if entry.compress_type != zipfile.ZIP_STORED:
        raise ValueError(f"{path}: {entry.filename} is compressed")
    with path.open("rb") as file:
        file.seek(entry.header_offset + LENGTHS_AT)
        n_name, n_extra = struct.unpack("<HH", file.read(4))
        file.seek(n_name + n_extra, os.SEEK_CUR)
        version = np.lib.format.read_magic(file)
        header = np.lib.format.read_array_header_1_0(file) if version == (1, 0) else None
        if header is None or header[2].hasobject or header[1]:
            raise ValueError(f"{path}: {entry.filename} is not an array as the engine writes it")
        shape, _, dtype = header
        n_items = int(np.prod(shape))
        if n_items == 0:
            return np.empty(shape, dtype)
        return np.memmap(path, dtype, "r", file.tell(), shape)


def clear(folder: Path, besides: str | None = None) -> None:
    """Delete the shards beside an index, those of one fingerprint excepted. What can't be deleted stays."""
    if not folder.is_dir():
        return
    for path in folder.iterdir():
        if path.name != besides:
            with contextlib.suppress(OSError):
                shutil.rmtree(path)
    with contextlib.suppress(OSError):
        folder.rmdir()
