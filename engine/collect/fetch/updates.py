"""Download of PubMed's update files from a mirror: checked by MD5, resumable, bounded, one request at a time.

A file gets its own name only when it is complete and its MD5 is right. Until then it is NAME.part, which the next run
resumes.
"""

from __future__ import annotations

import errno
import hashlib
import http.client
import io
import re
import time
import urllib.error
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from engine.collect.fetch.client import (
    GZIP,
    Cause,
    Mirror,
    TransferError,
    explain_failure,
    open_url,
    read_chunks,
    read_content_length,
    read_page,
    try_again,
)
from engine.collect.fetch.listing import NAME, list_updates
from engine.phrases import pluralize
from engine.platform import count_free_bytes, replace_path, sync_file, sync_path

_N_RECHECKED = 5  # newest files whose MD5 is checked in every run: PubMed sometimes replaces a file the next day
_GIVE_UP_AFTER = 3  # consecutive files for which the mirror failed
_MD5 = re.compile(r"\b[0-9a-fA-F]{32}\b")
_MD5_LIMIT = 64 << 10  # bytes
_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


@dataclass(frozen=True, slots=True)
class DownloadResult:
    """Result of a download from a mirror."""

    listed: tuple[str, ...] = ()  # update files on the mirror, oldest first; empty if the listing failed
    names: tuple[str, ...] = ()  # fetched files, oldest first
    failures: tuple[str, ...] = ()  # one message for each file that failed, or for the listing


def fetch_updates(mirror: Mirror, folder: Path, say: Callable[[str], None]) -> DownloadResult:
    """Fetch the update files that are not in the folder, oldest first; the newest also if the mirror has replaced them.

    A file that can't be fetched doesn't stop the others. Each file is in place when it is reported. If the mirror stops
    answering or the disk is full, the remaining files are left for the next run.

    Args:
        mirror: the mirror and its limits.
        folder: folder of the update files; created if it is missing.
        say: receives a line of progress for the listing and each file.
    """
    try:
        with _explain_disk_failures(folder):
            folder.mkdir(parents=True, exist_ok=True)
        listed = try_again(mirror, lambda: list_updates(mirror))
    except TransferError as err:
        return DownloadResult(failures=(str(err),))
    present = [name for name in listed if (folder / name).exists()]
    missing = [name for name in listed if name not in set(present)]
    wanted = sorted([*missing, *present[-_N_RECHECKED:]])
    _remove_stale_parts(folder, wanted)
    say(f"mirror: {len(listed):,} update files, {len(missing):,} of them new")
    names, failures = _fetch_all(mirror, wanted, folder, say)
    return DownloadResult(listed, names, failures)


def _fetch_all(
    mirror: Mirror, wanted: Sequence[str], folder: Path, say: Callable[[str], None]
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the names of the fetched files, and a message for each file that failed."""
    names, failures, n_unanswered = [], [], 0
    for n_done, name in enumerate(wanted, 1):
        time.sleep(mirror.pause)
        try:
            if _update(mirror, name, folder):
                say(f"mirror: {name}, {(folder / name).stat().st_size:,} bytes")
                names.append(name)
            n_unanswered = 0
        except TransferError as err:
            failures.append(str(err))
            n_unanswered = n_unanswered + 1 if err.cause is Cause.MIRROR else 0
            if err.cause is Cause.DISK or n_unanswered == _GIVE_UP_AFTER:
                if n_left := len(wanted) - n_done:
                    failures.append(f"{pluralize(n_left, 'more file')} not tried, from {wanted[n_done]} on")
                break
    return tuple(names), tuple(failures)


def _update(mirror: Mirror, name: str, folder: Path) -> bool:
    """Fetch one file, unless the folder has it with the MD5 that the mirror states; return whether it was fetched.

    Raises:
        TransferError: the last try failed.
    """
    path = folder / name
    if path.exists() and try_again(mirror, lambda: _read_md5(mirror, name)) == _hash_file(path):
        return False
    try_again(mirror, lambda: _fetch_once(mirror, name, folder))
    return True


def _read_md5(mirror: Mirror, name: str) -> str:
    """Return the MD5 that the mirror states for a file, in lower case.

    Raises:
        TransferError: the .md5 file can't be read or contains no MD5.
    """
    text = read_page(mirror, f"{name}.md5", _MD5_LIMIT).content.decode("ascii", "replace")
    match = _MD5.search(text)
    if match is None:
        raise TransferError(f"{mirror.address.describe(name)}.md5 holds no MD5: {text.strip()[:60]!r}", Cause.CONTENT)
    return match[0].lower()


def _hash_file(path: Path) -> str:
    """Return the MD5 of a local file.

    Raises:
        TransferError: the file can't be read.
    """
    with _explain_disk_failures(path), path.open("rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()


@dataclass(frozen=True, slots=True)
class _Extent:
    """The part of a file that a response contains."""

    start: int  # 0 if the server can't resume
    size: int | None  # of the whole file, in bytes; None if the server doesn't state it


def _fetch_once(mirror: Mirror, name: str, folder: Path) -> None:
    """Fetch the missing bytes of one file and move it into place.

    Raises:
        TransferError: the transfer broke off; or the file is too large or not gzip, or its MD5 differs, and the .part
            file was deleted.
    """
    expected = _read_md5(mirror, name)
    part = folder / f"{name}.part"
    with explain_failure(mirror, name):
        with _explain_disk_failures(part):
            start = part.stat().st_size if part.exists() else 0
        with closing(_open_from(mirror, name, start)) as response:
            extent = _read_extent(response, start)
            _check_room(mirror, part, extent.start, extent.size)
            n_bytes = _receive(mirror, response, part, extent.start)
            if extent.size is not None and n_bytes < extent.size:
                text = f"broke off after {n_bytes:,} of {extent.size:,} bytes, which are kept"
                raise TransferError(text, Cause.MIRROR)
        _check_content(part, expected)
        with _explain_disk_failures(part):
            replace_path(part, folder / name)
            sync_path(folder)  # so that the new name survives a crash


def _open_from(mirror: Mirror, name: str, start: int) -> http.client.HTTPResponse:
    """Request a file from byte `start` on.

    Raises:
        HTTPError: the server refuses.
    """
    try:
        return open_url(mirror, name, None, **({"Range": f"bytes={start}-"} if start else {}))
    except urllib.error.HTTPError as err:
        if err.code != 416:  # the file has no bytes after `start`: request all of it
            raise
        err.close()
        return open_url(mirror, name)


def _read_extent(response: http.client.HTTPResponse, start: int) -> _Extent:
    """Return which bytes of the file a response contains.

    Raises:
        TransferError: they are not the requested ones.
    """
    length = read_content_length(response)
    stated = re.fullmatch(r"bytes ([0-9]+)-[0-9]+/([0-9]+|\*)", response.headers["Content-Range"] or "")
    if response.status == 200:
        return _Extent(0, length)
    if response.status != 206 or not start or stated is None or int(stated[1]) != start:
        raise TransferError(f"the server answered {response.status} with other bytes than asked for", Cause.CONTENT)
    whole = int(stated[2]) if stated[2] != "*" else None
    return _Extent(start, whole if whole is not None or length is None else start + length)


def _check_room(mirror: Mirror, part: Path, start: int, size: int | None) -> None:
    """Check, before and during a transfer, that the file is not too large and the disk has room for it.

    Args:
        mirror: the mirror, with its limits.
        part: the .part file.
        start: size of the .part file, in bytes.
        size: size of the whole file, in bytes; None if unknown.

    Raises:
        TransferError: the file is too large or the disk too full; the .part file was deleted.
    """
    if max(start, size or 0) > mirror.max_bytes:
        _discard(part)
        text = f"more than {mirror.max_bytes:,} bytes, the limit for an update file. The partial file was deleted"
        raise TransferError(text, Cause.REFUSED)
    with _explain_disk_failures(part):
        free = count_free_bytes(part.parent)
    needed = max(0, (size or start) - start) + mirror.spare_bytes
    if free < needed:
        _discard(part)
        text = f"{part.parent}: {free:,} bytes free, {needed:,} needed. The partial file was deleted. Free disk space"
        raise TransferError(text, Cause.DISK)


def _receive(mirror: Mirror, response: http.client.HTTPResponse, part: Path, start: int) -> int:
    """Write the body of a response to the .part file from byte `start` on; return the size of that file.

    Raises:
        TransferError: as _check_room, or the file can't be written.
    """
    with _explain_disk_failures(part):
        file = io.FileIO(part, "r+" if start else "w")
    with closing(file):
        with _explain_disk_failures(part):
            file.seek(start)
            file.truncate()
        n_bytes = checked = start
        for chunk in read_chunks(response, mirror.max_seconds):
            with _explain_disk_failures(part):
                _write_all(file, chunk)
            n_bytes += len(chunk)
            if n_bytes > mirror.max_bytes or n_bytes - checked > min(8 << 20, mirror.spare_bytes // 2):
                _check_room(mirror, part, n_bytes, None)
                checked = n_bytes
        with _explain_disk_failures(part):
            sync_file(file.fileno())
    return n_bytes


def _write_all(file: io.FileIO, data: bytes) -> None:
    """Write all bytes, unbuffered, so that a full disk fails here and not when the file is closed."""
    view = memoryview(data)
    while view:
        view = view[file.write(view) :]


@contextmanager
def _explain_disk_failures(path: Path) -> Iterator[None]:
    """Report OS errors inside the block as failures of the disk; on a full disk, delete the .part file.

    Raises:
        TransferError: an OS error occurred.
    """
    try:
        yield
    except OSError as err:
        advice = ""
        if err.errno in _FULL and path.name.endswith(".part"):
            _discard(path)
            advice = ". The partial file was deleted. Free disk space"
        raise TransferError(f"{path}: {err.strerror or err}{advice}", Cause.DISK) from err


def _discard(part: Path) -> None:
    """Delete a .part file, if possible."""
    with suppress(OSError):
        part.unlink(missing_ok=True)


def _check_content(part: Path, expected: str) -> None:
    """Compare a fetched file with its MD5; delete it when it differs.

    Raises:
        TransferError: it is not gzip, or its MD5 differs.
    """
    md5 = _hash_file(part)
    if md5 == expected:
        return
    with _explain_disk_failures(part), part.open("rb") as file:
        head = file.read(40)
    _discard(part)
    if not head.startswith(GZIP):
        raise TransferError(f"the server sent {head!r}, expected gzip. The file was deleted", Cause.CONTENT)
    raise TransferError(f"its MD5 is {md5}, the mirror states {expected}. The file was deleted", Cause.CONTENT)


def _remove_stale_parts(folder: Path, wanted: Sequence[str]) -> None:
    """Delete .part files that no run would resume: of last year, or of files that are complete."""
    for part in folder.glob("pubmed*.part"):
        name = part.name.removesuffix(".part")
        if NAME.fullmatch(name) and name not in wanted:
            _discard(part)
