"""Commands that ask an index."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

from engine.cli.group import main
from engine.cli.options import SEARCH_DEVICE, day, form_options, index_options, opened
from engine.config import Config
from engine.terminal import abstract_fields, as_json, form_for, print_abstract, print_hits, say

if TYPE_CHECKING:
    from engine.corpus.store import Said


@main.command()
@click.argument("query", nargs=-1, required=True)
@index_options
@SEARCH_DEVICE
@form_options
def search(config: Config, query: tuple[str, ...], device: str, top_k: int, form: str | None) -> None:
    """Find the abstracts nearest in meaning to QUERY, best first. The score is the cosine, at most 1.

    \b
    engine search "switching back to the originator after a biosimilar failed"
    engine search fatigue in lupus -n 50 --csv > hits.csv
    engine search "knee pain" | jq -r .title
    """
    with opened(config, device) as found:
        print_hits(found.search(" ".join(query), top_k=top_k), form_for(form))


@main.command()
@click.argument("record_id")
@index_options
@SEARCH_DEVICE
@form_options
def similar(config: Config, record_id: str, device: str, top_k: int, form: str | None) -> None:
    """Find the abstracts nearest to a stored one, by its id, PMID or DOI.

    \b
    engine similar PMID:31793330
    """
    with opened(config, device) as found:
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
        sources = [source_text(said) for said in found.sources(record_id)]
    if as_object or not sys.stdout.isatty():
        click.echo(as_json(abstract_fields(abstract, sources)))
    else:
        print_abstract(abstract, sources)


def source_text(said: Said) -> str:
    """One source of a record: the file that said it first, and the one that said it last where that is another."""
    again = f", again in {said.file}" if said.first_file not in ("", said.file) else ""
    return f"{said.first_file or said.file or 'unknown'}{again} ({said.format or 'unknown'}, {said.own_id})"


@main.command()
@click.argument("query", nargs=-1, required=True)
@click.option(
    "--since", required=True, metavar="GENERATION|DATE|Nd", help="Generation's number, a date (UTC), or days."
)
@index_options
@form_options
def new(config: Config, query: tuple[str, ...], since: str, top_k: int, form: str | None) -> None:
    """Find what is new or changed for QUERY since a generation or a date, best first: a living review.

    All records added or changed since then are ranked, and no others. `engine log` lists the generations.

    \b
    engine new "switching to a biosimilar" --since 2026-11-01 -i rheumatology
    engine new fatigue in lupus --since 41 -n 100 --csv > this-month.csv
    """
    moment = day(since).isoformat() if since.endswith("d") else since
    with opened(config) as found:
        hits = found.new(" ".join(query), since=moment, top_k=top_k)
        generation = found.generation
    if hits or form_for(form) != "table":
        print_hits([row.hit for row in hits], form_for(form), [row.change for row in hits])
    if not hits:
        say(f"nothing is new or changed since {since}; the current generation is {generation:06d}", err=True)
