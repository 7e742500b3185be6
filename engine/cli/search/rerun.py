"""The command that repeats a recorded search."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from engine.cli.frame.delivery import Output, check_output, deliver, output_options
from engine.cli.frame.group import main
from engine.cli.frame.options import SEARCH_DEVICE, index_options, open_named
from engine.config import Config, list_names
from engine.errors import ConfigError, UsageError
from engine.phrases import pluralize
from engine.records.answer import Hit
from engine.terminal import join_lines, say

if TYPE_CHECKING:
    from engine.query.index import Index
    from engine.query.rerun import RerunComparison
    from engine.query.searchlog import Record


@main.command()
@click.argument("file", type=click.Path(path_type=Path), metavar="FILE.json")
@index_options
@SEARCH_DEVICE
@click.option("--current", is_flag=True, help="Search the newest generation instead of the recorded one.")
@click.option(
    "--prisma",
    is_flag=True,
    help="Only print a PRISMA-S paragraph on the recorded search, and what it can be checked by.",
)
@output_options
def rerun(config: Config, file: Path, device: str, current: bool, prisma: bool, out: Output) -> None:
    """Repeat a recorded search and compare the results.

    FILE was written by --record; it names the index and the generation. The result is the same if the hits, their order
    and their scores to six decimals are the same. Exit code 0: the same; 1: different.

    \b
    engine rerun lupus.json
    engine rerun lupus.json --current -o lupus-today.ris
    engine rerun lupus.json --prisma
    """
    from engine.query.prisma import list_appendix, write_paragraph
    from engine.query.searchlog import read_record

    record = read_record(file)
    if prisma:
        if current or out.form or out.files or out.record:
            raise UsageError("--prisma cannot be combined with --current or output options, since it runs no search")
        say(write_paragraph(record))
        say("\nAppendix: to check and repeat this search")
        say("\n".join(f"  {name}: {join_lines(value)}" for name, value in list_appendix(record)))
        return
    check_output(out)
    named = click.get_current_context().params["index"]  # ENGINE_INDEX is ignored, since the record names the index
    with _open_recorded_index(
        config.select_index(named or record.index), record, file, device, current=current
    ) as index:
        from engine.query.rerun import rerun as repeat

        comparison = repeat(record, index)
        _write_hits(index, comparison, record, out)
    _report(comparison, record, err=out.form is not None)
    click.get_current_context().exit(0 if comparison.same else 1)


def _open_recorded_index(config: Config, record: Record, file: Path, device: str, *, current: bool) -> Index:
    """Open the index of a record at its generation, or at the newest one."""
    from engine.index.generations.folder import IndexFolder
    from engine.query.rerun import open_recorded

    if config.index not in config.list_names():
        raise ConfigError(
            f"{file} was recorded on the index {record.index!r}, but {config.indexes} has no index {config.index!r}: "
            f"found {list_names(config.list_names())}. Name the index with -i NAME"
        )
    if current:
        return open_named(config, device)
    return open_recorded(record, IndexFolder(config.find_existing()), device=device)


def _write_hits(index: Index, comparison: RerunComparison, record: Record, out: Output) -> None:
    """Print and write the hits if an output option was given; otherwise only the verdict is printed."""
    from engine.query.searchlog import make_record, write_record

    if out.form or out.files:
        deliver(index, comparison.answer, Output(out.form, out.files, out.overwrite, out.raw, None), comparison.changes)
    if out.record:
        write_record(out.record, make_record(index, comparison.answer, since=record.since), overwrite=out.overwrite)
        say(f"search recorded in {out.record}", err=True)


def _report(comparison: RerunComparison, record: Record, *, err: bool) -> None:
    """Print whether the result is the same, and if not, how it differs."""
    for note in comparison.notes:
        say(f"note: {note}", err=True)
    hits = pluralize(len(comparison.answer.hits), "hit")
    if comparison.same:
        say(f"same result: {hits}, SHA-256 {comparison.result_sha256}", err=err)
        return
    numbers = (
        f"{len(comparison.entered):,} entered, {len(comparison.left):,} left, {comparison.moved:,} at another rank"
    )
    if not (comparison.entered or comparison.left or comparison.moved):
        numbers = "only scores"
    say(f"the result differs: {numbers}; {hits}, {pluralize(len(record.ids), 'hit')} recorded", err=err)
    new = {hit.id: hit for hit in comparison.answer.hits}
    for record_id in comparison.entered:
        say(_format_hit("+", new[record_id]), err=err)
    for record_id in comparison.left:
        say(f"- {record.ranks[record_id]:>5}  {join_lines(record_id)}", err=err)


def _format_hit(sign: str, hit: Hit) -> str:
    """Return one hit as a line: rank, id and title."""
    return f"{sign} {hit.rank:>5}  {join_lines(hit.id)}  {join_lines(hit.title)}"
