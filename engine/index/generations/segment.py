"""Segments: immutable parts of an index, each with its own database and vectors, shared by generations."""

from __future__ import annotations

import hashlib
import os
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from engine.errors import CorruptError
from engine.receipts import FileReceipt, open_json, seal_json
from engine.records.generation import DocIds, SegmentEntry, SegmentReceipt, Totals

RECEIPT = "segment.json"
DATABASE = "abstracts.db"
VECTORS = "vectors.faiss"  # the exact vectors
CODES = "codes.faiss"  # compressed vectors for finding candidates, in large segments only
MAP = "map.npz"  # a point in two dimensions for each record
_SIDE_FILES = ("-wal", "-journal", "-shm")


@dataclass(frozen=True, slots=True)
class SegmentFiles:
    """The paths of the files in the folder of a segment."""

    path: Path

    @property
    def database(self) -> Path:
        """The SQLite file."""
        return self.path / DATABASE

    @property
    def vectors(self) -> Path:
        """The FAISS file of the exact vectors."""
        return self.path / VECTORS

    @property
    def codes(self) -> Path:
        """The FAISS file of the codes; only a large segment has one."""
        return self.path / CODES

    @property
    def map(self) -> Path:
        """The file of the points."""
        return self.path / MAP

    @property
    def receipt(self) -> Path:
        """The file of the receipt."""
        return self.path / RECEIPT


@dataclass(frozen=True, slots=True, eq=False)
class Segment:
    """A published segment as one generation uses it."""

    files: SegmentFiles
    entry: SegmentEntry
    receipt: SegmentReceipt
    dead: DocIds  # ascending: its ids that are not of this generation, among them those of joined parts

    @property
    def n_live(self) -> int:
        """Number of its records in this generation."""
        return self.entry.n_records - self.entry.n_dead


def dump_receipt(receipt: SegmentReceipt) -> str:
    """Return a receipt as text, with its own SHA-256."""
    return seal_json(asdict(receipt))


def read_receipt(files: SegmentFiles, sha256: str) -> SegmentReceipt:
    """Read the receipt of a segment, of which a manifest gives the SHA-256.

    Raises:
        CorruptError: missing, unreadable, changed since it was written, or of another segment.
    """
    advice = "Run: engine verify"
    try:
        raw = files.receipt.read_bytes()
    except FileNotFoundError as err:
        raise CorruptError(f"{files.receipt} is missing, so this segment is incomplete. {advice}") from err
    except OSError as err:
        raise CorruptError(f"{files.receipt} can't be read: {err.strerror}") from err
    found, content = hashlib.sha256(raw).hexdigest(), open_json(raw)
    if found != sha256 or content is None:
        raise CorruptError(
            f"{files.receipt} was changed, damaged or belongs to another segment: SHA-256 {found[:12]}…, "
            f"expected {sha256[:12]}…. {advice}"
        )
    return _build_receipt(content)


def _build_receipt(content: dict[str, Any]) -> SegmentReceipt:
    """Build a receipt from checked content."""
    parts = {
        "totals": Totals(**content["totals"]),
        "files": tuple(FileReceipt(**file) for file in content["files"]),
    }
    return SegmentReceipt(**(content | parts))


def check_segment(files: SegmentFiles, receipt: SegmentReceipt, *, quick: bool) -> None:
    """Check every file of a segment against its receipt; quick as in FileReceipt.find_problem.

    Raises:
        CorruptError: a file is missing or changed, or SQLite left a file beside the database.
    """
    for problem in (file.find_problem(files.path, quick=quick) for file in receipt.files):
        if problem:
            raise CorruptError(f"{problem}. Run: engine verify")
    database = str(files.database)
    for side in (database + suffix for suffix in _SIDE_FILES):
        if os.path.exists(side):
            raise CorruptError(f"{side} should not exist: something wrote to a published database. Delete it")
