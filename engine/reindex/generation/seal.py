"""The final step of a generation: its files are written, read back and checked, and its manifest is made."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from engine import __version__
from engine.corpus.merging.ledger import Change
from engine.encode.execution.onnx import OnnxEncoder
from engine.encode.texts.probes import PROBES
from engine.errors import CorruptError
from engine.index.files import durable
from engine.index.generations import manifest, publish
from engine.index.generations.folder import AXES, PROBE_TEXTS, STATE, WORDS, IndexFolder
from engine.index.generations.probes import write_probes
from engine.index.generations.tombstones import write_tombstones
from engine.index.search import flat, layout
from engine.index.search.flat import FlatIndex
from engine.platform import sync_path
from engine.receipts import FileReceipt
from engine.records.generation import (
    Calibration,
    Counts,
    DocIds,
    Encoding,
    Manifest,
    SegmentEntry,
    SegmentReceipt,
    Totals,
    change_sum,
    join_encodings,
    sum_ids,
)
from engine.reindex.encoding.vectorise import Vectorised
from engine.reindex.generation.generationfiles import NextParts
from engine.reindex.generation.order import Build
from engine.reindex.generation.searchable import Searchable
from engine.reindex.generation.verify import check_segment_content, count_segment
from engine.reindex.intake.gather import Gathered

_NO_IDS = np.empty(0, np.int64)


@dataclass(frozen=True, slots=True)
class Filled:
    """The result of reading and encoding: a new segment, and what stays of the published ones."""

    gathered: Gathered
    vectorised: Vectorised
    parts: NextParts
    own_ids: DocIds  # ascending: records that were added or changed
    loaded_ids: DocIds  # ascending: published records that were changed or removed
    counts: Counts  # of the next generation
    last_id: int  # highest doc id that was ever given
    last_contribution: int  # highest key that a contribution ever had
    n_postponed: int  # segments that should be merged but are too large for this run


def write_vectors(folder: IndexFolder, vectorised: Vectorised) -> None:
    """Write the vectors of the new segment in chunks, then delete the spool."""
    path = folder.building_segment.vectors
    layout.write_file(path, vectorised.row_ids, vectorised.spool.dim, vectorised.read_chunks())
    vectorised.spool.remove()


def count_generation(totals: Totals | Counts, gathered: Gathered, n_encoded: int) -> Counts:
    """Return the counts of a generation: its totals and the changes of this run."""
    return Counts(
        abstracts=totals.abstracts,
        retracted=totals.retracted,
        without_abstract=totals.without_abstract,
        without_title=totals.without_title,
        truncated=totals.truncated,
        added=gathered.count(Change.ADDED),
        text_changed=gathered.count(Change.TEXT),
        metadata_changed=gathered.count(Change.METADATA),
        unchanged=gathered.count(Change.NONE),
        deleted=gathered.deleted,
        duplicates=sum(reading.counts.repeated for reading in gathered.readings),
        rejected=gathered.rejected,
        encoded=n_encoded,
        newly_retracted=len(gathered.retracted),
        merged=gathered.merged,
        resumed=gathered.n_resumed,
    )


@dataclass(frozen=True, slots=True)
class Finished:
    """The result of a run before it is sealed."""

    build: Build
    queries: OnnxEncoder
    filled: Filled
    searchable: Searchable
    calibration: Calibration | None


def seal_generation(done: Finished) -> tuple[Manifest, str | None]:
    """Sync the finished files, check them from disk; return the manifest and the name of the new segment, if any.

    Raises:
        CorruptError: the files on disk don't agree.
    """
    build, filled = done.build, done.filled
    segment = _seal_segment(done) if filled.parts.has_new else None
    entries = [*_list_kept_entries(build, filled.parts), *([segment.entry] if segment else [])]
    entries.sort(key=lambda entry: (-entry.n_records, entry.name))
    path = build.folder.building_generation
    _put_probes(done)
    files = publish.seal_files(path, (STATE,)) + _seal_shared(build)
    publish.seal_files(path, (entry.dead.name for entry in entries if entry.dead))
    sealed = Manifest(
        format_version=manifest.FORMAT_VERSION,
        generation=build.number,
        parent=build.parent,
        created=build.created,
        engine_version=__version__,
        encoder=done.queries.identity,
        metric=flat.METRIC,
        factory=str(done.searchable.factory),
        counts=filled.counts,
        id_sum=_sum_next_ids(build, filled.parts, segment.id_sum if segment else sum_ids(_NO_IDS)),
        last_id=filled.last_id,
        last_contribution=filled.last_contribution,
        segments=tuple(entries),
        files=files,
        newest_source=_find_newest_source(build),
        seconds=round(time.monotonic() - build.started, 3),
        calibration=done.calibration,
        encodings=join_encodings(_list_kept_encodings(build), list_encodings(filled.gathered, build.number)),
    )
    if (n := sum(entry.n_records - entry.n_dead for entry in entries)) != filled.counts.abstracts:
        raise CorruptError(
            f"the new generation failed its check, so it was not published: its segments hold {n:,} records, "
            f"expected {filled.counts.abstracts:,}"
        )
    return sealed, segment.entry.name if segment else None


def _put_probes(done: Finished) -> None:
    """Write the probes of the next generation in ``building``, or share those of the current one if it has the encoder.

    Raises:
        OSError: the disk is full or broken.
    """
    build, encoder = done.build, done.queries
    path, current = build.folder.building_generation / PROBE_TEXTS, build.current
    is_same = current is not None and current.manifest.encoder.fingerprint == encoder.identity.fingerprint
    if current is not None and is_same and current.probes.exists():
        durable.share_file(current.probes, path)
    else:
        write_probes(path, PROBES, encoder.encode(PROBES).vectors)


def _seal_shared(build: Build) -> tuple[FileReceipt, ...]:
    """Sync map, probes and words in ``building``; return their receipts. One of the current generation keeps its own.

    Raises:
        OSError: the disk is full or broken.
    """
    path, current = build.folder.building_generation, build.current
    kept = {file.name: file for file in current.manifest.files} if current else {}
    receipts = []
    for name in (AXES, PROBE_TEXTS, *sorted(f"{WORDS}/{each.name}" for each in (path / WORDS).iterdir())):
        if current and name in kept and (path / name).samefile(current.path / name):
            receipts.append(kept[name])
        else:
            receipts += publish.seal_files(path, (name,))
    sync_path(path / WORDS)
    return tuple(receipts)


@dataclass(frozen=True, slots=True)
class _SealedSegment:
    """The new segment, sealed in ``building``."""

    entry: SegmentEntry
    id_sum: str


def _seal_segment(done: Finished) -> _SealedSegment:
    """Write the receipt of the new segment, whose content is checked from disk.

    Raises:
        CorruptError: the files don't agree.
    """
    build, identity = done.build, done.queries.identity
    files = build.folder.building_segment
    receipt = SegmentReceipt(
        format_version=manifest.FORMAT_VERSION,
        generation=build.number,
        fingerprint=identity.fingerprint,
        n_rows=int(done.filled.vectorised.counts.sum()),
        totals=count_segment(files),
        id_sum=sum_ids(done.filled.vectorised.doc_ids),
        factory=str(done.searchable.segment_factory),
        files=(),
    )
    for problem in check_segment_content(files, receipt, identity, done.searchable.ann):
        raise CorruptError(f"the new generation failed its check, so it was not published: {problem}")
    name, digest = publish.seal_segment(build.folder, receipt)
    entry = SegmentEntry(name, digest, receipt.totals.abstracts, ann=done.searchable.ann)
    return _SealedSegment(entry, receipt.id_sum)


def _list_kept_entries(build: Build, parts: NextParts) -> Iterator[SegmentEntry]:
    """Yield the published segments that stay, with their tombstones written in ``building``."""
    for at, deaths in parts.kept.items():
        segment = build.list_segments()[at]
        n_dead = segment.entry.n_dead + len(deaths.new)
        name = f"dead-{segment.entry.name}"
        path = build.folder.building_generation / name
        if len(deaths.dead) == len(segment.dead):
            if segment.entry.dead and build.current:
                durable.share_file(build.current.path / segment.entry.dead.name, path)
            yield segment.entry
            continue
        write_tombstones(path, deaths.dead)
        yield replace(segment.entry, n_dead=n_dead, dead=FileReceipt.of(path))


def _sum_next_ids(build: Build, parts: NextParts, new: str) -> str:
    """Return the digest of the ids of the next generation; new: of those of the new segment."""
    if build.current is None:
        return new
    gone = [deaths.new for deaths in parts.kept.values()]
    for at, segment in enumerate(build.current.segments):
        if at not in parts.kept:
            ids = np.unique(FlatIndex(segment.files.vectors, build.current.manifest.encoder.dim).doc_ids)
            gone.append(np.setdiff1d(ids, segment.dead, assume_unique=True))
    return change_sum(build.current.manifest.id_sum, gone=sum_ids(np.concatenate([_NO_IDS, *gone])), new=new)


def list_encodings(gathered: Gathered, generation: int) -> tuple[Encoding, ...]:
    """Return how the texts of a run were encoded, the way with the most texts last."""
    used = sorted((n, name) for name, n in gathered.made_by.items() if n)
    return tuple(Encoding(name, generation, generation, n, gathered.texts_per_s) for n, name in used)


def _list_kept_encodings(build: Build) -> tuple[Encoding, ...]:
    """Return the encodings of the vectors that are carried over."""
    if build.current is None or build.order.re_encode:
        return ()
    return build.current.manifest.encodings


def _find_newest_source(build: Build) -> str:
    """Return the name of the last file of this run; if it read none, of the current generation."""
    if build.order.everything:
        return build.order.everything[-1].name
    return build.current.manifest.newest_source if build.current else ""
