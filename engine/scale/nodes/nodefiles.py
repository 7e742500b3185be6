"""The files of an index on one node: in a folder that all nodes have, or copied from storage into a bounded cache."""

from __future__ import annotations

import hashlib
import os
import shutil
import threading
from collections.abc import Collection
from pathlib import Path

import numpy as np

from engine.config import cache_folder
from engine.errors import ClusterError, CorruptError
from engine.index.generations import manifest as manifests
from engine.index.generations.folder import IndexFolder
from engine.index.generations.segment import RECEIPT, Segment, SegmentFiles, read_receipt
from engine.index.generations.tombstones import read_tombstones
from engine.platform import replace_path
from engine.receipts import FileReceipt
from engine.records.generation import Manifest, SegmentEntry, SegmentReceipt
from engine.scale.nodes.storage import SEARCHED, Storage


class NodeFiles:
    """What a node reads of one index. Each file is checked by its SHA-256 before it is used."""

    def __init__(self, storage: str, cache_bytes: int) -> None:
        """Read from a folder in place; from an object store, through a cache in the cache folder of this node.

        Raises:
            ClusterError: this node has no folder for the cache.
            ConfigError: the address can't be used.
        """
        self._bound = cache_bytes
        self._lock = threading.Lock()
        self._store: Storage | None = None
        self.folder = IndexFolder(Path(storage))
        if is_remote(storage):
            if (cache := cache_folder()) is None:
                raise ClusterError("this node has no folder for a cache. Set ENGINE_CACHE in its environment")
            self._store = Storage(storage)
            self.folder = IndexFolder(cache / "cluster" / hashlib.sha256(storage.encode()).hexdigest()[:16])

    def read_manifest(self, number: int, sha256: str) -> Manifest:
        """Return the manifest of a generation.

        Raises:
            ClusterError: the storage can't be read.
            CorruptError: it is damaged, or another one.
        """
        path = self.folder.get_generation_path(number)
        self._copy_missing(path / manifests.NAME, sha256)
        manifest = manifests.read_manifest(path)
        found = FileReceipt.of(path / manifests.NAME).sha256
        if found != sha256:
            raise CorruptError(
                f"{path} on this node has the manifest {found[:12]}, expected {sha256[:12]}. Share the folder of the "
                "index with every node"
            )
        return manifest

    def was_removed(self, number: int) -> bool:
        """Return whether a generation is no longer there, and a later one is.

        Raises:
            ClusterError: the storage can't be read.
        """
        if self.folder.get_generation_path(number).is_dir():
            return False
        if self._store is None:
            return self.folder.read_pointer() > number
        there = self._store.list_generations()
        return number not in there and max(there, default=0) > number

    def drop_generations(self, kept: Collection[int]) -> None:
        """Remove from the cache what generations before the newest kept one have in it, except the kept ones.

        Their segments stay until the cache needs the room, since later generations share them.
        """
        if self._store is None:
            return
        for number in self.folder.list_numbers():
            if number not in kept and number < max(kept, default=0):
                shutil.rmtree(self.folder.get_generation_path(number), ignore_errors=True)

    def open_segment(
        self, number: int, encoder: str, entry: SegmentEntry, used: Collection[str], *, quick: bool = True
    ) -> Segment:
        """Return a segment of a generation with the encoder of this fingerprint, its vectors checked.

        The cache makes room for it; segments that are used stay. quick: as in FileReceipt.find_problem.

        Raises:
            ClusterError: the storage can't be read, or the cache is too small.
            CorruptError: a file is missing, damaged, or of another encoder.
        """
        with self._lock:  # one is copied at a time, so that what the cache holds is known
            files, receipt = self._prepare(number, encoder, entry, used)
        path = self.folder.get_generation_path(number)
        for file, place in _list_searched(entry, receipt, files.path, path):
            if problem := file.find_problem(place, quick=quick):
                raise CorruptError(f"{problem}. Run: engine verify")
        dead = read_tombstones(path / entry.dead.name) if entry.dead else np.empty(0, np.int64)
        return Segment(files, entry, receipt, dead)

    def _prepare(
        self, number: int, encoder: str, entry: SegmentEntry, used: Collection[str]
    ) -> tuple[SegmentFiles, SegmentReceipt]:
        """Copy what is missing of a segment; return its paths and its receipt.

        Raises:
            ClusterError: the storage can't be read, or the cache is too small.
            CorruptError: a file is damaged or of another encoder.
        """
        files, path = self.folder.get_segment_files(entry.name), self.folder.get_generation_path(number)
        self._copy_missing(files.path / RECEIPT, entry.sha256)
        receipt = read_receipt(files, entry.sha256)
        if receipt.fingerprint != encoder:
            raise CorruptError(f"{files.receipt} is of the encoder {receipt.fingerprint[:12]}, expected {encoder[:12]}")
        if self._store:
            needed = _list_searched(entry, receipt, files.path, path)
            self._make_room(entry.name, sum(file.n_bytes for file, _ in needed), used)
            for file, place in needed:
                self._copy_missing(place / file.name, file.sha256, file)
            os.utime(files.path)  # the cache removes what was not opened for longest
        return files, receipt

    def _copy_missing(self, path: Path, sha256: str, receipt: FileReceipt | None = None) -> None:
        """Copy a file from storage unless this node has it undamaged. Read in place, there is nothing to copy.

        Raises:
            ClusterError: the storage can't be read.
            CorruptError: what it holds is damaged.
        """
        if self._store is None or self._has(path, sha256, receipt):
            return
        path.parent.mkdir(parents=True, exist_ok=True)
        part = path.with_name(f"{path.name}.part-{os.getpid()}")
        name = path.relative_to(self.folder.path).as_posix()
        try:
            self._store.download(name, part)
            if (found := FileReceipt.of(part).sha256) != sha256:
                raise CorruptError(
                    f"{self._store.address}/{name} has the SHA-256 {found[:12]}…, expected {sha256[:12]}…. Remove it "
                    "there; the next run copies it again"
                )
            replace_path(part, path)
        finally:
            part.unlink(missing_ok=True)

    def _has(self, path: Path, sha256: str, receipt: FileReceipt | None) -> bool:
        """Return whether this node has a file undamaged."""
        if receipt is not None:
            return receipt.find_problem(path.parent, quick=True) is None
        return path.exists() and FileReceipt.of(path).sha256 == sha256

    def _make_room(self, name: str, n_bytes: int, used: Collection[str]) -> None:
        """Remove the segments that were not opened for longest until a segment of this size fits; those used stay.

        Raises:
            ClusterError: what is used leaves no room.
        """
        if self._store is None or not self.folder.segments.is_dir():
            return
        sizes = {path: _measure(path) for path in self.folder.segments.iterdir() if path.name != name}
        others = sorted((path for path in sizes if path.name not in used), key=lambda path: path.stat().st_mtime)
        total = n_bytes + sum(sizes.values())
        for path in others:
            if total > self._bound:
                shutil.rmtree(path)
                total -= sizes[path]
        if total > self._bound:
            raise ClusterError(
                f"the cache of this node may hold {self._bound:,} bytes, and its segments need {total:,}. Set "
                "ray.cache_gb higher in index.toml, or add nodes"
            )


def is_remote(storage: str) -> bool:
    """Return whether storage is an object store and not a folder."""
    return "://" in storage


def _list_searched(
    entry: SegmentEntry, receipt: SegmentReceipt, segment: Path, generation: Path
) -> list[tuple[FileReceipt, Path]]:
    """List the files that a search of a segment reads, each with the folder that it is in."""
    own = [(file, segment) for file in receipt.files if file.name in SEARCHED]
    return own + ([(entry.dead, generation)] if entry.dead else [])


def _measure(folder: Path) -> int:
    """Return the bytes of the files in a folder."""
    return sum(path.stat().st_size for path in folder.iterdir())
