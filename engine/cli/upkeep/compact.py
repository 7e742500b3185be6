"""The command that writes an index anew as one segment."""

from __future__ import annotations

import click

from engine.cli.frame.group import main
from engine.cli.frame.options import index_options
from engine.cli.upkeep.build import guard_writing
from engine.config import Config, Settings
from engine.terminal import dump_json, say, show_progress


@main.command()
@click.argument("name", required=False)
@index_options
@click.option("--json", "as_object", is_flag=True, help="Print one JSON object.")
def compact(config: Config, name: str | None, as_object: bool) -> None:
    """Merge the segments of an index into one, without dead records.

    Publishes a generation with the same records. Every run merges small segments by itself; use this command when
    `engine status` shows many segments or many dead records, at a time when writing the whole index anew does no harm.

    \b
    engine compact pubmed
    """
    from engine.index.generations.folder import IndexFolder
    from engine.reindex.reports.summary import list_report_fields
    from engine.reindex.runs.compaction import compact_index
    from engine.scale.opening import choose_placement

    folder = IndexFolder(config.select_index(name).find_existing())
    with guard_writing(folder), show_progress() as report:
        result = compact_index(folder, Settings.load(folder.path), report, choose_placement(folder.path))
    if as_object:
        say(dump_json(list_report_fields(folder.path.name, result)))
        return
    for note in result.notes:
        say(note)
    if result.published:
        say(f"{folder.path.name}: generation {result.generation:06d} published, {result.seconds:.1f} s")
