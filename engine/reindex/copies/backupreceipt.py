"""The receipt of a backup: what it holds, and the size and SHA-256 of each file."""

from __future__ import annotations

import re
from dataclasses import asdict, dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from engine.errors import CorruptError, FormatVersionError
from engine.index.generations.manifest import FORMAT_VERSION
from engine.receipts import FileReceipt, open_json, seal_json

BACKUP = "backup.json"
_VERSION = 1
_PART = re.compile(r"[^\x00-\x1f\x7f/\\:]{1,255}")  # of a name


@dataclass(frozen=True, slots=True)
class BackupReceipt:
    """What a backup holds."""

    name: str  # of the index
    created: str  # UTC, ISO 8601
    engine_version: str
    format_version: int  # of the index
    generations: tuple[int, ...]  # ascending
    current: int
    n_records: int  # in the current generation
    reviews: tuple[str, ...]
    n_decisions: int  # in reviews and on duplicates
    files: tuple[FileReceipt, ...]  # in order of name; the receipt itself is not among them

    @property
    def n_bytes(self) -> int:
        """Size of all files; what several generations share counts each time."""
        return sum(file.n_bytes for file in self.files)


def dump_backup(receipt: BackupReceipt) -> bytes:
    """Return the content of backup.json, with its own SHA-256."""
    return seal_json({"version": _VERSION, **asdict(receipt)}).encode("utf-8")


def parse_backup(raw: bytes, path: Path) -> BackupReceipt:
    """Return the receipt in the backup.json of a backup, which `path` names in messages.

    Raises:
        CorruptError: it was changed since it was written, or names a file outside the folder.
        FormatVersionError: this engine can't read such an index.
    """
    content = open_json(raw)
    if content is None or not {"version", "format_version"} <= content.keys():
        raise CorruptError(f"{path}: {BACKUP} was changed or damaged. Use another backup")
    found = content.pop("version"), content["format_version"]
    if found != (_VERSION, FORMAT_VERSION):
        raise FormatVersionError(
            f"{path} is a backup of version {found[0]} with an index of format {found[1]}, expected {_VERSION} and "
            f"{FORMAT_VERSION}. Restore it with abstract-engine {content.get('engine_version')}, which made it"
        )
    try:
        receipt = _build_backup(content)
    except (TypeError, KeyError) as err:
        raise CorruptError(f"{path}: {BACKUP} has other fields than expected. Use another backup") from err
    for file in receipt.files:
        if not is_inside(file.name):
            raise CorruptError(f"{path}: {BACKUP} names {file.name!r}, which is outside an index. Use another backup")
    return receipt


def _build_backup(content: dict[str, Any]) -> BackupReceipt:
    """Build a receipt from checked content."""
    lists = {name: tuple(content[name]) for name in ("generations", "reviews")}
    files = tuple(FileReceipt(**file) for file in content["files"])
    return BackupReceipt(**(content | lists | {"files": files}))


def is_inside(name: str) -> bool:
    """Return whether a name leads to a file inside the folder that it is relative to, on any system.

    >>> [is_inside(name) for name in ("words/a.term", "/etc/passwd", "a/../../b", "c:x", "a//b", "")]
    [True, False, False, False, False, False]
    """
    parts = name.split("/")
    plain = all(_PART.fullmatch(part) and part not in (".", "..") for part in parts)
    return plain and not PurePosixPath(name).is_absolute()
