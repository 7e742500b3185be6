"""Vectors of a run that did not end, kept so that the next run need not compute them again.

Keyed by the digest of the text and by the encoder's fingerprint, never by position: whatever the next run must encode,
a text found here has the vector that this encoder would give it.
"""

from __future__ import annotations

import contextlib
import io
import shutil
import struct
import time
import zipfile
from bisect import bisect
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from engine.encode.encoder import LENGTH_TOLERANCE
from engine.index import durable
from engine.records.encoder import Vectors

_SUFFIX = ".npz"
_DIGEST_BYTES = 32  # SHA-256
_LENGTHS_AT = 26  # place of two lengths in the header of a zip entry (APPNOTE.TXT 4.3.7); name and extra field follow


@dataclass(frozen=True, slots=True)
class _Shard:
    """What one file holds; its vectors stay on disk."""

    path: Path
    digests: NDArray[np.uint8]  # (n, 32)
    n_tokens: NDArray[np.int64]  # (n,) before the cut
    dim: int
    vectors_at: int  # place of the vectors in the file

    def read_vector(self, row: int) -> Vectors:
        """Read one vector (dim,). Nothing is kept open: there may be thousands of shards."""
        with self.path.open("rb") as file:
            file.seek(self.vectors_at + row * self.dim * 4)
            return np.frombuffer(file.read(self.dim * 4), "<f4").astype(np.float32)


@dataclass(slots=True)
class Shards:
    """The shards of one encoder beside an index. Not safe for several threads."""

    folder: Path  # shards/<fingerprint>
    dim: int
    every: float  # seconds of encoding that a kill may cost; a shard is written when so many have passed
    found: dict[bytes, int] = field(default_factory=dict)  # text digest -> row of `read`
    read: list[_Shard] = field(default_factory=list)  # of an earlier run
    starts: list[int] = field(default_factory=list)  # first row of each
    digests: list[str] = field(default_factory=list)  # not yet written
    vectors: list[Vectors] = field(default_factory=list)
    n_tokens: list[int] = field(default_factory=list)
    written: float = field(default_factory=time.monotonic)

    def load(self) -> int:
        """Read what an earlier run left; returns the number of texts. A damaged shard counts as not there."""
        for path in sorted(self.folder.glob(f"*{_SUFFIX}")):
            try:
                shard = _read_shard(path, self.dim)
            except OSError:  # no reason to delete it
                continue
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
        return shard.read_vector(at), int(shard.n_tokens[at])

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
        number = 1 + max((int(path.stem) for path in self.folder.glob(f"*{_SUFFIX}")), default=0)
        content = io.BytesIO()
        np.savez(
            content,
            digests=np.frombuffer(bytes.fromhex("".join(self.digests)), np.uint8).reshape(len(self.digests), -1),
            vectors=np.concatenate(self.vectors).astype(np.float32),
            n_tokens=np.array(self.n_tokens, dtype=np.int64),
        )
        beside = self.folder / f"{number:06d}.tmp"
        durable.write_bytes(beside, content.getbuffer())
        beside.replace(beside.with_suffix(_SUFFIX))
        durable.sync_folder(self.folder)
        self.digests.clear()
        self.vectors.clear()
        self.n_tokens.clear()


def _read_shard(path: Path, dim: int) -> _Shard | None:
    """Check one shard; None when any byte of it is damaged (the zip's CRC-32) or a vector is not one.

    Raises:
        OSError: the file can't be read now.
    """
    content = io.BytesIO(path.read_bytes())
    try:
        with np.load(content, allow_pickle=False) as shard, zipfile.ZipFile(content) as archive:
            digests, vectors, n_tokens = shard["digests"], shard["vectors"], shard["n_tokens"]
            entry = archive.getinfo("vectors.npy")
    except (ValueError, KeyError, EOFError, RuntimeError, zipfile.BadZipFile):  # RuntimeError: "encrypted"
        return None
    n = len(digests)
    shaped = digests.dtype == np.uint8 and digests.shape == (n, _DIGEST_BYTES) and len(n_tokens) == n
    if not shaped or vectors.dtype != np.float32 or vectors.shape != (n, dim):
        return None
    if not (np.abs(np.linalg.norm(vectors, axis=1) - 1) <= LENGTH_TOLERANCE).all():
        return None
    place = _locate_entry(content, entry, vectors.nbytes)
    content.seek(place)
    if content.read(vectors.nbytes) != vectors.tobytes():  # compressed, or not as the engine writes it
        return None
    return _Shard(path, digests, n_tokens, dim, place)


def _locate_entry(archive: io.BytesIO, entry: zipfile.ZipInfo, n_bytes: int) -> int:
    """Where the last n_bytes of an uncompressed entry of a zip archive lie."""
    archive.seek(entry.header_offset + _LENGTHS_AT)
    n_name, n_extra = struct.unpack("<HH", archive.read(4))
    return int(archive.tell() + n_name + n_extra + entry.file_size - n_bytes)


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
