"""The work of a fetch, kept beside its output: each answer as it came, so that an interrupted run goes on.

The file is a list of entries. An entry is a line of JSON and the bytes that the line counts; the first one says what is
fetched. An entry that was not written whole ends the file, and is written again.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from engine.errors import EngineError, UsageError
from engine.phrases import quote_word
from engine.platform import open_to_change, sync_file, take_lock

_VERSION = 1
_MAX_LINE = 64 << 20  # bytes
_BEGIN = b'{"key": "purpose", '  # of the first line


@dataclass(frozen=True, slots=True)
class _Place:
    """Where an entry is in the file."""

    line: int  # its first byte
    content: int  # the first byte below the line
    n_bytes: int


class WorkFile:
    """Entries of a fetch by their keys, on disk; in memory are only their places."""

    def __init__(self, path: Path, file: BinaryIO, purpose: Mapping[str, str]) -> None:
        self.path = path
        self._file = file
        self._places: dict[str, _Place] = {}
        self.is_resumed = self._load()
        if not self.is_resumed:
            self.add("purpose", {"version": _VERSION, **purpose}, b"")
        self.purpose: Mapping[str, Any] = self.get_facts("purpose")

    def __contains__(self, key: str) -> bool:
        return key in self._places

    def list_keys(self) -> list[str]:
        """Return the keys in the order in which the entries were added."""
        return list(self._places)

    def get_facts(self, key: str) -> dict[str, Any]:
        """Return what the line of an entry says."""
        self._file.seek(self._places[key].line)
        facts: dict[str, Any] = json.loads(self._file.readline(_MAX_LINE))["facts"]
        return facts

    def read_content(self, key: str) -> bytes:
        """Return the bytes of an entry."""
        place = self._places[key]
        self._file.seek(place.content)
        return self._file.read(place.n_bytes)

    def add(self, key: str, facts: Mapping[str, Any], content: bytes) -> None:
        """Add an entry; it survives whatever ends the process afterwards.

        Raises:
            OSError: the disk is full, or failed.
        """
        sealed = {"key": key, "n_bytes": len(content), "facts": dict(facts)}
        digest = _hash_entry(sealed, content)
        line = json.dumps(sealed | {"sha256": digest}).encode("ascii") + b"\n"
        start = self._file.seek(0, os.SEEK_END)
        try:
            self._file.write(line + content + b"\n")
            self._file.flush()
            sync_file(self._file.fileno())
        except OSError:
            self._file.truncate(start)
            raise
        self._places[key] = _Place(start, start + len(line), len(content))

    def _load(self) -> bool:
        """Find the entries of an interrupted run, and cut off one that was not written whole; return whether any is."""
        self._file.seek(0)
        end = 0
        while line := self._file.readline(_MAX_LINE):
            entry = _parse_line(line)
            if entry is None:
                break
            start = self._file.tell()
            content = self._file.read(entry["n_bytes"])
            is_whole = len(content) == entry["n_bytes"] and self._file.read(1) == b"\n"
            if not is_whole or _hash_entry(entry, content) != entry.pop("sha256"):
                break
            self._places[entry["key"]] = _Place(end, start, entry["n_bytes"])
            end = self._file.tell()
        self._file.truncate(end)
        return bool(self._places)


def _parse_line(line: bytes) -> dict[str, Any] | None:
    """Return the entry that a line announces; None where the line is not whole or of another kind."""
    try:
        entry = json.loads(line)
        is_right = line.endswith(b"\n") and set(entry) == {"key", "n_bytes", "facts", "sha256"}
    except (ValueError, TypeError, RecursionError):
        return None
    return entry if is_right else None


def _hash_entry(entry: Mapping[str, Any], content: bytes) -> str:
    """Return the SHA-256 of an entry."""
    head = json.dumps([entry["key"], entry["n_bytes"], entry["facts"]])
    return hashlib.sha256(head.encode("ascii") + content).hexdigest()


@contextmanager
def open_work(path: Path, purpose: Mapping[str, str], fixed: tuple[str, ...]) -> Iterator[WorkFile]:
    """Open the work of a fetch, or begin it.

    Args:
        path: the work file.
        purpose: what is fetched, for people and to compare.
        fixed: the keys of the purpose that must be those of the interrupted run.

    Raises:
        UsageError: the file holds other work, is no work file, or another process writes it.
        EngineError: the file can't be opened.
    """
    try:
        file = open(open_to_change(path), "r+b")
    except OSError as err:
        raise EngineError(f"{path} can't be written: {err.strerror}. Name a file elsewhere: -o FILE") from err
    with file:
        if not take_lock(file.fileno()):
            raise UsageError(f"{path} is being written by another process. Wait for it, or name another file")
        _refuse_other_file(path, file)
        work = WorkFile(path, file, purpose)
        for key in ("version", *fixed):
            found, wanted = work.purpose.get(key), {"version": _VERSION, **purpose}[key]
            if found != wanted:
                raise UsageError(
                    f"{path} holds an interrupted fetch with another {key}: found {str(found)[:200]!r}, expected "
                    f"{str(wanted)[:200]!r}. Finish that one first, or delete its work: rm {quote_word(path)}"
                )
        yield work


def _refuse_other_file(path: Path, file: BinaryIO) -> None:
    """Refuse a file that is not empty and does not start as a work file.

    Raises:
        UsageError: it is another file.
    """
    line = file.readline(_MAX_LINE)
    if line.endswith(b"\n"):
        is_work = (entry := _parse_line(line)) is not None and entry["key"] == "purpose"
    else:  # a first line that was not written whole; a crash may leave zeros
        is_work = line.startswith(_BEGIN) or _BEGIN.startswith(line) or not line.strip(b"\0")
    if not is_work:
        raise UsageError(f"{path} is not the work of a fetch. Move it away, or name another file: -o FILE")
