"""Writes that survive a power cut or raise an error.

Every file of a generation is written here, or by others and then synced by engine.platform.sync_path.
"""

from __future__ import annotations

import contextlib
import os
import shutil
from pathlib import Path
from typing import BinaryIO

from engine import stamps
from engine.platform import (
    can_move_open,
    clone_blocks,
    exchange_paths,
    link_file,
    make_read_only,
    open_to_read,
    replace_path,
    sync_file,
    sync_path,
)


def write_bytes(path: Path, content: bytes | memoryview) -> None:
    """Write a new file, fsync it and read its size back.

    Raises:
        OSError: the disk is full or broken; a partial file may remain.
    """
    with path.open("wb") as file:
        file.write(content)
        file.flush()
        sync_file(file.fileno())
    if path.stat().st_size != len(content):
        raise OSError(f"{path} has {path.stat().st_size:,} bytes after writing {len(content):,}")


def replace_text(path: Path, text: str) -> None:
    """Replace a small file atomically: readers see the old content or the new. The folder is not synced."""
    temporary = path.with_name(path.name + ".tmp")
    write_bytes(temporary, text.encode("utf-8"))
    replace_path(temporary, path)


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
        if not clone_blocks(source.fileno(), new.fileno()):
            shutil.copyfileobj(source, new, 1 << 20)


def copy_folder(source: Path, target: Path) -> None:
    """Copy the files of a folder into another one, which is made if it is missing."""
    target.mkdir(parents=True, exist_ok=True)
    for path in source.iterdir():
        _copy_file(path, target / path.name)


def seal(folder: Path) -> None:
    """Make the files of a folder and of those in it read-only, to prevent accidental edits.

    A file that is so already, as one shared with another folder is, is not touched.
    """
    for path in folder.iterdir():
        if path.is_dir():
            seal(path)
        else:
            make_read_only(path)


def share_file(source: Path, target: Path) -> bool:
    """Make a published file part of another folder as a hard link; return whether that worked.

    Where the file system refuses links, or the folders are on different ones, the file is copied, synced and made
    read-only. The file keeps its stamp (see engine.stamps), so it is not hashed again.

    Raises:
        OSError: there is no source, the target exists, or the copy failed.
    """
    before = stamps.read_identity(source)
    if not link_file(source, target):
        _copy_file(source, target)
        sync_path(target)
        make_read_only(target)
        return False
    stamps.carry(before, stamps.read_identity(source))
    return True


def _unlink_file(path: Path) -> None:
    """Delete one name of a file. What other hard links call it by keeps its stamp (see engine.stamps).

    Raises:
        OSError: there is no such file, or it can't be deleted.
    """
    if not can_move_open():  # where the identity of a file is the same after that
        path.unlink()
        return
    try:
        descriptor = open_to_read(path, plain=True)
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

    Where it can't (Windows, some network mounts), the second name leads nowhere for a moment.

    Raises:
        OSError: the names can't be changed; both are as before.
    """
    if not exchange_paths(one, other):
        aside = one.with_name(f"{one.name}.old")
        replace_path(other, aside)
        try:
            replace_path(one, other)
        except OSError:
            replace_path(aside, other)
            raise
        replace_path(aside, one)
    for path in (one.parent, other.parent):
        sync_path(path)


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
