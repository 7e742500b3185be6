"""What crosses a border between stages: frozen records and the two array types."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine import stamps

Vectors = NDArray[np.float32]  # (n, dim), unit length unless said otherwise
DocIds = NDArray[np.int64]  # (n,), keys of the abstracts table and of FAISS


class Notice(StrEnum):
    """What a record says of other records, or others of it. A retraction of the record itself is Abstract.retracted."""

    IS_RETRACTION = "is a retraction notice"
    IS_ERRATUM = "is an erratum"
    IS_CONCERN = "is an expression of concern"
    HAS_ERRATUM = "has an erratum"
    HAS_CONCERN = "has an expression of concern"
    PARTLY_RETRACTED = "partly retracted"
    REPUBLISHED = "corrected and republished"


@dataclass(frozen=True, slots=True)
class Abstract:
    """One record as its source gave it: the unit of retrieval. Empty text is "", an unknown year is None."""

    record_id: str  # "PMID:12345678", or the source's own key; unique in an index
    title: str
    abstract: str
    year: int | None = None
    journal: str = ""
    authors: tuple[str, ...] = ()
    pmid: str | None = None
    doi: str | None = None
    mesh: tuple[str, ...] = ()
    publication_types: tuple[str, ...] = ()
    retracted: bool = False
    keywords: tuple[str, ...] = ()  # the authors' or the database's own, beside MeSH
    languages: tuple[str, ...] = ()  # as the source writes them: "eng", "English"
    vernacular_title: str = ""  # the title in the language of the article
    other_abstracts: tuple[str, ...] = ()  # each led by what it is: "[fre] …", "[plain-language-summary] …"
    orcids: tuple[str, ...] = ()  # "0000-0002-1825-0097", one per author in order, "" where unknown; or none
    notices: tuple[str, ...] = ()  # of Notice, sorted
    version: int = 1  # of the citation, as PubMed counts them
    revised: str = ""  # date of the last revision, ISO 8601, "" where unknown


@dataclass(frozen=True, slots=True)
class Deletion:
    """PubMed's DeleteCitation: the record is gone."""

    record_id: str


@dataclass(frozen=True, slots=True)
class Rejection:
    """One record that can't be indexed; the run goes on without it."""

    source: str  # file name
    place: str  # "line 12", "record 3 (PMID 0)"
    reason: str

    def __str__(self) -> str:
        return f"{self.source}, {self.place}: {self.reason}"


@dataclass(frozen=True, slots=True)
class Remark:
    """Something odd about a record that is indexed all the same."""

    kind: str  # a fixed phrase, counted: "text looks wrongly decoded (mojibake)"
    place: str


Entry = Abstract | Deletion | Rejection | Remark


@dataclass(frozen=True, slots=True)
class Encoded:
    """What an encoder returns for n texts, in the order of the texts."""

    vectors: Vectors  # (n, dim) float32
    n_tokens: NDArray[np.int64]  # (n,) length of each text before truncation, special tokens included


@dataclass(frozen=True, slots=True)
class EncoderIdentity:
    """Everything that changes a vector. Two encoders are the same one when their fingerprints are equal."""

    model: str  # the name it was asked for by; not part of the fingerprint
    dim: int
    max_length: int  # tokens, special tokens included
    pooling: str  # "mean" or "cls"
    normalize: bool
    recipe: str  # how title and abstract become one text
    precision: str  # "fp32", or "int8" on a CPU; half precision on a GPU counts as fp32
    weights_sha256: str
    tokenizer_sha256: str
    config_sha256: str

    @property
    def fingerprint(self) -> str:
        """SHA-256, 64 hex digits, of every field but the name."""
        fields = asdict(self)
        del fields["model"]
        return hashlib.sha256(json.dumps(fields, sort_keys=True).encode()).hexdigest()

    @property
    def short_name(self) -> str:
        """The name for people elsewhere: of a folder its last part, of a hub id all.

        >>> EncoderIdentity("/home/ann/models/adapted", 2, 8, "mean", True, "", "fp32", "", "", "").short_name
        'adapted'
        """
        is_folder = self.model.startswith(("/", ".", "~")) or self.model.count("/") > 1
        return Path(self.model).name if is_folder else self.model

    def __str__(self) -> str:
        digests = f"fingerprint {self.fingerprint[:12]}, weights {self.weights_sha256[:12]}"
        return f"{self.model} ({self.precision}, {self.recipe!r}, {digests})"


@dataclass(frozen=True, slots=True)
class FileReceipt:
    """Size and SHA-256 of one file, as written."""

    name: str
    n_bytes: int
    sha256: str

    @staticmethod
    def of(path: Path) -> FileReceipt:
        """Read a file to its end and note what it is."""
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
            return FileReceipt(path.name, file.tell(), digest)

    def problem(self, folder: Path, *, quick: bool = False) -> str | None:
        """What is wrong with the file in this folder, in words; None when it is as written.

        quick: a large file that this machine has hashed before and that was not touched since is not hashed again.
        """
        path = folder / self.name
        try:
            before = stamps.identity_of(path)
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
        if found != self:
            stamps.forget(before)
            return f"{path} was changed or damaged: SHA-256 {found.sha256[:12]}…, expected {self.sha256[:12]}…"
        if quick:
            stamps.note(path, found.sha256, before)
        return None


@dataclass(frozen=True, slots=True)
class Counts:
    """What a generation holds, then what the run that made it did."""

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
    duplicates: int = 0  # records that one source gave more than once in the run
    rejected: int = 0
    encoded: int = 0
    newly_retracted: int = 0  # were there before and are retracted only now
    merged: int = 0  # turned out to be another record that is there
    resumed: int = 0  # texts that a run which did not end had encoded


@dataclass(frozen=True, slots=True)
class Probe:
    """A fixed text with the vector that this generation's encoder gave it."""

    text: str
    vector: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class AnnSettings:
    """How an approximate index is searched, and how often it then finds what an exact search finds."""

    n_probe: int  # lists looked into
    n_rerank: int  # candidates scored exactly, for 10 hits
    recall: float  # ANN recall@10 against exact, measured on n_queries queries when the generation was made
    n_queries: int
    target: float  # the recall that was asked for
    n_trained: int  # vectors in the index when its lists were trained


@dataclass(frozen=True, slots=True)
class Calibration:
    """What cosines two records that have nothing to do with each other have: what a score is to be compared with."""

    shares: tuple[float, ...]  # ascending, in (0, 1): of the pairs …
    texts: tuple[float, ...]  # … this share has a lower cosine, a title of one record against the whole of another
    records: tuple[float, ...]  # … the whole of one record against the whole of another
    n_pairs: int
    n_records: int  # in the index when this was measured


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
    ids_sha256_corpus: str  # of the ascending int64 ids, read from SQLite
    ids_sha256_vectors: str  # the same, read from FAISS
    files: tuple[FileReceipt, ...]
    probes: tuple[Probe, ...]
    newest_source: str
    seconds: float
    ann: AnnSettings | None = None  # None: searches are exact
    calibration: Calibration | None = None  # None: too few records


def many(n: int, noun: str) -> str:
    """A number with its noun, for a message.

    >>> many(1, "record"), many(2000, "record")
    ('1 record', '2,000 records')
    """
    return f"{n:,} {noun}{'' if n == 1 else 's'}"


def ids_sha256(doc_ids: DocIds) -> str:
    """SHA-256 of the ids in ascending order as little-endian int64, for comparing two stores."""
    return hashlib.sha256(np.sort(doc_ids).astype("<i8").tobytes()).hexdigest()


def sealed_json(content: dict[str, Any]) -> str:
    """A JSON object in one fixed layout, with the SHA-256 of the rest of it under "sha256"."""
    return laid_out(content | {"sha256": hashlib.sha256(laid_out(content).encode("utf-8")).hexdigest()})


def opened_json(raw: bytes) -> dict[str, Any] | None:
    """The object that sealed_json wrote; None when any byte of it has changed."""
    try:
        content = json.loads(raw.decode("utf-8"))
        del content["sha256"]
        return content if sealed_json(content).encode("utf-8") == raw else None
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return None


def laid_out(content: dict[str, Any]) -> str:
    """The fixed layout."""
    return json.dumps(content, indent=1, sort_keys=True, ensure_ascii=False) + "\n"
