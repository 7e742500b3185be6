"""The command that repeats a recorded search."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from engine.cli.delivery import Output, check_output, deliver, output_options
from engine.cli.group import main
from engine.cli.options import SEARCH_DEVICE, index_options, open_named
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
@click.option("--prisma", is_flag=True, help="Only print a PRISMA-S paragraph that describes the recorded search.")
@output_options
def rerun(config: Config, file: Path, device: str, current: bool, prisma: bool, out: Output) -> None:
    """Repeat a recorded search and compare the results.

    FILE is what --record wrote; it names the index and the generation. The result is the same if all hits, their order
    and their scores to six decimals are the same. Exit code 0: the same; 1: different.

    \b
    engine rerun lupus.json
    engine rerun lupus.json --current -o lupus-today.ris
    engine rerun lupus.json --prisma
    """
    from engine.query.prisma import write_paragraph
    from engine.query.searchlog import read_record

    record = read_record(file)
    if prisma:
        if current or out.form or out.files or out.record:
            raise UsageError("--prisma cannot be combined with --current or output options, since it runs no search")
        say(write_paragraph(record))
        return
    check_output(out)
    named = click.get_current_context().params["index"]  # ENGINE_INDEX is not asked: the record says which index
    with _open_recorded_index(
        config.select_index(named or record.index), record, file, device, current=current
    ) as index:
        from engine.query.rerun import rerun as repeat

        found = repeat(record, index)
        _write_hits(index, found, record, out)
    _report(found, record, err=out.form is not None)
    click.get_current_context().exit(0 if found.same else 1)


def _open_recorded_index(config: Config, record: Record, file: Path, device: str, *, current: bool) -> Index:
    """Open the index of a record at its generation, or at the newest one."""
    from engine.index.folder import IndexFolder
    from engine.query.rerun import open_recorded

    if config.index not in config.list_names():
        raise ConfigError(
            f"{file} was recorded on the index {record.index!r}, but {config.indexes} has no index {config.index!r}: "
            f"found {list_names(config.list_names())}. Name the index with -i NAME"
        )
    if current:
        return open_named(config, device)
    return open_recorded(record, IndexFolder(config.find_existing()), device=device)


def _write_hits(index: Index, found: RerunComparison, record: Record, out: Output) -> None:
    """Print and write the hits if an output option was given; otherwise only the verdict is printed."""
    from engine.query.searchlog import make_record, write_record

    if out.form or out.files:
        deliver(index, found.answer, Output(out.form, out.files, out.overwrite, out.raw, None), found.changes)
    if out.record:
        write_record(out.record, make_record(index, found.answer, since=record.since), overwrite=out.overwrite)
        say(f"search recorded in {out.record}", err=True)


def _report(found: RerunComparison, record: Record, *, err: bool) -> None:
    """Print whether the result is the same, and if not, how it differs."""
    for note in found.notes:
        say(f"note: {note}", err=True)
    hits = pluralize(len(found.answer.hits), "hit")
    if found.same:
        say(f"same result: {hits}, SHA-256 {found.result_sha256}", err=err)
        return
    numbers = f"{len(found.entered):,} entered, {len(found.left):,} left, {found.moved:,} at another rank"
    if not (found.entered or found.left or found.moved):
        numbers = "only scores"
    say(f"the result differs: {numbers}; {hits}, {pluralize(len(record.ids), 'hit')} recorded", err=err)
    new = {hit.id: hit for hit in found.answer.hits}
    for one in found.entered:
        say(_format_hit("+", new[one]), err=err)
    for one in found.left:
        say(f"- {record.ranks[one]:>5}  {join_lines(one)}", err=err)


def _format_hit(sign: str, hit: Hit) -> str:
    """Return one hit as a line: rank, id and title."""
    return f"{sign} {hit.rank:>5}  {join_lines(hit.id)}  {join_lines(hit.title)}"
