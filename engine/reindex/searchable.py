"""What a large index has beside its vectors: codes, brought up to date or built, and a measured setting."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from engine.encode.onnx import OnnxEncoder
from engine.encode.recipe import PASSAGES
from engine.errors import CorruptError
from engine.index import codes, durable
from engine.index.factory import Factory, choose_factory, parse_factory
from engine.index.flat import FlatIndex
from engine.index.folder import CODES, DATABASE, VECTORS, Generation
from engine.index.ivf import IvfIndex
from engine.options import DEFAULT_RECALL
from engine.progress import Progress
from engine.records.generation import AnnSettings
from engine.reindex.order import Build
from engine.reindex.tune import QUERIES, Trial, encode_titles, tune_lists
from engine.reindex.vectorise import Vectorised

_DRIFT = 4  # times as many or as few vectors as when the lists were trained: they are trained anew


@dataclass(frozen=True, slots=True)
class Searchable:
    """How the next generation is searched."""

    factory: Factory
    ann: AnnSettings | None
    notes: tuple[str, ...]
    trials: tuple[Trial, ...] = ()


def make_searchable(build: Build, queries: OnnxEncoder, vectorised: Vectorised, progress: Progress) -> Searchable:
    """Choose the FAISS type by size and, unless it is exact, write codes.faiss beside the vectors and tune it.

    Raises:
        ConfigError: index.toml asks for a type that can't be used.
        CorruptError: vectors or codes can't be read back.
        OSError: the disk is full or not writable.
    """
    held = build.current.manifest if build.current else None
    before, in_passages = parse_factory(held.factory) if held else None, queries.identity.recipe == PASSAGES
    factory, reason = choose_factory(
        build.order.settings.factory, len(vectorised.doc_ids), before, in_passages=in_passages
    )
    note = f"{factory}: {reason}"
    if factory.exact:
        as_before = held is not None and held.factory == str(factory)
        return Searchable(factory, None, () if as_before else (note,))
    building = build.folder.building
    flat = FlatIndex(building / VECTORS, vectorised.spool.dim)
    made, n_trained = _make_codes(build, flat, factory, vectorised, progress)
    durable.write_bytes(building / CODES, codes.serialise_codes(made).data)
    target = build.order.settings.recall or (held.ann.target if held and held.ann else DEFAULT_RECALL)
    progress("tuning", 0, None)
    blank = AnnSettings(1, 1, 0.0, 0, target, n_trained)
    _, asked = encode_titles(building / DATABASE, flat.doc_ids, queries)
    asked = asked if len(asked) else np.array(flat.vectors[:QUERIES])
    index = IvfIndex(building / VECTORS, building / CODES, flat.dim, blank)
    found = tune_lists(index, asked, target, n_trained, _find_held_probes(build, factory, target, n_trained))
    notes = [f"{note}; recall@10 {found.settings.recall:.3f} measured on {found.settings.n_queries} titles"]
    if not found.reached:
        notes.append(f"recall@10 {target:g} is not reached. More lists or an exact index may: engine tune -h")
    return Searchable(factory, found.settings, tuple(notes), found.trials)


def _find_held_probes(build: Build, factory: Factory, target: float, n_trained: int) -> int:
    """Lists that a search of the current generation looks into, where the next one has the same ones and target.

    0 where it has not, or where the user wants them measured afresh.
    """
    manifest = build.current.manifest if build.current else None
    if build.order.republish or manifest is None or manifest.ann is None or manifest.factory != str(factory):
        return 0
    same = (manifest.ann.target, manifest.ann.n_trained) == (target, n_trained)
    return manifest.ann.n_probe if same else 0


def _make_codes(
    build: Build, flat: FlatIndex, factory: Factory, vectorised: Vectorised, progress: Progress
) -> tuple[Any, int]:
    """The codes of the current generation brought up to date where they still fit, else new ones.

    Returns them with the number of vectors that their lists were trained on.

    Raises:
        CorruptError: the current codes can't be read.
    """
    held = build.current
    if held is None or vectorised.current is None or build.order.rebuild or not _fits(held, factory, flat.size):
        index = codes.train_lists(flat, factory, progress, on_gpu=build.order.settings.device != "cpu")
        codes.fill_lists(index, flat, progress)
        return index, flat.size
    ann, new, before = held.manifest.ann, vectorised.list_new_ids(), vectorised.current.doc_ids
    gone = np.union1d(np.setdiff1d(before, flat.doc_ids), np.intersect1d(before, new))
    try:
        content = np.frombuffer(held.codes.read_bytes(), np.uint8)
    except OSError as err:
        raise CorruptError(f"{held.codes} can't be read: {err.strerror}. Run: engine rollback") from err
    return codes.update_codes(content, flat, gone, new, progress), ann.n_trained if ann else flat.size


def _fits(held: Generation, factory: Factory, n: int) -> bool:
    """Whether the codes of a generation are of this type and were trained on about as many vectors."""
    ann = held.manifest.ann
    same = ann is not None and held.manifest.factory == str(factory)
    return same and ann is not None and ann.n_trained / _DRIFT <= n <= ann.n_trained * _DRIFT
