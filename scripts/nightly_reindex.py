"""One night's work on one index: fetch new PubMed update files, reindex, verify, prune, report.

Run through scripts/nightly_reindex; scripts/README.md tells how to let cron or systemd do it.
"""

from __future__ import annotations

import json
import os
import shlex
import signal
import subprocess
import sys
import time
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NoReturn
from urllib.parse import urlsplit

import click
from pubmed_mirror import SCHEMES, Mirror, MirrorError, fetch_updates

from engine.config import Config, Settings, check_name, forbid_telemetry
from engine.errors import ConfigError, CorruptError, EngineError, UsageError
from engine.index.folder import IndexFolder
from engine.index.lock import writer_lock
from engine.reindex.order import Report
from engine.reindex.summary import summary
from engine.reindex.update import Request, prune, reindex
from engine.reindex.verify import verify
from engine.terminal import lines, say

DOWNLOAD_FAILED, NOTIFY_FAILED = 8, 9
NOTIFY_SECONDS = 60
KEPT = "what it had encoded is kept for the next run"
EPILOG = """\b
Exit codes, for a monitor:
  0  done, also when nothing was new     6  the model is another one than the index was built with
  1  failed                              7  the guard against mass changes stopped the run
  2  wrong usage                         8  reindexed, but the download failed: the newest files are missing
  3  a file of the index is damaged      9  done, but --notify-command failed
  4  another run or writer is at work    130, 143  interrupted, terminated
  5  published, but the disk did not confirm it
Whatever happens, the index answers from the last published generation, and the next run goes on from there."""


@dataclass(slots=True)
class Night:
    """What is reported of one run; one line of JSON in the log."""

    index: str
    started: str
    status: str = "failed"  # updated, nothing new, download failed, failed, interrupted
    exit_code: int = 1
    seconds: float = 0.0
    generation: int | None = None
    downloaded: list[str] = field(default_factory=list)
    download_error: str | None = None
    verified: bool = False
    pruned: list[int] = field(default_factory=list)
    error: str | None = None
    report: dict[str, Any] | None = None  # of the reindex: files, counts, remarks


@dataclass(frozen=True, slots=True)
class Task:
    """What is to be done."""

    folder: IndexFolder
    settings: Settings
    request: Request
    mirror: Mirror | None
    download_folder: Path
    deep: bool


@click.command(epilog=EPILOG, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.argument("name")
@click.option("--indexes", metavar="DIR", help="Folder of the indexes [ENGINE_INDEXES; ./indexes].")
@click.option("--url", help="Folder of PubMed's update files on a mirror: http, https or ftp [download.url].")
@click.option("--folder", type=click.Path(path_type=Path), help="Where they are kept [download.folder].")
@click.option("--offline", is_flag=True, help="Never touch the network.")
@click.option("--timeout", type=float, default=60.0, show_default=True, help="Seconds after which a server hangs.")
@click.option("--back-off", type=float, default=5.0, show_default=True, help="Seconds before a second try.")
@click.option("--full", is_flag=True, help="As engine reindex --full.")
@click.option("--allow-mass-change", is_flag=True, help="As engine reindex --allow-mass-change.")
@click.option("--deep", is_flag=True, help="Verify texts and a sample of vectors, too.")
@click.option("--log", "log_path", type=click.Path(path_type=Path), help="Where the line goes [nightly.jsonl in it].")
@click.option("--notify-command", metavar="COMMAND", help="Run with the line on its standard input; no shell.")
@click.option("--notify-on", type=click.Choice(["always", "change", "failure"]), default="always", show_default=True)
def main(
    name: str,
    indexes: str | None,
    url: str | None,
    folder: Path | None,
    offline: bool,
    timeout: float,
    back_off: float,
    full: bool,
    allow_mass_change: bool,
    deep: bool,
    log_path: Path | None,
    notify_command: str | None,
    notify_on: str,
) -> None:
    """Bring the index NAME up to date: fetch, reindex, verify, prune, report.

    \b
    scripts/nightly_reindex rheumatology
    scripts/nightly_reindex rheumatology --offline --notify-command "mail -s reindex ann@example.org"
    """
    forbid_telemetry()
    night = Night(name, datetime.now(UTC).isoformat(timespec="seconds"))
    path = Config.load(indexes).indexes / name
    started = time.monotonic()
    with outcome(night):
        check_name(name)
        settings = Settings.load(path)
        address = None if offline else url or settings.download_url
        keep = folder or path / (settings.download_folder or "updatefiles")
        if address and urlsplit(address).scheme.lower() not in SCHEMES:
            raise UsageError(f"{address!r} is no address of a mirror: expected {', '.join(SCHEMES)}")
        mirror = Mirror(address, timeout, back_off=back_off) if address else None
        request = Request(full=full, allow_mass_change=allow_mass_change)
        work(night, Task(IndexFolder(path), settings, request, mirror, keep, deep))
    night.seconds = round(time.monotonic() - started, 3)
    night.generation = IndexFolder(path).pointed() or None
    if notify_command and wanted(night, notify_on):
        notify(night, notify_command)
    record(night, log_path or path / "nightly.jsonl")
    sys.exit(night.exit_code)


@contextmanager
def outcome(night: Night) -> Iterator[None]:
    """Turn whatever ends the block into status, exit code and error of the night."""
    signal.signal(signal.SIGTERM, terminate)
    try:
        yield
        night.exit_code = DOWNLOAD_FAILED if night.download_error else 0
    except EngineError as err:
        night.error, night.exit_code = str(err), err.exit_code
    except KeyboardInterrupt:
        night.error, night.exit_code = f"interrupted; {KEPT}", 130
    except SystemExit as err:
        night.error, night.exit_code = f"terminated; {KEPT}", int(err.code or 143)
    except OSError as err:
        night.error = f"{f'{err.filename}: ' if err.filename else ''}{err.strerror or err}"
    except Exception as err:  # a fault of ours must reach the log and the monitor like any other
        night.error = f"{type(err).__name__}: {err}"
        traceback.print_exc()
    if night.download_error and not night.error:
        night.status = "download failed"
    if night.error:
        night.status = "interrupted" if night.exit_code > 128 else "failed"
        say(f"Error: {night.error}", err=True)


def terminate(*_: object) -> NoReturn:
    """End as on an interrupt: what was encoded is kept."""
    sys.exit(143)


def work(night: Night, task: Task) -> None:
    """Fetch, reindex, verify and prune, filling the report on the way.

    Raises:
        EngineError: a step failed; the index answers as before.
        CorruptError: the current generation does not pass its check.
    """
    if not task.settings.file.exists():
        place = task.settings.file.absolute()
        raise ConfigError(f"{place} is not there. Write it: engine init {task.folder.path.name} SOURCE")
    with writer_lock(task.folder.path / "NIGHTLY.lock"):
        if task.mirror:
            check_listed(task)
            download(night, task.mirror, task.download_folder)
        done = reindex(task.folder, task.settings, task.request, lines())
        tell(night, done)
        current = task.folder.open_current()
        if problems := verify(task.folder, current, deep=task.deep):
            number = current.manifest.generation
            raise CorruptError(f"generation {number:06d} is not sound: {'; '.join(problems)}")
        night.verified = True
        night.pruned = prune(task.folder, task.settings.keep_generations)
        say(f"  verified; generations deleted: {', '.join(f'{n:06d}' for n in night.pruned) or 'none'}")


def check_listed(task: Task) -> None:
    """What is fetched must be read, or every night would fetch in vain.

    Raises:
        ConfigError: the download folder is not among the sources.
    """
    base, wanted_path = task.folder.path.absolute(), task.download_folder.absolute()
    watched = [(base / Path(source.path).expanduser()) for source in task.settings.sources]
    if not any(path == wanted_path or wanted_path in path.parents or path in wanted_path.parents for path in watched):
        raise ConfigError(
            f"{wanted_path}, where update files are kept, is not among the sources of {task.settings.file}. "
            f'Add there: [[sources]] path = "{wanted_path}"'
        )


def download(night: Night, mirror: Mirror, folder: Path) -> None:
    """Fetch new update files. A mirror that fails does not keep the index from what is there already."""
    try:
        night.downloaded = fetch_updates(mirror, folder, say)
    except MirrorError as err:
        night.download_error = str(err)
        say(f"Error: {err}. Going on with the files that are there; the next run tries again", err=True)


def tell(night: Night, done: Report) -> None:
    """Note and print what the reindex did."""
    night.report = asdict(done)
    night.status = "updated" if done.published else "nothing new"
    for line in summary(night.index, done):
        say(line)


def record(night: Night, path: Path) -> None:
    """Append one line of JSON; where that fails, the run counts as failed but its line goes to stderr."""
    line = json.dumps(asdict(night))
    try:
        with path.open("a", encoding="ascii") as file:
            file.write(line + "\n")
            file.flush()
            os.fsync(file.fileno())
    except OSError as err:
        say(f"Error: {path} can't be written: {err.strerror}\n{line}", err=True)
        night.exit_code = night.exit_code or 1


def wanted(night: Night, on: str) -> bool:
    """Whether the command is to be told of this night."""
    failed = night.exit_code != 0
    return {"always": True, "change": failed or night.status != "nothing new", "failure": failed}[on]


def notify(night: Night, command: str) -> None:
    """Run a command with the line of the night on its standard input."""
    try:
        line = json.dumps(asdict(night)).encode("ascii")
        subprocess.run(shlex.split(command), input=line, timeout=NOTIFY_SECONDS, check=True)
    except subprocess.CalledProcessError as err:
        say(f"Error: --notify-command failed: it left with exit code {err.returncode}", err=True)
        night.exit_code = night.exit_code or NOTIFY_FAILED
    except (OSError, ValueError, subprocess.SubprocessError) as err:
        say(f"Error: --notify-command failed: {err}", err=True)
        night.exit_code = night.exit_code or NOTIFY_FAILED


if __name__ == "__main__":
    main(prog_name="scripts/nightly_reindex")
