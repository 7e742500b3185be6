"""Folders in which something large is made beside its place, and from which it gets its name when it is whole."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from engine.errors import EngineError, UsageError
from engine.index.files.lock import lock_for_writing
from engine.platform import is_closed_pipe, replace_path, sync_path

_LOCK = "LOCK"


@contextmanager
def hold_part(target: Path) -> Iterator[Path]:
    """Yield an empty folder beside a target, which is removed when the block ends. What a stopped run left is cleared.

    Raises:
        LockedError: another process makes the same target.
        EngineError: the disk is full, or another error of the system.
        OSError: the stream that progress is printed to was closed.
    """
    part = target.with_name(f".{target.name}.part")
    try:
        part.mkdir(exist_ok=True)
        with ExitStack() as stack:
            try:
                stack.enter_context(lock_for_writing(part / _LOCK))
            except OSError as err:  # a full disk; where another process holds the lock, its folder stays
                shutil.rmtree(part, ignore_errors=True)
                raise EngineError(_explain_failure(target, err)) from err
            try:
                _clear(part)
                yield part
            finally:
                shutil.rmtree(part, ignore_errors=True)
    except OSError as err:
        if is_closed_pipe(err):  # the stream that progress is printed to
            raise
        raise EngineError(_explain_failure(target, err)) from err


def _explain_failure(target: Path, err: OSError) -> str:
    """Return the message about a target that can't be made."""
    what = f"{target} can't be written: {err.strerror or err}"
    return f"{what}. Nothing was left there. Make room, or name another place"


def _clear(part: Path) -> None:
    """Remove what is in a folder but its lock."""
    for path in part.iterdir():
        if path.name != _LOCK:
            shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()


def sync_tree(folder: Path) -> None:
    """Wait until the disk has all that is in a folder.

    Raises:
        OSError: the disk failed.
    """
    for parent, _, names in os.walk(folder):
        for path in (*(Path(parent, name) for name in names), Path(parent)):
            sync_path(path)


def publish_part(made: Path, target: Path) -> None:
    """Give a finished file or folder its name, and wait until the disk has it.

    Raises:
        UsageError: the name was taken meanwhile.
        OSError: the name can't be given.
    """
    if os.path.lexists(target):
        raise UsageError(f"{target} has appeared meanwhile, expected a new name. Name another one")
    replace_path(made, target)
    sync_path(target.parent)
