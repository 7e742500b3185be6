"""Commands that search an index."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from engine.cli.frame.delivery import Output, check_output, deliver, output_options
from engine.cli.frame.group import main
from engine.cli.frame.options import (
    LIKE,
    SEARCH_DEVICE,
    STRATEGY,
    UNLIKE,
    index_options,
    open_named,
    parse_day,
    query_options,
    similar_options,
)
from engine.config import Config
from engine.errors import SourceError, UsageError
from engine.files import read_text
from engine.options import Query
from engine.references.values.fields import list_abstract_fields
from engine.references.writers.bibliography import STYLES, format_reference
from engine.terminal import dump_json, print_abstract, say

if TYPE_CHECKING:
    from engine.corpus.storage.store import RecordSource


@main.command()
@click.argument("text", metavar="[QUERY]...", nargs=-1)
@index_options
@SEARCH_DEVICE
@click.option(
    "--queries",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Read queries from FILE: lines of id, tab, text; JSON lines; or topics of TREC.",
)
@STRATEGY
@LIKE
@UNLIKE
@query_options
@output_options
def search(
    config: Config,
    query: Query,
    text: tuple[str, ...],
    queries: Path | None,
    strategy: Path | None,
    like: tuple[str, ...],
    unlike: tuple[str, ...],
    device: str,
    out: Output,
) -> None:
    """Find the abstracts that answer a query, best first.

    Ranks by meaning and by words; --mode semantic ranks by meaning alone. The score is the cosine, at most 1. QUERY -
    reads the query from standard input.

    Unless --mode is semantic, +word, +"a phrase" and title:word must occur, -word must not, and arthrit* matches any
    ending. "a phrase" is preferred; with --mode keyword it must occur.

    With AND, OR or NOT in capitals, or a field tag of PubMed, Ovid or Embase, QUERY is a Boolean search; `engine
    translate` shows how it is read.

    \b
    engine search "switching back to the originator after a biosimilar failed"
    engine search fatigue in lupus -n 50 -o lupus.ris --year 2015- --record lupus.json
    engine search 'gout "uric acid" -child' --explain
    engine search '(gout[tiab] OR exp Gout/) AND diet* NOT review[pt]'
    engine search --strategy search.txt -n 500 -o hits.ris
    engine search --queries questions.tsv -n 100 -o run.trec
    echo "gout in women" | engine search -
    """
    full_query = replace(query, text=read_query_text(text, strategy), like=like, unlike=unlike)
    if queries is not None:
        from engine.cli.search.batch import run_batch

        run_batch(config, full_query, queries, out, device)
        return
    check_output(out)
    with open_named(config, device) as index:
        deliver(index, index.ask(full_query), out)


def read_query_text(words: tuple[str, ...], strategy: Path | None = None) -> str:
    """Return the query: the words of the command line, standard input for a single -, or the file of a strategy.

    Raises:
        UsageError: standard input or the file is blank, or is not UTF-8 text; or there are words beside the file.
    """
    if strategy is not None:
        return _read_strategy(words, strategy)
    if words != ("-",):
        return " ".join(words)
    try:
        text = sys.stdin.buffer.read().decode("utf-8-sig").strip() if sys.stdin else ""
    except UnicodeDecodeError as err:
        raise UsageError("the query on standard input is not UTF-8 text") from err
    if not text:
        raise UsageError("standard input is blank, expected a query. For example: echo gout | engine search -")
    return text


def _read_strategy(words: tuple[str, ...], path: Path) -> str:
    """Return the text of a file with a Boolean search.

    Raises:
        UsageError: it is blank or can't be read, or there are words beside it.
    """
    from engine.query.question.validation import MAX_TEXT

    if words:
        raise UsageError("--strategy reads the search from a file and cannot be combined with QUERY. Leave one out")
    try:
        text = read_text(path, 4 * MAX_TEXT).strip()
    except SourceError as err:
        raise UsageError(f"{err}. Expected a search of PubMed, Ovid or Embase as plain text") from err
    if not text:
        raise UsageError(f"{path} is blank, expected a search of PubMed, Ovid or Embase")
    return text


@main.command()
@click.argument("record_id", nargs=-1, required=True)
@index_options
@SEARCH_DEVICE
@UNLIKE
@click.option("--text", default="", metavar="TEXT", help="Query text to combine with the records.")
@similar_options
@output_options
def similar(
    config: Config,
    query: Query,
    record_id: tuple[str, ...],
    unlike: tuple[str, ...],
    text: str,
    device: str,
    out: Output,
) -> None:
    """Find the abstracts nearest to stored records.

    RECORD_ID is an id, PMID or DOI. With --unlike, name records to move away from.

    \b
    engine similar PMID:31793330
    engine similar 31793330 29768149 --unlike 28356292 -n 20
    """
    check_output(out)
    with open_named(config, device) as index:
        deliver(index, index.ask(replace(query, text=text, like=record_id, unlike=unlike)), out)


@main.command()
@click.argument("record_id")
@index_options
@click.option("--json", "as_object", is_flag=True, help="Print one JSON object [default in a pipe].")
@click.option("--cite", type=click.Choice(list(STYLES)), help="Print the reference alone, in this style.")
def show(config: Config, record_id: str, as_object: bool, cite: str | None) -> None:
    """Show one record whole, by its id, PMID or DOI.

    With --cite, show how to cite it. With --json and --cite, the object has a key "citation", too.

    \b
    engine show PMID:31793330
    engine show PMID:31793330 --cite vancouver
    """
    with open_named(config) as index:
        abstract = index.get(record_id)
        sources = [_format_source(source) for source in index.get_sources(record_id)]
    reference = {} if cite is None else {"citation": format_reference(abstract, cite)}
    if reference and not as_object:
        say(reference["citation"])
    elif as_object or not sys.stdout.isatty():
        click.echo(dump_json(list_abstract_fields(abstract) | {"sources": sources} | reference))
    else:
        print_abstract(abstract, sources)


def _format_source(source: RecordSource) -> str:
    """Format a source of a record: the first file that had it, and the last one if that is another."""
    suffix = f", again in {source.file}" if source.first_file != source.file else ""
    return f"{source.first_file}{suffix} ({source.format}, {source.own_id})"


@main.command()
@click.argument("text", metavar="QUERY...", nargs=-1, required=True)
@click.option(
    "--since",
    required=True,
    metavar="GENERATION|DATE|Nd",
    help="Generation number, date (UTC) or number of days from which on records are new.",
)
@index_options
@query_options
@output_options
def new(config: Config, query: Query, text: tuple[str, ...], since: str, out: Output) -> None:
    """Find new and changed abstracts for a query, best first.

    Use this to keep a review up to date. Only records added or changed since --since are ranked. `engine log` lists the
    generations.

    \b
    engine new "switching to a biosimilar" --since 2026-11-01 -i rheumatology
    engine new fatigue in lupus --since 41 -n 100 -o this-month.ris
    """
    check_output(out)
    moment = parse_day(since).isoformat() if since.endswith("d") else since
    with open_named(config) as index:
        rows, answer = index.ask_new(replace(query, text=read_query_text(text)), since=moment)
        deliver(index, answer, out, [row.change for row in rows], since=moment)
        if not rows:
            say(f"nothing is new or changed since {since}; the current generation is {index.generation:06d}", err=True)
