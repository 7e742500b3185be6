"""``engine index``: sources and the current generation in, the next generation out, all or nothing."""

from __future__ import annotations

import contextlib
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from engine import __version__
from engine.collect.source import check_source, source_name
from engine.corpus.draft import Change, Draft
from engine.corpus.store import Corpus
from engine.encode.encoder import Encoder
from engine.encode.onnx import OnnxEncoder
from engine.encode.probes import PROBES
from engine.errors import CorruptError, GenerationError, NoGenerationError, SourceError
from engine.index import durable, flat, manifest, publish
from engine.index.folder import DATABASE, VECTORS, Generation, IndexFolder
from engine.index.lock import writer_lock
from engine.records import Counts, Manifest, Probe, Rejection, ids_sha256
from engine.reindex.encoders import Choice, choose, ready
from engine.reindex.gather import Gathered, Progress, gather
from engine.reindex.vectorise import Vectorised, vectorise
from engine.reindex.verify import content_problems

SPARE = 1 << 20  # bytes of disk beyond the estimate: manifest, folder entries


@dataclass(frozen=True, slots=True)
class Order:
    """What was asked for."""

    sources: tuple[Path, ...]
    model: str | None = None  # None: the index's own encoder, or the default for a new index
    device: str = "auto"
    re_encode: bool = False  # encode everything again, with another model if one is named
    keep: int = 3  # generations to keep, the current one included


@dataclass(frozen=True, slots=True)
class Report:
    """What a run did."""

    generation: int
    published: bool  # False: nothing had changed, the current generation stays
    counts: Counts
    rejections: tuple[Rejection, ...]  # the first few
    remarks: tuple[tuple[str, int, str], ...]  # (what, how often, where first)
    seconds: float


@dataclass(frozen=True, slots=True)
class Build:
    """One run under way."""

    folder: IndexFolder
    order: Order
    current: Generation | None
    number: int
    started: float
    created: str


def index_sources(folder: IndexFolder, order: Order, progress: Progress) -> Report:
    """Bring the sources into an index, making it if need be, and publish the result.

    Records are stored under their record id: new ones are added, known ones replaced, PubMed's deletions removed.
    Until the new generation is published, readers see the current one; on any error it stays.

    Raises:
        SourceError: a source can't be read.
        EncoderMismatchError: another model than the index was built with.
        LockedError: another process writes this index.
        DurabilityError: published, but the disk did not confirm it.
        GenerationError: the current generation is damaged, or the new one does not pass its own check.
        EncoderError: the model can't be used.
        OSError: the disk is full or not writable.
    """
    for path in order.sources:
        check_source(path)
    if not folder.path.exists():
        choose(None, order.model, order.re_encode)  # so that a mistyped model leaves no empty folder
    folder.path.mkdir(parents=True, exist_ok=True)
    with writer_lock(folder.lock):
        try:
            current: Generation | None = folder.open_current()
        except NoGenerationError:
            current = None
        choice = choose(current.manifest.encoder if current else None, order.model, order.re_encode)
        publish.prepare(folder)
        created = datetime.now(UTC).isoformat(timespec="seconds")
        build = Build(folder, order, current, publish.next_number(folder), time.monotonic(), created)
        try:
            return make(build, choice, progress)
        finally:
            with contextlib.suppress(OSError):
                if folder.building.exists():
                    durable.remove_folder(folder.building, manifest.NAME)


def make(build: Build, choice: Choice, progress: Progress) -> Report:
    """Fill ``building`` and publish it, unless nothing has changed."""
    encoder, queries = ready(build.folder, choice, build.order.device, progress)
    database = build.folder.building / DATABASE
    published = build.current.database if build.current else None
    if published is not None:
        durable.copy_file(published, database)
    with Draft(database, build.number, build.created, published) as draft:
        gathered = gather(draft, build.order.sources, progress)
        if (same := unchanged(build, gathered)) is not None:
            return same
        refuse_empty(draft, build, gathered)
        check_space(build, len(draft.ids()), encoder)
        vectorised = vectorise(draft, encoder, carried_from(build), gathered, progress)
        if (same := unchanged(build, gathered)) is not None:
            return same
        refuse_empty(draft, build, gathered)
    write_vectors(build, vectorised)
    progress("publishing", 0, None)
    return finish(build, queries, gathered, vectorised)


def write_vectors(build: Build, vectorised: Vectorised) -> None:
    """Write the FAISS file; its bytes in memory are let go of before the files are checked."""
    content = flat.serialized(vectorised.doc_ids, vectorised.vectors)
    durable.write_bytes(build.folder.building / VECTORS, content.data)


def carried_from(build: Build) -> flat.FlatIndex | None:
    """The vectors to carry over; None when all must be encoded."""
    if build.current is None or build.order.re_encode:
        return None
    return flat.FlatIndex(build.current.vectors, build.current.manifest.encoder.dim)


def refuse_empty(draft: Draft, build: Build, gathered: Gathered) -> None:
    """Never publish an index without an abstract.

    Raises:
        SourceError: the draft is empty; says what was rejected first, or that all was deleted.
    """
    if len(draft.ids()) == 0:
        names = ", ".join(source_name(path) for path in build.order.sources)
        why = f"{gathered.deleted:,} records would be deleted and none left" if gathered.deleted else ""
        if gathered.rejections:
            why = f"The first of {gathered.rejected:,} rejected: {gathered.rejections[0]}"
        raise SourceError(f"{names}: no record that can be indexed, so nothing was published. {why}".rstrip())


def check_space(build: Build, n: int, encoder: Encoder) -> None:
    """Refuse before the long work when the disk can't hold its result.

    Raises:
        GenerationError: too little space, with both numbers.
    """
    needed = n * (encoder.identity.dim * 4 + 8) + SPARE
    free = publish.free_bytes(build.folder.path)
    if free < needed:
        raise GenerationError(
            f"{build.folder.path}: {free:,} bytes free, about {needed:,} needed. Nothing was changed. "
            "Make room, or name another place: --indexes DIR"
        )


def unchanged(build: Build, gathered: Gathered) -> Report | None:
    """The report of a run that found nothing new, or None when there is something to publish."""
    if build.current is None or gathered.changed_anything or build.order.re_encode:
        return None
    held = build.current.manifest
    return report(build, held.generation, counted(held.counts, gathered, 0), gathered, published=False)


def counted(totals: Counts, gathered: Gathered, n_encoded: int) -> Counts:
    """Totals of a generation with what this run did."""
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
        duplicates=gathered.duplicates,
        rejected=gathered.rejected,
        encoded=n_encoded,
    )


def report(build: Build, generation: int, counts: Counts, gathered: Gathered, *, published: bool) -> Report:
    """Put together what a run did."""
    remarks = tuple((kind, n, gathered.first_places[kind]) for kind, n in gathered.remarks.most_common())
    seconds = round(time.monotonic() - build.started, 3)
    return Report(generation, published, counts, tuple(gathered.rejections), remarks, seconds)


def finish(build: Build, queries: OnnxEncoder, gathered: Gathered, vectorised: Vectorised) -> Report:
    """Check the finished files from disk, write the manifest and publish.

    Raises:
        CorruptError: the files on disk don't agree.
    """
    building = build.folder.building
    files = publish.sealed_files(building)
    corpus = Corpus(building / DATABASE)
    try:
        totals, in_corpus = corpus.totals(), corpus.ids()
    finally:
        corpus.close()
    base = Counts(totals.abstracts, totals.retracted, totals.without_abstract, totals.without_title, totals.truncated)
    probes = queries.encode(PROBES).vectors
    made = Manifest(
        format_version=manifest.FORMAT_VERSION,
        generation=build.number,
        parent=build.current.manifest.generation if build.current else None,
        created=build.created,
        engine_version=__version__,
        encoder=queries.identity,
        metric=flat.METRIC,
        factory=flat.FACTORY,
        counts=counted(base, gathered, vectorised.n_encoded),
        ids_sha256_corpus=ids_sha256(in_corpus),
        ids_sha256_vectors=ids_sha256(vectorised.doc_ids),
        files=files,
        probes=tuple(Probe(text, tuple(map(float, row))) for text, row in zip(PROBES, probes, strict=True)),
        newest_source=source_name(build.order.sources[-1]),
        seconds=round(time.monotonic() - build.started, 3),
    )
    for problem in content_problems(building, made):
        raise CorruptError(f"the new generation does not pass its own check, so it was not published: {problem}")
    publish.publish(build.folder, made)
    with contextlib.suppress(OSError, GenerationError):  # it is published; what can't be deleted now goes next time
        publish.prune(build.folder, build.order.keep)
        publish.prune_encoders(build.folder)
    return report(build, build.number, made.counts, gathered, published=True)
