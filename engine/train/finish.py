"""Write a finished encoder: a sentence-transformers folder with a card that says what really ran."""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from engine import __version__
from engine.encode.model import identify
from engine.errors import UsageError
from engine.records import EncoderIdentity
from engine.train.base import load, mixed_for, public_name
from engine.train.collapse import Spread, collapsed, spread
from engine.train.dev import vectors
from engine.train.fit import work_folder
from engine.train.settings import Settings, Sources
from engine.train.tuned import Tuned

RECORD = "training.json"
CARD = "README.md"
BEFORE = "## Training Details"  # our part of the card stands before the library's


@dataclass(frozen=True, slots=True)
class Finished:
    """An encoder that was written, and what is to be said of it."""

    folder: Path
    identity: EncoderIdentity
    tuned: Tuned
    spread: Spread
    base_spread: Spread
    problems: tuple[str, ...]  # of a collapse; none when it is sound


def check_output(output: Path) -> None:
    """Check that nothing lies where the encoder is to be written.

    Raises:
        UsageError: something does.
    """
    if output.exists():
        raise UsageError(f"{output} is there already, expected a new folder. Choose another: -o FOLDER; or remove it")


def finish(tuned: Tuned, settings: Settings, sample: Sequence[str], sources: Sources, notes: Sequence[str]) -> Finished:
    """Measure the encoder beside its base on a sample of texts, write it, and give its work folder up.

    notes: what the data linter said, for the card. Written whole, or not.
    """
    device = tuned.model.device.type
    mixed = mixed_for(settings, device)
    new = spread(lambda texts: vectors(tuned.model, texts, mixed), sample)
    old = spread(lambda texts: vectors(load(settings.base, device), texts, mixed), sample)
    part = work_folder(settings.output) / "encoder"
    shutil.rmtree(part, ignore_errors=True)
    tuned.model.save_pretrained(str(part))
    problems = tuple(collapsed(new, old))
    content = record(tuned, settings, sources) | {"spread": asdict(new), "base_spread": asdict(old)}
    (part / RECORD).write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    card = (part / CARD).read_text(encoding="utf-8")
    lines = card_lines(tuned, settings, (new, old))
    lines += [*listed("Warnings", problems), *listed("What the Pairs Showed", notes)]
    (part / CARD).write_text(card.replace(BEFORE, "\n".join([*lines, "", BEFORE]), 1), encoding="utf-8")
    identity = identify(part, settings.output.name)
    part.rename(settings.output)
    shutil.rmtree(work_folder(settings.output))
    return Finished(settings.output, identity, tuned, new, old, problems)


def record(tuned: Tuned, settings: Settings, sources: Sources) -> dict[str, object]:
    """What a program may want to know of the training, without a path of this machine."""
    told = asdict(settings) | {"base": public_name(settings.base)}
    for name in ("guide", "teacher"):
        told[name] = public_name(told[name]) if told[name] else None
    del told["output"]
    return {
        "engine_version": __version__,
        "settings": told,
        "sources": asdict(sources),
        "rows": dict(tuned.rows),
        "steps": tuned.trained.steps,
        "seconds": round(tuned.trained.seconds, 1),
        "log": [asdict(one) for one in tuned.trained.log],
        "averages": [asdict(one) for one in tuned.tried],
    }


def card_lines(tuned: Tuned, settings: Settings, spreads: tuple[Spread, Spread]) -> list[str]:
    """Our part of the card: what ran, where it was averaged, and how scores are spread."""
    new, old = spreads
    rows = ", ".join(f"{n:,} of {name}" for name, n in tuned.rows.items())
    warmup = f"{settings.warmup:.0%} of the steps" if 0 < settings.warmup < 1 else f"{settings.warmup:,.0f} steps"
    lines = [
        "## What Ran",
        "",
        f"Made by `engine train --recipe {settings.recipe}` (abstract-engine {__version__}) from "
        f"`{public_name(settings.base)}`; every setting, and the SHA-256 of what was read, is in `{RECORD}`.",
        "",
        f"* Rows: {rows}; {tuned.trained.steps:,} steps of {settings.batch_size}",
        f"* Optimizer and schedule that really ran: AdamW, learning rate {settings.learning_rate:g}, weight decay "
        f"{settings.weight_decay:g}, linear after a warm-up of {warmup}",
        "* A logged loss is the mean of the steps since the line before, not the loss at that step",
    ]
    if tuned.tried:
        chosen = max(tuned.tried[1:], key=lambda one: (one.score, -one.alpha)).alpha
        scores = ", ".join(f"{one.alpha:g}: {one.score:.4f}" for one in tuned.tried)
        lines.append(
            f"* Weights averaged with the base: {chosen:g} tuned; known-item nDCG@10 on dev by share: {scores}"
        )
    return [*lines, "", "### Scores", "", *spread_table(new, old, public_name(settings.base))]


def listed(heading: str, lines: Sequence[str]) -> list[str]:
    """A part of the card; none where there is nothing to say."""
    return ["", f"### {heading}", "", *(f"* {line}" for line in lines)] if lines else []


def spread_table(new: Spread, old: Spread, base: str) -> list[str]:
    """How unrelated texts score, beside the base."""
    rows = [
        ("mean cosine of two unrelated texts", f"{new.mean:.3f} (sd {new.sd:.3f})", f"{old.mean:.3f} (sd {old.sd:.3f})")
    ]
    rows += [
        (f"mean cosine of a text with `{text!r}`", f"{mine:.3f}", f"{its:.3f}")
        for (text, mine), (_, its) in zip(new.nothing, old.nothing, strict=True)
    ]
    head = [f"On {new.n_texts} texts:", "", f"| | this encoder | {base} |", "|---|---|---|"]
    return head + [f"| {what} | {mine} | {its} |" for what, mine, its in rows]
