"""Cache of the files hashed on this machine, so that opening untouched files is instant.

Kept per user, outside the indexes. A file counts as untouched while device, inode, size, time of content and time of
status are the same; any write, chmod, copy or move to another disk changes one of them. What a failing disk does
behind the file system's back is found by ``engine verify``, which always reads everything. Other small facts about this
machine are kept under names of their own.

**The time of status stays in the identity** although a hard link, and the removal of one, changes it: without it, an
edit that puts back the time of content would go unnoticed. So whoever links or unlinks a file carries its stamp over
(``carry``, used by ``engine.index.files.durable``): if the stamp was valid just before, and only the time of status has
changed since, the new identity gets it. What can go unnoticed then is an edit that puts back the time of content in the
microseconds between the look before and the link, or in the same tick of the clock after it. The new time of status
need not settle for two seconds as in ``note``, since any other edit changes the time of content. Another user, whose
stamps are elsewhere, hashes a linked file once more.

**Stamps are records of a fixed size, appended to one of 256 files** which the identity chooses: one short read finds a
stamp, one short append stores it, and several processes may write at once. Each record has a check of its own, so a
torn or damaged one is no stamp and spoils no other. A file of too many records keeps the newest half. A folder that
can't be read or written only means that files are hashed again.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import time
from pathlib import Path
from typing import Any

from engine.config import cache_folder
from engine.errors import EngineError
from engine.files import write_file, write_text
from engine.platform import open_to_append

_FOLDER = "checked"
_LARGE = 1 << 16  # bytes; smaller files are hashed in no time
_MOST_FACTS = 256  # entries under a name, the newest
_MOST = 1024  # records in one of the 256 files; with more, the newest half stays, so some 131,000 stamps at least
_SETTLED = 2.0  # seconds since the last change; of a younger file the clock may be too coarse to tell a second change
_KEY, _SHA256, _CHECK = 16, 32, 16  # bytes of a record: hash of the identity, digest of the file, hash of both
_RECORD = _KEY + _SHA256 + _CHECK
_NOTHING = bytes(_SHA256)  # in place of a digest: the stamp is withdrawn


def read_identity(path: Path) -> tuple[int, ...]:
    """Return the identity of a file: device, inode, size and times, which change when it is touched.

    Raises:
        OSError: the file can't be looked at.
    """
    return build_identity(path.stat())


def build_identity(found: os.stat_result) -> tuple[int, ...]:
    """Return the identity of a file from its status, as read_identity does."""
    return (found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns)


def get_size(identity: tuple[int, ...]) -> int:
    """Return the size, in bytes, of a file of this identity."""
    return identity[2]


# Stamps


def is_untouched(path: Path, sha256: str) -> bool:
    """Return whether a large file had this digest when it was last hashed and has not been touched since."""
    try:
        return is_stamped(read_identity(path), sha256)
    except OSError:
        return False


def is_stamped(identity: tuple[int, ...], sha256: str) -> bool:
    """Return whether a large file of this identity had this digest when it was last hashed."""
    return identity[2] >= _LARGE and _find_stamp(identity) == bytes.fromhex(sha256)


def find_digest(identity: tuple[int, ...]) -> str | None:
    """Return the digest that a large file of this identity had when it was last hashed; None if it was not."""
    digest = _find_stamp(identity) if identity[2] >= _LARGE else None
    return digest.hex() if digest else None


def note(path: Path, sha256: str, before: tuple[int, ...]) -> None:
    """Store the digest of a large file whose identity was `before` when hashing began; failures are ignored."""
    with contextlib.suppress(OSError):
        now = read_identity(path)
        if now == before and now[2] >= _LARGE and time.time() - max(now[3], now[4]) / 1e9 >= _SETTLED:
            _append_stamp(now, bytes.fromhex(sha256))


def carry(before: tuple[int, ...], now: tuple[int, ...]) -> None:
    """Give the stamp of a file to the identity that a hard link, or the removal of one, gave it; failures are ignored.

    Nothing happens where the file had no stamp, or where more than the time of status has changed.
    """
    if now[:4] == before[:4] and now != before and (digest := _find_stamp(before)):
        _append_stamp(now, digest)


def forget(identity: tuple[int, ...]) -> None:
    """Remove the stamp of a file that turned out to be damaged."""
    if _find_stamp(identity):
        _append_stamp(identity, _NOTHING)


def _find_stamp(identity: tuple[int, ...]) -> bytes | None:
    """Return the newest digest (32 bytes) stored for an identity; None without one."""
    key = _hash_identity(identity)
    if (path := _locate_records(key)) is None:
        return None
    try:
        content = path.read_bytes()
    except OSError:
        return None
    end = len(content)
    while (at := content.rfind(key, 0, end)) >= 0:
        if _is_record(record := content[at : at + _RECORD]):
            digest = record[_KEY : _KEY + _SHA256]
            return None if digest == _NOTHING else digest
        end = at + _KEY - 1
    return None


def _append_stamp(identity: tuple[int, ...], digest: bytes) -> None:
    """Store a digest for an identity; failures are ignored."""
    key = _hash_identity(identity)
    if (path := _locate_records(key)) is None:
        return
    with contextlib.suppress(OSError, EngineError):
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = open_to_append(path, mode=0o600)
        try:
            os.write(descriptor, key + digest + _hash(key + digest, _CHECK))
            size = os.fstat(descriptor).st_size
        finally:
            os.close(descriptor)
        if size > _MOST * _RECORD:
            write_file(path, _select_newest(path.read_bytes()), overwrite=True)


def _select_newest(content: bytes) -> list[bytes]:
    """Return the newest half of the most records that a file may hold, one of each identity, oldest first."""
    records: dict[bytes, bytes] = {}
    at = 0
    while at + _RECORD <= len(content):
        if not _is_record(record := content[at : at + _RECORD]):
            at += 1  # after a torn record, the next begins anywhere
            continue
        records.pop(record[:_KEY], None)  # so that it moves to the end
        records[record[:_KEY]] = record
        at += _RECORD
    return list(records.values())[-_MOST // 2 :]


def _is_record(record: bytes) -> bool:
    """Return whether bytes are a whole, undamaged record."""
    return len(record) == _RECORD and record[-_CHECK:] == _hash(record[:-_CHECK], _CHECK)


def _locate_records(key: bytes) -> Path | None:
    """Return the file of the records of a key; None where there is no cache folder."""
    folder = cache_folder()
    return None if folder is None else folder / _FOLDER / key[:1].hex()


def _hash_identity(identity: tuple[int, ...]) -> bytes:
    """Return the key of an identity."""
    return _hash("-".join(map(str, identity)).encode(), _KEY)


def _hash(content: bytes, n_bytes: int) -> bytes:
    """Return a hash of so many bytes."""
    return hashlib.blake2b(content, digest_size=n_bytes).digest()


# Facts about this machine


def load_entries(name: str) -> dict[str, Any]:
    """Return the entries stored under a name; empty if unreadable."""
    folder = cache_folder()
    if folder is None:
        return {}
    try:
        content = json.loads((folder / name).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}


def keep(content: dict[str, Any], name: str) -> None:
    """Store the newest entries of a mapping under a name.

    Raises:
        OSError: the folder can't be made.
        EngineError: it can't be written.
    """
    if (folder := cache_folder()) is not None:
        folder.mkdir(parents=True, exist_ok=True)
        newest = dict(list(content.items())[-_MOST_FACTS:])
        write_text(folder / name, [json.dumps(newest, indent=0)], overwrite=True)
