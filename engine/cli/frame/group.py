"""The group of all commands, which turns errors into messages and exit codes."""

from __future__ import annotations

import contextlib
import signal
from collections.abc import Iterator
from typing import Any, NoReturn

import click

from engine import __version__
from engine.errors import EngineError
from engine.platform import ENDING_SIGNALS, end_unread, is_closed_pipe
from engine.terminal import has_unread_stream, leave, prepare_streams, say

SECTIONS: dict[str, tuple[str, ...]] = {
    "Build": ("fetch", "sources", "init", "index", "reindex", "config"),
    "Search": ("search", "translate", "similar", "show", "new", "export", "vectors", "serve", "mcp"),
    "Review": ("recall", "suggest", "chase", "rerun", "screen", "simulate", "review", "flow"),
    "Upkeep": (
        "nightly",
        "watch",
        "status",
        "log",
        "diff",
        "duplicates",
        "verify",
        "rollback",
        "compact",
        "tune",
        "backup",
        "restore",
        "scale",
    ),
    "Evaluate": ("models", "similarity", "known-items", "evaluate", "compare"),
    "Train": ("explain-card", "train", "promote"),
}  # the commands of `engine --help` and of the command reference, in order; a test keeps it complete

_EPILOG = """\b
Exit codes:
  0  done                 4  another process is writing the index
  1  failed               5  published, but a later step failed
  2  wrong usage          6  another encoder than the index was built with
  3  a file is damaged    7  the guard against mass changes stopped a reindex
  8  not all was fetched  9  done, but --notify-command or --news-command failed
  130, 143  interrupted, terminated: the index is as it was published last
  141       ended by SIGPIPE: nobody reads the output any more, as behind `| head`

\b
Shell completion: add this line to ~/.bashrc (for zsh: zsh_source, for fish: fish_source)
  eval "$(_ENGINE_COMPLETE=bash_source engine)\""""


class Interruption(BaseException):
    """A signal that ends a command."""

    def __init__(self, message: str, exit_code: int) -> None:
        super().__init__(message)
        self.exit_code = exit_code


class _EngineCommands(click.Group):
    """Group of the commands that turns errors into messages and exit codes."""

    def make_context(self, *args: Any, **extra: Any) -> click.Context:
        """Read the command line, or print the help."""
        with _exit_on_failure():
            return super().make_context(*args, **extra)

    def invoke(self, ctx: click.Context) -> Any:
        """Run a command, without a traceback for an expected error."""
        with _exit_on_failure():
            return super().invoke(ctx)

    def main(self, *args: Any, **extra: Any) -> Any:
        """Run, on streams that can take any text."""
        prepare_streams()
        with _exit_on_failure():  # messages about wrong usage are printed here
            return super().main(*args, **extra)

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names of the commands in the order of SECTIONS."""
        return [name for names in SECTIONS.values() for name in names if name in self.commands]

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the commands in sections, each with its summary."""
        width = max(map(len, self.commands))
        for title, names in SECTIONS.items():
            with formatter.section(title):
                formatter.write_dl([(f"{name:<{width}}", _summarise_help(self.commands[name])) for name in names])


class Subcommands(click.Group):
    """Group of commands below another one, listed in the order in which they are defined."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names of the commands."""
        return list(self.commands)


def list_all_commands() -> Iterator[tuple[str, click.Command]]:
    """Yield the name and the command of everything that can be run: "search", "review", "review start"."""
    for names in SECTIONS.values():
        for name in names:
            command = main.commands[name]
            yield name, command
            if isinstance(command, click.Group):
                yield from ((f"{name} {below}", each) for below, each in command.commands.items())


def _summarise_help(command: click.Command) -> str:
    """Return the first paragraph of a help text, on one line."""
    return " ".join((command.help or "").split("\n\n")[0].split())


@contextlib.contextmanager
def _exit_on_failure() -> Iterator[None]:
    """Exit with a message and an exit code if the block fails with an expected error."""
    try:
        yield
    except (EngineError, OSError, KeyboardInterrupt, Interruption) as err:
        if isinstance(err, OSError) and is_closed_pipe(err) and has_unread_stream():  # `head` has read enough
            end_unread()
        fail(*describe_failure(err))


def describe_failure(error: BaseException) -> tuple[str, int]:
    """Return the message and the exit code of an error."""
    match error:
        case EngineError() | Interruption():
            return str(error), error.exit_code
        case OSError():
            return f"{f'{error.filename}: ' if error.filename else ''}{error.strerror or error}", 1
        case KeyboardInterrupt():
            return "interrupted", 130
    return f"{type(error).__name__}: {error}", 1


@contextlib.contextmanager
def raise_signals(kept: str) -> Iterator[None]:
    """Let Ctrl-C, SIGTERM and SIGHUP end the block as an Interruption; `kept` says what is not lost.

    A signal that is ignored, as SIGHUP is under nohup, stays ignored.

    Raises:
        Interruption: a signal arrived.
    """

    def end(number: int, _: object) -> NoReturn:
        name = "interrupted" if number == signal.SIGINT else "terminated"
        raise Interruption(f"{name}; {kept}", 128 + number)

    wanted = [number for number in ENDING_SIGNALS if signal.getsignal(number) is not signal.SIG_IGN]
    before = [(number, signal.signal(number, end)) for number in wanted]
    try:
        yield
    finally:
        for number, handler in before:
            signal.signal(number, handler)


def fail(message: str, code: int) -> NoReturn:
    """Print an error and exit with a code, even if nothing can be printed any more."""
    with contextlib.suppress(OSError, ValueError):
        say(f"Error: {message}", err=True)
    leave(code)


@click.group(
    cls=_EngineCommands,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
    epilog=_EPILOG,
)
@click.version_option(__version__, "-V", "--version", prog_name="engine")
def main() -> None:
    """Semantic search over abstracts: files in, nearest matches out.

    \b
    engine index corpus.jsonl.gz -i rheumatology
    engine search "loss of effect after switching to a biosimilar"
    engine similar PMID:31793330
    """
