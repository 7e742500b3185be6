"""Files that were hashed before on this machine and that nobody has touched since, so that opening them is instant.

Kept per user, outside the indexes. A file counts as untouched while device, inode, size, time of content and time of
status are the same; any write, chmod, copy or move to another disk changes one of them. What a failing disk does
behind the file system's back is found by ``engine verify``, which always reads everything.
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

NAME = "checked.json"
_LARGE = 1 << 20  # bytes; smaller files are hashed in no time
MOST = 256  # files remembered, the newest
_SETTLED = 2.0  # seconds since the last change; of a younger file the clock may be too coarse to tell a second change


def read_identity(path: Path) -> tuple[int, ...]:
    """What changes when a file is touched.

    Raises:
        OSError: the file can't be looked at.
    """
    found = path.stat()
    return (found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns)


def load_entries(name: str = NAME) -> dict[str, Any]:
    """What is remembered under a name, by default identity -> SHA-256 of files; nothing when it can't be read."""
    folder = cache_folder()
    if folder is None:
        return {}
    try:
        content = json.loads((folder / name).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}


def is_untouched(path: Path, sha256: str) -> bool:
    """Whether this large file had this digest when it was last hashed, and was not touched since."""
    try:
        identity = read_identity(path)
    except OSError:
        return False
    return identity[2] >= _LARGE and load_entries().get(_format_key(identity)) == sha256


def note(path: Path, sha256: str, before: tuple[int, ...]) -> None:
    """Remember the digest of a large file that looked like `before` when hashing began; where that fails, no harm."""
    with contextlib.suppress(OSError, EngineError):
        now = read_identity(path)
        if now == before and now[2] >= _LARGE and time.time() - max(now[3], now[4]) / 1e9 >= _SETTLED:
            rest = {key: value for key, value in load_entries().items() if key != _format_key(now)}
            keep(rest | {_format_key(now): sha256})


def forget(identity: tuple[int, ...]) -> None:
    """Trust a file no longer: it was found to be damaged."""
    content = load_entries()
    if content.pop(_format_key(identity), None) is not None:
        with contextlib.suppress(OSError, EngineError):
            keep(content)


def keep(content: dict[str, Any], name: str = NAME) -> None:
    """Remember the newest entries of this under a name.

    Raises:
        OSError: the folder can't be made.
        EngineError: it can't be written.
    """
    if (folder := cache_folder()) is not None:
        folder.mkdir(parents=True, exist_ok=True)
        write_text(folder / name, [json.dumps(dict(list(content.items())[-MOST:]), indent=0)], overwrite=True)


def _format_key(identity: tuple[int, ...]) -> str:
    """An identity as text."""
    return "-".join(map(str, identity))
