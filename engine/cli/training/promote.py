"""The command that gives an index a better encoder, or a reranker that helps."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from engine.cli.frame.group import main
from engine.cli.frame.options import build_setting_option, index_options
from engine.cli.upkeep.build import guard_writing
from engine.config import Config, Settings
from engine.errors import EncoderError
from engine.phrases import pluralize
from engine.terminal import dump_json, say, show_progress

if TYPE_CHECKING:
    from engine.index.generations.folder import IndexFolder
    from engine.relevance.sets.testset import TestSet
    from engine.train.promote.gate import GateOutcome, Verdict
    from engine.train.promote.promotion import Promotion

_SET = click.Path(path_type=Path, exists=True, file_okay=False)


@main.command()
@click.argument("model")
@index_options
@click.option(
    "--known-items",
    type=_SET,
    metavar="FOLDER",
    multiple=True,
    help="Test set of known items to decide by [made from the index]. May be repeated.",
)
@click.option(
    "--guard",
    type=_SET,
    metavar="FOLDER",
    multiple=True,
    help="Test set on which the new model must not score worse. May be repeated.",
)
@click.option(
    "--max-queries",
    type=click.IntRange(10),
    metavar="N",
    default=500,
    show_default=True,
    help="Queries of each test set that a reranker is tested with.",
)
@build_setting_option("device")
@build_setting_option("template")
@build_setting_option("query_prompt")
@build_setting_option("document_prompt")
@build_setting_option("query_model")
@build_setting_option("pooling")
@click.option("--dry-run", is_flag=True, help="Test the model without changing the index.")
@click.option("--json", "as_object", is_flag=True, help="Print one JSON object.")
def promote(
    config: Config,
    model: str,
    known_items: tuple[Path, ...],
    guard: tuple[Path, ...],
    max_queries: int,
    dry_run: bool,
    as_object: bool,
    **flags: str | None,
) -> None:
    """Replace the encoder or reranker of an index by a better MODEL.

    Both encoders search the same known items, from the 10 % of publications that training never uses. MODEL must gain
    at least 0.010 nDCG@10, with a 95 % interval above 0, lose at most 0.010 on any guard, and must not have collapsed.
    If it passes, every record is encoded again into the next generation, which `engine rollback` undoes. If it is
    refused, nothing changes (exit code 1). MODEL has its own prompts and the template of the index, unless options name
    others; it is tested with what it would be used with.

    A cross-encoder is tested as a second stage behind the hybrid ranking, by the same rules, with the depth and the
    weights that index.toml names. If it passes, index.toml names it for every search, which --rerank none turns off.

    \b
    engine promote ./better -i rheumatology --dry-run
    engine promote ./better -i rheumatology --guard med
    """
    from engine.index.generations.folder import IndexFolder
    from engine.relevance.sets.testset import ABOUT, read_about, read_set
    from engine.scale.opening import choose_placement
    from engine.train.promote.promotion import promote_encoder

    folder = IndexFolder(config.find_existing())
    settings = Settings.load(folder.path, **flags)
    sets, guards = ([read_set(path) for path in paths] for paths in (known_items, guard))
    for path in known_items:
        if (path / ABOUT).is_file() and read_about(path / ABOUT).get("held_out") == 1.0:
            say(
                f"note: {path} is made from all publications, including those that MODEL may have been trained on",
                err=True,
            )
    if _is_reranker(model):
        _promote_reranker(folder, model, sets, guards, settings, max_queries, dry_run=dry_run, as_object=as_object)
        return
    with guard_writing(folder), show_progress() as shown:
        placement = choose_placement(folder.path)
        promotion = promote_encoder(
            folder, model, sets, guards, settings, shown, only_test=dry_run, placement=placement
        )
    if as_object:
        say(dump_json(asdict(promotion)))
    else:
        _report(folder.path.name, promotion)
    if not promotion.verdict.is_passed:
        reasons = "; ".join(promotion.verdict.reasons)
        raise EncoderError(f"{model} was refused: {reasons}. The index was not changed")


def _is_reranker(model: str) -> bool:
    """Return whether a model is a cross-encoder.

    Raises:
        EncoderError: there is no such model.
    """
    from engine.encode.crossencoder.model import identify_reranker
    from engine.encode.models.model import locate

    folder = locate(model)
    try:
        identify_reranker(folder, model)
    except EncoderError:
        return False
    return True


def _promote_reranker(
    folder: IndexFolder,
    model: str,
    sets: list[TestSet],
    guards: list[TestSet],
    settings: Settings,
    max_queries: int,
    *,
    dry_run: bool,
    as_object: bool,
) -> None:
    """Test a reranker, and report how it scored and whether index.toml names it now."""
    from engine.train.promote.rerankerpromotion import promote_reranker

    with guard_writing(folder), show_progress() as shown:
        tested = promote_reranker(
            folder, model, sets, guards, settings, shown, n_queries=max_queries, only_test=dry_run
        )
    if as_object:
        say(dump_json(asdict(tested)))
    else:
        outcomes = (tested.primary, *tested.outcomes)
        for line in (*_format_outcomes(outcomes), *(f"note: {note}" for note in tested.notes)):
            say(line)
    if tested.reasons:
        raise EncoderError(f"{model} was refused: {'; '.join(tested.reasons)}. The index was not changed")
    if not as_object:
        named = f"{settings.file} names it for every search. To turn it off: --rerank none"
        say(named if tested.is_named else "passed; nothing was changed (--dry-run)")


def _report(name: str, promotion: Promotion) -> None:
    """Print how the model scored, and the next command."""
    for note in promotion.notes:
        say(f"note: {note}", err=True)
    for line in _format_verdict(promotion.verdict):
        say(line)
    if promotion.report is not None:
        made = (
            f"generation {promotion.report.generation}, {pluralize(promotion.report.counts.encoded, 'record')} encoded"
        )
        say(f"{name} has a new encoder: {made}. To undo: engine rollback -i {name}")
    elif promotion.verdict.is_passed:
        say("passed; nothing was changed (--dry-run)")


def _format_verdict(verdict: Verdict) -> list[str]:
    """Format the outcomes, the deciding one first, then the mean cosines of unrelated texts."""
    lines = _format_outcomes((verdict.primary, *verdict.guards))
    old, new = verdict.current_spread, verdict.candidate_spread
    return [*lines, f"mean cosine of two unrelated texts: current {old.mean:.3f}, candidate {new.mean:.3f}"]


def _format_outcomes(outcomes: Sequence[GateOutcome]) -> list[str]:
    """Format a table of outcomes."""
    width = max(len(outcome.name) for outcome in outcomes)
    lines = [f"{'nDCG@10':<{width}}  queries  current  candidate     gain  95 % interval"]
    return lines + [_format_outcome(outcome, width) for outcome in outcomes]


def _format_outcome(outcome: GateOutcome, width: int) -> str:
    """Format one line of the table."""
    from engine.train.promote.gate import format_interval

    difference = outcome.difference
    gain = f"{difference.mean:+8.4f}  {format_interval(difference)}"
    return f"{outcome.name:<{width}}  {difference.n:7,}  {outcome.current:7.4f}  {outcome.candidate:9.4f} {gain}"
