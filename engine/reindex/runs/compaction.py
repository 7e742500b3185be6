"""``engine compact``: writes an index anew as one segment."""

from __future__ import annotations

import time
from dataclasses import replace

from engine.config import Settings
from engine.index.generations.folder import IndexFolder
from engine.index.generations.placement import Placement
from engine.phrases import pluralize
from engine.progress import Progress
from engine.query.answers.verdict import has_standards
from engine.reindex.generation.corpusmap import is_map_changed
from engine.reindex.generation.order import Order, Report
from engine.reindex.runs.run import index_sources


def compact_index(
    folder: IndexFolder, settings: Settings, progress: Progress, placement: Placement | None = None
) -> Report:
    """Publish the current generation again as one segment without dead records, unless it is one already.

    One that lacks the measurements for verdicts, or has another kind of map than the settings ask for, is published
    again too.

    Raises:
        LockedError: another process writes this index.
        GenerationError: there is no index, or it is damaged.
        ClusterError: the generation can't be placed.
        OSError: the disk is full or not writable.
    """
    started = time.monotonic()
    generation = folder.open_current(quick=True)
    current, is_redrawn = generation.manifest, is_map_changed(generation, settings)
    is_compact = len(current.segments) <= 1 and not any(segment.n_dead for segment in current.segments)
    if is_compact and has_standards(current) and not is_redrawn:
        seconds = round(time.monotonic() - started, 3)
        notes = ("the index is one segment without dead records: there is nothing to compact",)
        return Report(current.generation, False, current.counts, (), (), seconds, notes=notes, factory=current.factory)
    n_dead = sum(segment.n_dead for segment in current.segments)
    alone = "drew the map" if is_redrawn else "measured for verdicts"
    before = alone if is_compact else f"merged {pluralize(len(current.segments), 'segment')}"
    before += f", dropped {pluralize(n_dead, 'dead record')}" if n_dead else ""
    order = Order(settings=settings, republish=True, verb="compact", placement=placement)
    report = index_sources(folder, order, progress)
    return replace(report, notes=(before, *report.notes))
