"""The files of an open generation, watched for what changes them below it.

Published files never change, but people restore backups over them and disks are swapped. A mapped file that is written
to gives other vectors, and one that is cut off ends the process with a bus error. So before each answer the size, time,
device and inode of each file are compared with those at opening: some microseconds a file. A file that is gone is no
change, since what is open stays readable: the next run may have deleted the generation.

What can't be prevented: a file that is cut off while a search reads it still ends the process; a change in the
milliseconds between the check by SHA-256 and the opening is taken for the file; and one that puts back size and time is
found by ``engine verify`` only. Small vector files are read into memory (see engine.index.search.layout), so that only
large indexes can meet the first.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

_State = tuple[int, int, int, int]  # device, inode, size, time of content; a hard link changes none of them


@dataclass(frozen=True, slots=True)
class OpenFiles:
    """The paths of open files, and their states when they were opened."""

    paths: tuple[str, ...]
    states: tuple[_State | None, ...]  # of each path; None: it was gone

    @staticmethod
    def of(paths: Iterable[Path]) -> OpenFiles:
        """Look at files that have just been opened."""
        names = tuple(map(str, paths))
        return OpenFiles(names, tuple(map(_read_state, names)))

    def read_states(self) -> tuple[_State | None, ...]:
        """Return the states of the files now."""
        return tuple(map(_read_state, self.paths))

    def find_change(self, *, replaced: bool = True) -> str | None:
        """Describe the first file that was written to, cut off or replaced; None if there is none.

        Without `replaced`, a file that another took the place of is no change: what is open is still as it was.
        """
        for path, before in zip(self.paths, self.states, strict=True):
            now = _read_state(path)
            if now == before or now is None or before is None:
                continue
            if replaced or now[:2] == before[:2]:
                return f"{path} was {_describe_change(before, now)} while it was open"
        return None


def _read_state(path: str) -> _State | None:
    """Return the state of a file; None if there is none, or it can't be looked at."""
    try:
        found = os.stat(path)
    except OSError:
        return None
    return (found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns)


def _describe_change(before: _State, now: _State) -> str:
    """Describe what was done to a file."""
    if now[:2] != before[:2]:
        return "replaced by another file"
    if now[2] != before[2]:
        return f"changed: it has {now[2]:,} bytes, expected {before[2]:,},"
    return "written to"
