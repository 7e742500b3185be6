"""What a run will need of the disk, and what the next run may write again."""

from __future__ import annotations

from dataclasses import dataclass

from engine.encode.models.recipe import PASSAGES
from engine.index.generations.folder import Generation
from engine.records.encoder import EncoderIdentity
from engine.reindex.generation.merges import SegmentSize, choose_merges

_MAP_BYTES = 16  # bytes of a record in the map
_WORD_BYTES = 1200  # bytes of a new record in the words
_PER_RECORD = 4  # passages; an abstract has 2 on average
_SPARE = 1 << 20  # bytes of disk beyond the estimate: manifest, folder entries


@dataclass(frozen=True, slots=True)
class Work:
    """What a run writes: numbers of records, and bytes."""

    n_records: int  # in the new segment, those of merged segments included
    n_encoded: int  # that need a vector
    n_worded: int  # whose words are written
    n_copied_bytes: int  # databases of merged segments, which are copied into the new one

    def estimate_space(self, encoder: EncoderIdentity) -> int:
        """Return about how many bytes of disk the run needs: new segment, shards, spool and words."""
        n_each, dim = _PER_RECORD if encoder.recipe == PASSAGES else 1, encoder.dim
        n, n_new = n_each * self.n_records, n_each * self.n_encoded
        needed = (n + 2 * n_new) * (dim * 4 + 8) + n * (dim // 8 + 32 + _MAP_BYTES) + _SPARE  # vectors, codes, map
        return needed + self.n_copied_bytes + _WORD_BYTES * self.n_worded


@dataclass(frozen=True, slots=True)
class NextRun:
    """What a run that changes as many records as the last one would write again."""

    n_changed: int  # records of the last run; 1 if it changed none or was the first
    n_merged: int  # segments that would become part of the new one
    n_records: int  # live records of these
    n_bytes: int  # of their files
    n_postponed: int  # segments that should be merged, but are too large: engine compact
    n_space: int  # bytes of disk that the run needs, about


def estimate_run(generation: Generation, one_segment_below: int) -> NextRun:
    """Forecast the next run by the rule that it will follow (see `choose_merges`).

    one_segment_below: as in index.toml.
    """
    manifest, counts = generation.manifest, generation.manifest.counts
    changed = counts.added + counts.text_changed + counts.metadata_changed if manifest.parent else 0
    n_changed = max(changed, 1)
    sizes = [SegmentSize(segment.n_live, segment.entry.n_dead) for segment in generation.segments]
    merges = choose_merges(sizes, n_changed, one_segment_below)
    merged = [generation.segments[at] for at in merges.chosen]
    n_records = sum(segment.n_live for segment in merged)
    databases = sum(segment.files.database.stat().st_size for segment in merged)
    work = Work(n_changed + n_records, n_changed, n_changed, databases)
    return NextRun(
        n_changed,
        len(merged),
        n_records,
        sum(file.n_bytes for segment in merged for file in segment.receipt.files),
        len(merges.postponed),
        work.estimate_space(manifest.encoder),
    )
