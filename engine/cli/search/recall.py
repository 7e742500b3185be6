"""The command that checks a search against records that are known to be relevant."""

from __future__ import annotations

from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from engine.cli.frame.group import main
from engine.cli.frame.options import KNOWN, LIKE, UNLIKE, index_options, open_named, query_options, read_id_file
from engine.config import Config
from engine.options import Query
from engine.phrases import pluralize
from engine.terminal import dump_json, join_lines, say, shorten_title

if TYPE_CHECKING:
    from engine.query.answers.location import KnownItem, Recall

_BESIDE = 9 + 2 + 6 + 2 + 2  # characters of rank, score and the blanks between columns


@main.command()
@click.argument("text", metavar="[QUERY]...", nargs=-1)
@KNOWN
@index_options
@LIKE
@UNLIKE
@query_options
@click.option("--json", "as_object", is_flag=True, help="Print one JSON object.")
def recall(
    config: Config,
    query: Query,
    text: tuple[str, ...],
    known: Path,
    like: tuple[str, ...],
    unlike: tuple[str, ...],
    as_object: bool,
) -> None:
    """Check where QUERY ranks the records you know to be relevant.

    Prints the rank of each known record in the whole ranking, the recall at several depths, and how many hits to read
    to find 95 % of them. Recall is the share of the known records in the index that were found; a record that a filter
    leaves out counts as not found. Depths are 10, 50, 100, 500 and the value of -n.

    \b
    engine recall "switching to a biosimilar" --known pmids.txt -i rheumatology
    engine recall gout flare --known pmids.txt --mode semantic --year 2015- -n 1000
    """
    ids = read_id_file(known)
    with open_named(config) as index:
        result = index.recall(replace(query, text=" ".join(text), like=like, unlike=unlike), ids)
    if as_object:
        click.echo(dump_json(_list_recall_fields(result)))
        return
    for line in (*_format_table(result.items), "", *_format_summary(result)):
        say(line)
    for note in result.notes:
        say(note, err=True)


def _list_recall_fields(result: Recall) -> dict[str, object]:
    """Return a recall check as the printed fields."""
    items = [
        asdict(item) | {"score": None if item.score is None else round(item.score, 6)} for item in _sort(result.items)
    ]
    at = {str(depth): round(share, 6) for depth, share in result.at}
    return asdict(result) | {"items": items, "at": at}


def _sort(items: tuple[KnownItem, ...]) -> list[KnownItem]:
    """Sort items by rank; then those without a rank, by score; then those that are not in the index."""
    last = float("inf")
    return sorted(items, key=lambda item: (item.id is None, item.rank or last, -(item.score or 0.0)))


def _format_table(items: tuple[KnownItem, ...]) -> list[str]:
    """Return a line for each item: rank, score, id, title, and why it has no rank."""
    width = max(len(join_lines(item.id or item.given)) for item in items)
    lines = [f"{'rank':>9}  {'score':>6}  {'id':<{width}}  title"]
    for item in _sort(items):
        rank = f"{item.rank:,}" if item.rank else "-"
        score = "" if item.score is None else f"{item.score:.3f}"
        title = shorten_title(join_lines(item.title), width + _BESIDE)
        text = "  ".join(filter(None, (title, f"[{item.reason}]" if item.reason else "")))
        lines.append(f"{rank:>9}  {score:>6}  {join_lines(item.id or item.given):<{width}}  {text}".rstrip())
    return lines


def _format_summary(result: Recall) -> list[str]:
    """Return how many known records there are, the recall at each depth, and how deep to read."""
    missing = f"; {result.n_missing:,} more not in the index" if result.n_missing else ""
    counts = f"{pluralize(result.n_known, 'known record')} in the index{missing}"
    depth = f"read {pluralize(result.depth_95, 'hit')} to find 95 % of them" if result.depth_95 else _NEVER
    recalls = ", ".join(f"recall@{depth} {share:.3f}" for depth, share in result.at)
    return [counts, f"of those {result.n_known:,}: {recalls}", depth]


_NEVER = "this search cannot find 95 % of them: too many have no rank"
