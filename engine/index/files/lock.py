"""A lock for one writer at a time. It is an flock, so it ends with its process, however that ends."""

from __future__ import annotations

import fcntl
import os
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from engine.errors import LockedError


@contextmanager
def lock_for_writing(path: Path) -> Iterator[None]:
    """Hold the lock file of an index while the block runs. The text of the file names the process, for people.

    Raises:
        LockedError: another process holds it.
    """
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o644)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as err:
            holder = os.pread(descriptor, 500, 0).decode("utf-8", "replace").strip() or "unknown"
            raise LockedError(
                f"{path.parent} is being written by another process ({holder}). "
                "Nothing was changed; searches still work. Try again when it has finished"
            ) from err
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, _describe_holder().encode("utf-8", "replace"), 0)
        yield
    finally:
        os.close(descriptor)


def _describe_holder() -> str:
    """Describe this process for people."""
    started = datetime.now(UTC).isoformat(timespec="seconds")
    command = " ".join([Path(sys.argv[0]).name, *sys.argv[1:2]])[:200]  # not the other arguments: one may be secret
    return f"pid {os.getpid()} on {socket.gethostname()} since {started}: {command}\n"
