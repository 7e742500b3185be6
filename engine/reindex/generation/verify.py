"""Checks of a generation: files against manifest, SQLite against FAISS and, if deep, vectors against texts."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from engine.config import Settings
from engine.corpus.selection.arrays import find_array_problems
from engine.corpus.storage.store import Corpus, SegmentDatabase, open_database
from engine.encode.execution.encoder import LENGTH_TOLERANCE, SAME_TEXT_COSINE, Encoder, encode_checked
from engine.encode.models.folder import check_encoder
from engine.encode.models.recipe import PASSAGES, RECIPES, hash_text, prepare_text
from engine.encode.texts.passages import Texts, load_recipe
from engine.encode.texts.probes import SAME_COSINE
from engine.errors import ClusterError, ConfigError, CorruptError, EngineError, GenerationError
from engine.index.generations.folder import Generation, IndexFolder
from engine.index.generations.manifest import read_manifest
from engine.index.generations.placement import Placement
from engine.index.generations.probes import read_probes
from engine.index.generations.segment import DATABASE, VECTORS, SegmentFiles
from engine.index.map.corpusmap import read_points
from engine.index.search.factory import Factory, parse_factory
from engine.index.search.flat import FlatIndex
from engine.index.search.ivf import IvfIndex
from engine.query.opening.corpus import open_corpus
from engine.query.opening.rerankers import find_reranker_problems
from engine.receipts import FileReceipt
from engine.records.encoder import EncoderIdentity, Vectors
from engine.records.generation import AnnSettings, DocIds, Manifest, SegmentReceipt, Totals, sum_ids
from engine.reindex.generation.words import check_words, check_words_deep

_SAMPLE = 64  # texts that a deep check encodes again, and vectors searched by their own codes
_MAX_LOST = 0.1  # share of those vectors; with good codes nearly all are found, with wrong codes hardly any
_CHUNK = 65_536  # vectors checked at once
_SCRUBBED = 256 << 20  # bytes of older files that a night reads again, on average


def verify(folder: IndexFolder, generation: Generation, *, deep: bool, placement: Placement | None = None) -> list[str]:
    """Return what is wrong with a generation whose files match their manifest; empty if nothing is.

    placement: with `deep`, what it holds is compared with the files, too.
    """
    problems = [*_check_encoder(folder, generation.manifest), *_check_rerankers(folder)]
    try:
        for segment in generation.segments:
            identity = generation.manifest.encoder
            problems += check_segment_content(segment.files, segment.receipt, identity, segment.entry.ann)
        problems += _check_whole(generation)
        if deep and not problems:
            problems += _check_deep(folder, generation)
    except CorruptError as err:
        problems.append(str(err))
    return problems + (_find_placed_problems(generation, placement) if deep and placement else [])


def _find_placed_problems(generation: Generation, placement: Placement) -> list[str]:
    """Return what is wrong with what is held of a generation elsewhere, or why that can't be asked."""
    try:
        return [*placement.find_problems(generation)]
    except ClusterError as err:
        return [str(err)]


def verify_night(folder: IndexFolder, generation: Generation, *, was_checked: bool) -> list[str]:
    """Return what is wrong with what made a generation differ from the one before; empty if nothing is.

    Its own files and its newest segment are read whole, and one older file, another one for each generation, so that
    in time damage of the disk is found everywhere. A large file is due more rarely: on average, _SCRUBBED bytes are
    read for a generation.

    was_checked: the newest segment was checked when it was written, so only its files must be unchanged.
    """
    problems, manifest = list(_check_encoder(folder, generation.manifest)), generation.manifest
    fresh, older = _list_receipts(folder, generation)
    chosen = [*fresh, *_choose_older(older, manifest.generation)]
    problems += [problem for path, receipt in chosen if (problem := receipt.find_problem(path))]
    newest = [segment for segment in generation.segments if segment.receipt.generation == manifest.generation]
    try:
        for segment in newest if not (was_checked or problems) else ():
            problems += check_segment_content(segment.files, segment.receipt, manifest.encoder, segment.entry.ann)
    except CorruptError as err:
        problems.append(str(err))
    return problems


def _choose_older(files: Sequence[tuple[Path, FileReceipt]], generation: int) -> list[tuple[Path, FileReceipt]]:
    """Return the file that is due in a generation, if any; a file takes one turn for each _SCRUBBED bytes."""
    turns: list[list[tuple[Path, FileReceipt]]] = []
    for each in files:
        turns += [[each], *[[]] * (each[1].n_bytes // _SCRUBBED)]
    return turns[generation % len(turns)] if turns else []


def _list_receipts(
    folder: IndexFolder, generation: Generation
) -> tuple[list[tuple[Path, FileReceipt]], list[tuple[Path, FileReceipt]]]:
    """Return (folder, receipt) of the files that a generation added, and of the others, in a fixed order."""
    manifest, path = generation.manifest, generation.path
    parent = folder.get_generation_path(manifest.parent) if manifest.parent else None
    kept = {(file.name, file.sha256) for file in _read_files(parent)} if parent else set()
    every = [(path, file) for file in manifest.files]
    every += [(path, entry.dead) for entry in manifest.segments if entry.dead]
    fresh = [(place, file) for place, file in every if (file.name, file.sha256) not in kept]
    older = [(place, file) for place, file in every if (file.name, file.sha256) in kept]
    for segment in generation.segments:
        target = fresh if segment.receipt.generation == manifest.generation else older
        target += [(segment.files.path, file) for file in segment.receipt.files]
    return fresh, sorted(older, key=lambda pair: (str(pair[0]), pair[1].name))


def _read_files(path: Path) -> list[FileReceipt]:
    """Return the receipts of the own files of a generation; none if its manifest can't be read."""
    try:
        manifest = read_manifest(path)
    except GenerationError:
        return []
    return [*manifest.files, *(entry.dead for entry in manifest.segments if entry.dead)]


def _check_encoder(folder: IndexFolder, manifest: Manifest) -> Iterator[str]:
    """Yield a problem if the query encoder is missing, damaged or not that of the manifest."""
    try:
        check_encoder(folder.get_encoder_path(manifest.encoder.fingerprint), manifest.encoder)
    except EngineError as err:
        yield str(err)


def _check_rerankers(folder: IndexFolder) -> Iterator[str]:
    """Yield the problems of the rerankers, and of an index.toml that can't be read."""
    try:
        settings = Settings.load(folder.path)
    except ConfigError as err:
        yield str(err)
        return
    yield from find_reranker_problems(folder, settings)


def count_segment(files: SegmentFiles) -> Totals:
    """Count the records of a segment."""
    with closing(open_database(files.database)) as corpus:
        return corpus.count_totals()


def check_segment_content(
    files: SegmentFiles, receipt: SegmentReceipt, encoder: EncoderIdentity, ann: AnnSettings | None
) -> Iterator[str]:
    """Yield the problems of database, vectors, map and codes: wrong ids or counts, and vectors not of unit length."""
    with closing(open_database(files.database)) as corpus:
        yield from corpus.find_problems()
        yield from find_array_problems(corpus)
        corpus_ids = corpus.read_ids()
    vectors = FlatIndex(files.vectors, encoder.dim)
    vector_ids = np.unique(vectors.doc_ids)
    if vectors.n_rows > len(vector_ids) and encoder.recipe != PASSAGES:
        yield f"{files.vectors} contains the same id more than once"
    unmatched = np.setxor1d(corpus_ids, vector_ids)
    if len(unmatched):
        yield (
            f"{files.path}: {len(unmatched):,} ids are in only one of {DATABASE} and {VECTORS}, "
            f"the first is {unmatched[0]}"
        )
    for path, n, expected in (
        (files.database, len(corpus_ids), receipt.totals.abstracts),
        (files.vectors, vectors.n_rows, receipt.n_rows),
    ):
        if n != expected:
            yield f"{path} has {n:,} rows, the receipt says {expected:,}"
    for path, ids in ((files.database, corpus_ids), (files.vectors, vector_ids)):
        if sum_ids(ids) != receipt.id_sum:
            yield f"{path}: its ids do not match the receipt"
    if n_bad := sum(map(_count_not_unit, np.array_split(vectors.vectors, 1 + vectors.n_rows // _CHUNK))):
        yield f"{files.vectors}: {n_bad:,} vectors are not finite and of length 1"
    yield from _check_map(files.map, vector_ids)
    if ann is not None:
        yield from _check_codes(files, parse_factory(receipt.factory), encoder.dim, ann)


def _check_whole(generation: Generation) -> Iterator[str]:
    """Yield the problems of a generation beyond those of its segments: wrong tombstones, counts or state."""
    manifest = generation.manifest
    with closing(Corpus([], generation.state)) as corpus:
        number = corpus.read_generation()
    if number != manifest.generation:
        yield f"{generation.state} belongs to generation {number:06d}, expected {manifest.generation:06d}"
    living = []
    for segment in generation.segments:
        ids = np.unique(FlatIndex(segment.files.vectors, manifest.encoder.dim).doc_ids)
        live = np.setdiff1d(ids, segment.dead, assume_unique=True)
        if len(live) != segment.n_live:
            yield (
                f"{segment.files.path} has {len(live):,} live records in generation {manifest.generation:06d}, "
                f"the manifest says {segment.n_live:,}"
            )
        living.append(live)
    every = np.concatenate([np.empty(0, np.int64), *living])
    if len(np.unique(every)) != len(every):
        yield f"{generation.path}: a record is live in two segments"
    if len(every) != manifest.counts.abstracts:
        yield f"{generation.path} has {len(every):,} abstracts, the manifest says {manifest.counts.abstracts:,}"
    if sum_ids(every) != manifest.id_sum:
        yield f"{generation.path}: its ids do not match the manifest"
    yield from check_words(generation.path, np.sort(every))


def _check_map(path: Path, doc_ids: DocIds) -> Iterator[str]:
    """Yield a problem unless the map has a finite point for each record and for no other."""
    points = read_points(path)
    if not np.array_equal(points.doc_ids, doc_ids):
        yield f"{path}: its ids are not those of {VECTORS}"
    if not np.isfinite(points.places).all():
        yield f"{path} contains points that are not finite"


def _count_not_unit(vectors: Vectors) -> int:
    """Count the vectors that are not finite or not of length 1."""
    lengths = np.sqrt(np.einsum("ij,ij->i", vectors, vectors))
    return int((~(np.abs(lengths - 1) <= LENGTH_TOLERANCE)).sum())


def _check_codes(files: SegmentFiles, factory: Factory, dim: int, ann: AnnSettings) -> Iterator[str]:
    """Yield the problems of the codes: wrong type, wrong ids, or vectors that a search by their own codes misses."""
    index = IvfIndex(files.vectors, files.codes, dim, ann)
    if index.n_lists != factory.n_lists:
        yield f"{files.codes} has {index.n_lists:,} lists, the receipt says {factory}"
    if not np.array_equal(np.sort(index.read_code_ids()), index.doc_ids):
        yield f"{files.codes}: its ids are not those of {VECTORS}"
        return
    rows = np.unique(np.linspace(0, index.size - 1, min(_SAMPLE, index.size), dtype=int))
    # Compared by score, since records with the same text are interchangeable.
    rankings = index.probe(np.array(index.vectors[rows]), 1, ann.n_probe, ann.n_rerank)
    lost = sum(not hits or hits[0][1] < 1 - LENGTH_TOLERANCE for hits in rankings)
    if lost > _MAX_LOST * len(rows):
        yield f"{files.codes}: {lost} of {len(rows)} vectors are not found by their own codes"


def _check_deep(folder: IndexFolder, generation: Generation) -> Iterator[str]:
    """Yield the problems that a new encoding of the probes and a sample of texts shows, and wrong text digests."""
    from engine.encode.execution.onnx import OnnxEncoder

    manifest = generation.manifest
    encoder = OnnxEncoder(folder.get_encoder_path(manifest.encoder.fingerprint))
    probe_texts, probes = read_probes(generation)
    again = encoder.encode(probe_texts).vectors
    if (cosine := float((probes * again).sum(axis=1).min())) < SAME_COSINE:
        yield f"the encoder gives the probe texts other vectors than when the index was built: cosine {cosine:.5f}"
    with closing(open_corpus(generation)) as corpus:
        yield from check_words_deep(corpus, generation.words)
    if manifest.encoder.recipe in RECIPES:
        texts, chosen = load_recipe(manifest.encoder, encoder.folder), _choose_sample(generation)
        for segment, places in zip(generation.segments, chosen, strict=True):
            parts = [SegmentDatabase(segment.files.database, segment.dead)]
            with closing(Corpus(parts, segment.files.database)) as corpus:
                yield from _check_texts(corpus)
                doc_ids = corpus.read_ids()
                vectors = FlatIndex(segment.files.vectors, manifest.encoder.dim)
                yield from _check_sample(corpus, vectors, encoder, texts, doc_ids[places[places < len(doc_ids)]])


def _choose_sample(generation: Generation) -> list[NDArray[np.int64]]:
    """Choose _SAMPLE records, evenly from all that are live; return their places among those of each segment."""
    sizes = [segment.n_live for segment in generation.segments]
    total, ends = sum(sizes), np.cumsum(sizes)
    chosen = np.unique(np.linspace(0, max(total - 1, 0), min(_SAMPLE, total), dtype=np.int64))
    return [
        chosen[(chosen >= end - size) & (chosen < end)] - (end - size) for size, end in zip(sizes, ends, strict=True)
    ]


def _check_texts(corpus: Corpus) -> Iterator[str]:
    """Yield a problem for each live text that has another digest than the text that was encoded."""
    for doc_id, title, abstract, digest in corpus.read_texts():
        if hash_text(prepare_text(title, abstract)) != digest:
            yield f"{corpus.path}: the text of id {doc_id} is not the one that was encoded"


def _check_sample(corpus: Corpus, vectors: FlatIndex, encoder: Encoder, texts: Texts, doc_ids: DocIds) -> Iterator[str]:
    """Yield a problem for each of some records whose new vectors differ from the stored ones."""
    for doc_id, row in corpus.fetch(doc_ids.tolist()).items():
        again = encode_checked(encoder, texts(row.title, row.abstract)).vectors
        stored = vectors.vectors[vectors.find_all_rows(np.array([doc_id]))[0]]
        if len(again) != len(stored):
            yield f"{vectors.path}: id {doc_id} has {len(stored)} vectors, its text gives {len(again)}"
            continue
        cosine = float((again * stored).sum(axis=1).min())
        if not cosine >= SAME_TEXT_COSINE:
            yield f"{vectors.path}: the vector of id {doc_id} does not match its text (cosine {cosine:.4f})"
