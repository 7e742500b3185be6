"""Point an index to another of its generations."""

from __future__ import annotations

import contextlib

from engine.errors import UsageError
from engine.index.folder import IndexFolder
from engine.index.lock import writer_lock
from engine.index.publish import point_to


def roll_back(folder: IndexFolder, number: int | None) -> int:
    """Make a generation current, by default the one before; returns its number.

    Raises:
        UsageError: no such generation, or none before.
        CorruptError: that generation is damaged; the pointer stays.
        LockedError: another process writes this index.
        DurabilityError: done, but the disk did not confirm it.
    """
    with writer_lock(folder.lock):
        target = previous(folder) if number is None else number
        if target not in folder.numbers():
            raise UsageError(f"no generation {target:06d} in {folder.path}: found {shown(folder.numbers())}")
        folder.check(target)
        point_to(folder, target)
        return target


def previous(folder: IndexFolder) -> int:
    """The newest generation below the current one.

    Raises:
        UsageError: there is none.
        CorruptError: the pointer is damaged, so "before" has no meaning.
    """
    current = folder.current()
    earlier = [n for n in folder.numbers() if n < current]
    with contextlib.suppress(IndexError):
        return earlier[-1]
    raise UsageError(f"{folder.path} has no generation before {current:06d}: found {shown(folder.numbers())}")


def shown(numbers: list[int]) -> str:
    """Generation numbers for a message."""
    return ", ".join(f"{n:06d}" for n in numbers) or "none"
