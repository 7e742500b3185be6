"""The generation that an index holds: the current one, or one that was asked for by its number."""

from __future__ import annotations

from engine.errors import GenerationError
from engine.index.folder import IndexFolder
from engine.query.snapshot import Snapshot


def latest(folder: IndexFolder, device: str) -> Snapshot:
    """Open the current generation; again, when it was replaced and deleted between checking and opening it.

    Raises:
        GenerationError: there is none, or it is not what its manifest says.
        ConfigError: the device is "cuda" and there is none.
    """
    while True:
        pointer = folder.pointer_bytes()
        generation = folder.open_current(quick=True)
        try:
            return Snapshot(folder, generation, pointer, device)
        except GenerationError:
            if folder.current() == generation.manifest.generation:
                raise


def kept(folder: IndexFolder, number: int, device: str) -> Snapshot:
    """Open a generation by its number, whether it is the current one or not.

    Raises:
        GenerationError: it is not kept, or not what its manifest says.
        ConfigError: the device is "cuda" and there is none.
    """
    numbers = folder.numbers()
    if number not in numbers:
        if not numbers:
            raise folder.no_generation()
        raise GenerationError(f"{not_kept(folder, number)}. Open the newest one: name no generation")
    return Snapshot(folder, folder.check(number, quick=True), folder.pointer_bytes(), device)


def not_kept(folder: IndexFolder, number: int) -> str:
    """What to say of a generation that is not there, with those that are."""
    found = ", ".join(f"{n:06d}" for n in folder.numbers())
    return f"{folder.path} does not keep generation {number:06d}: found {found}"
