"""The command that explains the card of a model."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import click

from engine.cli.frame.group import main
from engine.terminal import dump_json, join_lines, say


@main.command("explain-card")
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--json", "as_object", is_flag=True, help="Print one JSON object.")
def explain_card(file: Path, as_object: bool) -> None:
    """Explain the model card of a sentence-transformers model.

    Computes from the card how many training steps there were, which steps a logged loss covers, the loss of a model
    that has learned nothing, and whether the printed learning rate is the one that was used. FILE is a README.md or the
    folder of a model.

    \b
    engine explain-card model/README.md
    engine explain-card model --json
    """
    from engine.train.modelcard.card import read_card
    from engine.train.modelcard.explanation import explain_model_card, format_explanation

    explanation = explain_model_card(read_card(file))
    if as_object:
        click.echo(dump_json(asdict(explanation)))
        return
    for line in format_explanation(explanation):
        say(line if not line.strip() else f"{line[: len(line) - len(line.lstrip())]}{join_lines(line)}")
