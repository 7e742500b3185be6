"""Reading of files in several processes, ahead of the one that uses their entries.

The processes are started anew and not by fork: after FAISS has run, a forked process hangs.
"""

from __future__ import annotations

import contextlib
import json
import multiprocessing
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, cast

from engine.collect.frames import FrameKind, parse_entries, parse_error, read_frame
from engine.collect.source import read_source
from engine.config import count_cores
from engine.errors import SourceError
from engine.records.abstract import Entry

_MOST = 4  # processes; the one that merges the entries keeps no more busy
_WORTH = 8 << 20  # bytes to read, inflated, below which starting a process costs more than it saves
_INFLATION = 7  # inflated to stored bytes of PubMed's files
_MEMORY = 128 << 20  # bytes of entries that wait in all processes together
_START = "import sys; sys.path[:] = sys.argv[2:]; from engine.collect.worker import main; main(int(sys.argv[1]))"


def count_readers(paths: Sequence[Path]) -> int:
    """Return how many processes should read these files; 0: none, because this one reads them as fast."""
    n_most = min(count_cores(), _MOST, len(paths))
    if n_most == 0 or count_cores() == 1 or not sys.executable or multiprocessing.current_process().daemon:
        return 0
    return n_most if sum(map(_estimate_bytes, paths)) >= _WORTH else 0


def _estimate_bytes(path: Path) -> int:
    """Return about how many bytes a file inflates to; 0 if it can't be looked at."""
    try:
        return path.stat().st_size * (_INFLATION if path.suffix == ".gz" else 1)
    except OSError:
        return 0


class Readers:
    """Processes that read files, in turn. Use as a context manager: they end with it, whatever happens in it."""

    def __init__(self, n_processes: int) -> None:
        self._n_asked = 0
        self._processes = [_Process(_MEMORY // n_processes) for _ in range(n_processes)]

    def __enter__(self) -> Readers:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for process in self._processes:
            process.end()

    @property
    def n_ahead(self) -> int:
        """Files that may be asked for before the entries of the first of them are taken."""
        return 2 * len(self._processes)

    @property
    def pids(self) -> list[int]:
        """Ids of the processes that could be started."""
        return [process.popen.pid for process in self._processes if process.popen]

    def read(self, path: Path, format_name: str | None = None) -> Iterator[Entry]:
        """Begin to read a file and return its entries, as read_source yields them and with the same errors.

        The entries of several files must be taken in the order in which the files were asked for, each to its end.
        Where no process can be started, the file is read in this one when its entries are taken.

        Raises:
            SourceError: by the iterator, as read_source; or the process that reads the file was ended.
        """
        if not self._processes:
            return read_source(path, format_name)
        process = self._processes[self._n_asked % len(self._processes)]
        self._n_asked += 1
        process.ask(path, format_name)
        return process.receive(path, format_name)


class _Process:
    """One process that reads files."""

    def __init__(self, most: int) -> None:
        self._is_ready: bool | None = None  # None: not known yet
        self.popen = _start(most)

    def ask(self, path: Path, format_name: str | None) -> None:
        """Ask for the entries of a file."""
        if self.popen is not None:
            with contextlib.suppress(OSError, ValueError):  # it was ended, which `receive` reports
                cast(BinaryIO, self.popen.stdin).write(json.dumps([str(path), format_name]).encode() + b"\n")
                cast(BinaryIO, self.popen.stdin).flush()

    def receive(self, path: Path, format_name: str | None) -> Iterator[Entry]:
        """Yield the entries of the earliest file that was asked for and not received yet.

        Raises:
            SourceError: as read_source; or the process was ended.
        """
        if self._is_ready is None:
            self._is_ready = self.popen is not None and self._receive_frame() == (FrameKind.READY, b"")
        if not self._is_ready:
            yield from read_source(path, format_name)
            return
        while True:
            match self._receive_frame():
                case (FrameKind.ENTRIES, batch):
                    yield from parse_entries(batch)
                case (FrameKind.END, _):
                    return
                case (FrameKind.ERROR, packed):
                    error = parse_error(packed, path)
                    raise error
                case _:
                    raise SourceError(self._explain_end(path))

    def _receive_frame(self) -> tuple[FrameKind, bytes] | None:
        """Return the next frame; None if the process has ended or is not ours."""
        with contextlib.suppress(ValueError):  # of no known part
            return read_frame(cast(BinaryIO, cast("subprocess.Popen[bytes]", self.popen).stdout))
        return None

    def _explain_end(self, path: Path) -> str:
        """Return the message for a process that ended before the file did."""
        self.end()
        status = self.popen.returncode if self.popen else 0
        with contextlib.suppress(ValueError):
            status = f"by {signal.Signals(-status).name}" if status < 0 else f"with status {status}"
        return (
            f"{path}: the process that read it was ended {status} before the file was. Nothing was published. "
            "Is there enough memory? Run the command again"
        )

    def end(self) -> None:
        """End the process at once; its own end comes first, if it has ended."""
        if self.popen is None:
            return
        with contextlib.suppress(OSError):
            self.popen.kill()
        for stream in (self.popen.stdin, self.popen.stdout):
            with contextlib.suppress(OSError):  # a line it did not read
                cast(BinaryIO, stream).close()
        self.popen.wait()


def _start(most: int) -> subprocess.Popen[bytes] | None:
    """Start a process in which `most` bytes may wait; None where none can be started."""
    flags = ["-P", "-X", f"utf8={sys.flags.utf8_mode}", "-c", _START]
    try:
        return subprocess.Popen(
            [sys.executable, *flags, str(most), *sys.path],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )
    except OSError:
        return None
