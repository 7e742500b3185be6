"""The command that makes a test set from abstracts."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from engine.cli.frame.group import main
from engine.cli.frame.options import index_options, open_named
from engine.cli.quality.judgments import describe_index
from engine.config import Config
from engine.errors import UsageError
from engine.files import check_new_folder
from engine.phrases import pluralize
from engine.progress import Progress
from engine.receipts import FileReceipt
from engine.records.abstract import Abstract, Deletion, Rejection
from engine.terminal import dump_json, join_lines, say, show_progress

if TYPE_CHECKING:
    from engine.relevance.sets.knownitems import Items, Kind
    from engine.relevance.sets.testset import SetSource

_REPORT_EVERY = 1000  # records


@main.command(name="known-items")
@click.argument("sources", nargs=-1, type=click.Path(path_type=Path), metavar="[SOURCE]...")
@index_options
@click.option(
    "-o",
    "--output",
    required=True,
    type=click.Path(path_type=Path),
    metavar="FOLDER",
    help="Folder of the new test set.",
)
@click.option(
    "--kind",
    type=click.Choice(["titles", "conclusions"]),
    default="titles",
    show_default=True,
    help="Kind of query: a title that must find its abstract, or a conclusion its objective.",
)
@click.option("--all", "everything", is_flag=True, help="Use all records, not only the held-out 10 %.")
@click.option("--json", "as_object", is_flag=True, help="Print one JSON object.")
def known_items(
    config: Config, sources: tuple[Path, ...], output: Path, kind: Kind, everything: bool, as_object: bool
) -> None:
    """Make a test set from abstracts, without human judges.

    Each title, or conclusion, is a query that must find its own abstract. The set uses the 10 % of all publications
    that training never uses. Records come from files, or with -i from an index. The same records give the same set,
    with the same SHA-256.

    \b
    engine known-items corpus.jsonl.gz -o known-titles
    engine known-items -i rheumatology -o known-conclusions --kind conclusions
    engine evaluate --set known-titles --model ./my-model
    """
    from engine.relevance.sets.holdout import TEST
    from engine.relevance.sets.knownitems import Items
    from engine.relevance.sets.testset import FILES, SetOrigin, write_set

    if bool(sources) == bool(click.get_current_context().params["index"]):
        raise UsageError("expected either files or an index. Give SOURCE, or -i NAME")
    check_new_folder(output, FILES)
    items = Items(kind, not everything)
    with show_progress() as report:
        if sources:
            origins, notes = _take_files(items, sources, report)
        else:
            origins, notes = _take_index(items, config, report), []
    test_set = items.build_test_set(output.resolve().name)
    write_set(test_set, output, SetOrigin(kind, 1.0 if everything else TEST, origins))
    if as_object:
        fields = {"folder": str(output), "kind": kind, "sha256": test_set.sha256, **asdict(items.counts)}
        click.echo(dump_json(fields | {"notes": notes}))
        return
    for line in (*(f"note: {join_lines(note)}" for note in notes), *_format_counts(items)):
        say(line)
    say(f"{output}: {pluralize(items.counts.taken, 'item')}, SHA-256 {test_set.sha256}")


def _take_files(items: Items, sources: Iterable[Path], report: Progress) -> tuple[tuple[SetSource, ...], list[str]]:
    """Take the records of files; return the files and notes on what could not be used."""
    from engine.collect.source import read_source
    from engine.relevance.sets.testset import SetSource

    files, first, n_rejected, n_deletions = list[SetSource](), "", 0, 0
    for path in sources:
        for entry in read_source(path):
            if isinstance(entry, Abstract):
                items.take(entry)
                if items.counts.read % _REPORT_EVERY == 0:
                    report("reading", items.counts.read, None)
            elif isinstance(entry, Rejection):
                n_rejected += 1
                first = first or str(entry)
            elif isinstance(entry, Deletion):
                n_deletions += 1
        files.append(SetSource(path.name, FileReceipt.of(path).sha256))
    notes = [f"{pluralize(n_rejected, 'record')} cannot be used: {first}"] * (n_rejected > 0)
    notes += [f"{pluralize(n_deletions, 'deletion')} in the files ignored"] * (n_deletions > 0)
    return tuple(files), notes


def _take_index(items: Items, config: Config, report: Progress) -> tuple[SetSource, ...]:
    """Take the records of an index, in its order; return it as the only source."""
    with open_named(config) as index:
        for record in index.abstracts():
            items.take(record)
            if items.counts.read % _REPORT_EVERY == 0:
                report("reading", items.counts.read, len(index))
        return (describe_index(index),)


def _format_counts(items: Items) -> Iterator[str]:
    """Yield lines with the counts of the records."""
    from engine.relevance.sets.knownitems import NEEDED

    counts = items.counts
    yield f"{pluralize(counts.read, 'record')} read"
    for n, what in (
        (counts.outside, "not held out"),
        (counts.unusable, f"without {NEEDED[items.kind]}"),
        (counts.again, "repeating a publication or a text"),
    ):
        if n:
            yield f"{n:,} {what}"
