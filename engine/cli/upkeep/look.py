"""Commands that show an index, check it, or go back to an earlier generation."""

from __future__ import annotations

from dataclasses import asdict

import click

from engine.cli.frame.group import main
from engine.cli.frame.options import index_options
from engine.config import Config
from engine.errors import CorruptError, EngineError
from engine.phrases import pluralize
from engine.terminal import dump_json, join_lines, say


@main.command()
@index_options
@click.option("--sources", is_flag=True, help="Also show what became of the records of each file.")
@click.option("--json", "as_object", is_flag=True, help="Print one JSON object per index, one per line.")
def status(config: Config, sources: bool, as_object: bool) -> None:
    """Show what the indexes contain.

    Shows the generation, the number of records, the encoder, how many texts are longer than the encoder reads, and what
    the next run may cost: which segments it writes again if it changes as many records as the last one, and the space
    that it needs.

    With --sources, a table has a row for each time a file was read. Its records are the sum of the other columns:
    rejected; repeated in the file; merged with a record of another file; unchanged, added, or changed in text or
    metadata; outdated, where the index has a newer version; withdrawn, where PubMed deleted the citation.

    \b
    engine status
    engine status -i rheumatology --sources
    """
    from engine.index.generations.folder import IndexFolder
    from engine.reindex.reports.summary import format_sources, format_status, list_source_fields, list_status_fields

    several = config.index is None and len(config.list_names()) > 1
    paths = [config.indexes / name for name in config.list_names()] if several else [config.find_existing()]
    failed: EngineError | None = None
    for folder in map(IndexFolder, paths):
        try:
            if as_object:
                click.echo(dump_json(list_status_fields(folder) | (list_source_fields(folder) if sources else {})))
            else:
                say("\n".join([*format_status(folder), *(format_sources(folder) if sources else [])]))
        except EngineError as err:  # the other indexes are still reported
            if failed is not None:
                say(f"Error: {failed}", err=True)
            failed = err
    if failed is not None:
        raise failed


@main.command()
@index_options
@click.option(
    "-n",
    "--number",
    "n",
    type=click.IntRange(min=1),
    metavar="N",
    default=20,
    show_default=True,
    help="Number of generations to list.",
)
@click.option("--json", "as_object", is_flag=True, help="Print one JSON object per generation, one per line.")
def log(config: Config, n: int, as_object: bool) -> None:
    """List the generations of an index, newest first.

    Each line says when a generation was made, why, and what changed.

    \b
    engine log -i rheumatology
    """
    from engine.reindex.reports.history import format_event, read_history

    for event in read_history(config.find_existing())[: -n - 1 : -1]:
        say(dump_json(asdict(event)) if as_object else format_event(event))


@main.command()
@click.argument("old", type=click.IntRange(min=1))
@click.argument("new", type=click.IntRange(min=1))
@index_options
@click.option("--json", "as_object", is_flag=True, help="Print one JSON object per record, one per line.")
def diff(config: Config, old: int, new: int, as_object: bool) -> None:
    """List the records that differ between two generations.

    OLD and NEW are numbers from `engine log`; both generations must still exist. + marks an added record, - a removed
    one, and ~ a changed one.

    \b
    engine diff 6 7 -i rheumatology
    """
    from engine.reindex.reports.history import compare_generations

    signs = {"added": "+", "removed": "-"}
    total: dict[str, int] = {}
    for difference in compare_generations(config.find_existing(), old, new):
        total[difference.change] = total.get(difference.change, 0) + 1
        if as_object:
            click.echo(dump_json(asdict(difference)))
            continue
        fields = f"  [{', '.join(difference.fields)}]" if difference.fields else ""
        say(f"{signs.get(difference.change, '~')} {difference.record_id}  {join_lines(difference.title)}{fields}")
    counts = ", ".join(f"{n:,} {change}" for change, n in total.items()) or "no record differs"
    say(f"{old:06d} to {new:06d}: {counts}", err=as_object)


@main.command()
@index_options
@click.option("--deep", is_flag=True, help="Also compare all texts with their digests, and encode a sample again.")
def verify(config: Config, deep: bool) -> None:
    """Check the files of an index against its manifest.

    Also checks that SQLite and FAISS agree, and that decisions, what saved questions reported and fetched records can
    be read. Writes nothing.

    \b
    engine verify --deep -i rheumatology
    """
    from engine.index.generations.folder import IndexFolder
    from engine.reindex.copies.keptfiles import find_kept_problems
    from engine.reindex.generation.verify import verify as check
    from engine.scale.opening import choose_placement

    folder = IndexFolder(config.find_existing())
    generation = folder.open_current()
    placement = choose_placement(folder.path) if deep else None
    if problems := check(folder, generation, deep=deep, placement=placement):
        raise CorruptError(
            f"generation {generation.manifest.generation:06d} of {folder.path}: "
            + "\n  ".join([pluralize(len(problems), "problem"), folder.complete_advice(problems)])
        )
    if kept := [*find_kept_problems(folder)]:
        raise CorruptError("\n  ".join([pluralize(len(kept), "problem"), *kept]))
    n = generation.manifest.counts.abstracts
    depth = "files, ids, vectors, texts and encoder" if deep else "files, ids and vectors"
    depth += " and what the nodes hold" if placement else ""
    say(
        f"{folder.path.name}, generation {generation.manifest.generation:06d}: {depth} agree, "
        f"{pluralize(n, 'abstract')}"
    )


@main.command()
@index_options
@click.option(
    "--to",
    "number",
    type=click.IntRange(min=1),
    metavar="N",
    help="Number of the generation to go back to [the previous one].",
)
def rollback(config: Config, number: int | None) -> None:
    """Go back to an earlier generation, after checking it.

    Nothing is deleted yet. The next run continues from the earlier generation and deletes the later ones.

    \b
    engine rollback -i rheumatology
    engine rollback --to 3
    """
    from engine.index.generations.folder import IndexFolder
    from engine.reindex.runs.rollback import roll_back
    from engine.scale.opening import choose_placement

    folder = IndexFolder(config.find_existing())
    number = roll_back(folder, number, choose_placement(folder.path))
    say(f"{folder.path.name}: now at generation {number:06d}. The next run continues from here")
