"""The nightly run of one index: fetch PubMed's update files, reindex, verify, prune."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from engine.collect.fetch.client import Mirror
from engine.collect.fetch.updates import DownloadResult, fetch_updates
from engine.config import Settings
from engine.errors import ConfigError, CorruptError, EngineError
from engine.index.files.lock import lock_for_writing
from engine.index.generations.folder import IndexFolder
from engine.progress import Progress
from engine.reindex.generation.order import Report
from engine.reindex.generation.verify import verify, verify_night
from engine.reindex.intake.gaps import find_gaps
from engine.reindex.intake.queries import ServiceAccess, fetch_queries
from engine.reindex.intake.sources import resolve_pattern
from engine.reindex.reports.nights import Night
from engine.reindex.reports.summary import summarise_report
from engine.reindex.runs.update import Request, prune, read_applied_files, reindex


@dataclass(frozen=True, slots=True)
class NightlyTask:
    """The input of a nightly run."""

    folder: IndexFolder
    settings: Settings
    request: Request
    mirror: Mirror | None  # None: fetch nothing
    download_folder: Path
    deep: bool  # also verify texts and a sample of vectors
    services: ServiceAccess | None = None  # how the queries among the sources are fetched; None: they are not


@dataclass(frozen=True, slots=True)
class Listener:
    """Callbacks for messages and progress. None of them may raise."""

    say: Callable[[str], None]
    warn: Callable[[str], None]  # of what does not make the run fail
    report_error: Callable[[str], None]
    progress: Progress


class NightlyRun:
    """A nightly run. `night` is its record so far, also after an error."""

    def __init__(self, task: NightlyTask, night: Night, listener: Listener) -> None:
        self.night = night
        self._task, self._listener = task, listener

    def run_night(self) -> None:
        """Fetch, reindex, verify and prune.

        If the mirror fails, the files that are present are indexed all the same.

        Raises:
            ConfigError: there is no index.toml, or the download folder is not among its sources.
            CorruptError: the current generation fails its check.
            EngineError: a step failed; the published generation stays as it is.
        """
        task = self._task
        if not task.settings.file.exists():
            path = task.settings.file.absolute()
            raise ConfigError(f"{path} does not exist. Create it: engine init {task.folder.path.name} SOURCE")
        with lock_for_writing(task.folder.path / "NIGHTLY.lock"):
            before = task.folder.list_numbers()
            listed = self._fetch(task.mirror) if task.mirror else ()
            if task.services:
                self._fetch_queries(task.services)
            if task.settings.watches:
                self._begin_watches()
            done = self._reindex()
            self._verify(done)
            self._find_gaps(listed)
            self._prune(before)
            if task.settings.watches:
                self._answer_watches()

    def _fetch(self, mirror: Mirror) -> tuple[str, ...]:
        """Fetch new files; return the names of all files on the mirror."""
        _check_download_folder(self._task)
        fetched: DownloadResult = fetch_updates(mirror, self._task.download_folder, self._listener.say)
        self._note_download(fetched)
        return fetched.listed

    def _fetch_queries(self, services: ServiceAccess) -> None:
        """Fetch the queries among the sources."""
        base, listener = self._task.folder.path.absolute(), self._listener
        self._note_download(fetch_queries(base, self._task.settings.sources, services, listener.say, listener.progress))

    def _note_download(self, fetched: DownloadResult) -> None:
        """Add a download to the record of the night, and tell what failed."""
        night = self.night
        names, failures = night.downloaded + fetched.names, night.download_errors + fetched.failures
        self.night = replace(night, downloaded=names, download_errors=failures)
        for failure in fetched.failures:
            self._listener.report_error(failure)
        if fetched.failures:
            self._listener.report_error(
                "not every file could be fetched. The run continues with the files present; the next run tries again"
            )

    def _reindex(self) -> Report:
        """Bring the index up to date."""
        task = self._task
        done = reindex(task.folder, task.settings, task.request, self._listener.progress)
        status = "updated" if done.published else "nothing new"
        self.night = replace(self.night, report=asdict(done), status=status)
        for line in summarise_report(self.night.index, done):
            self._listener.say(line)
        return done

    def _verify(self, done: Report) -> None:
        """Check the current generation from disk: whole, if the task is deep; otherwise what the last run wrote.

        Raises:
            CorruptError: it is damaged.
        """
        task = self._task
        current = task.folder.open_current(quick=not task.deep)
        number = current.manifest.generation
        was_checked = done.published and done.generation == number
        problems = (
            verify(task.folder, current, deep=True, placement=task.request.placement)
            if task.deep
            else verify_night(task.folder, current, was_checked=was_checked)
        )
        if problems:
            advice = f"To learn what helps: engine verify --deep -i {task.folder.name}"
            raise CorruptError(f"generation {number:06d} is damaged: {'; '.join(problems)}. {advice}")
        self.night = replace(self.night, verified=True)

    def _find_gaps(self, listed: tuple[str, ...]) -> None:
        """Record the update files that are missing between those applied, present or on the mirror."""
        task = self._task
        applied = [file.name for file in read_applied_files(task.folder.open_current(quick=True))]
        folder = task.download_folder
        present = [path.name for path in folder.glob("*.xml.gz")] if folder.is_dir() else []
        gaps = find_gaps([*applied, *listed, *present])
        if gaps:
            self.night = replace(self.night, gaps=gaps, status="incomplete")
            self._listener.warn(
                f"missing update files: {', '.join(gaps)}. Their changes and deletions are not in the index. "
                "The next run reads them if the mirror has them by then; or put them into a source"
            )

    def _prune(self, before: Sequence[int]) -> None:
        """Delete generations beyond keep_generations, and record which of those before this night are gone."""
        task = self._task
        prune(task.folder, task.settings.keep_generations, task.request.placement)
        pruned = sorted({*before} - {*task.folder.list_numbers()})
        self.night = replace(self.night, pruned=tuple(pruned))
        self._listener.say(f"  verified; generations deleted: {', '.join(f'{n:06d}' for n in pruned) or 'none'}")

    def _begin_watches(self) -> None:
        """Count what the index holds before this night as known to questions that were saved since the last one."""
        from engine.reindex.news.watches import begin_watches  # loads what answers queries

        with self._record_watch_errors():
            begin_watches(self._task.folder, self._task.settings.watches)

    def _answer_watches(self) -> None:
        """Answer the saved questions on what is new, and write the news; what fails is reported by the next run."""
        from engine.reindex.news.newsfiles import find_run_folder
        from engine.reindex.news.newsrun import describe_news
        from engine.reindex.news.watches import answer_watches

        task = self._task
        with self._record_watch_errors():
            run = answer_watches(task.folder, task.settings.watches, self.night.started)
            folder = None if run.number is None else str(find_run_folder(task.folder.path, run.number))
            reported = {one.watch.name: len(one.items) for one in run.news}
            self.night = replace(
                self.night,
                news={"folder": folder, "reported": reported},
                watch_errors=(*self.night.watch_errors, *run.errors),
            )
            for one in run.news:
                self._listener.say(f"  {one.watch.name}: {describe_news(one)}")
            if folder:
                self._listener.say(f"  news: {folder}")
            for error in run.errors:
                self._listener.report_error(error)

    @contextmanager
    def _record_watch_errors(self) -> Iterator[None]:
        """Record an error of the saved questions, which does not undo the night."""
        try:
            yield
        except (EngineError, OSError) as err:
            self.night = replace(self.night, watch_errors=(*self.night.watch_errors, f"saved questions: {err}"))
            self._listener.report_error(f"saved questions: {err}")


def _check_download_folder(task: NightlyTask) -> None:
    """Check that the download folder is a source, so that fetched files are read.

    Raises:
        ConfigError: the download folder is not among the sources.
    """
    base, target = task.folder.path.absolute(), task.download_folder.absolute()
    watched = [resolve_pattern(base, source) for source in task.settings.sources]
    if not any(path == target or target in path.parents or path in target.parents for path in watched):
        raise ConfigError(
            f"the download folder {target} is not among the sources of {task.settings.file}. "
            f'Add it: [[sources]], and below it path = "{target}"'
        )
