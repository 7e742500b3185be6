"""A lock for one writer at a time. It ends with its process, however that ends."""

from __future__ import annotations

import os
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from engine.errors import LockedError
from engine.platform import open_to_change, read_at, replace_content, take_lock


@contextmanager
def lock_for_writing(path: Path) -> Iterator[None]:
    """Hold the lock file of an index while the block runs. The text of the file names the process, for people.

    Raises:
        LockedError: another process holds it.
    """
    descriptor = open_to_change(path)
    try:
        if not take_lock(descriptor):
            holder = read_at(descriptor, 500, 0).decode("utf-8", "replace").strip() or "unknown"
            raise LockedError(
                f"{path.parent} is being written by another process ({holder}). "
                "Nothing was changed; searches still work. Try again when it has finished"
            )
        replace_content(descriptor, _describe_holder().encode("utf-8", "replace"))
        yield
    finally:
        os.close(descriptor)


def _describe_holder() -> str:
    """Describe this process for people."""
    started = datetime.now(UTC).isoformat(timespec="seconds")
    command = " ".join([Path(sys.argv[0]).name, *sys.argv[1:2]])[:200]  # not the other arguments: one may be secret
    return f"pid {os.getpid()} on {socket.gethostname()} since {started}: {command}\n"
