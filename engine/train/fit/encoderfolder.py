"""Write a trained encoder: a sentence-transformers folder, with a card and a file that say what really ran."""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from engine import __version__
from engine.encode.models.model import identify
from engine.platform import replace_path
from engine.records.encoder import EncoderIdentity
from engine.train.fit.averaging import find_best
from engine.train.fit.basemodel import format_model_name
from engine.train.fit.checkpoints import choose_work_folder
from engine.train.fit.collapse import ScoreSpread, find_collapse
from engine.train.fit.methods import TrainedEncoder
from engine.train.fit.settings import RECORD, TrainingSettings, TrainingSources

_CARD = "README.md"
_BEFORE = "## Training Details"  # our part of the card precedes the library's


@dataclass(frozen=True, slots=True)
class WrittenEncoder:
    """A trained encoder in its folder, with its measurements."""

    folder: Path
    identity: EncoderIdentity
    trained: TrainedEncoder
    spread: ScoreSpread
    base_spread: ScoreSpread
    problems: tuple[str, ...]  # signs of a collapse; empty if it is sound


def write_encoder(
    trained: TrainedEncoder,
    settings: TrainingSettings,
    spreads: tuple[ScoreSpread, ScoreSpread],
    sources: TrainingSources,
    notes: Sequence[str],
) -> WrittenEncoder:
    """Write an encoder to its folder, whole or not at all, and delete the work folder.

    spreads: of the encoder and of its base. notes: findings about the pairs, for the card.
    """
    part = choose_work_folder(settings.output) / "encoder"
    shutil.rmtree(part, ignore_errors=True)
    trained.model.save_pretrained(str(part))
    problems = tuple(find_collapse(*spreads))
    record = _build_record(trained, settings, sources)
    record |= {"spread": asdict(spreads[0]), "base_spread": asdict(spreads[1])}
    (part / RECORD).write_text(json.dumps(record, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    card = (part / _CARD).read_text(encoding="utf-8")
    lines = _format_run(trained, settings, spreads)
    lines += [*_format_list("Warnings", problems), *_format_list("What the Pairs Showed", notes)]
    (part / _CARD).write_text(card.replace(_BEFORE, "\n".join([*lines, "", _BEFORE]), 1), encoding="utf-8")
    identity = identify(part, settings.output.name)
    replace_path(part, settings.output)
    shutil.rmtree(choose_work_folder(settings.output))
    return WrittenEncoder(settings.output, identity, trained, *spreads, problems)


def _build_record(trained: TrainedEncoder, settings: TrainingSettings, sources: TrainingSources) -> dict[str, object]:
    """Return what ran, for programs, without a path of this machine."""
    values = asdict(settings) | {"base": format_model_name(settings.base)}
    for name in ("guide", "teacher"):
        values[name] = format_model_name(values[name]) if values[name] else None
    del values["output"]
    return {
        "engine_version": __version__,
        "settings": values,
        "sources": asdict(sources),
        "rows": dict(trained.rows),
        "steps": trained.run.steps,
        "seconds": round(trained.run.seconds, 1),
        "log": [asdict(row) for row in trained.run.log],
        "averages": [asdict(average) for average in trained.averages],
    }


def _format_run(
    trained: TrainedEncoder, settings: TrainingSettings, spreads: tuple[ScoreSpread, ScoreSpread]
) -> list[str]:
    """Format our part of the card: what ran, the weights that were averaged, and the spread of scores."""
    rows = ", ".join(f"{n:,} of {name}" for name, n in trained.rows.items())
    warmup = f"{settings.warmup:.0%} of the steps" if 0 < settings.warmup < 1 else f"{settings.warmup:,.0f} steps"
    lines = [
        "## What Ran",
        "",
        f"Made by `engine train --method {settings.method}` (abstract-engine {__version__}) from "
        f"`{format_model_name(settings.base)}`; `{RECORD}` has every setting and the SHA-256 of the training data.",
        "",
        f"* Rows: {rows}; {trained.run.steps:,} steps of {settings.batch_size}",
        f"* Optimizer and schedule: AdamW, learning rate {settings.learning_rate:g}, weight decay "
        f"{settings.weight_decay:g}, linear after a warm-up of {warmup}",
        "* A logged loss is the mean of the steps since the line before, not the loss at that step",
    ]
    if trained.averages:
        scores = ", ".join(f"{average.alpha:g}: {average.score:.4f}" for average in trained.averages)
        share = find_best(trained.averages).alpha
        lines.append(
            f"* Weights averaged with the base: {share:g} trained; known-item nDCG@10 on dev by share: {scores}"
        )
    return [*lines, "", "### Scores", "", *_format_spreads(*spreads, format_model_name(settings.base))]


def _format_list(heading: str, lines: Sequence[str]) -> list[str]:
    """Format a section of the card; empty without lines."""
    return ["", f"### {heading}", "", *(f"* {line}" for line in lines)] if lines else []


def _format_spreads(new: ScoreSpread, old: ScoreSpread, base: str) -> list[str]:
    """Format a table of the spread of scores, beside the base."""
    rows = [
        ("mean cosine of two unrelated texts", f"{new.mean:.3f} (sd {new.sd:.3f})", f"{old.mean:.3f} (sd {old.sd:.3f})")
    ]
    rows += [
        (f"mean cosine of a text with `{text!r}`", f"{after:.3f}", f"{before:.3f}")
        for (text, after), (_, before) in zip(new.empty, old.empty, strict=True)
    ]
    head = [f"On {new.n_texts} texts:", "", f"| | this encoder | {base} |", "|---|---|---|"]
    return head + [f"| {name} | {after} | {before} |" for name, after, before in rows]
