"""An indexing run: makes the next generation from sources and the current one, or changes nothing."""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, replace
from datetime import UTC, datetime
from pathlib import Path

from engine.collect.source import check_source
from engine.corpus.draft import Draft
from engine.corpus.duplicates.resolution import IdentityFinder
from engine.corpus.storage.journal import Journal
from engine.encode.cpu.encoder import MEASURED_TEXTS, CpuEncoder
from engine.encode.execution.encoder import Encoder
from engine.encode.models.recipe import PASSAGES, prepare_text
from engine.encode.texts.passages import Texts, load_counter, load_recipe
from engine.errors import CorruptError, GenerationError, NoGenerationError, NoRecordError
from engine.index.files import durable
from engine.index.files.lock import lock_for_writing
from engine.index.generations import manifest, publish
from engine.index.generations.folder import Generation, IndexFolder
from engine.index.search.factory import choose_factory, parse_factory
from engine.index.search.parts import SegmentedIndex
from engine.phrases import pluralize
from engine.platform import count_free_bytes
from engine.progress import Progress
from engine.query.opening.rerankers import prune_rerankers
from engine.records.generation import Counts
from engine.reindex.encoding import shards
from engine.reindex.encoding.encoders import Choice, choose, prepare_encoders
from engine.reindex.encoding.spool import Spool
from engine.reindex.encoding.vectorise import EncodingRun, Given, vectorise
from engine.reindex.generation.calibrate import calibrate_generation
from engine.reindex.generation.corpusmap import draw_map, is_map_changed
from engine.reindex.generation.generationfiles import NextParts, open_current_vectors, read_published
from engine.reindex.generation.merges import Merges, SegmentSize, choose_merges
from engine.reindex.generation.order import Build, Order, Report
from engine.reindex.generation.seal import (
    Filled,
    Finished,
    count_generation,
    list_encodings,
    seal_generation,
    write_vectors,
)
from engine.reindex.generation.searchable import make_searchable
from engine.reindex.generation.words import write_generation_words
from engine.reindex.intake.gather import Gathered, count_files, drop_unseen, gather, hash_prepared
from engine.reindex.intake.plan import guard
from engine.reindex.reports.forecast import Work

MORE_TO_COME = ", more to come"  # ends the cause of a generation whose run goes on
_Make = Callable[[IndexFolder, Order, Generation | None, Progress], Report]
_NOTHING = Counts(0, 0, 0, 0, 0)
_SPOOL = "vectors.spool"


def index_sources(folder: IndexFolder, order: Order, progress: Progress, make: _Make | None = None) -> Report:
    """Add the sources to an index, creating it if necessary, and publish the result.

    Records are identified by their record id: new ones are added, known ones replaced, and PubMed's deletions removed.
    Until the new generation is published, readers see the current one; on any error it stays.

    make: makes the next generation, with the lock held; by default make_generation.

    Raises:
        SourceError: a source can't be read.
        EncoderMismatchError: the model is not the one that the index was built with.
        LockedError: another process writes this index.
        DurabilityError: published, but the disk did not confirm it.
        GenerationError: the current generation is damaged, or the new one fails its check.
        ClusterError: the new generation can't be placed, or no cluster answers.
        EncoderError: the model can't be used.
        OSError: the disk is full or not writable.
    """
    for source in order.everything:
        check_source(source.path, source.format)
    if not folder.path.exists():
        choose(None, order.settings, re_encode=order.re_encode)  # so that a mistyped model leaves no empty folder
    folder.path.mkdir(parents=True, exist_ok=True)
    with lock_for_writing(folder.lock):
        return (make or make_generation)(folder, order, open_current(folder), progress)


def open_current(folder: IndexFolder) -> Generation | None:
    """Check and return the current generation; None if nothing was published yet.

    Files that this machine has hashed before and that were not touched since are not hashed again.

    Raises:
        GenerationError: it is damaged.
    """
    try:
        return folder.open_current(quick=True)
    except NoGenerationError:
        return None


def make_generation(folder: IndexFolder, order: Order, current: Generation | None, progress: Progress) -> Report:
    """Make the next generation as index_sources does; the caller holds the lock.

    Raises:
        EngineError: as index_sources.
        OSError: the disk is full or not writable.
    """
    started = time.monotonic()
    encoder = current.manifest.encoder if current else order.encoder
    settings = order.settings
    choice = choose(encoder, settings, re_encode=order.re_encode)
    if order.placement is not None:
        order.placement.connect()
    publish.prepare(folder)
    created = datetime.now(UTC).isoformat(timespec="seconds")
    build = Build(folder, order, current, publish.choose_number(folder), started, created)
    try:
        report = _make(build, choice, progress)
    finally:
        with contextlib.suppress(OSError):
            if folder.building.exists():
                durable.remove_folder(folder.building, manifest.NAME)
    publish.remove_unused(folder, settings.keep_generations, order.placement)
    prune_rerankers(folder)
    if not order.republish:  # a republished index encodes nothing, so the shards of a stopped run are still needed
        shards.clear(folder.shards)
    return report


def _make(build: Build, choice: Choice, progress: Progress) -> Report:
    """Fill ``building`` and publish it, unless nothing has changed."""
    order = build.order
    device, elsewhere = order.settings.device, order.elsewhere
    if order.republish:  # which encodes only queries
        device, elsewhere = "cpu", None
    if build.order.vectors is not None:
        build.order.vectors.check_encoder(choice.identity)
    encoder, queries = prepare_encoders(build.folder, choice, device, progress, elsewhere)
    try:
        done = _fill(build, encoder, queries.folder, progress)
    finally:
        encoder.close()
    if isinstance(done, Report):
        return done
    write_vectors(build.folder, done.vectorised)
    notes = write_generation_words(build, done, progress)
    searchable = make_searchable(build, queries, done, progress)
    with _refuse_damage(build):
        calibration = calibrate_generation(build, queries, done)
    progress("drawing the map", 0, None)
    notes += draw_map(build, queries.identity, done)
    progress("publishing", 0, None)
    report = _finish(Finished(build, queries, done, searchable, calibration))
    is_new = build.current is None or build.current.manifest.encoder.fingerprint != choice.identity.fingerprint
    return replace(report, notes=(*(choice.notes if is_new else ()), *report.notes, *notes))


@contextlib.contextmanager
def _refuse_damage(build: Build) -> Iterator[None]:
    """Say of an error in what was just written that it was not published.

    Raises:
        CorruptError: the block raises it.
    """
    try:
        yield
    except CorruptError as err:
        problem, _, _ = str(err).partition(". Run: ")
        if str(build.folder.building) not in problem:
            raise
        raise CorruptError(f"the new generation failed its check, so it was not published: {problem}") from err


def _fill(build: Build, encoder: Encoder, exported: Path, progress: Progress) -> Report | Filled:
    """Add the sources to the draft in ``building`` and encode new texts; return a report if nothing is new.

    exported: folder of the query encoder.
    """
    with Draft(build.draft_files, build.number, build.created, hash_prepared, read_published(build.current)) as draft:
        gathered = read_all(draft, build.order, Journal(build.folder.decisions), progress)
        if (unchanged := _report_unchanged(build, gathered)) is not None:
            return unchanged
        _refuse_empty(draft, build, gathered)
        guard(count_generation(_NOTHING, gathered, 0), build.n_current, build.order.limits)
        _check_factory(build, draft, encoder)
        merges = _plan_merges(build, draft)
        _check_space(build, draft, encoder, merges)
        kept = _open_shards(build, encoder)
        _merge_segments(draft, merges, progress)  # before texts are looked at, all of which may be in old segments
        _settle_setup(draft, encoder, build.order)
        spool = Spool(build.folder.building / _SPOOL, encoder.identity.dim)
        run = EncodingRun(draft, encoder, gathered, kept, spool, progress, *_prepare_texts(build, encoder, exported))
        vectorised = vectorise(run, _open_carried(build))
        count_files(draft, gathered)
        if (unchanged := _report_unchanged(build, gathered)) is not None:
            return unchanged
        _refuse_empty(draft, build, gathered)
        counts = count_generation(draft.count_totals(), gathered, vectorised.n_encoded)
        draft.note_cause(build.parent, _describe_cause(build.order), json.dumps(asdict(counts)))
        parts = NextParts(draft.list_deaths(), has_new=draft.has_rows())
        draft.finish()
        own, loaded = draft.list_own_ids(), draft.list_loaded_ids()
        return Filled(gathered, vectorised, parts, own, loaded, counts, *draft.read_last_ids(), len(merges.postponed))


def read_all(draft: Draft, order: Order, journal: Journal, progress: Progress) -> Gathered:
    """Read the sources into the draft; in a full run, remove records that they no longer contain. Apply the decisions.

    The sources are read as if there were no decisions, so that these can be undone.

    Raises:
        CorpusError: the journal of decisions can't be read.
        SourceError: a file is truncated or unreadable, or changes while it is read.
    """
    draft.parts.separate()
    run_from = draft.read_last_source() + 1
    before = draft.sightings.resume_run(order.begun.source_id, order.begun.doc_id) if order.begun else {}
    gathered = gather(draft, order.everything, progress)
    gathered.deletions_by_file.update(before)
    if order.full:
        drop_unseen(draft, gathered, run_from)
    count_files(draft, gathered)
    partition = IdentityFinder(draft.connection, draft.base).divide(journal.read())
    gathered.decided = draft.parts.join(partition.blocks)
    gathered.merged += gathered.decided
    return gathered


def _describe_cause(order: Order) -> str:
    """Describe why a generation was made."""
    options = (" --full" if order.full else "") + (" --re-encode" if order.re_encode else "")
    files = f": {pluralize(len(order.everything), 'file')}" if order.everything else ""
    return f"{order.verb}{options}{files}{MORE_TO_COME if order.begun and order.begun.has_more else ''}"


def _open_shards(build: Build, encoder: Encoder) -> shards.Shards:
    """Load the vectors of a stopped run with this encoder; delete those of other encoders."""
    fingerprint = encoder.identity.fingerprint
    shards.clear(build.folder.shards, keep=fingerprint)
    every = build.order.settings.checkpoint_seconds
    kept = shards.Shards(build.folder.shards / fingerprint, encoder.identity.dim, every)
    kept.load()
    return kept


def _prepare_texts(build: Build, encoder: Encoder, exported: Path) -> tuple[Texts, Given | None]:
    """Return what makes the texts of records, and the vectors that were given, if any."""
    texts, source = load_recipe(encoder.identity, exported), build.order.vectors
    return texts, None if source is None else Given(source, load_counter(encoder.identity, exported))


def _settle_setup(draft: Draft, encoder: Encoder, order: Order) -> None:
    """Choose the fastest way to encode the texts on this CPU; records whose vectors may be given do not count."""
    n_given = order.vectors.n_records if order.vectors else 0
    if isinstance(encoder, CpuEncoder) and (n_texts := draft.count_to_encode(order.re_encode) - n_given) > 0:
        rows = next(draft.read_texts_to_encode(order.re_encode, MEASURED_TEXTS))
        encoder.settle([prepare_text(row.title, row.abstract) for row in rows], n_texts)


def _plan_merges(build: Build, draft: Draft) -> Merges:
    """Choose the published segments that the new one replaces."""
    draft.release_unchanged()
    deaths, order = draft.list_deaths(), build.order
    if (
        order.re_encode or order.republish or is_map_changed(build.current, build.order.settings)
    ):  # so that every segment has the points of the map
        return Merges(tuple(sorted(deaths)))
    sizes = [
        SegmentSize(segment.n_live - len(deaths[at].new), segment.entry.n_dead + len(deaths[at].new))
        for at, segment in enumerate(build.list_segments())
    ]
    return choose_merges(sizes, draft.count_own(), order.settings.most_in_one_segment)


def _merge_segments(draft: Draft, merges: Merges, progress: Progress) -> None:
    """Copy the records of segments into the draft."""
    if merges.chosen:
        progress("merging segments", 0, len(merges.chosen))
        draft.merge_segments(merges.chosen)


def _open_carried(build: Build) -> SegmentedIndex | None:
    """Open the vectors to carry over; None if all texts must be encoded."""
    if build.current is None or build.order.re_encode:
        return None
    return open_current_vectors(build.current)


def _refuse_empty(draft: Draft, build: Build, gathered: Gathered) -> None:
    """Refuse to publish an index without records, unless its last ones were deleted, now or before.

    Raises:
        NoRecordError: no record was found; the message gives the first rejection.
    """
    if not draft.is_empty() or (build.current and (gathered.deleted or not build.n_current)):
        return
    names = ", ".join(source.name for source in build.order.everything)
    why = f"The first of {gathered.rejected:,} rejected: {gathered.rejections[0]}" if gathered.rejections else ""
    raise NoRecordError(f"{names}: no record that can be indexed, so nothing was published. {why}".rstrip())


def _check_factory(build: Build, draft: Draft, encoder: Encoder) -> None:
    """Refuse an unusable FAISS type before the long work.

    Raises:
        ConfigError: the factory is not supported, or has more lists than there are records.
    """
    current = build.current.manifest.factory if build.current else None
    n, in_passages = draft.count_to_encode(everything=True), encoder.identity.recipe == PASSAGES
    if n:
        choose_factory(
            build.order.settings.factory, n, parse_factory(current) if current else None, in_passages=in_passages
        )


def _check_space(build: Build, draft: Draft, encoder: Encoder, merges: Merges) -> None:
    """Refuse before the long work if the disk has no space for the new segment, the shards and the spool.

    Raises:
        GenerationError: too little space; the message gives both sizes.
    """
    merged = [build.list_segments()[at] for at in merges.chosen]
    work = Work(
        draft.count_own() + sum(segment.n_live for segment in merged),
        draft.count_to_encode(everything=build.order.re_encode),
        draft.count_to_encode(everything=build.order.republish),
        sum(segment.files.database.stat().st_size for segment in merged),
    )
    needed = work.estimate_space(encoder.identity)
    free = count_free_bytes(build.folder.path)
    if free < needed:
        raise GenerationError(
            f"{build.folder.path}: {free:,} bytes free, about {needed:,} needed. Nothing was changed. "
            "Free some space, or choose another folder: --indexes DIR"
        )


def _report_unchanged(build: Build, gathered: Gathered) -> Report | None:
    """Return the report of a run that found nothing new; None if there is something to publish."""
    counts = [gathered.readings[position].counts for position in gathered.new_files]
    has_new_file = bool(build.order.note_files and counts) or gathered.new_releases > 0
    has_new_file = has_new_file or any(each.read > each.rejected for each in counts)
    has_news = gathered.changed_anything or has_new_file
    if build.current is None or has_news or build.order.re_encode or build.order.republish:
        return None
    if is_map_changed(build.current, build.order.settings):
        return None
    current = build.current.manifest
    totals = count_generation(current.counts, gathered, 0)
    return _build_report(build, current.generation, totals, gathered, published=False)


def _build_report(build: Build, generation: int, counts: Counts, gathered: Gathered, *, published: bool) -> Report:
    """Build the report of a run."""
    seconds = round(time.monotonic() - build.started, 3)
    return Report(
        generation,
        published,
        counts,
        tuple(gathered.rejections),
        gathered.remark_counts,
        seconds,
        tuple(source.name for source in build.order.everything),
        readings=gathered.readings,
        recipe=build.current.manifest.encoder.recipe if build.current else "",
    )


def _finish(done: Finished) -> Report:
    """Check the finished files from disk, write the manifest and publish.

    Raises:
        CorruptError: the files on disk don't agree.
    """
    build, (sealed, new_segment) = done.build, seal_generation(done)
    publish.publish(build.folder, sealed, new_segment, build.order.placement)
    report = _build_report(build, build.number, sealed.counts, done.filled.gathered, published=True)
    search = done.searchable
    recipe = done.queries.identity.recipe
    return replace(
        report,
        encodings=list_encodings(done.filled.gathered, build.number),
        recipe=recipe,
        notes=search.notes + _note_postponed(done.filled.n_postponed),
        factory=str(search.factory),
        ann=sealed.ann,
        trials=search.trials,
    )


def _note_postponed(n: int) -> tuple[str, ...]:
    """Return the note on segments that are too large to merge in such a run, if there are any."""
    if not n:
        return ()
    return (f"{pluralize(n, 'large segment')} should be merged when there is time: engine compact",)
