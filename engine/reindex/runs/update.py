"""``engine reindex``: brings an index up to date with the sources in its index.toml."""

from __future__ import annotations

import contextlib
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime
from pathlib import Path

from engine.config import Settings
from engine.corpus.draft import Draft, DraftFiles
from engine.corpus.storage.journal import Journal
from engine.corpus.storage.store import AppliedFile
from engine.errors import ConfigError, CorpusError, GenerationError
from engine.index.files.lock import lock_for_writing
from engine.index.generations import publish
from engine.index.generations.folder import STATE, Generation, IndexFolder
from engine.index.generations.placement import Placement
from engine.index.generations.segment import DATABASE
from engine.index.search import factory
from engine.phrases import pluralize
from engine.progress import Progress
from engine.query.opening.corpus import open_corpus
from engine.query.opening.rerankers import prune_rerankers
from engine.records.generation import Counts, FileReading
from engine.reindex.encoding import shards
from engine.reindex.encoding.encoders import OpenEncoder, choose
from engine.reindex.generation.corpusmap import is_map_changed
from engine.reindex.generation.generationfiles import read_published
from engine.reindex.generation.order import Order, Report
from engine.reindex.generation.seal import count_generation
from engine.reindex.intake.gather import hash_prepared
from engine.reindex.intake.plan import Files, Limits, Plan, explain_refusal, sort_out
from engine.reindex.intake.sources import Source, hash_source, list_sources, select_since
from engine.reindex.reports.filetable import build_readings
from engine.reindex.runs.decisions import has_pending_decisions
from engine.reindex.runs.filegroups import make_generations
from engine.reindex.runs.run import open_current, read_all


@dataclass(frozen=True, slots=True)
class Request:
    """The options of a reindex."""

    full: bool = False  # read every file again, and remove records that their file no longer contains
    since: date | None = None  # read only files modified on or after this day
    allow_mass_change: bool = False  # run without the guard
    placement: Placement | None = field(default=None, compare=False)  # as in the order of a run
    elsewhere: OpenEncoder | None = field(default=None, compare=False)  # as in the order of a run


@dataclass(frozen=True, slots=True)
class _Look:
    """The files of all sources, sorted by what is done with them, and notes for people."""

    files: Files
    notes: tuple[str, ...]


def reindex(folder: IndexFolder, settings: Settings, request: Request, progress: Progress) -> Report:
    """Bring an index up to date with its sources and publish the next generation, if anything is new.

    Files whose content was applied before are skipped. A killed run continues after its last shard.

    Raises:
        ConfigError: index.toml names no source, or has a setting that can't be used.
        SourceError: a source does not exist or can't be read.
        MassChangeError: the guard stops the run.
        LockedError: another process writes this index.
        EngineError: as engine.reindex.runs.run.index_sources.
        OSError: the disk is full or not writable.
    """
    _check_settings(folder, settings)
    started = time.monotonic()
    folder.path.mkdir(parents=True, exist_ok=True)
    with lock_for_writing(folder.lock):
        current = open_current(folder)
        look = _look_at_sources(folder, settings, request, current)
        is_settled = not is_map_changed(current, settings)
        if is_settled and not look.files.read and current is not None and not has_pending_decisions(folder, current):
            choose(current.manifest.encoder, settings, re_encode=False)
            publish.remove_unused(folder, settings.keep_generations, request.placement)
            prune_rerankers(folder)
            shards.clear(folder.shards)  # of a stopped run whose files are gone: there is nothing to encode
            return replace(_report_nothing_new(current, look), seconds=round(time.monotonic() - started, 3))
        if not look.files.read and current is None:
            places = ", ".join(source.describe() for source in settings.sources)
            raise ConfigError(
                f"no source in {settings.file} contains a file yet ({places}), so there is nothing to index"
            )
        report = make_generations(folder, _build_order(settings, request, look), current, progress)
        skipped = _list_skipped(current, look.files.known)
        return replace(report, known=len(look.files.known), skipped=skipped, notes=look.notes + report.notes)


def plan_reindex(folder: IndexFolder, settings: Settings, request: Request, progress: Progress) -> Plan:
    """Plan a reindex. Works in a temporary folder; the index is only read.

    Without a lock, another process may publish a generation meanwhile and delete the one that is read. Then the plan is
    made again.

    Raises:
        ConfigError: as reindex.
        SourceError: a source does not exist or can't be read.
        GenerationError: the current generation is damaged.
        CorpusError: the scratch folder can't be written, or the journal of decisions can't be read.
        EngineError: the model is not the one that the index was built with.
    """
    _check_settings(folder, settings)
    while True:
        before = folder.read_pointer_bytes()
        try:
            return _plan_from(open_current(folder), folder, settings, request, progress)
        except (GenerationError, CorpusError):
            if folder.read_pointer_bytes() == before:
                raise


def _plan_from(
    current: Generation | None, folder: IndexFolder, settings: Settings, request: Request, progress: Progress
) -> Plan:
    """Plan a reindex that continues the current generation."""
    encoder = current.manifest.encoder if current else None
    choose(encoder, settings, re_encode=False)
    look = _look_at_sources(folder, settings, request, current)
    n_current = current.manifest.counts.abstracts if current else 0
    if not look.files.read and (current is None or not has_pending_decisions(folder, current)):
        return Plan(n_current, look.files, Counts(n_current, 0, 0, 0, 0), (), (), (), look.notes, None)
    with tempfile.TemporaryDirectory(prefix="engine-plan-") as scratch:
        files = DraftFiles(Path(scratch, DATABASE), Path(scratch, STATE))
        return _plan_changes(files, folder, _build_order(settings, request, look), current, look, progress)


def _plan_changes(
    files: DraftFiles, folder: IndexFolder, order: Order, current: Generation | None, look: _Look, progress: Progress
) -> Plan:
    """Read the sources into a draft that is thrown away and return the changes as a plan."""
    created = datetime.now(UTC).isoformat(timespec="seconds")
    with Draft(files, publish.choose_number(folder), created, hash_prepared, read_published(current)) as draft:
        gathered = read_all(draft, order, Journal(folder.decisions), progress)
        to_encode = draft.count_to_encode(everything=False)
        counts = count_generation(draft.count_totals(), gathered, to_encode)
    n_current = current.manifest.counts.abstracts if current else 0
    return Plan(
        n_current=n_current,
        files=look.files,
        counts=counts,
        examples=tuple((kind, tuple(shown)) for kind, shown in gathered.examples.items()),
        remarks=gathered.remark_counts,
        rejections=tuple(gathered.rejections),
        notes=look.notes,
        refusal=explain_refusal(counts, n_current, order.limits) if order.limits else None,
    )


def _check_settings(folder: IndexFolder, settings: Settings) -> None:
    """Check the settings of a reindex.

    Raises:
        ConfigError: there is no source, or the FAISS factory is not supported.
    """
    if not settings.sources:
        path = settings.file.absolute()
        if path.exists():
            raise ConfigError(f'{path} names no source. Add one: [[sources]], and below it path = "FOLDER"')
        raise ConfigError(f"{path} does not exist. Create it: engine init {folder.path.name} SOURCE")
    if settings.factory not in (None, factory.AUTO):
        factory.parse_factory(str(settings.factory))


def _look_at_sources(folder: IndexFolder, settings: Settings, request: Request, current: Generation | None) -> _Look:
    """Find, hash and sort the files of all sources.

    Raises:
        SourceError: a source does not exist or can't be read.
    """
    applied = read_applied_files(current)
    listing = list_sources(folder.path.absolute(), settings.sources, applied)
    sources = select_since(listing.sources, request.since) if request.since else listing.sources
    present = {source.place for source in listing.sources}
    paths = [file.path for file in applied if file.path and file.path not in present]
    gone = [] if request.since else [path for path in paths if not Path(path).exists()]
    files = sort_out([hash_source(source) for source in sources], applied, gone, everything=request.full)
    notes = listing.notes
    if n_shards := shards.count_shards(folder.shards):
        notes += (f"a run was stopped; the vectors it left ({pluralize(n_shards, 'shard')}) are reused",)
    if files.vanished:
        n = len(files.vanished)
        notes += (
            f"{pluralize(n, 'file')} read before but no longer present; the records stay (first: {files.vanished[0]})",
        )
    return _Look(files, notes)


def read_applied_files(current: Generation | None) -> list[AppliedFile]:
    """Return the files that the current generation was made from, in order."""
    if current is None:
        return []
    with contextlib.closing(open_corpus(current)) as corpus:
        return corpus.read_sources()


def _build_order(settings: Settings, request: Request, look: _Look) -> Order:
    """Build the order of a reindex."""
    command = f"engine reindex {settings.file.parent.name}{' --full' if request.full else ''}"
    limits = Limits(settings.max_deleted_share, settings.max_changed_share, command)
    return Order(
        settings=settings,
        files=look.files.read,
        full=request.full,
        note_files=True,
        limits=None if request.allow_mass_change else limits,
        verb="reindex",
        elsewhere=request.elsewhere,
        placement=request.placement,
    )


def _report_nothing_new(current: Generation, look: _Look) -> Report:
    """Return the report of a run without a file to read."""
    totals = current.manifest.counts
    counts = Counts(totals.abstracts, totals.retracted, totals.without_abstract, totals.without_title, totals.truncated)
    return Report(
        generation=current.manifest.generation,
        published=False,
        counts=counts,
        rejections=(),
        remarks=(),
        seconds=0.0,
        known=len(look.files.known),
        skipped=_list_skipped(current, look.files.known),
        recipe=current.manifest.encoder.recipe,
        notes=look.notes,
    )


def _list_skipped(current: Generation | None, known: Sequence[Source]) -> tuple[FileReading, ...]:
    """Return the last readings of files that were applied before, in the order of the files."""
    last = {(file.n_bytes, file.sha256): file for file in read_applied_files(current)}
    receipts = [source.receipt for source in known if source.receipt]
    found = [last.get((receipt.n_bytes, receipt.sha256)) for receipt in receipts]
    return build_readings([file for file in found if file])


def prune(folder: IndexFolder, keep: int, placement: Placement | None = None) -> list[int]:
    """Delete generations except the newest `keep` that led to the current one, and return their numbers.

    Raises:
        LockedError: another process writes this index.
        GenerationError: nothing was published yet, or a folder of the index is missing; nothing was deleted.
    """
    with lock_for_writing(folder.lock):
        return publish.prune(folder, keep, placement)
