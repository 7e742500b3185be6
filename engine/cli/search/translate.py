"""The command that shows how a Boolean search is read, and writes it in other languages."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from engine.cli.frame.group import main
from engine.cli.frame.options import STRATEGY
from engine.cli.search.find import read_query_text
from engine.errors import UsageError
from engine.terminal import dump_json, say

if TYPE_CHECKING:
    from engine.corpus.boolean.tree import Search


@main.command()
@click.argument("text", metavar="[QUERY]...", nargs=-1)
@STRATEGY
@click.option("--json", "as_object", is_flag=True, help="Print one JSON object.")
def translate(text: tuple[str, ...], strategy: Path | None, as_object: bool) -> None:
    """Show how a Boolean search is read, and write it for other databases.

    Prints the tree, then the search for PubMed, Ovid and Embase, each with what its language can't say. QUERY - reads
    from standard input. Needs no index.

    \b
    engine translate '(gout[tiab] OR "uric acid"[tiab]) AND diet*[ti]'
    engine translate --strategy search.txt --json
    """
    from engine.corpus.boolean.strategy import read_search
    from engine.query.question.hyphenation import note_divided_words

    asked = read_query_text(text, strategy)
    search = read_search(asked)
    if search is None:
        raise UsageError(
            f"{asked[:60]!r} is a plain question, expected AND, OR or NOT in capitals, or a field tag. For example: "
            "engine translate 'gout[tiab] AND diet'"
        )
    if as_object:
        click.echo(dump_json(_list_fields(search, note_divided_words(asked))))
    else:
        say(_describe_search(search, note_divided_words(asked)))


def _list_fields(search: Search, divided: Sequence[str]) -> dict[str, object]:
    """Return the tree of a search and its translations as a dictionary; divided: notes on divided words."""
    from engine.corpus.boolean.translation import TARGETS, list_search_fields, translate_search

    found = [translate_search(search, target) for target in TARGETS]
    return {
        "dialect": search.expression.dialect.value,
        "lines": list_search_fields(search),
        "notes": [*search.notes, *divided],
        "translations": {one.dialect.value: {"lines": list(one.lines), "notes": list(one.notes)} for one in found},
    }


def _describe_search(search: Search, divided: Sequence[str]) -> str:
    """Return the tree of a search and its translations for reading; divided: notes on divided words."""
    from engine.corpus.boolean.translation import TARGETS, draw_search, translate_search

    dialect = search.expression.dialect
    order = "AND, OR and NOT from left to right" if dialect.reads_left_to_right else "NOT before AND, AND before OR"
    parts = [f"Read as {dialect.value}, {order}:", draw_search(search)]
    parts += [f"Note: {note}" for note in (*search.notes, *divided)]
    for target in TARGETS:
        found = translate_search(search, target)
        lines = zip(search.lines, found.lines, strict=True)
        parts += ["", f"{target.value}:"]
        parts += [f"{line.number}. {written}" if search.is_numbered else written for line, written in lines]
        parts += [f"Note: {note}" for note in found.notes]
    return "\n".join(parts)
