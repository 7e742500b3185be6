"""The command that gives an index a better encoder."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from engine.cli.build import writing
from engine.cli.group import main
from engine.cli.options import index_options
from engine.config import Config, Settings
from engine.errors import EncoderError
from engine.terminal import as_json, progress, say

if TYPE_CHECKING:
    from engine.train.gate import Outcome, Verdict
    from engine.train.promote import Promotion

SET = click.Path(path_type=Path, exists=True, file_okay=False)


@main.command()
@click.argument("model")
@index_options
@click.option("--known-items", type=SET, metavar="FOLDER", multiple=True, help="Decide by these [the index's own].")
@click.option("--guard", type=SET, metavar="FOLDER", multiple=True, help="A test set that must not lose.")
@click.option("--device", type=click.Choice(["auto", "cpu", "cuda"]), help="Where to encode everything again [auto].")
@click.option("-n", "--dry-run", is_flag=True, help="Test only; the index stays as it is.")
@click.option("--json", "as_object", is_flag=True, help="One JSON object.")
def promote(
    config: Config,
    model: str,
    known_items: tuple[Path, ...],
    guard: tuple[Path, ...],
    device: str | None,
    dry_run: bool,
    as_object: bool,
) -> None:
    """Give an index the encoder MODEL, if it is better than the one it has.

    Both search the same known items: the tenth of the publications that is never trained on. MODEL must gain 0.010
    nDCG@10 with an interval above 0, lose nowhere more than 0.010, and tell unrelated texts apart. Then every record is
    encoded again into the next generation. A refused model changes nothing (exit 1); `engine rollback` undoes the rest.

    \b
    engine promote ./better -i rheumatology --dry-run
    engine promote ./better -i rheumatology --guard med
    """
    from engine.index.folder import IndexFolder
    from engine.relevance.testset import ABOUT, about_of, read_set
    from engine.train.promote import promote as run

    folder = IndexFolder(config.existing())
    settings = Settings.load(folder.path, device=device)
    sets, guards = ([read_set(path) for path in paths] for paths in (known_items, guard))
    for path in known_items:
        if (path / ABOUT).is_file() and about_of(path / ABOUT).get("held_out") == 1.0:
            say(f"note: {path} is made of all publications, also of those that MODEL may be trained on", err=True)
    with writing(folder), progress() as shown:
        done = run(folder, model, sets, guards, settings, shown, only_test=dry_run)
    if as_object:
        say(as_json(asdict(done)))
    else:
        tell(folder.path.name, done)
    if not done.verdict.passed:
        raise EncoderError(f"{model} was refused: {'; '.join(done.verdict.reasons)}. The index is as it was")


def tell(name: str, done: Promotion) -> None:
    """Say what was found, and what to do next."""
    for line in table(done.verdict):
        say(line)
    if done.report is not None:
        made = f"generation {done.report.generation}, {done.report.counts.encoded:,} records encoded"
        say(f"{name} has a new encoder: {made}. To undo: engine rollback -i {name}")
    elif done.verdict.passed:
        say("passed; nothing was changed (--dry-run)")


def table(verdict: Verdict) -> list[str]:
    """The outcomes, the deciding one first, then how scores are spread."""
    outcomes = (verdict.primary, *verdict.guards)
    width = max(len(one.name) for one in outcomes)
    lines = [f"{'nDCG@10':<{width}}  queries  current  candidate     gain  95 % interval"]
    lines += [row(one, width) for one in outcomes]
    old, new = verdict.current_spread, verdict.candidate_spread
    return [*lines, f"mean cosine of two unrelated texts: current {old.mean:.3f}, candidate {new.mean:.3f}"]


def row(one: Outcome, width: int) -> str:
    """One line of the table."""
    from engine.train.gate import interval_text

    found = one.difference
    gain = f"{found.mean:+8.4f}  {interval_text(found)}"
    return f"{one.name:<{width}}  {found.n:7,}  {one.current:7.4f}  {one.candidate:9.4f} {gain}"
