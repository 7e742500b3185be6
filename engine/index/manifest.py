"""The manifest of a generation as JSON: canonical, so that any changed byte is noticed."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

from engine.errors import CorruptError, FormatVersionError
from engine.records import Counts, EncoderIdentity, FileReceipt, Manifest, Probe

FORMAT_VERSION = 1
NAME = "manifest.json"


def dumped(content: dict[str, Any]) -> str:
    """The one way to write a manifest."""
    return json.dumps(content, indent=1, sort_keys=True, ensure_ascii=False) + "\n"


def to_json(manifest: Manifest) -> str:
    """A manifest as text, with the SHA-256 of the rest of it under "sha256"."""
    content = asdict(manifest)
    content["encoder"]["fingerprint"] = manifest.encoder.fingerprint
    return dumped(content | {"sha256": digest(content)})


def digest(content: dict[str, Any]) -> str:
    """SHA-256 of the canonical text."""
    return hashlib.sha256(dumped(content).encode("utf-8")).hexdigest()


def read_manifest(folder: Path) -> Manifest:
    """Read and check the manifest of a generation folder.

    Raises:
        CorruptError: missing, unreadable, or changed since it was written.
        FormatVersionError: of a format that this engine does not read.
    """
    path = folder / NAME
    try:
        text = path.read_bytes().decode("utf-8")
    except FileNotFoundError as err:
        raise CorruptError(f"{path} is missing, so this generation is not whole. Run: engine rollback") from err
    except OSError as err:
        raise CorruptError(f"{path} can't be read: {err.strerror}") from err
    except UnicodeDecodeError as err:
        raise CorruptError(f"{path} was changed or damaged: not UTF-8. Run: engine rollback") from err
    return from_json(text, path)


def from_json(text: str, path: Path) -> Manifest:
    """Parse a manifest.

    Raises:
        CorruptError: changed since it was written.
        FormatVersionError: of a format that this engine does not read.
    """
    try:
        content: dict[str, Any] = json.loads(text)
        version = content["format_version"]
        stated = content.pop("sha256")
    except (ValueError, KeyError, TypeError, AttributeError) as err:
        raise CorruptError(f"{path} was changed or damaged: not a manifest. Run: engine rollback") from err
    if stated != digest(content) or text != dumped(content | {"sha256": stated}):
        raise CorruptError(f"{path} was changed or damaged: its SHA-256 is not the one it states. Run: engine rollback")
    if version != FORMAT_VERSION:
        raise FormatVersionError(
            f"{path} has format version {version}, this engine reads {FORMAT_VERSION}. Upgrade abstract-engine, "
            "or build the index again: engine index FILE -i NEW"
        )
    return build(content)


def build(content: dict[str, Any]) -> Manifest:
    """The record of a checked manifest."""
    del content["encoder"]["fingerprint"]
    content["encoder"] = EncoderIdentity(**content["encoder"])
    content["counts"] = Counts(**content["counts"])
    content["files"] = tuple(FileReceipt(**file) for file in content["files"])
    content["probes"] = tuple(Probe(probe["text"], tuple(probe["vector"])) for probe in content["probes"])
    return Manifest(**content)
