"""The manifest of a generation as JSON: canonical, so that any changed byte is noticed."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

from engine.errors import CorruptError, FormatVersionError
from engine.records import (
    AnnSettings,
    Calibration,
    Counts,
    EncoderIdentity,
    FileReceipt,
    Manifest,
    Probe,
    opened_json,
    sealed_json,
)

# 2 has contributions in abstracts.db, 3 may have codes.faiss, 4 has words and terms, 5 has a map
FORMAT_VERSION = 5  # written
READ = (1, 2, 3, 4, 5)
NAME = "manifest.json"


def to_json(manifest: Manifest) -> str:
    """A manifest as text, sealed by its own SHA-256."""
    content = asdict(manifest)
    content["encoder"]["fingerprint"] = manifest.encoder.fingerprint
    return sealed_json(content)


def read_manifest(folder: Path) -> Manifest:
    """Read and check the manifest of a generation folder.

    Raises:
        CorruptError: missing, unreadable, or changed since it was written.
        FormatVersionError: of a format that this engine does not read.
    """
    path = folder / NAME
    try:
        raw = path.read_bytes()
    except FileNotFoundError as err:
        raise CorruptError(f"{path} is missing, so this generation is not whole. Run: engine rollback") from err
    except OSError as err:
        raise CorruptError(f"{path} can't be read: {err.strerror}") from err
    content = opened_json(raw)
    if content is None:
        raise CorruptError(f"{path} was changed or damaged: its SHA-256 is not the one it states. Run: engine rollback")
    if content["format_version"] not in READ:
        raise FormatVersionError(
            f"{path} has format version {content['format_version']}, this engine reads {READ[0]} to {READ[-1]}. "
            "Upgrade abstract-engine, or build the index again: engine index FILE -i NEW"
        )
    return build(content)


def build(content: dict[str, Any]) -> Manifest:
    """The record of a checked manifest."""
    del content["encoder"]["fingerprint"]
    content["encoder"] = EncoderIdentity(**content["encoder"])
    content["counts"] = Counts(**content["counts"])
    content["files"] = tuple(FileReceipt(**file) for file in content["files"])
    content["probes"] = tuple(Probe(probe["text"], tuple(probe["vector"])) for probe in content["probes"])
    if content.get("ann") is not None:
        content["ann"] = AnnSettings(**content["ann"])
    if content.get("calibration") is not None:
        given = content["calibration"]
        lists = {name: tuple(given[name]) for name in ("shares", "texts", "records")}
        content["calibration"] = Calibration(**lists, n_pairs=given["n_pairs"], n_records=given["n_records"])
    return Manifest(**content)
