"""A run that publishes as it goes: files in groups, each a generation, under one lock and with one report.

A group is of whole files, and of as many as the group before makes expect in the time that was asked for; the first is
one file. The files are read in the same order as in a run without groups, so the records and what the report says of
each file are the same.
"""

from __future__ import annotations

import contextlib
import time
from collections import Counter, deque
from collections.abc import Iterator, Sequence
from dataclasses import asdict, replace

from engine.corpus.history import read_events
from engine.corpus.storage.store import Corpus
from engine.errors import EngineError, GenerationError, NoRecordError
from engine.index.generations.folder import Generation, IndexFolder
from engine.options import parse_duration
from engine.phrases import pluralize
from engine.progress import Progress
from engine.records.generation import Counts, Encoding, FileReading, Totals, join_encodings
from engine.reindex.generation.order import Order, Report, RunStart
from engine.reindex.intake.gather import MAX_SHOWN
from engine.reindex.intake.sources import Source, hash_source
from engine.reindex.reports.filetable import build_readings
from engine.reindex.runs.run import MORE_TO_COME, make_generation, open_current

_TOTALS = tuple(Totals.__slots__)  # counts of the index; the others are of a run
_OF_OLD = ("text_changed", "metadata_changed", "unchanged", "deleted", "newly_retracted", "merged")


def make_generations(folder: IndexFolder, order: Order, current: Generation | None, progress: Progress) -> Report:
    """Make the next generation, or several if the settings ask for that; the caller holds the lock.

    What encodes or reads everything again is made at once, and so is an update that a guard watches: it looks at all of
    the update. A first build that was stopped goes on as if it had not been, and skips the files that it published.

    Raises:
        EngineError: as make_generation; generations that were published before stay.
        OSError: the disk is full or not writable.
    """
    text = order.settings.publish_every
    seconds = parse_duration(text, "publish_every") if text else None
    if order.re_encode or order.full or order.republish:
        return make_generation(folder, order, current, progress)
    begun, files = _find_start(order, current)
    n_known = len(order.everything) - len(files)
    if is_continued := current is not None and begun.source_id == 1:
        order = replace(order, sources=(), files=files, limits=None, begun=replace(begun, has_more=False))
    if seconds is None or order.limits is not None and current is not None or len(files) < 2:
        return replace(make_generation(folder, order, current, progress), known=n_known)
    n_before = len(_read_readings(current)) if current else 0
    reports = list(_make_each(folder, replace(order, begun=begun), current, seconds, progress))
    latest = open_current(folder)
    readings = _read_readings(latest)[n_before:] if latest else ()
    joined = _join_reports(reports, readings, is_first=current is None)
    return replace(joined, known=n_known) if is_continued else joined


def _find_start(order: Order, current: Generation | None) -> tuple[RunStart, tuple[Source, ...]]:
    """Return where a run begins, and the files that are left to read.

    A first build that was stopped goes on if the run has all of its files; a reindex has. Others are known by content.
    """
    files = order.everything
    if current is None:
        return RunStart(1, 1), files
    with contextlib.closing(Corpus([], current.state)) as corpus:
        events, applied = read_events(corpus), corpus.read_sources()
    if all(event.cause.endswith(MORE_TO_COME) for event in events):
        if order.note_files:
            return RunStart(1, 1), files
        hashed, known = tuple(map(hash_source, files)), {(file.n_bytes, file.sha256) for file in applied}
        receipts = [(each.receipt.n_bytes, each.receipt.sha256) if each.receipt else (0, "") for each in hashed]
        left = tuple(each for each, receipt in zip(hashed, receipts, strict=True) if receipt not in known)
        if left and known <= set(receipts):
            return RunStart(1, 1), left
    return RunStart(len(applied) + 1, current.manifest.last_id + 1), files


def _read_readings(generation: Generation) -> tuple[FileReading, ...]:
    """Return all readings of files that a generation is made from, oldest first."""
    with contextlib.closing(Corpus([], generation.state)) as corpus:
        return build_readings(corpus.read_sources())


def _make_each(
    folder: IndexFolder, order: Order, current: Generation | None, every: float, progress: Progress
) -> Iterator[Report]:
    """Make a generation of each group of files and yield the reports.

    A group without a record that can be indexed waits for the next one, if nothing was published yet.

    Raises:
        NoRecordError: no file has a record that can be indexed.
        EngineError: as make_generation; the message says what was published before.
        OSError: the disk is full or not writable, and nothing was published.
    """
    left, waiting, n_bytes, n_done = deque(order.everything), list[Source](), 1.0, 0
    begun = order.begun or RunStart(1, 1)
    while left:
        started, files = time.monotonic(), [*waiting, *_take_group(left, n_bytes)]
        begun = replace(begun, has_more=bool(left))
        part = replace(order, sources=(), files=tuple(files), limits=None, note_files=True, begun=begun)
        try:
            with _note_published(n_done):
                report = make_generation(folder, part, current, progress)
        except NoRecordError:
            if not left:
                raise
            waiting = files
            continue
        yield report
        n_done, waiting = n_done + len(files), []
        n_bytes = sum(map(_measure, files)) * every / max(time.monotonic() - started, 1e-3)
        current = open_current(folder) if left else None


@contextlib.contextmanager
def _note_published(n_files: int) -> Iterator[None]:
    """Let an error say how many files of the run are published, if any are.

    Raises:
        EngineError: the error itself.
        OSError: the error itself, if no file is published.
        GenerationError: in place of an OSError, if one is.
    """
    note = f"The first {pluralize(n_files, 'file')} of this run are published; the same command continues"
    try:
        yield
    except EngineError as err:
        if n_files:
            text = str(err).replace("Nothing was published", "No more was published").rstrip(".")
            err.args = (f"{text}. {note}",)
        raise
    except OSError as err:
        if not n_files:
            raise
        raise GenerationError(f"{err.filename or ''}: {err.strerror or err}. {note}".removeprefix(": ")) from err


def _take_group(left: deque[Source], n_bytes: float) -> Iterator[Source]:
    """Take the next files, as many as hold so many bytes, but one at least."""
    taken = 0
    while left and (not taken or taken < n_bytes):
        taken += _measure(left[0])
        yield left.popleft()


def _measure(source: Source) -> int:
    """Return the size of a file; 1 if it is empty or can't be looked at, which reading it reports."""
    with contextlib.suppress(OSError):
        return max(source.path.stat().st_size, 1)
    return 1


def _join_reports(reports: Sequence[Report], readings: Sequence[FileReading], *, is_first: bool) -> Report:
    """Return the report of runs that followed each other as that of one run, beside notes and trials.

    readings: the files that the runs published, with their counts at the end.
    is_first: they made an index, so every record of it was added by them.
    """
    left = iter(readings)
    final = tuple(each for report in reports for each in _update_readings(report, left))
    made = next((report for report in reversed(reports) if report.published), reports[-1])
    remarks, places = Counter[str](), dict[str, str]()
    for kind, n, place in (remark for report in reports for remark in report.remarks):
        remarks[kind] += n
        places.setdefault(kind, place)
    return replace(
        made,
        counts=_join_counts([report.counts for report in reports], final, is_first=is_first),
        rejections=tuple(each for report in reports for each in report.rejections)[:MAX_SHOWN],
        remarks=tuple((kind, n, places[kind]) for kind, n in remarks.most_common()),
        seconds=round(sum(report.seconds for report in reports), 3),
        files=tuple(name for report in reports for name in report.files),
        readings=final,
        notes=tuple(dict.fromkeys(note for report in reports for note in report.notes)),
        encodings=_join_encodings(reports),
        trials=tuple(trial for report in reports for trial in report.trials),
    )


def _update_readings(report: Report, left: Iterator[FileReading]) -> Iterator[FileReading]:
    """Yield the readings of a report; those that were published as the next ones left have them."""
    for reading in report.readings:
        yield next(left, reading) if report.published else reading


def _join_counts(counts: Sequence[Counts], readings: Sequence[FileReading], *, is_first: bool) -> Counts:
    """Return the counts of runs that followed each other: the totals of the last one, and the sums of the others."""
    last = counts[-1]
    sums = {name: sum(asdict(each)[name] for each in counts) for name in asdict(last) if name not in _TOTALS}
    sums["duplicates"] = sum(reading.counts.repeated for reading in readings)
    if is_first:
        sums |= {"added": last.abstracts, **dict.fromkeys(_OF_OLD, 0)}
    return replace(last, **sums)


def _join_encodings(reports: Sequence[Report]) -> tuple[Encoding, ...]:
    """Return how the texts of all runs were encoded."""
    joined = tuple[Encoding, ...]()
    for report in reports:
        joined = join_encodings(joined, report.encodings)
    return joined
