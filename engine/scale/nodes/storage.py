"""Storage that all nodes reach: a folder, or an object store through fsspec. It holds what nodes need of an index.

The names are those in the folder of an index, so that a node that has copied them has such a folder.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from engine.errors import ClusterError, ConfigError, MissingExtraError
from engine.index.generations import manifest as manifests
from engine.index.generations.folder import Generation
from engine.index.generations.segment import CODES, RECEIPT, VECTORS

_OURS = re.compile(r"\d{6}(-[0-9a-f]+)?")  # names of generations and segments; nothing else is ever removed
SEARCHED = (VECTORS, CODES)  # the files of a segment that nodes read, beside its receipt


@dataclass(frozen=True, slots=True)
class _UploadCounts:
    """Files of one generation in storage."""

    copied: int
    n_bytes: int  # of the copied files
    kept: int  # that an earlier upload had copied


class Storage:
    """The files of one index in a folder or an object store."""

    def __init__(self, address: str) -> None:
        """Open it by its address, such as "s3://bucket/rheumatology", or the path of a folder.

        Raises:
            ConfigError: the address holds a password, or names a kind of storage that fsspec does not know.
            MissingExtraError: the library for this kind is not installed.
        """
        self.address = address
        try:
            if urlsplit(address).password:
                raise ConfigError(
                    "ray.storage holds a password, expected none. Give it by the environment of each machine"
                )
            from fsspec.core import url_to_fs

            self._files, self._root = url_to_fs(address)
        except ImportError as err:
            library = "s3fs" if address.startswith("s3:") else "fsspec"
            raise MissingExtraError(library, "[s3]" if library == "s3fs" else "[ray]") from err
        except ValueError as err:
            raise ConfigError(f"ray.storage is {address!r}: {err}. Expected a folder, or s3://BUCKET/FOLDER") from err

    def write_generation(self, generation: Generation) -> _UploadCounts:
        """Copy what nodes need of a generation, its manifest last.

        Files of segments that are there with the same size are kept. Those of the generation itself are always
        written: after a run that failed, another one has the same number.

        Raises:
            ClusterError: the storage can't be read or written.
        """
        copied = n_bytes = kept = 0
        for name, source in _list_needed(generation):
            size = source.stat().st_size
            if name.startswith("segments/") and self._read_size(name) == size:
                kept += 1
                continue
            with self._report_errors(name):
                self._write(source, f"{self._root}/{name}")
            copied, n_bytes = copied + 1, n_bytes + size
        return _UploadCounts(copied, n_bytes, kept)

    def download(self, name: str, target: Path) -> None:
        """Copy a file to a path; a partial one may remain.

        Raises:
            ClusterError: it is missing, or the storage can't be read.
        """
        with self._report_errors(name):
            self._files.get_file(f"{self._root}/{name}", str(target))

    def list_generations(self) -> list[int]:
        """List the numbers of the generations there, ascending.

        Raises:
            ClusterError: the storage can't be read.
        """
        return [int(name.rpartition("/")[2]) for name in self._list("generations")]

    def drop_others(self, generations: Collection[int], segments: Collection[str]) -> list[str]:
        """Remove the generations and segments that are not named; return what was removed, in order of name.

        Raises:
            ClusterError: the storage can't be read or written.
        """
        kept = {f"generations/{number:06d}" for number in generations} | {f"segments/{name}" for name in segments}
        removed = [name for place in ("generations", "segments") for name in self._list(place) if name not in kept]
        for name in removed:
            with self._report_errors(name):
                self._files.rm(f"{self._root}/{name}", recursive=True)
        return removed

    def _write(self, source: Path, target: str) -> None:
        """Write a file that appears under its name only when it is whole; object stores do that by themselves."""
        if "file" not in _list_protocols(self._files):
            self._files.put_file(str(source), target)
            return
        self._files.makedirs(target.rpartition("/")[0], exist_ok=True)
        self._files.put_file(str(source), f"{target}.part")
        self._files.mv(f"{target}.part", target)

    def _list(self, place: str) -> list[str]:
        """List the generations or the segments there, in order of name."""
        with self._report_errors(place):
            try:
                self._files.invalidate_cache()
                found = self._files.ls(f"{self._root}/{place}", detail=False)
            except FileNotFoundError:
                return []
        names = sorted(path.rstrip("/").rpartition("/")[2] for path in found)
        return [f"{place}/{name}" for name in names if _OURS.fullmatch(name)]

    def _read_size(self, name: str) -> int | None:
        """Return the size of a file in bytes; None if it is missing."""
        with self._report_errors(name):
            try:
                return int(self._files.info(f"{self._root}/{name}", refresh=True)["size"])
            except FileNotFoundError:
                return None

    @contextmanager
    def _report_errors(self, name: str) -> Iterator[None]:
        """Turn what a store raises into an error that names the file; each kind of store has exceptions of its own.

        Raises:
            ClusterError: the block raised.
        """
        try:
            yield
        except Exception as err:
            problem = str(err).split("\n", 1)[0][:200] or type(err).__name__
            raise ClusterError(
                f"{self.address}/{name} can't be used: {problem}. Check ray.storage in index.toml, and the access of "
                "this machine to it"
            ) from err


def _list_needed(generation: Generation) -> Iterator[tuple[str, Path]]:
    """Yield the name and the path of each file that nodes need of a generation, the manifest last."""
    own = f"generations/{generation.path.name}"
    for segment in generation.segments:
        place = f"segments/{segment.entry.name}"
        for name in (*(file.name for file in segment.receipt.files if file.name in SEARCHED), RECEIPT):
            yield f"{place}/{name}", segment.files.path / name
        if segment.entry.dead:
            yield f"{own}/{segment.entry.dead.name}", generation.path / segment.entry.dead.name
    yield f"{own}/{manifests.NAME}", generation.path / manifests.NAME


def _list_protocols(files: Any) -> tuple[str, ...]:
    """Return the names of a kind of storage, as fsspec gives them."""
    return (files.protocol,) if isinstance(files.protocol, str) else tuple(files.protocol)
