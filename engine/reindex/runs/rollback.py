"""Rollback of an index to another of its generations."""

from __future__ import annotations

from engine.errors import GenerationError, UsageError
from engine.index.files.lock import lock_for_writing
from engine.index.generations.folder import IndexFolder
from engine.index.generations.manifest import read_manifest
from engine.index.generations.placement import Placement
from engine.index.generations.publish import point_to


def roll_back(folder: IndexFolder, number: int | None, placement: Placement | None = None) -> int:
    """Make a generation current, by default the previous one, and return its number.

    Raises:
        UsageError: there is no such generation, or no previous one.
        CorruptError: that generation is damaged; the pointer stays.
        ClusterError: it can't be placed; the pointer stays.
        LockedError: another process writes this index.
        DurabilityError: the pointer was replaced, but the disk did not confirm it.
    """
    with lock_for_writing(folder.lock):
        target = _find_previous(folder) if number is None else number
        if target not in folder.list_numbers():
            raise UsageError(
                f"{folder.path} has no generation {target:06d}: found {_format_numbers(folder.list_numbers())}"
            )
        generation = folder.open_number(target, quick=True)
        if placement is not None:
            placement.place(generation)
        point_to(folder, target)
        return target


def _find_previous(folder: IndexFolder) -> int:
    """Return the generation that the current one was made from; if unreadable, the newest undamaged one below it.

    Raises:
        UsageError: there is no such generation.
    """
    current = folder.read_pointer()
    earlier = [n for n in folder.list_numbers() if n < current]
    try:
        parent = read_manifest(folder.get_generation_path(current)).parent
        candidates = [parent] if parent in earlier else []
    except GenerationError:
        candidates = [n for n in reversed(earlier) if _is_sound(folder, n)]
    if not candidates:
        raise UsageError(
            f"{folder.path} has no generation before {current:06d}: found {_format_numbers(folder.list_numbers())}. "
            "Name one: --to NUMBER, or delete the folder and index again"
        )
    return int(candidates[0] or 0)


def _is_sound(folder: IndexFolder, number: int) -> bool:
    """Return whether the files of a generation match its manifest."""
    try:
        folder.check(number, quick=True)
    except GenerationError:
        return False
    return True


def _format_numbers(numbers: list[int]) -> str:
    """Format generation numbers for a message."""
    return ", ".join(f"{n:06d}" for n in numbers) or "none"
