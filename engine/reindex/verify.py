"""Checks of a generation: files against manifest, SQLite against FAISS and, if deep, vectors against texts."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from engine.corpus.storage.store import Corpus, open_database
from engine.encode.encoder import LENGTH_TOLERANCE, SAME_TEXT_COSINE, Encoder, encode_checked
from engine.encode.folder import check_encoder
from engine.encode.passages import Texts, load_recipe
from engine.encode.probes import SAME_COSINE
from engine.encode.recipe import PASSAGES, RECIPES, hash_text, prepare_text
from engine.errors import CorruptError, EngineError
from engine.index.corpusmap import read_map
from engine.index.factory import parse_factory
from engine.index.flat import FlatIndex
from engine.index.folder import CODES, DATABASE, MAP, VECTORS, Generation, IndexFolder
from engine.index.ivf import IvfIndex
from engine.query.opening import open_corpus
from engine.records.encoder import Vectors
from engine.records.generation import AnnSettings, DocIds, Manifest, hash_ids
from engine.reindex.words import check_words, check_words_deep

_SAMPLE = 64  # texts that a deep check encodes again, and vectors searched by their own codes
_MAX_LOST = 0.1  # share of those vectors; with good codes nearly all are found, with wrong codes hardly any
_CHUNK = 65_536  # vectors checked at once


def verify(folder: IndexFolder, generation: Generation, *, deep: bool, contents: bool = True) -> list[str]:
    """Return what is wrong with a generation whose files match their manifest; empty if nothing is.

    contents: check every row and vector. False only if exactly these files passed that check before.
    """
    problems = list(_check_encoder(folder, generation.manifest))
    try:
        if contents:
            problems += check_content(generation.path, generation.manifest)
        if deep and not problems:
            problems += _check_deep(folder, generation)
    except CorruptError as err:
        problems.append(str(err))
    return problems


def _check_encoder(folder: IndexFolder, manifest: Manifest) -> Iterator[str]:
    """Yield a problem if the query encoder is missing, damaged or not that of the manifest."""
    try:
        check_encoder(folder.get_encoder_path(manifest.encoder.fingerprint), manifest.encoder)
    except EngineError as err:
        yield str(err)


def check_content(path: Path, manifest: Manifest) -> Iterator[str]:
    """Yield the problems of database, vectors, map and codes: wrong ids or counts, and vectors not of unit length."""
    corpus = open_database(path / DATABASE)
    try:
        yield from corpus.find_problems()
        corpus_ids, number = corpus.read_ids(), corpus.read_generation()
    finally:
        corpus.close()
    vectors = FlatIndex(path / VECTORS, manifest.encoder.dim)
    if number != manifest.generation:
        yield f"{path / DATABASE} belongs to generation {number:06d}, expected {manifest.generation:06d}"
    if len(corpus_ids) != manifest.counts.abstracts:
        yield f"{path / DATABASE} has {len(corpus_ids):,} abstracts, the manifest says {manifest.counts.abstracts:,}"
    vector_ids = np.unique(vectors.doc_ids)
    if vectors.n_rows > len(vector_ids) and manifest.encoder.recipe != PASSAGES:
        yield f"{path / VECTORS} contains the same id more than once"
    unmatched = np.setxor1d(corpus_ids, vector_ids)
    if len(unmatched):
        yield f"{path}: {len(unmatched):,} ids are in only one of {DATABASE} and {VECTORS}, the first is {unmatched[0]}"
    for name, ids, expected in (
        (DATABASE, corpus_ids, manifest.ids_sha256_corpus),
        (VECTORS, vector_ids, manifest.ids_sha256_vectors),
    ):
        if hash_ids(ids) != expected:
            yield f"{path / name}: its ids do not match the manifest"
    if n_bad := sum(map(_count_not_unit, np.array_split(vectors.vectors, 1 + vectors.n_rows // _CHUNK))):
        yield f"{path / VECTORS}: {n_bad:,} vectors are not finite and of length 1"
    yield from _check_map(path / MAP, vector_ids)
    yield from check_words(path, corpus_ids)
    if manifest.ann is not None:
        yield from _check_codes(path, manifest, manifest.ann)


def _check_map(path: Path, doc_ids: DocIds) -> Iterator[str]:
    """Yield a problem unless the map has a finite point for each record and for no other."""
    corpus_map = read_map(path)
    if not np.array_equal(corpus_map.doc_ids, doc_ids):
        yield f"{path}: its ids are not those of {VECTORS}"
    if not np.isfinite(corpus_map.places).all():
        yield f"{path} contains points that are not finite"


def _count_not_unit(vectors: Vectors) -> int:
    """Count the vectors that are not finite or not of length 1."""
    lengths = np.sqrt(np.einsum("ij,ij->i", vectors, vectors))
    return int((~(np.abs(lengths - 1) <= LENGTH_TOLERANCE)).sum())


def _check_codes(path: Path, manifest: Manifest, ann: AnnSettings) -> Iterator[str]:
    """Yield the problems of the codes: wrong type, wrong ids, or vectors that a search by their own codes misses."""
    index = IvfIndex(path / VECTORS, path / CODES, manifest.encoder.dim, ann)
    factory = parse_factory(manifest.factory)
    if index.n_lists != factory.n_lists:
        yield f"{path / CODES} has {index.n_lists:,} lists, the manifest says {manifest.factory}"
    if not np.array_equal(np.sort(index.read_code_ids()), index.doc_ids):
        yield f"{path / CODES}: its ids are not those of {VECTORS}"
        return
    rows = np.unique(np.linspace(0, index.size - 1, min(_SAMPLE, index.size), dtype=int))
    # Compared by score, since records with the same text are interchangeable.
    rankings = index.probe(np.array(index.vectors[rows]), 1, ann.n_probe, ann.n_rerank)
    lost = sum(not hits or hits[0][1] < 1 - LENGTH_TOLERANCE for hits in rankings)
    if lost > _MAX_LOST * len(rows):
        yield f"{path / CODES}: {lost} of {len(rows)} vectors are not found by their own codes"


def _check_deep(folder: IndexFolder, generation: Generation) -> Iterator[str]:
    """Yield the problems that a new encoding of the probes and a sample of texts shows, and wrong text digests."""
    from engine.encode.onnx import OnnxEncoder

    manifest = generation.manifest
    encoder = OnnxEncoder(folder.get_encoder_path(manifest.encoder.fingerprint))
    probes = np.array([probe.vector for probe in manifest.probes], dtype=np.float32)
    again = encoder.encode([probe.text for probe in manifest.probes]).vectors
    if (cosine := float((probes * again).sum(axis=1).min())) < SAME_COSINE:
        yield f"the encoder gives the probe texts other vectors than when the index was built: cosine {cosine:.5f}"
    corpus = open_corpus(generation)
    try:
        yield from check_words_deep(corpus, generation.words)
        if manifest.encoder.recipe in RECIPES:
            yield from _check_texts(corpus)
            vectors = FlatIndex(generation.vectors, manifest.encoder.dim)
            yield from _check_sample(corpus, vectors, encoder, load_recipe(manifest.encoder, encoder.folder))
    finally:
        corpus.close()


def _check_texts(corpus: Corpus) -> Iterator[str]:
    """Yield a problem for each stored text that has another digest than the text that was encoded."""
    for doc_id, title, abstract, digest in corpus.read_texts():
        if hash_text(prepare_text(title, abstract)) != digest:
            yield f"{corpus.path}: the text of id {doc_id} is not the one that was encoded"


def _check_sample(corpus: Corpus, vectors: FlatIndex, encoder: Encoder, texts: Texts) -> Iterator[str]:
    """Yield a problem for each text of a sample whose new vectors differ from the stored ones."""
    ids = np.unique(vectors.doc_ids[np.linspace(0, vectors.n_rows - 1, min(_SAMPLE, vectors.n_rows), dtype=int)])
    for doc_id, row in corpus.fetch(ids.tolist()).items():
        again = encode_checked(encoder, texts(row.title, row.abstract)).vectors
        stored = vectors.vectors[vectors.find_all_rows(np.array([doc_id]))[0]]
        if len(again) != len(stored):
            yield f"{vectors.path}: id {doc_id} has {len(stored)} vectors, its text gives {len(again)}"
            continue
        cosine = float((again * stored).sum(axis=1).min())
        if not cosine >= SAME_TEXT_COSINE:
            yield f"{vectors.path}: the vector of id {doc_id} does not match its text (cosine {cosine:.4f})"
