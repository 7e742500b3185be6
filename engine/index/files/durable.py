"""Writes that survive a power cut or raise an error.

Every file of a generation is written here, or by others and then synced by engine.files.sync_path.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import os
import shutil
from pathlib import Path
from typing import BinaryIO

from engine import stamps
from engine.files import NO_LINKS, sync_path

_READ_ONLY = 0o444
_AT_FDCWD, _RENAME_EXCHANGE = -100, 2  # linux/fcntl.h, linux/fs.h


def write_bytes(path: Path, content: bytes | memoryview) -> None:
    """Write a new file, fsync it and read its size back.

    Raises:
        OSError: the disk is full or broken; a partial file may remain.
    """
    with path.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    if path.stat().st_size != len(content):
        raise OSError(f"{path} has {path.stat().st_size:,} bytes after writing {len(content):,}")


def replace_text(path: Path, text: str) -> None:
    """Replace a small file atomically: readers see the old content or the new. The folder is not synced."""
    temporary = path.with_name(path.name + ".tmp")
    write_bytes(temporary, text.encode("utf-8"))
    temporary.replace(path)


def _copy_file(source: Path, target: Path) -> None:
    """Copy a file as copy_stream does."""
    with source.open("rb") as old:
        copy_stream(old, target)


def copy_stream(source: BinaryIO, target: Path) -> None:
    """Copy an open file from its start, sharing its blocks where the file system supports it (Btrfs, XFS).

    The copy is writable, and not synced.

    Raises:
        OSError: the disk is full, or the source can't be read.
    """
    with target.open("wb") as new:
        if not _clone_blocks(source.fileno(), new.fileno()):
            shutil.copyfileobj(source, new, 1 << 20)


def copy_folder(source: Path, target: Path) -> None:
    """Copy the files of a folder into another one, which is made if it is missing."""
    target.mkdir(parents=True, exist_ok=True)
    for path in source.iterdir():
        _copy_file(path, target / path.name)


def _clone_blocks(source: int, target: int) -> bool:
    """Share the blocks of two open files on Linux; return False where that is not supported."""
    try:
        import fcntl

        fcntl.ioctl(target, 0x40049409, source)  # FICLONE, linux/fs.h
    except (ImportError, OSError):
        return False
    return True


def seal(folder: Path) -> None:
    """Make the files of a folder and of those in it read-only, to prevent accidental edits.

    A file that is read-only already, as one shared with another folder is, is not touched.
    """
    for path in folder.iterdir():
        if path.is_dir():
            seal(path)
        elif path.stat().st_mode & 0o777 != _READ_ONLY:
            path.chmod(_READ_ONLY)


def share_file(source: Path, target: Path) -> bool:
    """Make a published file part of another folder as a hard link; return whether that worked.

    Where the file system refuses links, or the folders are on different ones, the file is copied, synced and made
    read-only. The file keeps its stamp (see engine.stamps), so it is not hashed again.

    Raises:
        OSError: there is no source, the target exists, or the copy failed.
    """
    before = stamps.read_identity(source)
    try:
        os.link(source, target)
    except OSError as err:
        if err.errno not in NO_LINKS | {errno.EXDEV}:
            raise
        _copy_file(source, target)
        sync_path(target)
        target.chmod(_READ_ONLY)
        return False
    stamps.carry(before, stamps.read_identity(source))
    return True


def _unlink_file(path: Path) -> None:
    """Delete one name of a file. What other hard links call it by keeps its stamp (see engine.stamps).

    Raises:
        OSError: there is no such file, or it can't be deleted.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError:  # a link, or not readable
        path.unlink()
        return
    try:
        before = stamps.build_identity(os.fstat(descriptor))
        path.unlink()
        if (after := os.fstat(descriptor)).st_nlink:
            stamps.carry(before, stamps.build_identity(after))
    finally:
        os.close(descriptor)


def replace_folder(one: Path, other: Path) -> None:
    """Give each of two folders the name of the other, in one step where the system can, and wait for the disk.

    Where it can't (another system than Linux, some network mounts), the second name leads nowhere for a moment.

    Raises:
        OSError: the names can't be changed; both are as before.
    """
    if not _replace_at_once(one, other):
        aside = one.with_name(f"{one.name}.old")
        other.rename(aside)
        try:
            one.rename(other)
        except OSError:
            aside.rename(other)
            raise
        aside.rename(one)
    for path in (one.parent, other.parent):
        sync_path(path)


def _replace_at_once(one: Path, other: Path) -> bool:
    """Exchange two names as one step, with renameat2 of Linux; return False where that is not supported."""
    if (rename := getattr(ctypes.CDLL(None), "renameat2", None)) is None:
        return False
    return bool(rename(_AT_FDCWD, os.fsencode(one), _AT_FDCWD, os.fsencode(other), _RENAME_EXCHANGE) == 0)


def remove_folder(folder: Path, first: str) -> None:
    """Delete a folder, starting with the file `first`, so that a partly deleted folder never looks complete.

    Files that other folders share as hard links keep their stamps.

    Raises:
        OSError: there is no such folder, or something in it can't be deleted.
    """
    with contextlib.suppress(FileNotFoundError):
        (folder / first).unlink()
    for parent, _, names in os.walk(folder):
        for path in (Path(parent, name) for name in names):
            if path.lstat().st_nlink > 1:
                _unlink_file(path)
    shutil.rmtree(folder, ignore_errors=False)
