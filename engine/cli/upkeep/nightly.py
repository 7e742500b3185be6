"""`engine nightly`: the command for cron or a systemd timer."""

from __future__ import annotations

import os
import sys
import time
import traceback
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from engine.cli.frame.group import Interruption, describe_failure, main, raise_signals
from engine.cli.frame.notification import run_notify_command
from engine.cli.frame.options import INDEXES
from engine.cli.upkeep.schedule import format_cron, format_systemd, format_task
from engine.config import Config, Settings, check_name, forbid_telemetry, read_ncbi_account
from engine.errors import ConfigError, EngineError, UsageError
from engine.platform import delay_signals, has_cron
from engine.redaction import redact_urls
from engine.terminal import leave, print_lines, say

if TYPE_CHECKING:
    from engine.reindex.reports.nights import Night
    from engine.reindex.runs.nightly import NightlyRun

WATCH_FAILED, DOWNLOAD_FAILED, NOTIFY_FAILED = 5, 8, 9
_KEPT = "the texts encoded so far are kept for the next run"
_EPILOG = """\b
Exit codes, for a monitor:
  0  done, even if nothing was new         6  another encoder than the index was built with
  1  failed                                7  the guard against mass changes stopped the run
  2  wrong usage                           8  reindexed, but not every file could be downloaded
  3  a file is damaged                     9  done, but --notify-command or --news-command failed
  4  another process is writing the index  129, 130, 143  interrupted, terminated
  5  published, but a later step failed, or a saved question could not be answered
In any case, searches use the last published generation, and the next run continues from there."""


@dataclass(frozen=True, slots=True)
class _Options:
    """Options of the command."""

    name: str
    indexes: str | None
    url: str | None
    folder: Path | None
    offline: bool
    timeout: float
    back_off: float
    full: bool
    allow_mass_change: bool
    deep: bool
    log: Path | None
    notify_command: str | None
    notify_on: str
    news_command: str | None
    print_systemd: bool
    print_cron: bool


@main.command(epilog=_EPILOG)
@click.argument("name")
@INDEXES
@click.option("--url", help="Address of PubMed's update files on a mirror, http or https [download.url].")
@click.option("--folder", type=click.Path(path_type=Path), help="Folder for the downloaded files [download.folder].")
@click.option("--offline", is_flag=True, help="Download nothing; use the files in the folder.")
@click.option("--timeout", type=float, default=60.0, show_default=True, help="Seconds to wait for the mirror.")
@click.option("--back-off", type=float, default=5.0, show_default=True, help="Seconds to wait before the first retry.")
@click.option("--full", is_flag=True, help="Read every file again, as engine reindex --full does.")
@click.option(
    "--allow-mass-change", is_flag=True, help="Turn off the guard against mass deletions and changes for this run."
)
@click.option("--deep", is_flag=True, help="Also verify texts and a sample of vectors.")
@click.option(
    "--log",
    type=click.Path(path_type=Path),
    help="File to append the report to, one JSON object per run [nightly.jsonl of the index].",
)
@click.option("--notify-command", metavar="COMMAND", help="Run COMMAND with the report on its standard input.")
@click.option(
    "--notify-on",
    type=click.Choice(["always", "change", "failure"]),
    default="always",
    show_default=True,
    help="Outcome after which to run --notify-command; failure includes new gaps in the update files.",
)
@click.option(
    "--news-command",
    metavar="COMMAND",
    help="Run COMMAND with the text of the news of saved questions, if there are any.",
)
@click.option("--print-systemd", is_flag=True, help="Print a systemd service and timer for this command, and exit.")
@click.option("--print-cron", is_flag=True, help="Print a crontab line for this command, and exit.")
@click.pass_context
def nightly(ctx: click.Context, /, **values: Any) -> None:
    """Bring an index up to date: fetch, reindex, verify, prune, report.

    Run it every night from cron or systemd. It downloads new update files of PubMed from a mirror, if one is set,
    reindexes the sources in index.toml, verifies the result, deletes old generations, reports what is new for saved
    questions (engine watch), and appends a report to a log.

    \b
    engine nightly rheumatology
    engine nightly rheumatology --offline --notify-command "mail -s reindex ann@example.org"
    engine nightly rheumatology --print-systemd
    """
    options = _Options(**values)
    check_name(options.name)
    path = Config.load(options.indexes).indexes / options.name
    if options.url and ("@" in options.url or "?" in options.url):
        raise UsageError(
            "--url takes no user name, password or query string: other users can see the command line. "
            f"Put the address into {path / 'index.toml'}: [download] url"
        )
    if options.print_systemd or options.print_cron:
        command = _build_schedule_command(ctx, path.parent)
        if not has_cron():
            raise UsageError(
                "Windows has neither cron nor systemd. Let its Task Scheduler run the command every night:\n"
                + format_task(options.name, command)
            )
        say("\n".join((format_systemd if options.print_systemd else format_cron)(options.name, command, Path.cwd())))
        return
    if not path.is_dir():
        raise ConfigError(f"{path / 'index.toml'} does not exist. Create it: engine init {options.name} SOURCE")
    forbid_telemetry()
    leave(_spend_night(options, path))


def _spend_night(options: _Options, path: Path) -> int:
    """Do the work, report it, and return the exit code."""
    from engine.reindex.reports.nights import NIGHTS, Night, read_last_night

    started = time.monotonic()
    console = _Console()
    night = Night(options.name, datetime.now(UTC).isoformat(timespec="seconds"))
    last = read_last_night(path)
    with raise_signals(_KEPT):
        run, error = None, None
        try:
            run = _prepare_run(options, path, night, console)
            run.run_night()
        except (Exception, KeyboardInterrupt, Interruption) as err:
            error = err
        night = _close_night(run.night if run else night, error, console)
        night = replace(night, seconds=round(time.monotonic() - started, 3), generation=_read_current_number(path))
        if options.news_command and night.news and night.news["folder"]:
            night = replace(night, exit_code=_send_news(night, options.news_command, console))
        if options.notify_command and _is_wanted(night, last, options.notify_on):
            night = replace(night, exit_code=_notify(night, options.notify_command, console))
        with delay_signals():
            return _record(night, options.log or path / NIGHTS, console)


class _Console:
    """Prints messages with secrets hidden. A stream that is closed, or a pipe without a reader, stops nothing."""

    def __init__(self) -> None:
        self.hide: Callable[[str], str] = redact_urls  # replaced when the secrets of the mirror are known
        self._progress = print_lines()

    def say(self, text: str) -> None:
        """Print a message to standard output."""
        with suppress(OSError, ValueError):
            say(self.hide(text))

    def warn(self, text: str) -> None:
        """Print a warning to standard error."""
        with suppress(OSError, ValueError):
            say(self.hide(f"Warning: {text}"), err=True)

    def report_error(self, text: str) -> None:
        """Print an error to standard error."""
        with suppress(OSError, ValueError):
            say(self.hide(f"Error: {text}"), err=True)

    def show_progress(self, phase: str, done: int, total: int | None) -> None:
        """Print the progress of long work."""
        with suppress(OSError, ValueError):
            self._progress(phase, done, total)


def _prepare_run(options: _Options, path: Path, night: Night, console: _Console) -> NightlyRun:
    """Return the run that the options and index.toml ask for.

    Raises:
        ConfigError: index.toml has an unknown key or a bad value.
        UsageError: the address of the mirror is not valid.
    """
    from engine.collect.fetch.address import read_address
    from engine.collect.fetch.client import Mirror
    from engine.index.generations.folder import IndexFolder
    from engine.reindex.intake.queries import ServiceAccess
    from engine.reindex.runs.nightly import Listener, NightlyRun, NightlyTask
    from engine.reindex.runs.update import Request
    from engine.scale.opening import choose_encoder, choose_placement

    settings = Settings.load(path)
    url = None if options.offline else options.url or settings.download_url
    mirror = Mirror(read_address(url), options.timeout, back_off=options.back_off) if url else None
    if mirror:
        console.hide = mirror.address.hide
    folder = options.folder or path / (settings.download_folder or "updatefiles")
    request = Request(options.full, None, options.allow_mass_change, choose_placement(path), choose_encoder(path))
    account = read_ncbi_account()
    services = ServiceAccess(account.api_key, account.email, options.timeout, options.back_off)
    asked = None if options.offline else services
    task = NightlyTask(IndexFolder(path), settings, request, mirror, folder, options.deep, asked)
    return NightlyRun(task, night, Listener(console.say, console.warn, console.report_error, console.show_progress))


def _close_night(night: Night, error: BaseException | None, console: _Console) -> Night:
    """Return the record with the status and the exit code that follow from how the work ended."""
    if error is None:
        if night.download_errors:
            return replace(night, status="download failed", exit_code=DOWNLOAD_FAILED)
        if night.watch_errors:
            return replace(night, exit_code=WATCH_FAILED)
        return replace(night, exit_code=0)
    message, code = describe_failure(error)
    if not isinstance(error, EngineError | OSError | KeyboardInterrupt | Interruption):
        # A fault of the engine must reach the log and the monitor like any other.
        console.report_error("".join(traceback.format_exception(error)))
    console.report_error(message)
    return replace(night, status="interrupted" if code > 128 else "failed", error=message, exit_code=code)


def _read_current_number(path: Path) -> int | None:
    """Return the number of the generation that CURRENT names; None without one."""
    from engine.index.generations.folder import IndexFolder

    return IndexFolder(path).read_pointer() or None


def _is_wanted(night: Night, last: Night | None, notify_on: str) -> bool:
    """Return whether --notify-command should run for a night, given the last one."""
    has_new_gaps = bool(set(night.gaps) - set(last.gaps if last else ()))
    has_failed = night.exit_code != 0 or has_new_gaps
    has_changed = bool(night.report and night.report["published"]) or bool(night.news and night.news["folder"])
    return {"always": True, "change": has_failed or has_changed, "failure": has_failed}[notify_on]


def _notify(night: Night, command: str, console: _Console) -> int:
    """Run a command with the line of the night on its standard input; return the exit code of the night."""
    from engine.reindex.reports.nights import format_night

    return _run_command(night, "--notify-command", command, format_night(night, console.hide).encode("ascii"), console)


def _send_news(night: Night, command: str, console: _Console) -> int:
    """Run a command with the text of the news on its standard input; return the exit code of the night."""
    from engine.reindex.news.newsfiles import read_news_text

    return _run_command(night, "--news-command", command, read_news_text(Path((night.news or {})["folder"])), console)


def _run_command(night: Night, option: str, command: str, content: bytes, console: _Console) -> int:
    """Run the command of an option with some content on its standard input; return the exit code of the night.

    No message shows the command's arguments: they may hold a token.
    """
    try:
        reason = run_notify_command(command, content)
    except Interruption as err:
        return night.exit_code or err.exit_code
    if not reason:
        return night.exit_code
    console.report_error(f"{option} failed: {reason}")
    return night.exit_code or NOTIFY_FAILED


def _record(night: Night, path: Path, console: _Console) -> int:
    """Append the line of a night, and return the exit code; if that fails, print the line and fail."""
    from engine.reindex.reports.nights import append_night, format_night

    line = format_night(night, console.hide)
    try:
        append_night(path, line)
    except OSError as err:
        console.report_error(f"{path} can't be written: {err.strerror or err}\n{line}")
        return night.exit_code or 1
    return night.exit_code


def _build_schedule_command(ctx: click.Context, indexes: Path) -> list[str]:
    """Return this command for a scheduler, with absolute paths and the options of the command line."""
    command = [*_find_engine_command(), "nightly", ctx.params["name"], "--indexes", os.path.abspath(indexes)]
    for option in ctx.command.params:
        name = option.name or ""
        is_set = ctx.get_parameter_source(name) is click.core.ParameterSource.COMMANDLINE
        if not is_set or name in ("name", "indexes", "print_systemd", "print_cron"):
            continue
        value = ctx.params[name]
        value = os.path.abspath(value) if isinstance(value, Path) else value
        command += [option.opts[0]] if value is True else [option.opts[0], str(value)]
    return command


def _find_engine_command() -> list[str]:
    """Return the command that starts this installation of the engine from any folder."""
    python = Path(sys.executable)
    for script in (Path(sys.argv[0]), python.with_name("engine"), python.with_name("engine.exe")):
        if script.name in ("engine", "engine.exe") and script.is_file():
            return [os.path.abspath(script)]
    return [os.path.abspath(sys.executable), "-m", "engine"]
