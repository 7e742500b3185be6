"""Receipts: files and JSON objects with the SHA-256 by which damage is noticed."""

from __future__ import annotations

import hashlib
import json
import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from engine import stamps

_SMALL = 1 << 16  # bytes; a file up to this size is read at once
# The line of the SHA-256 of the object that holds it: nothing within is indented as little, no text has line breaks.
_SEAL = re.compile(rb'^ "sha256": "([0-9a-f]{64})"(,?)\n', re.MULTILINE)


@dataclass(frozen=True, slots=True)
class FileReceipt:
    """Size and SHA-256 of one file, as written."""

    name: str  # in its folder; with a slash if it is in a subfolder
    n_bytes: int
    sha256: str

    @staticmethod
    def of(path: Path) -> FileReceipt:
        """Read a whole file and return its receipt."""
        with path.open("rb", buffering=0) as file:
            if os.fstat(file.fileno()).st_size <= _SMALL:  # faster than to feed the hash
                content = file.readall()
                return FileReceipt(path.name, len(content), hashlib.sha256(content).hexdigest())
            digest = hashlib.file_digest(file, "sha256").hexdigest()
            return FileReceipt(path.name, file.tell(), digest)

    @staticmethod
    def recall(path: Path) -> FileReceipt:
        """Return the receipt of a file; a large one that was hashed before and not touched since is not read."""
        before = stamps.read_identity(path)
        if digest := stamps.find_digest(before):
            return FileReceipt(path.name, stamps.get_size(before), digest)
        receipt = FileReceipt.of(path)
        stamps.note(path, receipt.sha256, before)
        return receipt

    def find_problem(self, folder: Path, *, quick: bool = False) -> str | None:
        """Describe what is wrong with the file in this folder; None if it is as written.

        quick: a large file that this machine has hashed before and that was not touched since is not hashed again.
        """
        path = folder / self.name
        try:
            before = stamps.read_identity(path)
            if (n_bytes := stamps.get_size(before)) != self.n_bytes:
                return f"{path} has {n_bytes:,} bytes, expected {self.n_bytes:,}"
            if quick and stamps.is_stamped(before, self.sha256):
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
    seal = _SEAL.search(raw)
    if seal is None or hashlib.sha256(_cut_seal(raw, seal)).hexdigest().encode() != seal[1]:
        return None
    try:
        content = json.loads(raw.decode("utf-8"))
        is_in_order = [*content] == sorted(content)  # as sealed: the line of the hash may have been moved
        del content["sha256"]
    except (ValueError, KeyError, TypeError, RecursionError):
        return None
    return content if isinstance(content, dict) and is_in_order else None


def _cut_seal(raw: bytes, seal: re.Match[bytes]) -> bytes:
    """Return a sealed object without the line of its SHA-256, as it was when it was hashed."""
    before, after = raw[: seal.start()], raw[seal.end() :]
    return before + after if seal[2] else before.removesuffix(b",\n") + b"\n" + after


def format_json(content: dict[str, Any]) -> str:
    """Return a JSON object in the fixed layout."""
    return json.dumps(content, indent=1, sort_keys=True, ensure_ascii=False) + "\n"
