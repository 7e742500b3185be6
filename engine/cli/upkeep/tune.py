"""The command that sets how deep an approximate index searches."""

from __future__ import annotations

from dataclasses import asdict

import click

from engine.cli.frame.group import main
from engine.cli.frame.options import build_setting_option, index_options
from engine.cli.upkeep.build import guard_writing
from engine.config import Config, Settings
from engine.terminal import dump_json, say, show_progress


@main.command()
@click.argument("name", required=False)
@index_options
@build_setting_option("recall")
@click.option("--rebuild", is_flag=True, help="Train the IVF lists again, on the current vectors.")
@click.option("--json", "as_object", is_flag=True, help="Print one JSON object.")
def tune(config: Config, name: str | None, recall: float | None, rebuild: bool, as_object: bool) -> None:
    """Choose how deep a large index searches.

    Measures several settings against an exact search and publishes the fastest one with enough recall. An index of less
    than a million abstracts compares every vector, so there is nothing to tune. Every run of index and reindex measures
    again by itself; use this command for another recall, or after changing factory in index.toml. Scores are always
    exact.

    \b
    engine tune pubmed --recall 0.995
    """
    from engine.index.generations.folder import IndexFolder
    from engine.reindex.runs.retune import tune_index
    from engine.scale.opening import choose_placement

    folder = IndexFolder(config.select_index(name).find_existing())
    settings = Settings.load(folder.path, recall=recall)
    with guard_writing(folder), show_progress() as report:
        placement = choose_placement(folder.path)
        result = tune_index(folder, settings, rebuild=rebuild, progress=report, placement=placement)
    if as_object:
        trials = [asdict(trial) for trial in result.trials]
        ann = asdict(result.ann) if result.ann else None
        fields = {"published": result.published, "generation": result.generation, "factory": result.factory}
        say(dump_json({**fields, "ann": ann, "trials": trials, "notes": result.notes, "seconds": result.seconds}))
        return
    for trial in result.trials:
        is_used = result.ann is not None and (trial.n_probe, trial.n_rerank) == (
            result.ann.n_probe,
            result.ann.n_rerank,
        )
        speed = f", {trial.ms:.2f} ms" if trial.ms is not None else ""
        line = f"{trial.n_probe:6,} lists, {trial.n_rerank:5,} candidates: recall@10 {trial.recall:.4f}{speed}"
        say(f"{'*' if is_used else ' '} {line}")
    for note in result.notes:
        say(note)
    if result.published:
        say(f"{folder.path.name}: generation {result.generation:06d} published, {result.seconds:.1f} s")
