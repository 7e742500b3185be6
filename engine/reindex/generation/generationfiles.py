"""The current generation as the stages take it: its databases and vectors, and those of the next one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from engine.corpus.merging.base import Deaths, Published
from engine.corpus.storage.connections import SharedDatabase
from engine.corpus.storage.store import Corpus, SegmentDatabase
from engine.index.generations.folder import STATE, Generation
from engine.index.generations.segment import Segment
from engine.index.generations.vectors import keep_known
from engine.index.search.flat import FlatIndex
from engine.index.search.parts import Part, SegmentedIndex
from engine.records.generation import DocIds, Totals
from engine.reindex.generation.order import Build

_NONE_DEAD = np.empty(0, np.int64)


@dataclass(frozen=True, slots=True)
class NextParts:
    """The segments of the next generation: the published ones that stay, and the new one in ``building``."""

    kept: Mapping[int, Deaths]  # position in the current generation -> its dead ids
    has_new: bool  # whether the new segment has records


def read_published(current: Generation | None) -> Published | None:
    """Return what a draft continues; None if nothing was published yet."""
    if current is None:
        return None
    manifest, counts = current.manifest, current.manifest.counts
    totals = Totals(counts.abstracts, counts.retracted, counts.without_abstract, counts.without_title, counts.truncated)
    segments = tuple(SegmentDatabase(segment.files.database, segment.dead) for segment in current.segments)
    return Published(segments, current.state, totals, manifest.last_id, manifest.last_contribution, current.words)


def open_current_vectors(current: Generation) -> SegmentedIndex:
    """Open the exact vectors of a generation."""
    dim = current.manifest.encoder.dim
    parts = [_make_part(segment, dim, segment.dead) for segment in current.segments]
    return SegmentedIndex(parts, dim)


def open_next_vectors(build: Build, parts: NextParts, dim: int) -> SegmentedIndex:
    """Open the exact vectors of the next generation."""
    kept = [_make_part(build.list_segments()[at], dim, deaths.dead) for at, deaths in parts.kept.items()]
    new = [Part(FlatIndex(build.folder.building_segment.vectors, dim), _NONE_DEAD)] if parts.has_new else []
    return SegmentedIndex([*kept, *new], dim)


def open_next_corpus(build: Build, parts: NextParts, before: Corpus | None = None) -> Corpus:
    """Open the databases of the next generation. Files that `before` has open are not opened again.

    Raises:
        CorruptError: SQLite can't read a file.
    """
    kept = [SegmentDatabase(build.list_segments()[at].files.database, deaths.dead) for at, deaths in parts.kept.items()]
    new = [SegmentDatabase(build.folder.building_segment.database, _NONE_DEAD)] if parts.has_new else []
    open_file = SharedDatabase if before is None else before.open_shared
    return Corpus([*kept, *new], build.folder.building_generation / STATE, open_file)


def _make_part(segment: Segment, dim: int, dead: DocIds) -> Part:
    """Open the exact vectors of a published segment; of its dead ids, only records have vectors."""
    index = FlatIndex(segment.files.vectors, dim, segment.entry.n_records)  # which spares reading all ids
    return Part(index, keep_known(index, dead))
