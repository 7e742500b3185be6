"""What travels between a process that reads source files and the one that uses their entries: frames of bytes.

Entries travel as JSON, which, unlike pickle, runs no code.
"""

from __future__ import annotations

import json
import os
import threading
import traceback
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import fields
from enum import Enum
from operator import attrgetter
from pathlib import Path
from typing import BinaryIO, cast

from engine import errors
from engine.errors import EngineError
from engine.records.abstract import Abstract, Deletion, Entry, Rejection, Remark

_BATCH = 256 << 10  # bytes of entries sent at once
_LENGTH = 4  # bytes of the length of a frame
_KINDS: tuple[type[Entry], ...] = (Abstract, Deletion, Rejection, Remark)
_GETTERS = {kind: attrgetter(*(field.name for field in fields(kind))) for kind in _KINDS}
_NUMBERS = {kind: number for number, kind in enumerate(_KINDS)}
_encode = json.JSONEncoder(check_circular=False, separators=(",", ":")).encode


class FrameKind(Enum):
    """What a frame holds."""

    READY = b"r"  # nothing: the process has started
    ENTRIES = b"b"  # a batch of entries of the file that is read
    END = b"e"  # nothing: the file was read to its end
    ERROR = b"x"  # why the file can't be read


def serialise_entries(entries: Iterable[Entry]) -> Iterator[bytes]:
    """Yield the entries in order, in batches of _BATCH bytes and no more than one entry above.

    An error of the entries is raised after the batch of those before it.
    """
    rows, n_bytes = list[str](), 0
    try:
        for entry in entries:
            rows.append(_encode_entry(entry))
            n_bytes += len(rows[-1])
            if n_bytes >= _BATCH:
                yield _join(rows)
                rows, n_bytes = [], 0
    except Exception:
        if rows:
            yield _join(rows)
        raise
    if rows:
        yield _join(rows)


def _encode_entry(entry: Entry) -> str:
    """Return an entry as a JSON array: the number of its kind, and its values."""
    values = _GETTERS[type(entry)](entry)
    return _encode((_NUMBERS[type(entry)], *(values if isinstance(values, tuple) else (values,))))


def _join(rows: Iterable[str]) -> bytes:
    """Return the JSON array of encoded rows."""
    return f"[{','.join(rows)}]".encode("ascii")


def parse_entries(batch: bytes) -> Iterator[Entry]:
    """Yield the entries of a batch in order."""
    for number, *values in json.loads(batch):
        build: Callable[..., Entry] = _KINDS[number]
        yield build(*[tuple(value) if type(value) is list else value for value in values])


def serialise_error(error: Exception) -> bytes:
    """Return an error as JSON; what is neither an EngineError nor an OSError is given with its traceback."""
    if isinstance(error, EngineError):
        return json.dumps([type(error).__name__, str(error)]).encode()
    if isinstance(error, OSError):
        where = [os.fsdecode(error.filename)] if isinstance(error.filename, str | bytes) else []
        return json.dumps([OSError.__name__, *map(_simplify, error.args), *where]).encode()
    return json.dumps(["", "".join(traceback.format_exception(error))]).encode()


def _simplify(value: object) -> object:
    """Return a value that JSON can hold."""
    return value if isinstance(value, int | str) else str(value)


def parse_error(packed: bytes, path: Path) -> Exception:
    """Return the error that a process had while it read a file, with the same message."""
    name, *values = json.loads(packed)
    if name == OSError.__name__:
        return OSError(*values)
    kind = getattr(errors, name, None) if name else None
    if kind is None:
        return RuntimeError(f"{path} could not be read in a process of its own:\n{values[0]}")
    return cast(EngineError, kind.__new__(kind, values[0]))  # not by __init__, which may make a message of its own


def read_frame(stream: BinaryIO) -> tuple[FrameKind, bytes] | None:
    """Return the next frame; None if the other process has ended."""
    head = stream.read(1 + _LENGTH)
    if len(head) < 1 + _LENGTH:
        return None
    n_bytes = int.from_bytes(head[1:], "big")
    content = stream.read(n_bytes)
    return (FrameKind(head[:1]), content) if len(content) == n_bytes else None


class Outbox:
    """Frames on their way out, written by a thread of its own; `put` waits while they hold too many bytes."""

    def __init__(self, stream: BinaryIO, most: int, abandon: Callable[[], object]) -> None:
        self.most = most  # bytes that may wait; one frame may always
        self.n_bytes = 0  # bytes that wait or are being written
        self._stream = stream
        self._abandon = abandon  # called by the thread when nobody reads any longer
        self._frames: deque[bytes] = deque()
        self._changed = threading.Condition()
        self._is_closed = False
        self._thread = threading.Thread(target=self._write, daemon=True)
        self._thread.start()

    def put(self, part: FrameKind, content: bytes = b"") -> None:
        """Send a frame after those before it, and wait until there is room for it."""
        frame = part.value + len(content).to_bytes(_LENGTH, "big") + content
        with self._changed:
            self._changed.wait_for(lambda: not self.n_bytes or self.n_bytes + len(frame) <= self.most)
            self._frames.append(frame)
            self.n_bytes += len(frame)
            self._changed.notify_all()

    def close(self) -> None:
        """Wait until all frames are written."""
        with self._changed:
            self._is_closed = True
            self._changed.notify_all()
        self._thread.join()

    def _write(self) -> None:
        """Write the frames in order until the outbox is closed."""
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._frames or self._is_closed)
                if not self._frames:
                    return
                frame = self._frames.popleft()
            try:
                self._stream.write(frame)
                self._stream.flush()
            except OSError:
                self._abandon()
                return
            with self._changed:
                self.n_bytes -= len(frame)
                self._changed.notify_all()
