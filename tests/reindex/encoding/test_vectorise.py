"""Encoding a corpus: in order, page by page, in bounded memory."""

import hashlib
import tracemalloc
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest

from engine.corpus.draft import Draft, DraftFiles
from engine.encode.models.recipe import prepare_text
from engine.errors import EncoderError
from engine.index.search.flat import FlatIndex
from engine.index.search.layout import write_file
from engine.records.encoder import Encoded, EncoderIdentity, Vectors
from engine.reindex.encoding.shards import Shards
from engine.reindex.encoding.spool import Spool
from engine.reindex.encoding.vectorise import EncodingRun, vectorise
from engine.reindex.intake.gather import Gathered, gather, hash_prepared
from engine.reindex.intake.sources import Source
from tests.conftest import jsonl, silent

DIM = 384
IDENTITY = EncoderIdentity("stub", DIM, 8, "mean", True, "r", "fp32", "w", "t", "c")


def vector_of(text: str) -> Vectors:
    """A unit vector that belongs to a text."""
    seed = int.from_bytes(hashlib.sha256(text.encode()).digest()[:4], "little")
    vector = np.random.default_rng(seed).normal(size=DIM).astype(np.float32)
    return (vector / np.linalg.norm(vector)).astype(np.float32)


@dataclass
class Stub:
    """Encodes by digest; counts what it is given."""

    page: int = 64
    ahead: int = 3
    identity: EncoderIdentity = IDENTITY
    pages: list[int] = field(default_factory=list)
    mixed_up: bool = False

    def encode(self, texts: Sequence[str]) -> Encoded:
        self.pages.append(len(texts))
        vectors = np.array([vector_of(text) for text in texts], np.float32).reshape(len(texts), DIM)
        if self.mixed_up and len(texts) > 1:
            vectors = vectors[::-1].copy()
        return Encoded(vectors, np.full(len(texts), 5))

    encode_queries = encode

    def close(self) -> None:
        """Nothing to give back."""


@contextmanager
def drafted(folder: Path, n: int) -> Iterator[tuple[Draft, Gathered]]:
    rows = ({"id": f"m{i}", "title": f"Title {i}", "abstract": f"Abstract {i % 1000}"} for i in range(n))
    source = jsonl(folder / "rows.jsonl", rows)
    with Draft(DraftFiles(folder / "abstracts.db", folder / "state.db"), 1, "2026-01-01", hash_prepared) as draft:
        yield draft, gather(draft, [Source(source)], silent)


def run_of(folder: Path, draft: Draft, gathered: Gathered, encoder: Stub) -> EncodingRun:
    shards = Shards(folder / "shards", DIM, 0.05)
    return EncodingRun(draft, encoder, gathered, shards, Spool(folder / "spool", DIM), silent)


def test_memory_does_not_grow_with_the_corpus(tmp_path: Path) -> None:
    n = 8_000  # whose vectors are 12.3 MB
    with drafted(tmp_path, n) as (draft, gathered):
        encoder = Stub()
        tracemalloc.start()
        try:
            found = vectorise(run_of(tmp_path, draft, gathered, encoder), None)
            write_file(tmp_path / "v", found.row_ids, DIM, found.read_chunks())
            peak = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
        # A chunk of 2,048 rows (3 MB) on its way to the file, a few pages, and the ids of all.
        assert peak < 12e6 < n * DIM * 4
        flat = FlatIndex(tmp_path / "v", DIM)
        assert flat.size == found.n_encoded == n
        for text in draft.read_texts_of(flat.doc_ids[:: n // 50].tolist()):
            stored = flat.get_points(np.array([text.doc_id]))[0]
            assert stored is not None and np.array_equal(stored, vector_of(prepare_text(text.title, text.abstract)))


@pytest.mark.parametrize(("page", "ahead"), [(1, 1), (7, 3), (256, 2), (8192, 4)])
def test_the_size_of_pages_changes_nothing(tmp_path: Path, page: int, ahead: int) -> None:
    with drafted(tmp_path, 300) as (draft, gathered):
        found = vectorise(run_of(tmp_path, draft, gathered, Stub(page, ahead)), None)
        vectors = np.concatenate(list(found.read_chunks()))
        wanted = [
            vector_of(prepare_text(text.title, text.abstract)) for text in draft.read_texts_of(found.doc_ids.tolist())
        ]
        assert np.array_equal(vectors, np.array(wanted))


def test_about_one_text_in_256_is_checked_again_alone(tmp_path: Path) -> None:
    with drafted(tmp_path, 2048) as (draft, gathered):
        encoder = Stub(page=32)
        vectorise(run_of(tmp_path, draft, gathered, encoder), None)
        assert encoder.pages.count(32) == 64 and encoder.pages.count(1) == 4 + 8


def test_rows_that_are_mixed_up_stop_the_run(tmp_path: Path) -> None:
    with drafted(tmp_path, 100) as (draft, gathered):
        with pytest.raises(EncoderError, match="gave one text different vectors alone and in a batch"):
            vectorise(run_of(tmp_path, draft, gathered, Stub(mixed_up=True)), None)
