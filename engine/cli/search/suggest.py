"""The command that builds Boolean searches from records that are known to be relevant."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

from engine.cli.frame.group import main
from engine.cli.frame.options import KNOWN, index_options, open_named, read_id_file
from engine.config import Config
from engine.phrases import pluralize
from engine.terminal import describe_absent, dump_json, join_lines, say, shorten_title

if TYPE_CHECKING:
    from engine.query.seeds.suggestion import SeedRecord, Suggestion

_TERMS = 20  # printed


@main.command()
@KNOWN
@index_options
@click.option("--json", "as_object", is_flag=True, help="Print one JSON object.")
def suggest(config: Config, known: Path, as_object: bool) -> None:
    """Write a Boolean search from records you know to be relevant.

    Prints the words, phrases and MeSH headings that the known records have more often than others, and a search for
    PubMed, Ovid and Embase that finds the known records and few others. Each record is left out once: a search built
    from the others either finds it or not, which tells how well the search finds relevant records that you don't know.
    Counts are those of the index.

    \b
    engine suggest --known included.ris -i rheumatology
    engine suggest --known pmids.txt --json
    """
    ids = read_id_file(known)
    with open_named(config) as index:
        found = index.suggest(ids)
    if as_object:
        from engine.query.seeds.suggestion import list_suggestion_fields

        click.echo(dump_json(list_suggestion_fields(found)))
        return
    for line in _format_suggestion(found):
        say(line)
    for note in (*found.notes, *found.best.notes):
        say(note, err=True)


def _format_suggestion(found: Suggestion) -> Iterator[str]:
    """Yield the lines to print: terms, the best search, the other ones, and the records that are missed."""
    n_known, best = len(found.known), found.best
    yield f"{'known':>7}  {'records':>9}  term"
    for one in found.terms[:_TERMS]:
        yield f"{f'{one.n_known}/{n_known}':>7}  {one.n_records:>9,}  {one.term.written}"
    if (more := len(found.terms) - _TERMS) > 0:
        yield f"and {pluralize(more, 'more term')}: --json lists them"
    yield ""
    yield (
        f"This search finds {best.n_found} of {n_known} known records among {best.n_records:,} of "
        f"{found.n_records:,}, and {best.n_found_unseen} of {n_known} if built without them:"
    )
    for language, line in best.lines.items():
        yield f"{language}:  {line}"
    for other in found.searches:
        if other is not best:
            yield ""
            yield (
                f"{other.width.capitalize()}: {other.n_found} of {n_known} among {other.n_records:,}, "
                f"{other.n_found_unseen} if built without them:"
            )
            yield other.lines["PubMed"]
    yield from _format_missed(found)


def _format_missed(found: Suggestion) -> Iterator[str]:
    """Yield the lines on known records that the search misses, or would miss if it were built without them."""
    for title, missed in (
        ("Missed:", [one for one in found.known if not one.found]),
        ("Missed if built without it:", [one for one in found.known if one.found and not one.found_unseen]),
    ):
        if missed:
            yield ""
            yield title
            yield from map(_format_record, missed)
    if found.absent:
        yield ""
        yield describe_absent(found.absent)


def _format_record(one: SeedRecord) -> str:
    """Return the line of a record that is missed."""
    record_id = join_lines(one.id)
    return f"{record_id}  {shorten_title(join_lines(one.title), len(record_id) + len(one.reason) + 6)}  [{one.reason}]"
