"""Cache of the files hashed on this machine, so that opening untouched files is instant.

Kept per user, outside the indexes. A file counts as untouched while device, inode, size, time of content and time of
status are the same; any write, chmod, copy or move to another disk changes one of them. What a failing disk does
behind the file system's back is found by ``engine verify``, which always reads everything. Other small facts about this
machine are kept under names of their own.
"""

from __future__ import annotations

import contextlib
import json
import time
from pathlib import Path
from typing import Any

from engine.config import cache_folder
from engine.errors import EngineError
from engine.files import write_text

_NAME = "checked.json"
_LARGE = 1 << 20  # bytes; smaller files are hashed in no time
_MOST = 256  # files remembered, the newest
_SETTLED = 2.0  # seconds since the last change; of a younger file the clock may be too coarse to tell a second change


def read_identity(path: Path) -> tuple[int, ...]:
    """Return the identity of a file: device, inode, size and times, which change when it is touched.

    Raises:
        OSError: the file can't be looked at.
    """
    found = path.stat()
    return (found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns)


def load_entries(name: str = _NAME) -> dict[str, Any]:
    """Return the entries stored under a name, by default identity -> SHA-256 of files; empty if unreadable."""
    folder = cache_folder()
    if folder is None:
        return {}
    try:
        content = json.loads((folder / name).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}


def is_untouched(path: Path, sha256: str) -> bool:
    """Return whether a large file had this digest when it was last hashed and has not been touched since."""
    try:
        identity = read_identity(path)
    except OSError:
        return False
    return identity[2] >= _LARGE and load_entries().get(_format_key(identity)) == sha256


def note(path: Path, sha256: str, before: tuple[int, ...]) -> None:
    """Store the digest of a large file whose identity was `before` when hashing began; failures are ignored."""
    with contextlib.suppress(OSError, EngineError):
        now = read_identity(path)
        if now == before and now[2] >= _LARGE and time.time() - max(now[3], now[4]) / 1e9 >= _SETTLED:
            rest = {key: value for key, value in load_entries().items() if key != _format_key(now)}
            keep(rest | {_format_key(now): sha256})


def forget(identity: tuple[int, ...]) -> None:
    """Remove the entry of a file that turned out to be damaged."""
    content = load_entries()
    if content.pop(_format_key(identity), None) is not None:
        with contextlib.suppress(OSError, EngineError):
            keep(content)


def keep(content: dict[str, Any], name: str = _NAME) -> None:
    """Store the newest entries of a mapping under a name.

    Raises:
        OSError: the folder can't be made.
        EngineError: it can't be written.
    """
    if (folder := cache_folder()) is not None:
        folder.mkdir(parents=True, exist_ok=True)
        write_text(folder / name, [json.dumps(dict(list(content.items())[-_MOST:]), indent=0)], overwrite=True)


def _format_key(identity: tuple[int, ...]) -> str:
    """Return an identity as text."""
    return "-".join(map(str, identity))
