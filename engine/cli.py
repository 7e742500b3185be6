"""The command line: one thin command per verb. Stages are imported inside the commands, so that help is instant."""

from __future__ import annotations

import contextlib
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import click

from engine import __version__
from engine.config import Config
from engine.errors import CorruptError, DurabilityError, EngineError, GenerationError
from engine.terminal import (
    abstract_fields,
    as_json,
    form_for,
    leave,
    prepare_streams,
    print_abstract,
    print_hits,
    progress,
    say,
)

if TYPE_CHECKING:
    from engine.query.searcher import Index

EPILOG = """\b
Exit codes:
  0  done            4  another process is writing the index
  1  failed          5  published, but a last step after it failed
  2  wrong usage     6  another encoder than the index was built with
  3  a file is damaged
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
        """Commands in the order of use."""
        return list(self.commands)


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


def index_options(command: Callable[..., None]) -> Callable[..., None]:
    """Add -i and --indexes, given to the command as one Config."""

    def run(indexes: str | None, index: str | None, **given: Any) -> None:
        command(config=Config.load(indexes, index), **given)

    run.__name__, run.__doc__ = command.__name__, command.__doc__
    run.__click_params__ = getattr(command, "__click_params__", [])  # type: ignore[attr-defined]
    for option in (
        click.option("--indexes", metavar="DIR", help="Folder of the indexes [ENGINE_INDEXES; ./indexes]."),
        click.option("-i", "--index", metavar="NAME", help="Which index [ENGINE_INDEX; the only one there]."),
    ):
        option(run)
    return run


def form_options(command: Callable[..., None]) -> Callable[..., None]:
    """Add the output forms of a list of hits."""
    for flags, value, text in (
        (("-t", "--table"), "table", "A table [default on a terminal]."),
        (("--tsv",), "tsv", "Tab-separated values."),
        (("--csv",), "csv", "Comma-separated values."),
        (("--nl",), "nl", "One JSON object a line [default in a pipe]."),
        (("--json",), "json", "One JSON array."),
    ):
        click.option(*flags, "form", flag_value=value, default=None, help=text)(command)
    return click.option(
        "-n", "--top-k", type=click.IntRange(min=1), default=10, show_default=True, help="Hits wanted."
    )(command)


def opened(config: Config) -> Index:
    """The index that is meant, open."""
    from engine.query.searcher import open_index

    return open_index(config.existing(), follow=False)


@main.command()
@click.argument("sources", nargs=-1, required=True, type=click.Path(path_type=Path), metavar="SOURCE...")
@index_options
@click.option("-m", "--model", help="sentence-transformers folder or hub id [the index's own; all-MiniLM-L6-v2].")
@click.option("--device", type=click.Choice(["auto", "cpu", "cuda"]), default="auto", show_default=True)
@click.option("--re-encode", is_flag=True, help="Encode every text again; with -m, by another model than before.")
def index(config: Config, sources: tuple[Path, ...], model: str | None, device: str, re_encode: bool) -> None:
    """Add or update the records of files: PubMed XML, JSONL or CSV, plain or gzip, told by their content.

    Only new and changed texts are encoded. Searches go on meanwhile and see the result when it is complete.

    \b
    engine index corpus.jsonl.gz -i rheumatology
    engine index pubmed26n1300.xml.gz more.csv -i rheumatology
    engine index corpus.jsonl.gz -i tuned -m ./my-model
    """
    from engine.index.folder import IndexFolder
    from engine.reindex.run import Order, index_sources
    from engine.reindex.summary import summary

    signal.signal(signal.SIGTERM, lambda *_: fail("terminated", 143))
    folder = IndexFolder(config.target())
    try:
        with progress() as report:
            done = index_sources(folder, Order(sources, model, device, re_encode), report)
    except OSError as err:
        where = f"{err.filename}: " if err.filename else ""
        text = f"{where}{err.strerror or err}. Nothing was published. Check space and permissions of {folder.path}"
        raise GenerationError(text) from err
    try:
        for line in summary(folder.path.name, done):
            say(line)
        sys.stdout.flush()
    except OSError as err:
        text = f"generation {done.generation:06d} is published, but the summary could not be printed: {err.strerror}"
        raise DurabilityError(text) from err


@main.command()
@click.argument("query", nargs=-1, required=True)
@index_options
@form_options
def search(config: Config, query: tuple[str, ...], top_k: int, form: str | None) -> None:
    """Find the abstracts nearest in meaning to QUERY, best first. The score is the cosine, at most 1.

    \b
    engine search "switching back to the originator after a biosimilar failed"
    engine search fatigue in lupus -n 50 --csv > hits.csv
    engine search "knee pain" | jq -r .title
    """
    with opened(config) as found:
        print_hits(found.search(" ".join(query), top_k=top_k), form_for(form))


@main.command()
@click.argument("record_id")
@index_options
@form_options
def similar(config: Config, record_id: str, top_k: int, form: str | None) -> None:
    """Find the abstracts nearest to a stored one, by its id, PMID or DOI.

    \b
    engine similar PMID:31793330
    """
    with opened(config) as found:
        print_hits(found.similar(record_id, top_k=top_k), form_for(form))


@main.command()
@click.argument("record_id")
@index_options
@click.option("--json", "as_object", is_flag=True, help="One JSON object [default in a pipe].")
def show(config: Config, record_id: str, as_object: bool) -> None:
    """Show one record whole, by its id, PMID or DOI.

    \b
    engine show PMID:31793330
    """
    with opened(config) as found:
        abstract = found.get(record_id)
    if as_object or not sys.stdout.isatty():
        click.echo(as_json(abstract_fields(abstract)))
    else:
        print_abstract(abstract)


@main.command()
@index_options
@click.option("--json", "as_object", is_flag=True, help="One JSON object per index, a line each.")
def status(config: Config, as_object: bool) -> None:
    """Say what the indexes hold: generation, records, encoder, how many texts were too long to be read whole.

    \b
    engine status
    engine status -i rheumatology --json
    """
    from engine.index.folder import IndexFolder
    from engine.reindex.summary import status_fields, status_lines

    several = config.index is None and len(config.names()) > 1
    paths = [config.indexes / name for name in config.names()] if several else [config.existing()]
    failed: EngineError | None = None
    for folder in map(IndexFolder, paths):
        try:
            if as_object:
                click.echo(as_json(status_fields(folder)))
            else:
                say("\n".join(status_lines(folder)))
        except EngineError as err:  # the other indexes are told of all the same
            if failed is not None:
                say(f"Error: {failed}", err=True)
            failed = err
    if failed is not None:
        raise failed


@main.command()
@index_options
@click.option("--deep", is_flag=True, help="Also compare texts with their digests and encode a sample again.")
def verify(config: Config, deep: bool) -> None:
    """Check every file of the current generation against its manifest, and SQLite against FAISS. Writes nothing.

    \b
    engine verify --deep -i rheumatology
    """
    from engine.index.folder import IndexFolder
    from engine.reindex.verify import verify as check

    folder = IndexFolder(config.existing())
    generation = folder.open_current()
    if problems := check(folder, generation, deep=deep):
        raise CorruptError(
            f"generation {generation.manifest.generation:06d} of {folder.path}: {len(problems)} problems\n  "
            + "\n  ".join(problems)
        )
    n = generation.manifest.counts.abstracts
    depth = "files, ids, vectors, texts and encoder" if deep else "files, ids and vectors"
    say(f"{folder.path.name}, generation {generation.manifest.generation:06d}: {depth} agree, {n:,} abstracts")


@main.command()
@index_options
@click.option("--to", "number", type=click.IntRange(min=1), help="Generation to go to [the one before].")
def rollback(config: Config, number: int | None) -> None:
    """Point the index back to an earlier generation, after checking that one. Nothing is deleted now.

    The next run goes on from there and then deletes what it was rolled back from.

    \b
    engine rollback -i rheumatology
    engine rollback --to 3
    """
    from engine.index.folder import IndexFolder
    from engine.reindex.rollback import roll_back

    folder = IndexFolder(config.existing())
    say(f"{folder.path.name}: now at generation {roll_back(folder, number):06d}. The next run goes on from here")
