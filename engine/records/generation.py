"""The manifest of a published generation."""

from __future__ import annotations

import hashlib
from dataclasses import astuple, dataclass

import numpy as np
from numpy.typing import NDArray

from engine.receipts import FileReceipt
from engine.records.encoder import EncoderIdentity

DocIds = NDArray[np.int64]  # (n,), keys of the abstracts table and of FAISS


@dataclass(frozen=True, slots=True)
class Totals:
    """Counts of records."""

    abstracts: int
    retracted: int
    without_abstract: int
    without_title: int
    truncated: int  # texts longer than the encoder's max_length

    def __add__(self, other: Totals) -> Totals:
        return Totals(*(one + two for one, two in zip(astuple(self), astuple(other), strict=True)))

    def __sub__(self, other: Totals) -> Totals:
        return Totals(*(one - two for one, two in zip(astuple(self), astuple(other), strict=True)))


@dataclass(frozen=True, slots=True)
class Counts:
    """Totals of a generation, then the counts of the run that made it."""

    abstracts: int
    retracted: int
    without_abstract: int
    without_title: int
    truncated: int  # texts longer than the encoder's max_length
    added: int = 0
    text_changed: int = 0
    metadata_changed: int = 0
    unchanged: int = 0
    deleted: int = 0
    duplicates: int = 0  # records that one file gave more than once in the run, all but one of each
    rejected: int = 0
    encoded: int = 0
    newly_retracted: int = 0  # known before, retracted since
    merged: int = 0  # merged into another record
    resumed: int = 0  # texts that an earlier run had encoded before it was stopped


@dataclass(frozen=True, slots=True)
class FileCounts:
    """What became of the records of one file when it was read.

    `read` is the sum of all counts but `deletions`: each record counts once.
    """

    read: int = 0  # records that the file holds
    rejected: int = 0  # that could not be indexed: no title and abstract, or none that the encoder can read
    repeated: int = 0  # that the file gives more than once: all but one of each
    merged: int = 0  # that the index had from another file, by PMID, DOI, id or text
    unchanged: int = 0  # that this file gave before: the record in the index stayed the same
    added: int = 0  # that are new to the index
    text_changed: int = 0  # that this file gave before: they changed title or abstract of the record in the index
    metadata_changed: int = 0  # that this file gave before: they changed only other fields
    outdated: int = 0  # that this file, or PubMed, gave before in a newer version
    withdrawn: int = 0  # whose PMID PubMed deleted
    deletions: int = 0  # deletions by PubMed in this file; these are no records


@dataclass(frozen=True, slots=True)
class FileReading:
    """A file and what became of its records."""

    file: str  # its name
    path: str  # absolute
    format: str
    generation: int  # for which it was read
    counts: FileCounts


@dataclass(frozen=True, slots=True)
class Probe:
    """A fixed text with the vector that the encoder of a generation gave it."""

    text: str
    vector: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class AnnSettings:
    """How an approximate index is searched, and how often it then finds what an exact search finds."""

    n_probe: int  # lists looked into
    n_rerank: int  # candidates scored exactly, for 10 hits
    recall: float  # ANN recall@10 against exact, measured on n_queries queries when the generation was made
    n_queries: int
    target: float  # the recall to reach
    n_trained: int  # vectors in the index when its lists were trained


@dataclass(frozen=True, slots=True)
class Reach:
    """What the best hits of two kinds of questions reach, in one mode: quantiles of their evidence, ascending."""

    mode: str
    unrelated: tuple[float, ...]  # of questions of other fields
    neighbours: tuple[float, ...]  # of sentences of records, which are themselves left out


@dataclass(frozen=True, slots=True)
class Standards:
    """What the best hits of questions reach, to tell which answers stand out."""

    version: int  # of the rule that the evidence was measured by
    low: float  # cosine of the best hit of a question of another field, the median
    high: float  # cosine of a sentence and the record that it is of, the median
    shares: tuple[float, ...]  # ascending, in (0, 1): the quantiles that the reaches hold
    reaches: tuple[Reach, ...]  # one per mode; none if there is too little to compare


@dataclass(frozen=True, slots=True)
class Calibration:
    """Distribution of cosines of random record pairs, to put scores in context."""

    shares: tuple[float, ...]  # ascending, in (0, 1): of the pairs …
    texts: tuple[float, ...]  # … this share has a lower cosine, a title of one record against the whole of another
    records: tuple[float, ...]  # … the whole of one record against the whole of another
    n_pairs: int
    n_records: int  # in the index when this was measured
    standards: Standards | None = None  # None: made by an engine that gave no verdicts


@dataclass(frozen=True, slots=True)
class Encoding:
    """Texts that were encoded in one way, in one generation or in consecutive ones."""

    made_by: str  # the way the encoder was run: "ONNX Runtime fp32"
    first: int  # generation
    last: int  # generation
    texts: int
    texts_per_s: float | None  # in the last generation; None: too short to tell


@dataclass(frozen=True, slots=True)
class SegmentReceipt:
    """The receipt of a segment, written last into its folder. A segment never changes."""

    format_version: int
    generation: int  # that it was made for
    fingerprint: str  # of the encoder
    n_rows: int  # vectors; with the recipe passages, a record has several
    totals: Totals  # of its records
    id_sum: str  # of their ids, agreed from SQLite and FAISS; see sum_ids
    factory: str  # FAISS type
    files: tuple[FileReceipt, ...]


@dataclass(frozen=True, slots=True)
class SegmentEntry:
    """A segment as a generation uses it."""

    name: str  # of its folder
    sha256: str  # of its receipt
    n_records: int  # in it, the dead ones included
    n_dead: int = 0  # of them: deleted, or written again in a later segment
    dead: FileReceipt | None = None  # the file of their ids; None: none is dead
    ann: AnnSettings | None = None  # how its codes are searched; None: it is searched exactly


@dataclass(frozen=True, slots=True)
class Manifest:
    """The receipt of a generation, written last."""

    format_version: int
    generation: int
    parent: int | None
    created: str  # UTC, ISO 8601
    engine_version: str
    encoder: EncoderIdentity
    metric: str
    factory: str
    counts: Counts
    id_sum: str  # of the ids of all records, see sum_ids
    last_id: int  # the highest doc id that was ever given
    last_contribution: int  # the highest key that a contribution ever had
    segments: tuple[SegmentEntry, ...]  # oldest first
    files: tuple[FileReceipt, ...]  # of the generation's own folder
    newest_source: str
    seconds: float
    probes: tuple[Probe, ...] = ()  # in manifests of earlier engines; others have a file of them
    calibration: Calibration | None = None  # None: too few records
    encodings: tuple[Encoding, ...] = ()  # since everything was last encoded, oldest first

    @property
    def ann(self) -> AnnSettings | None:
        """How the codes of the largest segment are searched; None: all searches are exact."""
        approximate = [segment for segment in self.segments if segment.ann is not None]
        return max(approximate, key=lambda segment: segment.n_records).ann if approximate else None


_SUM_BITS = 256


def sum_ids(doc_ids: DocIds) -> str:
    """Return a digest of a set of ids that takes additions and removals, in 64 hexadecimal digits.

    It is the sum of the SHA-256 of the ids as little-endian int64, modulo 2^256.
    """
    content = np.ascontiguousarray(doc_ids, "<i8").tobytes()
    digests = (hashlib.sha256(content[at : at + 8]).digest() for at in range(0, len(content), 8))
    return _format_sum(sum(int.from_bytes(digest, "little") for digest in digests))


def change_sum(before: str, *, gone: str, new: str) -> str:
    """Return the digest of a set that loses the ids of one digest and gains those of another; see sum_ids."""
    return _format_sum(int(before, 16) - int(gone, 16) + int(new, 16))


def _format_sum(number: int) -> str:
    """Return a number modulo 2^256 in hexadecimal digits."""
    return f"{number % (1 << _SUM_BITS):0{_SUM_BITS // 4}x}"


def join_encodings(before: tuple[Encoding, ...], new: tuple[Encoding, ...]) -> tuple[Encoding, ...]:
    """Return the encodings of earlier generations with those of the next one; equal neighbours become one."""
    joined = list(before)
    for encoding in new:
        if joined and joined[-1].made_by == encoding.made_by:
            earlier = joined.pop()
            rate = encoding.texts_per_s or earlier.texts_per_s
            encoding = Encoding(encoding.made_by, earlier.first, encoding.last, earlier.texts + encoding.texts, rate)
        joined.append(encoding)
    return tuple(joined)
