"""The command that lists models."""

from __future__ import annotations

from dataclasses import asdict

import click

from engine.cli.frame.group import main
from engine.terminal import dump_json, say


@main.command()
@click.option("--json", "as_object", is_flag=True, help="Print one JSON object per model, one per line.")
def models(as_object: bool) -> None:
    """List models that are worth knowing, with published figures.

    Each has its size, dimensions, license, prompts, cost beside the default, figures, advice, and the options that
    `engine index` needs for it. Nothing is downloaded. Other models of the same kinds work, too.

    \b
    engine models
    engine index FILE -i better -m MongoDB/mdbr-leaf-ir
    """
    from engine.encode.models.catalogue import FIGURES, MODELS, format_cost, format_figures, list_model_notes

    if as_object:
        for model in MODELS:
            say(dump_json({**asdict(model), "figures": dict(zip(FIGURES, model.figures, strict=True))}))
        return
    for model in MODELS:
        say(
            f"{model.name}: {model.parameters} M parameters, {model.dim} dimensions, {model.license}, "
            f"cost {format_cost(model)}{'; run here' if model.was_run else ''}"
        )
        shown = zip(FIGURES, format_figures(model), strict=True)
        say(f"  {', '.join(f'{name} {figure}' for name, figure in shown)}; prompts: {model.prompts}")
        say(f"  {model.advice}.{f' Options: {model.options}' if model.options else ''}")
    for note in list_model_notes():
        say(note)
