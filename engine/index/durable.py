"""Writes that survive a power cut, or fail loudly. Everything a generation holds goes through here."""

from __future__ import annotations

import contextlib
import os
import shutil
from pathlib import Path

_READ_ONLY = 0o444


def write_bytes(path: Path, content: bytes | memoryview) -> None:
    """Write a new file, fsync it and read its size back.

    Raises:
        OSError: the disk is full or broken; the file may be there in part.
    """
    with path.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    if path.stat().st_size != len(content):
        raise OSError(f"{path} has {path.stat().st_size:,} bytes after writing {len(content):,}")


def sync_file(path: Path) -> None:
    """Fsync a file that a library wrote."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sync_folder(path: Path) -> None:
    """Fsync a folder, so that names made or replaced in it survive."""
    sync_file(path)


def replace_text(path: Path, text: str) -> None:
    """Replace a small file as a whole: readers see the old content or the new. The folder is not synced."""
    beside = path.with_name(path.name + ".tmp")
    write_bytes(beside, text.encode("utf-8"))
    beside.replace(path)


def copy_file(source: Path, target: Path) -> None:
    """Copy a file, sharing its blocks where the file system can (Btrfs, XFS); the copy is writable."""
    with source.open("rb") as old, target.open("wb") as new:
        if not _clone_blocks(old.fileno(), new.fileno()):
            shutil.copyfileobj(old, new, 1 << 20)


def _clone_blocks(source: int, target: int) -> bool:
    """Ask Linux to share the blocks of two open files; False where it can't."""
    try:
        import fcntl

        fcntl.ioctl(target, 0x40049409, source)  # FICLONE, linux/fs.h
    except (ImportError, OSError):
        return False
    return True


def seal(folder: Path) -> None:
    """Make the files of a folder read-only, against editing by accident."""
    for path in folder.iterdir():
        path.chmod(_READ_ONLY)


def remove_folder(folder: Path, first: str) -> None:
    """Delete a folder, the named file first, so that a half-deleted one can't look whole."""
    with contextlib.suppress(FileNotFoundError):
        (folder / first).unlink()
    shutil.rmtree(folder, ignore_errors=False)
