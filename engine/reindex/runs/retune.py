"""``engine tune``: measures a large index and publishes it with faster or more accurate search settings."""

from __future__ import annotations

import time

from engine.config import Settings
from engine.encode.models.recipe import PASSAGES
from engine.index.generations.folder import IndexFolder
from engine.index.generations.placement import Placement
from engine.index.search.factory import choose_factory, parse_factory
from engine.progress import Progress
from engine.reindex.generation.order import Order, Report
from engine.reindex.runs.run import index_sources


def tune_index(
    folder: IndexFolder,
    settings: Settings,
    *,
    rebuild: bool,
    progress: Progress,
    placement: Placement | None = None,
) -> Report:
    """Measure an approximate index against an exact search and publish it with the fastest sufficient setting.

    The FAISS type comes from the settings, so a changed factory in index.toml takes effect. If the search is exact
    before and after, nothing is published.

    Raises:
        ConfigError: the factory can't be used.
        LockedError: another process writes this index.
        GenerationError: there is no index, or it is damaged.
        ClusterError: the generation can't be placed.
        OSError: the disk is full or not writable.
    """
    started = time.monotonic()
    current = folder.open_current(quick=True).manifest
    in_passages = current.encoder.recipe == PASSAGES
    factory, reason = choose_factory(
        settings.factory, current.counts.abstracts, parse_factory(current.factory), in_passages=in_passages
    )
    if factory.exact and current.ann is None:
        notes = (f"{factory}: {reason}. There is nothing to tune",)
        seconds = round(time.monotonic() - started, 3)
        return Report(current.generation, False, current.counts, (), (), seconds, notes=notes, factory=str(factory))
    order = Order(settings=settings, republish=True, rebuild=rebuild, verb="tune", placement=placement)
    return index_sources(folder, order, progress)
