"""The group of all commands: the one place where an error becomes a message and an exit code."""

from __future__ import annotations

import contextlib
from typing import Any, NoReturn

import click

from engine import __version__
from engine.errors import EngineError
from engine.terminal import leave, prepare_streams, say

SECTIONS: dict[str, tuple[str, ...]] = {
    "Build": ("sources", "init", "index", "reindex", "config"),
    "Search": ("search", "similar", "show", "new", "serve", "mcp"),
    "Review": ("recall", "rerun", "screen", "simulate"),
    "Upkeep": ("status", "log", "diff", "duplicates", "verify", "rollback", "tune"),
    "Evaluate": ("similarity", "known-items", "evaluate", "compare"),
    "Train": ("explain-card", "train", "promote"),
}  # the commands of `engine --help` and of the command reference, in order; a test keeps it complete

EPILOG = """\b
Exit codes:
  0  done            4  another process is writing the index
  1  failed          5  published, but a last step after it failed
  2  wrong usage     6  another encoder than the index was built with
  3  a file is damaged               7  the guard against mass changes stopped a reindex
  130, 143  interrupted, terminated: the index is as it was

\b
Shell completion: add this line to ~/.bashrc (for zsh: zsh_source, for fish: fish_source)
  eval "$(_ENGINE_COMPLETE=bash_source engine)\""""


class EngineCommands(click.Group):
    """The one place where an error becomes a message and an exit code."""

    def invoke(self, ctx: click.Context) -> Any:
        """Run a command; never show a traceback for what the engine knows.

        Raises:
            BrokenPipeError: the reader of a pipe went away; click ends quietly.
        """
        try:
            return super().invoke(ctx)
        except EngineError as err:
            fail(str(err), err.exit_code)
        except BrokenPipeError:
            raise
        except OSError as err:
            fail(f"{f'{err.filename}: ' if err.filename else ''}{err.strerror or err}", 1)
        except KeyboardInterrupt:
            fail("interrupted", 130)

    def main(self, *args: Any, **extra: Any) -> Any:
        """Run, on streams that can take any text."""
        prepare_streams()
        return super().main(*args, **extra)

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names of the commands in the order of SECTIONS."""
        return [name for names in SECTIONS.values() for name in names if name in self.commands]

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the commands in sections, each with its summary."""
        width = max(map(len, self.commands))
        for title, names in SECTIONS.items():
            with formatter.section(title):
                formatter.write_dl([(f"{name:<{width}}", summary(self.commands[name])) for name in names])


def summary(command: click.Command) -> str:
    """Return the first paragraph of a help text, on one line."""
    return " ".join((command.help or "").split("\n\n")[0].split())


def fail(message: str, code: int) -> NoReturn:
    """Print one error and leave with its code, even where nothing can be printed any more."""
    with contextlib.suppress(OSError):
        say(f"Error: {message}", err=True)
    leave(code)


@click.group(
    cls=EngineCommands,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
    epilog=EPILOG,
)
@click.version_option(__version__, "-V", "--version", prog_name="engine")
def main() -> None:
    """Semantic search over abstracts: files in, nearest matches out.

    \b
    engine index corpus.jsonl.gz -i rheumatology
    engine search "loss of effect after switching to a biosimilar"
    engine similar PMID:31793330
    """
