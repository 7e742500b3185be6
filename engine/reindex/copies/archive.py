"""Archives of backups: tar files, written and read as a stream.

All members are in one folder, the name of the index, in order of name behind the receipt. A file that generations share
is stored once; the others are links to it. Nothing else is accepted when an archive is read.
"""

from __future__ import annotations

import io
import tarfile
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, BinaryIO

from engine.errors import CorruptError
from engine.reindex.copies.backupreceipt import BACKUP, is_inside

ENDING = ".tar"
_PIECE = 1 << 20  # bytes copied at once; by default, 16 KiB


@dataclass(frozen=True, slots=True)
class Member:
    """A file in an archive."""

    name: str  # in the folder of the index
    content: IO[bytes]  # to be read before the next member; empty if it is the same as an earlier one
    same_as: str | None = None  # name of that member


class ArchiveWriter:
    """A tar file that is being written."""

    def __init__(self, file: BinaryIO, folder: str) -> None:
        """Write members into a folder of the archive."""
        self.folder = folder
        self.tar = tarfile.open(fileobj=file, mode="w", format=tarfile.PAX_FORMAT)
        self.tar.copybufsize = _PIECE  # type: ignore[attr-defined]  # typeshed lacks it

    def add_file(self, name: str, content: IO[bytes], n_bytes: int) -> None:
        """Add a file of so many bytes.

        Raises:
            OSError: the disk is full, or the content is shorter.
        """
        member = self._describe(name)
        member.size = n_bytes
        self.tar.addfile(member, content)

    def add_link(self, name: str, same_as: str) -> None:
        """Add another name of an earlier file."""
        member = self._describe(name)
        member.type, member.linkname = tarfile.LNKTYPE, f"{self.folder}/{same_as}"
        self.tar.addfile(member)

    def _describe(self, name: str) -> tarfile.TarInfo:
        """Return the header of a member, without user, time and machine: equal indexes give equal archives."""
        member = tarfile.TarInfo(f"{self.folder}/{name}")
        member.mode = 0o644
        return member

    def close(self) -> None:
        """Write the end of the archive."""
        self.tar.close()


def walk_archive(path: Path, visit: Callable[[Member], None]) -> None:
    """Call a function for each member of an archive, the receipt first.

    Raises:
        CorruptError: it is no backup, is damaged, or a member could be written elsewhere than into the index.
        OSError: it can't be read.
    """
    try:
        with path.open("rb") as file, tarfile.open(fileobj=file, mode="r:") as tar:
            for member in _scan_members(path, tar):
                visit(member)
    except (tarfile.TarError, EOFError) as err:
        raise CorruptError(f"{path} is no backup, is damaged or ends early: {err}. Use another backup") from err


def _scan_members(path: Path, tar: tarfile.TarFile) -> Iterator[Member]:
    """Yield members with safe names.

    Raises:
        CorruptError: one has another name, or is a link or a device.
    """
    folder, seen = "", set[str]()
    while (member := _read_header(tar)) is not None:
        first, _, name = member.name.partition("/")
        if not folder and (name != BACKUP or not is_inside(first)):
            raise CorruptError(f"{path} was not made by engine backup: it begins with {member.name!r}. Use another one")
        folder = folder or first
        if first != folder or not is_inside(name) or name in seen:
            raise CorruptError(_explain_refusal(path, member, "a name outside the index, or for the second time"))
        yield _build_member(path, tar, member, folder, seen)
        seen.add(name)


def _read_header(tar: tarfile.TarFile) -> tarfile.TarInfo | None:
    """Return the next member; None at the end.

    Raises:
        ReadError: the header is damaged.
    """
    try:
        member = tar.next()
    except (ValueError, OverflowError, RecursionError) as err:  # of numbers and texts in the header
        raise tarfile.ReadError(str(err)) from err
    tar.members = []  # type: ignore[attr-defined]  # or it would keep all of them
    return member


def _build_member(
    path: Path, tar: tarfile.TarFile, member: tarfile.TarInfo, folder: str, seen: Collection[str]
) -> Member:
    """Return a member with a safe name.

    Raises:
        CorruptError: it is neither a file nor a link to an earlier member.
    """
    name = member.name.removeprefix(f"{folder}/")
    if member.type in (tarfile.REGTYPE, tarfile.AREGTYPE) and not member.issparse():
        return Member(name, tar.extractfile(member) or io.BytesIO())
    same_as = member.linkname.removeprefix(f"{folder}/")
    if member.type != tarfile.LNKTYPE or same_as not in seen:
        raise CorruptError(_explain_refusal(path, member, "a link or a device"))
    return Member(name, io.BytesIO(), same_as)


def _explain_refusal(path: Path, member: tarfile.TarInfo, what: str) -> str:
    """Return the message about a member that no backup has."""
    return (
        f"{path} holds {member.name!r}: {what}. Nothing was restored, since engine backup writes no such archive. "
        "Use another backup"
    )
