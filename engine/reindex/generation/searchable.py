"""The search structures of a large index: codes, updated or rebuilt, and measured search settings."""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from engine.encode.execution.onnx import OnnxEncoder
from engine.encode.models.recipe import PASSAGES
from engine.errors import CorruptError
from engine.index.files import durable
from engine.index.generations.segment import Segment
from engine.index.search import codes
from engine.index.search.factory import AUTO, Factory, choose_factory, parse_factory
from engine.index.search.flat import FlatIndex
from engine.index.search.ivf import IvfIndex
from engine.options import DEFAULT_RECALL
from engine.progress import Progress
from engine.records.generation import AnnSettings
from engine.reindex.encoding.vectorise import Vectorised
from engine.reindex.generation.generationfiles import NextParts, open_next_corpus
from engine.reindex.generation.order import Build
from engine.reindex.measures.tune import QUERIES, Trial, encode_titles, tune_lists

if TYPE_CHECKING:
    from engine.reindex.generation.seal import Filled

_WHOLE = 0.5  # share of the records; a segment with as many has the FAISS type that was chosen for the index
_DRIFT = 4  # the lists are trained again if the number of vectors has changed by more than this factor


@dataclass(frozen=True, slots=True)
class Searchable:
    """How the next generation is searched."""

    factory: Factory  # of the index
    segment_factory: Factory  # of the new segment
    ann: AnnSettings | None  # how the codes of the new segment are searched; None: it is searched exactly
    notes: tuple[str, ...]
    trials: tuple[Trial, ...] = ()


def make_searchable(build: Build, queries: OnnxEncoder, filled: Filled, progress: Progress) -> Searchable:
    """Choose the FAISS type by size; unless it is exact for the new segment, write its codes and tune the search.

    Raises:
        ConfigError: the factory in index.toml can't be used.
        CorruptError: vectors or codes can't be read back.
        OSError: the disk is full or not writable.
    """
    current = build.current.manifest if build.current else None
    before, in_passages = parse_factory(current.factory) if current else None, queries.identity.recipe == PASSAGES
    wanted, total = build.order.settings.factory, filled.counts.abstracts
    factory, reason = choose_factory(wanted if total else AUTO, total, before, in_passages=in_passages)
    n = len(filled.vectorised.doc_ids)
    own = factory if n >= _WHOLE * total else choose_factory(AUTO, n, None, in_passages=in_passages)[0]
    note = f"{factory}: {reason}"
    if own.exact:
        is_unchanged = current is not None and current.factory == str(factory)
        return Searchable(factory, own, None, () if is_unchanged else (note,))
    files = build.folder.building_segment
    flat = FlatIndex(files.vectors, filled.vectorised.spool.dim)
    index_codes, n_trained = _make_codes(build, flat, own, filled.vectorised, progress)
    durable.write_bytes(files.codes, codes.serialise_codes(index_codes).data)
    target = build.order.settings.recall or (current.ann.target if current and current.ann else DEFAULT_RECALL)
    progress("tuning", 0, None)
    blank = AnnSettings(1, 1, 0.0, 0, target, n_trained)
    with closing(open_next_corpus(build, NextParts({}, has_new=True))) as corpus:
        _, titles = encode_titles(corpus, flat.doc_ids, queries)
    titles = titles if len(titles) else np.array(flat.vectors[:QUERIES])
    index = IvfIndex(files.vectors, files.codes, flat.dim, blank)
    tuned = tune_lists(index, titles, target, n_trained, _find_previous_probes(build, own, target, n_trained))
    notes = [f"{note}; recall@10 {tuned.settings.recall:.3f} measured on {tuned.settings.n_queries} titles"]
    if not tuned.reached:
        notes.append(f"recall@10 {target:g} is not reached. Try more lists or an exact index: engine tune -h")
    return Searchable(factory, own, tuned.settings, tuple(notes), tuned.trials)


def _find_previous_probes(build: Build, factory: Factory, target: float, n_trained: int) -> int:
    """Return the number of lists that the current generation searches, if the next one has the same lists and target.

    0 if it has not, or if the user asked for a new measurement.
    """
    manifest = build.current.manifest if build.current else None
    if build.order.republish or manifest is None or manifest.ann is None or manifest.factory != str(factory):
        return 0
    is_same = (manifest.ann.target, manifest.ann.n_trained) == (target, n_trained)
    return manifest.ann.n_probe if is_same else 0


def _make_codes(
    build: Build, flat: FlatIndex, factory: Factory, vectorised: Vectorised, progress: Progress
) -> tuple[Any, int]:
    """Update the codes of the only segment that the new one replaces if they still fit, else build new ones.

    Returns the codes and the number of vectors that their lists were trained on.

    Raises:
        CorruptError: the current codes can't be read.
    """
    old = build.list_segments()
    is_first = len(old) != 1 or vectorised.current is None or build.order.rebuild
    if is_first or vectorised.current is None or not _fits(old[0], factory, flat.size):
        index = codes.train_lists(flat, factory, progress, on_gpu=build.order.settings.device != "cpu")
        codes.fill_lists(index, flat, progress)
        return index, flat.size
    ann, new, before = old[0].entry.ann, vectorised.list_new_ids(), FlatIndex(old[0].files.vectors, flat.dim).doc_ids
    gone = np.union1d(np.setdiff1d(before, flat.doc_ids), np.intersect1d(before, new))
    try:
        content = np.frombuffer(old[0].files.codes.read_bytes(), np.uint8)
    except OSError as err:
        raise CorruptError(f"{old[0].files.codes} can't be read: {err.strerror}. Run: engine verify") from err
    return codes.update_codes(content, flat, gone, new, progress), ann.n_trained if ann else flat.size


def _fits(segment: Segment, factory: Factory, n: int) -> bool:
    """Return whether the codes of a segment have this type and were trained on about n vectors."""
    ann = segment.entry.ann
    is_same = ann is not None and segment.receipt.factory == str(factory)
    return is_same and ann is not None and ann.n_trained / _DRIFT <= n <= ann.n_trained * _DRIFT
