"""Command that writes the records of an index to files."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from engine.cli.frame.delivery import OUTPUT, Output, check_output, write_records
from engine.cli.frame.group import main
from engine.cli.frame.options import SORT, add_options, filter_options, index_options, open_named
from engine.config import Config
from engine.errors import UsageError
from engine.options import Filters
from engine.phrases import pluralize
from engine.references.values.citation import Cited
from engine.terminal import say

if TYPE_CHECKING:
    from engine.query.index import Index


def read_targets(output: tuple[Path, ...], overwrite: bool, raw_csv: bool) -> Output:
    """Return the output that the options set.

    Raises:
        UsageError: no file is named.
    """
    if not output:
        raise UsageError("no file is named, expected where to write the records. For example: -o records.ris")
    return Output(None, output, overwrite, raw_csv, None)


_output = add_options("out", OUTPUT, read_targets)


@main.command()
@index_options
@filter_options
@SORT
@_output
def export(config: Config, filters: Filters, sort: str, out: Output) -> None:
    """Write all records, or those that pass the filters, to files.

    No query is needed. Records are in the order in which they were indexed, or of --sort, each once, without rank and
    score. The engine reads these files back as they were, but for what the last line of the output names, and Parquet.

    \b
    engine export -i lupus -o lupus.ris
    engine export -o recent.xlsx -o recent.csl.json --year 2015- --where 'has_abstract' --sort year
    """
    check_output(out)
    with open_named(config) as index:
        _write_files(index, filters, sort, out)


def _write_files(index: Index, filters: Filters, sort: str, out: Output) -> None:
    """Write the files one after the other, and print what each leaves out."""
    from engine.query.index import get_generation
    from engine.query.question.plan import note_unknown

    qualified = get_generation(index).find_qualified(filters)
    for note in (*qualified.notes, *note_unknown(qualified.unknown)):
        say(note, err=True)
    for path in out.files:
        left_out = write_records(
            path, _cite(index, filters, sort), f"{index.name} (generation {index.generation:06d})", out
        )
        say(f"{pluralize(len(qualified.doc_ids), 'record')} to {path}", err=True)
        if left_out:
            say(left_out, err=True)


def _cite(index: Index, filters: Filters, sort: str) -> Iterator[Cited]:
    """Yield the records that pass the filters, without hits."""
    return (Cited(None, record) for record in index.abstracts(filters, sort=sort))
