"""The manifest of a generation, as canonical JSON with its own SHA-256, so that any changed byte is noticed."""

from __future__ import annotations

import shlex
from dataclasses import asdict
from pathlib import Path
from typing import Any

from engine.config import Settings
from engine.errors import ConfigError, CorruptError, FormatVersionError
from engine.receipts import FileReceipt, open_json, seal_json
from engine.records.encoder import build_identity
from engine.records.generation import (
    AnnSettings,
    Calibration,
    Counts,
    Encoding,
    Manifest,
    Probe,
    Reach,
    SegmentEntry,
    Standards,
)

# The one format that this engine writes and reads. Raise it with every change, and never reuse a number: the folders of
# an earlier format must be refused.
FORMAT_VERSION = 12
NAME = "manifest.json"


def dump_manifest(manifest: Manifest) -> str:
    """Return a manifest as text, with its own SHA-256."""
    content = asdict(manifest)
    content["encoder"]["fingerprint"] = manifest.encoder.fingerprint
    return seal_json(content)


def read_manifest(folder: Path) -> Manifest:
    """Read and check the manifest of a generation folder.

    Raises:
        CorruptError: missing, unreadable, or changed since it was written.
        FormatVersionError: in a format that this engine does not read.
    """
    path = folder / NAME
    try:
        raw = path.read_bytes()
    except FileNotFoundError as err:
        raise CorruptError(f"{path} is missing, so this generation is incomplete. Run: engine verify") from err
    except OSError as err:
        raise CorruptError(f"{path} can't be read: {err.strerror}") from err
    content = open_json(raw)
    if content is None:
        raise CorruptError(f"{path} was changed or damaged: its SHA-256 does not match. Run: engine verify")
    if content.get("format_version") != FORMAT_VERSION:
        index = folder.parent.parent
        raise FormatVersionError(
            f"{path} has format version {content.get('format_version')}, this engine reads only {FORMAT_VERSION}. "
            f"Rebuild the index: {suggest_rebuild(index)}"
        )
    return _build_manifest(content)


def suggest_rebuild(index: Path) -> str:
    """Return the commands that remove the generations of an index and rebuild it. index.toml and encoders stay."""
    name = index.resolve().name
    remove = shlex.join(["rm", "-rf", *(str(index / name) for name in ("CURRENT", "generations", "segments"))])
    return f"{remove} && " + (f"engine reindex {name}" if _has_sources(index) else f"engine index FILE -i {name}")


def _has_sources(index: Path) -> bool:
    """Return whether there is an index.toml that names sources."""
    try:
        return bool(Settings.load(index).sources)
    except ConfigError:
        return True  # engine reindex reports what is wrong with the file


def _build_manifest(content: dict[str, Any]) -> Manifest:
    """Build a Manifest from checked content."""
    encoder = {name: value for name, value in content["encoder"].items() if name != "fingerprint"}
    parts = {
        "encoder": build_identity(encoder),
        "counts": Counts(**content["counts"]),
        "files": tuple(FileReceipt(**file) for file in content["files"]),
        "probes": tuple(Probe(probe["text"], tuple(probe["vector"])) for probe in content["probes"]),
        "segments": tuple(_build_entry(segment) for segment in content["segments"]),
        "calibration": _build_calibration(content["calibration"]) if content["calibration"] else None,
        "encodings": tuple(Encoding(**encoding) for encoding in content["encodings"]),
    }
    return Manifest(**(content | parts))


def _build_entry(content: dict[str, Any]) -> SegmentEntry:
    """Build the entry of a segment from checked content."""
    parts = {
        "dead": FileReceipt(**content["dead"]) if content["dead"] else None,
        "ann": AnnSettings(**content["ann"]) if content["ann"] else None,
    }
    return SegmentEntry(**(content | parts))


def _build_calibration(content: dict[str, Any]) -> Calibration:
    """Build a Calibration from checked content."""
    lists = {name: tuple(content[name]) for name in ("shares", "texts", "records")}
    standards = content.get("standards")  # absent in what engines wrote that gave no verdicts
    return Calibration(**(content | lists | {"standards": _build_standards(standards) if standards else None}))


def _build_standards(content: dict[str, Any]) -> Standards:
    """Build Standards from checked content."""
    reaches = tuple(
        Reach(reach["mode"], tuple(reach["unrelated"]), tuple(reach["neighbours"])) for reach in content["reaches"]
    )
    return Standards(**(content | {"shares": tuple(content["shares"]), "reaches": reaches}))
