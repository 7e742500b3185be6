"""Vectors of a run that did not end, kept so that the next run need not compute them again.

Keyed by the digest of the text and by the encoder's fingerprint, never by position: whatever the next run must encode,
a text found here has the vector that this encoder would give it.
"""

from __future__ import annotations

import contextlib
import io
import shutil
import time
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from engine.encode.contract import LENGTH_TOLERANCE
from engine.index import durable
from engine.records import Vectors

SUFFIX = ".npz"


@dataclass(slots=True)
class Shards:
    """The shards of one encoder beside an index. Not safe for several threads."""

    folder: Path  # shards/<fingerprint>
    dim: int
    every: float  # seconds of encoding that a kill may cost; a shard is written when so many have passed
    found: dict[str, tuple[Vectors, int]] = field(default_factory=dict)  # text digest -> vector, tokens before the cut
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
            else:
                self.found.update(shard)
        return len(self.found)

    def get(self, digest: str) -> tuple[Vectors, int] | None:
        """Vector (dim,) and length of a text in tokens, from an earlier run; None where it must be encoded."""
        return self.found.get(digest)

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


def read_shard(path: Path, dim: int) -> dict[str, tuple[Vectors, int]] | None:
    """The content of one shard; None when any byte of it is damaged (the zip's CRC-32) or a vector is not one."""
    try:
        with np.load(io.BytesIO(path.read_bytes()), allow_pickle=False) as shard:
            digests, vectors, n_tokens = shard["digests"], shard["vectors"], shard["n_tokens"]
    except (OSError, ValueError, KeyError, EOFError, RuntimeError, zipfile.BadZipFile):  # RuntimeError: "encrypted"
        return None
    if vectors.dtype != np.float32 or vectors.shape != (len(digests), dim) or len(n_tokens) != len(digests):
        return None
    if not (np.abs(np.linalg.norm(vectors, axis=1) - 1) <= LENGTH_TOLERANCE).all():
        return None
    return {row.tobytes().hex(): (vector, int(n)) for row, vector, n in zip(digests, vectors, n_tokens, strict=True)}


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
