"""What is compared of a segment: as the machine that publishes has it, and as a node holds it."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from engine.index.search.parts import SegmentedIndex
from engine.records.generation import DocIds

_SAMPLE = 16  # records whose vectors are compared whenever a segment is placed


@dataclass(frozen=True, slots=True)
class _Vectors:
    """The vectors of some records."""

    first_id: int
    last_id: int
    sha256: str


@dataclass(frozen=True, slots=True)
class SegmentFacts:
    """A segment as one generation uses it."""

    fingerprint: str  # of the encoder
    n_records: int  # alive
    n_rows: int  # of them
    ids_sha256: str  # of their ids
    vectors: tuple[_Vectors, ...]  # of a sample of single records, or of all in chunks


def describe_segment(index: SegmentedIndex, fingerprint: str, *, deep: bool) -> SegmentFacts:
    """Return the facts of an open segment; deep: all vectors are read, not a sample."""
    ids = index.doc_ids
    vectors = tuple(_hash_all(index) if deep else _hash_sample(index, ids))
    return SegmentFacts(fingerprint, index.size, index.n_rows, _hash_bytes(ids.astype("<i8").tobytes()), vectors)


def find_difference(expected: SegmentFacts, found: SegmentFacts) -> str | None:
    """Return how the facts of a segment differ from the expected ones; None if they don't."""
    if found.fingerprint != expected.fingerprint:
        return f"it is of the encoder {found.fingerprint[:12]}, expected {expected.fingerprint[:12]}"
    if (found.n_records, found.n_rows) != (expected.n_records, expected.n_rows):
        return (
            f"it has {found.n_records:,} records with {found.n_rows:,} vectors, expected {expected.n_records:,} with "
            f"{expected.n_rows:,}"
        )
    if found.ids_sha256 != expected.ids_sha256:
        return "it has other ids"
    pairs = zip(expected.vectors, found.vectors, strict=True)
    other = next((one for one, two in pairs if one != two), None)
    if other is None:
        return None
    which = f"id {other.first_id}" + (f" to {other.last_id}" if other.last_id != other.first_id else "")
    return f"it has other vectors of {which}"


def _hash_sample(index: SegmentedIndex, ids: DocIds) -> Iterator[_Vectors]:
    """Yield the digests of some records, evenly from all."""
    places = np.unique(np.linspace(0, max(len(ids) - 1, 0), min(_SAMPLE, len(ids)), dtype=np.int64))
    for doc_id in ids[places]:
        vectors, _ = index.read_vectors(np.array([doc_id]))
        yield _Vectors(int(doc_id), int(doc_id), _hash_bytes(vectors.tobytes()))


def _hash_all(index: SegmentedIndex) -> Iterator[_Vectors]:
    """Yield the digests of all records, in chunks."""
    for ids, vectors in index.scan_vectors():
        yield _Vectors(int(ids[0]), int(ids[-1]), _hash_bytes(ids.astype("<i8").tobytes() + vectors.tobytes()))


def _hash_bytes(content: bytes) -> str:
    """Return the SHA-256 of bytes."""
    return hashlib.sha256(content).hexdigest()
