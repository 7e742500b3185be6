"""The command that proposes duplicates and keeps what people decide about them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from engine.cli.frame.group import main
from engine.cli.frame.options import find_login, index_options
from engine.cli.upkeep.build import guard_writing
from engine.config import Config, Settings
from engine.errors import LockedError, UsageError
from engine.files import check_target
from engine.phrases import pluralize
from engine.terminal import dump_json, join_lines, say, show_progress

if TYPE_CHECKING:
    from engine.corpus.duplicates.groups import Group
    from engine.index.generations.folder import IndexFolder
    from engine.reindex.runs.decisions import Duplicates


@main.command()
@click.argument("groups", nargs=-1, metavar="[GROUP]...")
@index_options
@click.option("--merge", is_flag=True, help="Make one record of each GROUP. `all` stands for every listed group.")
@click.option("--keep-apart", is_flag=True, help="Keep the records of each GROUP apart, and list it no more.")
@click.option("--undo", is_flag=True, help="Undo a decision by its number, or the last command.")
@click.option("--later", is_flag=True, help="Only note the decision. The next run applies it.")
@click.option("--who", metavar="NAME", help="Name of the person who decides [your login].")
@click.option(
    "--min-score",
    type=click.FloatRange(0, 1),
    default=0.5,
    show_default=True,
    help="Least score of a listed group.",
)
@click.option(
    "--report", type=click.Path(path_type=Path), metavar="FILE", help="Write all groups and decisions; .csv .json .md."
)
@click.option("--overwrite", is_flag=True, help="Overwrite an existing report.")
@click.option("--json", "as_object", is_flag=True, help="Print one JSON object per group, one per line.")
def duplicates(
    config: Config,
    groups: tuple[str, ...],
    merge: bool,
    keep_apart: bool,
    undo: bool,
    later: bool,
    who: str | None,
    min_score: float,
    report: Path | None,
    overwrite: bool,
    as_object: bool,
) -> None:
    """List records that may be the same work, and merge them or not.

    Each group has a name, a score from 0 to 1 and its reasons: what is the same in its records, and what differs.
    Title, authors, year, volume, pages, journal, DOI, PMID and abstract are compared.

    GROUP is the name of a group. Instead, name two or more records by their ids to make a group of them. Decisions are
    kept in decisions.db, survive every rebuild of the index and can be undone. A new generation applies them at once.

    \b
    engine duplicates -i rheumatology
    engine duplicates -i rheumatology --merge 3f2a91bc 77e0d1c2
    engine duplicates -i rheumatology --keep-apart 9b1c00aa
    engine duplicates -i rheumatology --undo
    engine duplicates -i rheumatology --report duplicates.csv
    """
    from engine.index.generations.folder import IndexFolder
    from engine.reindex.runs.decisions import find_undecided

    folder = IndexFolder(config.find_existing())
    verbs = [name for name, given in (("merge", merge), ("keep-apart", keep_apart), ("undo", undo)) if given]
    _check_request(verbs, groups, later=later)
    if report is not None:
        check_target(report, overwrite=overwrite)
    if verbs:
        _decide(folder, verbs[0], groups, who or find_login(), min_score)
        if not later:
            _apply(folder, verbs[0])
    found = find_undecided(folder, min_score)
    if report is not None:
        from engine.reindex.runs.duplicatereport import write_report

        write_report(report, found, overwrite=overwrite)
        say(f"{report} written")
    elif not verbs:
        _list_groups(found, groups, as_object=as_object)


def _check_request(verbs: Sequence[str], groups: Sequence[str], *, later: bool) -> None:
    """Check that the options make sense together.

    Raises:
        UsageError: they do not.
    """
    if len(verbs) > 1:
        raise UsageError(f"--{verbs[0]} and --{verbs[1]} are two decisions. Use one command for each")
    if later and not verbs:
        raise UsageError("--later needs a decision: --merge, --keep-apart or --undo")
    if verbs and verbs[0] != "undo" and not groups:
        raise UsageError(f"--{verbs[0]} needs a GROUP. List the groups: engine duplicates")
    if verbs == ["undo"] and (len(groups) > 1 or not all(group.isdecimal() for group in groups)):
        raise UsageError("--undo takes the number of one decision, or nothing for the last command")


def _decide(folder: IndexFolder, verb: str, groups: Sequence[str], who: str, min_score: float) -> None:
    """Write the decisions into the journal and print them."""
    from engine.corpus.storage.journal import DecisionKind
    from engine.reindex.runs.decisions import decide, undo

    if verb == "undo":
        made = undo(folder, who, int(groups[0]) if groups else None)
    else:
        made = decide(folder, DecisionKind(verb), groups, who, min_score)
    first, last = made[0].number, made[-1].number
    numbers = f"decision {first}" if first == last else f"decisions {first} to {last}"
    n_records = pluralize(sum(len(decision.records) for decision in made), "record")
    what = {"merge": "merged", "keep-apart": "kept apart", "undo": "undone"}[verb]
    say(f"{pluralize(len(made), 'group')} of {n_records} {what} ({numbers})")


def _apply(folder: IndexFolder, verb: str) -> None:
    """Publish a generation with the decisions; if another process writes the index, its next run applies them."""
    from engine.reindex.reports.summary import summarise_report
    from engine.reindex.runs.decisions import apply_decisions
    from engine.scale.opening import choose_placement

    settings = Settings.load(folder.path)
    try:
        with guard_writing(folder), show_progress() as progress:
            placement = choose_placement(folder.path)
            result = apply_decisions(folder, settings, f"duplicates --{verb}", progress, placement)
    except LockedError as err:
        say(f"note: the decision is kept, and the next run applies it. {err}", err=True)
        return
    for line in summarise_report(folder.path.name, result):
        say(line)


def _list_groups(found: Duplicates, names: Sequence[str], *, as_object: bool) -> None:
    """Print the proposed groups, or those of these names.

    Raises:
        UsageError: there is no group of a name.
    """
    from engine.reindex.runs.decisions import describe_group

    present = {group.name for group in found.proposed}
    if unknown := [name for name in names if name not in present]:
        raise UsageError(f"no group {unknown[0]!r} is listed. List the groups: engine duplicates")
    chosen = [group for group in found.proposed if not names or group.name in names]
    for group in chosen:
        if as_object:
            click.echo(dump_json(describe_group(group)))
        else:
            _print_group(group)
    kinds = [str(decision.kind) for decision in found.active]
    counts = [pluralize(len(chosen), "group")]
    counts += [
        f"{n:,} {what}"
        for what, n in (("merged", kinds.count("merge")), ("kept apart", kinds.count("keep-apart")))
        if n
    ]
    say(", ".join(counts), err=as_object)
    if found.n_pending:
        say(f"note: decisions about {pluralize(found.n_pending, 'record')} wait for the next run", err=True)


def _print_group(group: Group) -> None:
    """Print a group with its reasons and records."""
    reasons = f"same {', '.join(group.same)}" + (f"; other {', '.join(group.other)}" if group.other else "")
    say(f"{group.name}  {group.score:.2f}  {reasons}")
    for row in group.members:
        place = f"{row.volume}:{row.pages}" if row.volume and row.pages else row.volume or row.pages
        facts = (row.record_id, str(row.year or ""), row.doi or "", row.journal, place, row.title)
        say("  " + "  ".join(join_lines(fact) for fact in facts if fact))
