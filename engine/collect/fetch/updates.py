"""Update files of PubMed, fetched from a mirror: checked by MD5, resumable, bounded, one request at a time.

A file appears under its own name only when all of it is there and its MD5 is right. Until then it is NAME.part, which
the next run goes on with.
"""

from __future__ import annotations

import errno
import hashlib
import http.client
import io
import os
import re
import shutil
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

_N_RECHECKED = 5  # newest files whose MD5 is asked again every time: PubMed has replaced a file the day after
_GIVE_UP_AFTER = 3  # files in a row for which the mirror gave no answer
_MD5 = re.compile(r"\b[0-9a-fA-F]{32}\b")
_MD5_LIMIT = 64 << 10  # bytes
_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


@dataclass(frozen=True, slots=True)
class Fetched:
    """What came from a mirror, and what did not."""

    listed: tuple[str, ...] = ()  # update files on the mirror, oldest first; none where the listing failed
    names: tuple[str, ...] = ()  # of the files that were fetched, oldest first
    failures: tuple[str, ...] = ()  # one message for each file that failed, or for the listing


def fetch_updates(mirror: Mirror, folder: Path, say: Callable[[str], None]) -> Fetched:
    """Fetch the update files that are not in the folder yet, or were replaced on the mirror, oldest first.

    A file that can't be fetched keeps no other from coming. Each is in place when it is reported, whatever happens
    to a later one. Where the mirror stops answering, or the disk is full, the rest is left for the next run.
    """
    try:
        with _tell_disk_failures(folder):
            folder.mkdir(parents=True, exist_ok=True)
        listed = try_again(mirror, lambda: list_updates(mirror))
    except TransferError as err:
        return Fetched(failures=(str(err),))
    present = [name for name in listed if (folder / name).exists()]
    missing = [name for name in listed if name not in set(present)]
    wanted = sorted([*missing, *present[-_N_RECHECKED:]])
    _remove_stale_parts(folder, wanted)
    say(f"mirror: {len(listed):,} update files, {len(missing):,} of them new")
    names, failures = _fetch_all(mirror, wanted, folder, say)
    return Fetched(listed, names, failures)


def _fetch_all(
    mirror: Mirror, wanted: Sequence[str], folder: Path, say: Callable[[str], None]
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the names that were fetched, and a message for each that was not."""
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
                    failures.append(f"{n_left:,} more files were not tried after that, from {wanted[n_done]} on")
                break
    return tuple(names), tuple(failures)


def _update(mirror: Mirror, name: str, folder: Path) -> bool:
    """Fetch one file, unless it is here with the MD5 that the mirror states; return whether it was fetched.

    Raises:
        TransferError: the last try failed.
    """
    path = folder / name
    if path.exists() and try_again(mirror, lambda: _read_md5(mirror, name)) == _hash_file(path):
        return False
    try_again(mirror, lambda: _fetch_once(mirror, name, folder))
    return True


def _read_md5(mirror: Mirror, name: str) -> str:
    """Return the MD5 that the mirror states beside a file.

    Raises:
        TransferError: it states none.
    """
    text = read_page(mirror, f"{name}.md5", _MD5_LIMIT).content.decode("ascii", "replace")
    match = _MD5.search(text)
    if match is None:
        raise TransferError(f"{mirror.address.describe(name)}.md5 holds no MD5: {text.strip()[:60]!r}", Cause.CONTENT)
    return match[0].lower()


def _hash_file(path: Path) -> str:
    """Return the MD5 of a file here.

    Raises:
        TransferError: it can't be read.
    """
    with _tell_disk_failures(path), path.open("rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()


@dataclass(frozen=True, slots=True)
class _Extent:
    """Which bytes of a file a response holds."""

    start: int  # 0 where the server can't resume
    size: int | None  # of the whole file, where the server says


def _fetch_once(mirror: Mirror, name: str, folder: Path) -> None:
    """Fetch what is missing of one file and put it in place.

    Raises:
        TransferError: it broke off; or it is too large, not gzip or its MD5 differs, and nothing of it is kept.
    """
    expected = _read_md5(mirror, name)
    part = folder / f"{name}.part"
    with explain_failure(mirror, name):
        with _tell_disk_failures(part):
            start = part.stat().st_size if part.exists() else 0
        with closing(_open_from(mirror, name, start)) as response:
            extent = _read_extent(response, start)
            _check_room(mirror, part, extent.start, extent.size)
            n_bytes = _receive(mirror, response, part, extent.start)
            if extent.size is not None and n_bytes < extent.size:
                text = f"broke off after {n_bytes:,} of {extent.size:,} bytes, which are kept"
                raise TransferError(text, Cause.MIRROR)
        _check_content(part, expected)
        with _tell_disk_failures(part):
            part.replace(folder / name)
            _sync_folder(folder)


def _open_from(mirror: Mirror, name: str, start: int) -> http.client.HTTPResponse:
    """Request a file from some byte on.

    Raises:
        HTTPError: the server refuses.
    """
    try:
        return open_url(mirror, name, **({"Range": f"bytes={start}-"} if start else {}))
    except urllib.error.HTTPError as err:
        if err.code != 416:  # nothing is left after `start`: begin again
            raise
        err.close()
        return open_url(mirror, name)


def _read_extent(response: http.client.HTTPResponse, start: int) -> _Extent:
    """Return which bytes a response holds.

    Raises:
        TransferError: bytes that were not asked for.
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
    """Check before and during a transfer that the file is no larger than allowed and that the disk can hold it.

    size is that of the whole file; None where it is not known.

    Raises:
        TransferError: it can't be fetched; what had come is deleted, so that it fills no disk.
    """
    if max(start, size or 0) > mirror.max_bytes:
        _discard(part)
        text = f"more than {mirror.max_bytes:,} bytes, the most that an update file may have. Nothing of it was kept"
        raise TransferError(text, Cause.REFUSED)
    with _tell_disk_failures(part):
        free = shutil.disk_usage(part.parent).free
    needed = max(0, (size or start) - start) + mirror.spare_bytes
    if free < needed:
        _discard(part)
        text = f"{part.parent}: {free:,} bytes free, {needed:,} needed. Nothing of the file was kept. Make room"
        raise TransferError(text, Cause.DISK)


def _receive(mirror: Mirror, response: http.client.HTTPResponse, part: Path, start: int) -> int:
    """Write the body of a response into the .part file from `start` on; return the size of that file.

    Raises:
        TransferError: as _check_room, or the disk refuses.
    """
    with _tell_disk_failures(part):
        file = io.FileIO(part, "r+" if start else "w")
    with closing(file):
        with _tell_disk_failures(part):
            file.seek(start)
            file.truncate()
        n_bytes = checked = start
        for chunk in read_chunks(response, mirror.max_seconds):
            with _tell_disk_failures(part):
                _write_all(file, chunk)
            n_bytes += len(chunk)
            if n_bytes > mirror.max_bytes or n_bytes - checked > min(8 << 20, mirror.spare_bytes // 2):
                _check_room(mirror, part, n_bytes, None)
                checked = n_bytes
        with _tell_disk_failures(part):
            os.fsync(file.fileno())
    return n_bytes


def _write_all(file: io.FileIO, data: bytes) -> None:
    """Write all bytes; unbuffered, so that a full disk is noticed here and not when the file is closed."""
    view = memoryview(data)
    while view:
        view = view[file.write(view) :]


@contextmanager
def _tell_disk_failures(path: Path) -> Iterator[None]:
    """Tell a failure of this disk from one of the network; on a full disk, delete what had come.

    Raises:
        TransferError: the disk refused.
    """
    try:
        yield
    except OSError as err:
        advice = ""
        if err.errno in _FULL and path.name.endswith(".part"):
            _discard(path)
            advice = ". Nothing of the file was kept. Make room"
        raise TransferError(f"{path}: {err.strerror or err}{advice}", Cause.DISK) from err


def _discard(part: Path) -> None:
    """Delete what had come of a file."""
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
    with _tell_disk_failures(part), part.open("rb") as file:
        head = file.read(40)
    _discard(part)
    if not head.startswith(GZIP):
        raise TransferError(f"the server sent {head!r} and not gzip. Nothing of it was kept", Cause.CONTENT)
    raise TransferError(f"its MD5 is {md5}, the mirror states {expected}. Nothing of it was kept", Cause.CONTENT)


def _remove_stale_parts(folder: Path, wanted: Sequence[str]) -> None:
    """Delete .part files that no run would go on with: of last year, or of files that are there by now."""
    for part in folder.glob("pubmed*.part"):
        name = part.name.removesuffix(".part")
        if NAME.fullmatch(name) and name not in wanted:
            _discard(part)


def _sync_folder(folder: Path) -> None:
    """Make the names in a folder durable."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
