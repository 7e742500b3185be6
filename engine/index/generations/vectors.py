"""The vectors of a generation, opened for searching."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from engine.index.generations.folder import Generation
from engine.index.generations.segment import Segment
from engine.index.search.flat import FlatIndex
from engine.index.search.parts import Part, SegmentedIndex
from engine.index.search.ranker import Ranker
from engine.records.generation import AnnSettings, DocIds

OpenRanker = Callable[[Generation, Ranker | None], Ranker]  # a generation and what is open -> its ranker


def open_local(device: str = "cpu") -> OpenRanker:
    """Return what opens the vectors of a generation in this process, as open_vectors does."""

    def open_ranker(generation: Generation, before: Ranker | None) -> Ranker:
        return open_vectors(generation, device, before if isinstance(before, SegmentedIndex) else None)

    return open_ranker


def open_vectors(generation: Generation, device: str = "cpu", before: SegmentedIndex | None = None) -> SegmentedIndex:
    """Open the vectors of a checked generation for searching; on "cuda", unfiltered ones run on the GPU and are exact.

    Segments that `before`, of another generation, has open are not opened again.

    Raises:
        CorruptError: a file does not match the manifest.
        ConfigError: there is no GPU.
    """
    dim = generation.manifest.encoder.dim
    opened = {part.index.path: part.index for part in before.parts} if before else {}
    parts = [open_part(segment, dim, opened) for segment in generation.segments]
    if device != "cuda":
        return SegmentedIndex(parts, dim)
    from engine.index.search.gpu import GpuIndex, open_gpu_scanner

    return GpuIndex(parts, dim, open_gpu_scanner)


def open_part(segment: Segment, dim: int, opened: Mapping[Path, FlatIndex]) -> Part:
    """Open the vectors of a segment, or use those that are open, by path.

    Raises:
        CorruptError: a file does not match the manifest.
    """
    index = opened.get(segment.files.vectors)
    if index is None or not _is_searched_alike(index, segment.entry.ann):
        index = _open_segment(segment, dim)
    return Part(index, keep_known(index, segment.dead))


def _is_searched_alike(index: FlatIndex, ann: AnnSettings | None) -> bool:
    """Return whether an open segment is searched with these settings."""
    settings: AnnSettings | None = getattr(index, "settings", None)
    return settings == ann


def keep_known(index: FlatIndex, dead: DocIds) -> DocIds:
    """Return those of the dead ids of a segment that have vectors: parts of joined records have none."""
    known: DocIds = dead[index.find_rows(dead) >= 0] if len(dead) else dead
    return known


def _open_segment(segment: Segment, dim: int) -> FlatIndex:
    """Open the vectors of a segment, with their codes where it has some.

    Raises:
        CorruptError: a file can't be read.
    """
    files, ann, n = segment.files, segment.entry.ann, segment.entry.n_records
    if ann is None:
        return FlatIndex(files.vectors, dim, n)
    from engine.index.search.ivf import IvfIndex  # imported here, since most indexes are exact

    return IvfIndex(files.vectors, files.codes, dim, ann, n)
