"""The command that explains the card of a model that somebody else trained."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import click

from engine.cli.group import main
from engine.terminal import as_json, one_line, say


@main.command("explain-card")
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--json", "as_object", is_flag=True, help="One JSON object.")
def explain_card(file: Path, as_object: bool) -> None:
    """Explain a model card (README.md) of sentence-transformers: what was trained, on what, and whether it adds up.

    Steps, epochs and losses are computed anew from what the card says: how many steps there were, what the logged loss
    is a mean of, what loss a model has that learned nothing, and whether the printed learning rate is the one that ran.
    FILE may be the folder of a model.

    \b
    engine explain-card model/README.md
    engine explain-card model --json
    """
    from engine.train.cardreport import explain, text_lines
    from engine.train.modelcard import read_card

    found = explain(read_card(file))
    if as_object:
        click.echo(as_json(asdict(found)))
        return
    for line in text_lines(found):
        say(line if not line.strip() else f"{line[: len(line) - len(line.lstrip())]}{one_line(line)}")
