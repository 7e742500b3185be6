"""Receipts: files and JSON objects with the SHA-256 by which damage is noticed."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from engine import stamps


@dataclass(frozen=True, slots=True)
class FileReceipt:
    """Size and SHA-256 of one file, as written."""

    name: str  # in its folder; with a slash if it is in a subfolder
    n_bytes: int
    sha256: str

    @staticmethod
    def of(path: Path) -> FileReceipt:
        """Read a whole file and return its receipt."""
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
            return FileReceipt(path.name, file.tell(), digest)

    def find_problem(self, folder: Path, *, quick: bool = False) -> str | None:
        """Describe what is wrong with the file in this folder; None if it is as written.

        quick: a large file that this machine has hashed before and that was not touched since is not hashed again.
        """
        path = folder / self.name
        try:
            before = stamps.read_identity(path)
            if path.stat().st_size != self.n_bytes:
                return f"{path} has {path.stat().st_size:,} bytes, expected {self.n_bytes:,}"
            if quick and stamps.is_untouched(path, self.sha256):
                return None
            found = FileReceipt.of(path)
        except FileNotFoundError:
            return f"{path} is missing, expected {self.n_bytes:,} bytes"
        except PermissionError:
            return f"{path}: no permission to read it (chmod u+r, or run as its owner)"
        except OSError as err:
            return f"{path} can't be read: {err.strerror}"
        if (found.n_bytes, found.sha256) != (self.n_bytes, self.sha256):
            stamps.forget(before)
            return f"{path} was changed or damaged: SHA-256 {found.sha256[:12]}…, expected {self.sha256[:12]}…"
        if quick:
            stamps.note(path, found.sha256, before)
        return None


def seal_json(content: dict[str, Any]) -> str:
    """Return a JSON object in one fixed layout, with the SHA-256 of the rest of it under "sha256"."""
    return format_json(content | {"sha256": hashlib.sha256(format_json(content).encode("utf-8")).hexdigest()})


def open_json(raw: bytes) -> dict[str, Any] | None:
    """Return the object that seal_json wrote; None if any byte of it has changed."""
    try:
        content = json.loads(raw.decode("utf-8"))
        del content["sha256"]
        return content if seal_json(content).encode("utf-8") == raw else None
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return None


def format_json(content: dict[str, Any]) -> str:
    """Return a JSON object in the fixed layout."""
    return json.dumps(content, indent=1, sort_keys=True, ensure_ascii=False) + "\n"
