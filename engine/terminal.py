"""Terminal output: messages, records and progress, without the control characters of records."""

from __future__ import annotations

import errno
import io
import json
import os
import shutil
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any, NoReturn

import click

from engine.characters import UNPRINTABLE
from engine.phrases import list_some
from engine.platform import choose_encoding, is_unread
from engine.progress import Progress
from engine.records.abstract import Abstract
from engine.references.values.citation import format_locator

PIPE_WIDTH = 120  # columns of a table that is not on a terminal
_TITLE, _LEAST_TITLE = 70, 20  # characters of a title; at least, on a narrow terminal
_N_NAMED = 20  # ids that are named
_LINE_EVERY = 15.0  # seconds between progress lines that are not on a terminal


class _ClosedStream(io.TextIOBase):
    """A stream that was closed before the program began: whoever prints to it learns that nothing can arrive."""

    def write(self, text: str, /) -> int:
        """Refuse.

        Raises:
            OSError: always.
        """
        raise OSError(errno.EBADF, "standard output is closed, so nothing can be printed")

    def writable(self) -> bool:
        """Return True: it is a stream for output."""
        return True


def prepare_streams() -> None:
    """Let stdout and stderr take any text, with what they can't show replaced, and write all of it or fail.

    Where stdout is closed, printing is an error; where stderr is closed, messages are dropped.
    """
    for descriptor in (0, 1, 2):  # or the next file that is opened would get the number, and with it what is printed
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, os.O_RDWR)
    if sys.stdout is None:
        sys.stdout = _ClosedStream()
    if sys.stderr is None:
        sys.stderr = open(os.devnull, "w", encoding="utf-8")
    sys.stdout, sys.stderr = _add_buffer(sys.stdout), _add_buffer(sys.stderr)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(encoding=choose_encoding(stream), errors="replace")


def _add_buffer(stream: Any) -> Any:
    """Return a stream of the same file that has a buffer.

    Without one, as with PYTHONUNBUFFERED, Python drops the rest where a disk is full or a pipe is closed meanwhile.
    """
    if not isinstance(stream, io.TextIOWrapper) or not isinstance(stream.buffer, io.RawIOBase):
        return stream
    return open(stream.fileno(), "w", buffering=1, encoding=stream.encoding, errors=stream.errors, closefd=False)


def leave(code: int) -> NoReturn:
    """Exit with this code, even where nothing can be written: Python's own flush at exit would make it 120."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except (OSError, ValueError):  # a pipe without a reader, a full disk; a closed stream
            os._exit(code)
    sys.exit(code)


def has_unread_stream() -> bool:
    """Return whether stdout or stderr is a pipe that nobody reads any more."""
    descriptors = []
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError):  # a stream without a descriptor
            descriptors.append(stream.fileno())
    return any(map(is_unread, descriptors))


def make_printable(text: str) -> str:
    """Return text for a terminal: any line end as a newline, control and reordering characters as U+FFFD."""
    return UNPRINTABLE.sub("\ufffd", text.replace("\r\n", "\n").replace("\r", "\n"))


def say(text: str, *, err: bool = False) -> None:
    """Print one message."""
    click.echo(make_printable(text), err=err)


def dump_json(content: object) -> str:
    """Return JSON on one line; characters that a terminal would act on are escaped, so nothing is lost."""
    text = json.dumps(content, ensure_ascii=False)
    return UNPRINTABLE.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


def choose_stream_form(requested: str | None) -> str:
    """Return the requested form; by default a table on a terminal and JSON lines in a pipe."""
    return requested or ("table" if sys.stdout.isatty() else "nl")


def join_lines(text: str) -> str:
    """Return printable text without line breaks."""
    return " ".join(make_printable(text).split())


def shorten_title(title: str, beside: int) -> str:
    """Return a title for a line of a table, cut to 70 characters, or to what a narrow terminal has room for.

    beside: the other characters of the line.
    """
    room = _TITLE
    if sys.stdout.isatty():
        room = min(room, max(_LEAST_TITLE, shutil.get_terminal_size().columns - beside))
    return title if len(title) <= room else f"{title[: room - 1].rstrip()}\u2026"


def describe_absent(ids: Sequence[str]) -> str:
    """Return a line on the ids that an index lacks, of which a few are named."""
    return f"Not in this index: {list_some([join_lines(one) for one in ids], _N_NAMED, ': --json lists them')}"


def print_abstract(abstract: Abstract, sources: Sequence[str]) -> None:
    """Print one record for reading."""
    if abstract.retracted:
        click.secho("RETRACTED", bold=True, fg="red")
    click.secho(make_printable(abstract.title) or "[no title]", bold=True)
    facts = (
        ("id", abstract.record_id),
        ("year", str(abstract.year or "")),
        ("journal", " ".join(filter(None, (abstract.journal, format_locator(abstract))))),
        ("authors", "; ".join(abstract.authors)),
        ("pmid", abstract.pmid or ""),
        ("doi", abstract.doi or ""),
        ("pmcid", abstract.pmcid),
        ("mesh", "; ".join(abstract.mesh)),
        ("types", "; ".join(abstract.publication_types)),
        ("keywords", "; ".join(abstract.keywords)),
        ("language", "; ".join(abstract.languages)),
        ("notices", "; ".join(abstract.notices)),
        ("original", abstract.vernacular_title),
        ("database", "; ".join(abstract.databases)),
        ("number", "; ".join(abstract.accessions)),
        ("labels", "; ".join(abstract.labels)),
        *(("note", note) for note in abstract.notes),
        *(("link", url) for url in abstract.urls),
        ("rights", abstract.rights),
        ("sources", "; ".join(sources)),
    )
    for name, value in facts:
        if value:
            say(f"{name + ':':<10}{join_lines(value)}")
    say(f"\n{abstract.abstract or '[no abstract]'}")
    for other in abstract.other_abstracts:
        say(f"\n{other}")


@contextmanager
def show_progress() -> Iterator[Progress]:
    """Report long work on stderr: a bar with rate and time left on a terminal, now and then a line otherwise."""
    if sys.stderr.isatty():
        with _draw_bar() as report:
            yield report
    else:
        yield print_lines()


@contextmanager
def _draw_bar() -> Iterator[Progress]:
    """Yield a callback that draws one bar per phase."""
    from rich import progress as rich
    from rich.console import Console

    columns = (
        rich.TextColumn("{task.description}"),
        rich.BarColumn(),
        rich.MofNCompleteColumn(),
        rich.TextColumn("{task.fields[rate]}"),
        rich.TimeRemainingColumn(),
    )
    tasks: dict[str, rich.TaskID] = {}
    started: dict[str, float] = {}
    with rich.Progress(*columns, console=Console(stderr=True), transient=True) as shown:

        def report(phase: str, done: int, total: int | None) -> None:
            if phase not in tasks:
                tasks[phase] = shown.add_task(phase, total=total, rate="")
                started[phase] = time.monotonic()
            rate = _format_rate(done, time.monotonic() - started[phase])
            shown.update(tasks[phase], completed=done, total=total, rate=rate)

        yield report


def print_lines() -> Progress:
    """Return a callback that prints a line when a phase begins and every _LINE_EVERY seconds."""
    started: dict[str, float] = {}
    last = 0.0

    def report(phase: str, done: int, total: int | None) -> None:
        nonlocal last
        now = time.monotonic()
        if phase in started and now - last < _LINE_EVERY:
            return
        started.setdefault(phase, now)
        last = now
        of = f" of {total:,}" if total else ""
        rate = _format_rate(done, now - started[phase])
        left = f", {_format_remaining(done, total, now - started[phase])} left" if rate and total else ""
        say(f"{phase}{f': {done:,}{of}' if done or total else ''}{', ' + rate if rate else ''}{left}", err=True)

    return report


def _format_rate(done: int, seconds: float) -> str:
    """Return a rate as "23.1/s"; empty while it is not known."""
    return f"{done / seconds:.1f}/s" if done and seconds > 0.5 else ""


def _format_remaining(done: int, total: int, seconds: float) -> str:
    """Return the time left at the rate so far, as minutes and seconds."""
    minutes, rest = divmod(round((total - done) * seconds / done), 60)
    return f"{minutes}:{rest:02d}"
