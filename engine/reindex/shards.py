"""Vectors of a stopped run, kept so that the next run need not compute them again.

The key is the digest of the text and the fingerprint of the encoder, never a position. So a vector found here is always
the one that this encoder would compute for the text.
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
from engine.files import sync_path
from engine.index import durable
from engine.records.encoder import Vectors

_SUFFIX = ".npz"
_DIGEST_BYTES = 32  # SHA-256
_LENGTHS_AT = 26  # offset of two lengths in the header of a zip entry (APPNOTE.TXT 4.3.7); name and extra field follow


@dataclass(frozen=True, slots=True)
class StoredText:
    """A text that an earlier run has encoded."""

    vector: Vectors  # (dim,)
    n_tokens: int  # before truncation
    made_by: str  # as engine.records.encoder.Encoded


@dataclass(frozen=True, slots=True)
class _Shard:
    """The content of one shard file; its vectors stay on disk."""

    path: Path
    digests: NDArray[np.uint8]  # (n, 32)
    n_tokens: NDArray[np.int64]  # (n,) before truncation
    made_by: NDArray[np.str_]  # (n,) as StoredText
    dim: int
    vectors_at: int  # offset of the vectors in the file

    def read_vector(self, row: int) -> Vectors:
        """Read one vector (dim,). The file is not kept open, since there may be thousands of shards."""
        with self.path.open("rb") as file:
            file.seek(self.vectors_at + row * self.dim * 4)
            return np.frombuffer(file.read(self.dim * 4), "<f4").astype(np.float32)


@dataclass(slots=True)
class Shards:
    """The shards of one encoder in the folder of an index. Not safe for several threads."""

    folder: Path  # shards/<fingerprint>
    dim: int
    every: float  # seconds of encoding between two shards: the work that a kill may lose
    rows: dict[bytes, int] = field(default_factory=dict)  # text digest -> row of `read`
    read: list[_Shard] = field(default_factory=list)  # shards of an earlier run
    starts: list[int] = field(default_factory=list)  # first row of each shard
    digests: list[str] = field(default_factory=list)  # not yet written
    vectors: list[Vectors] = field(default_factory=list)
    n_tokens: list[int] = field(default_factory=list)
    made_by: list[str] = field(default_factory=list)
    written: float = field(default_factory=time.monotonic)

    def load(self) -> int:
        """Read the shards of an earlier run and return the number of texts. A damaged shard is deleted."""
        for path in sorted(self.folder.glob(f"*{_SUFFIX}")):
            try:
                shard = _read_shard(path, self.dim)
            except OSError:  # unreadable now, but perhaps not damaged
                continue
            if shard is None:
                path.unlink()
                continue
            start = self.starts[-1] + len(self.read[-1].n_tokens) if self.read else 0
            self.rows.update((row.tobytes(), start + i) for i, row in enumerate(shard.digests))
            self.starts.append(start)
            self.read.append(shard)
        return len(self.rows)

    def get(self, digest: str) -> StoredText | None:
        """Return what an earlier run stored for the digest of a text; None if the text must be encoded."""
        row = self.rows.get(bytes.fromhex(digest))
        if row is None:
            return None
        number = bisect(self.starts, row) - 1
        shard, at = self.read[number], row - self.starts[number]
        return StoredText(shard.read_vector(at), int(shard.n_tokens[at]), str(shard.made_by[at]))

    def add(self, digests: Sequence[str], vectors: Vectors, n_tokens: NDArray[np.int64], made_by: str = "") -> None:
        """Add newly encoded texts with their vectors, row by row; write a shard when one is due.

        Raises:
            OSError: the disk is full or not writable.
        """
        self.digests += digests
        self.vectors.append(vectors)
        self.n_tokens += n_tokens.tolist()
        self.made_by += [made_by] * len(digests)
        if time.monotonic() - self.written >= self.every:
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
        number = 1 + max((int(path.stem) for path in self.folder.glob(f"*{_SUFFIX}")), default=0)
        content = io.BytesIO()
        np.savez(
            content,
            digests=np.frombuffer(bytes.fromhex("".join(self.digests)), np.uint8).reshape(len(self.digests), -1),
            vectors=np.concatenate(self.vectors).astype(np.float32),
            n_tokens=np.array(self.n_tokens, dtype=np.int64),
            made_by=np.array(self.made_by, dtype=np.str_),
        )
        temporary = self.folder / f"{number:06d}.tmp"
        durable.write_bytes(temporary, content.getbuffer())
        temporary.replace(temporary.with_suffix(_SUFFIX))
        sync_path(self.folder)
        self.digests.clear()
        self.vectors.clear()
        self.n_tokens.clear()
        self.made_by.clear()


def _read_shard(path: Path, dim: int) -> _Shard | None:
    """Read and check a shard; None if any byte is damaged (CRC-32 of the zip) or a vector has not length 1.

    Raises:
        OSError: the file can't be read now.
    """
    content = io.BytesIO(path.read_bytes())
    try:
        with np.load(content, allow_pickle=False) as shard, zipfile.ZipFile(content) as archive:
            digests, vectors = shard["digests"], shard["vectors"]
            n_tokens, made_by = shard["n_tokens"], shard["made_by"]
            entry = archive.getinfo("vectors.npy")
    except (ValueError, KeyError, EOFError, RuntimeError, zipfile.BadZipFile):  # RuntimeError: "encrypted"
        return None
    n = len(digests)
    is_shaped = digests.dtype == np.uint8 and digests.shape == (n, _DIGEST_BYTES) and len(n_tokens) == len(made_by) == n
    if not is_shaped or vectors.dtype != np.float32 or vectors.shape != (n, dim):
        return None
    if not (np.abs(np.linalg.norm(vectors, axis=1) - 1) <= LENGTH_TOLERANCE).all():
        return None
    offset = _locate_entry(content, entry, vectors.nbytes)
    content.seek(offset)
    if content.read(vectors.nbytes) != vectors.tobytes():  # compressed, or not written by the engine
        return None
    return _Shard(path, digests, n_tokens, made_by, dim, offset)


def _locate_entry(archive: io.BytesIO, entry: zipfile.ZipInfo, n_bytes: int) -> int:
    """Return the offset of the last n_bytes of an uncompressed entry of a zip archive."""
    archive.seek(entry.header_offset + _LENGTHS_AT)
    n_name, n_extra = struct.unpack("<HH", archive.read(4))
    return int(archive.tell() + n_name + n_extra + entry.file_size - n_bytes)


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
