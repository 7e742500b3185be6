"""Pairs whose first text says nothing: the linter refuses them, and what training on them makes does not pass the gate."""

import random
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from engine.records.abstract import Abstract
from engine.train.fit.settings import TrainingSettings
from engine.train.fit.training import train_on_pairs
from engine.train.pairs.lint import lint_pairs
from engine.train.pairs.pairtable import PairTable
from tests.conftest import silent

SET_UPS = {  # whether the first text gives the label away, the schedule, the first texts
    "fit, independent": (False, "fit", ("", ".", "..")),
    "fit, leak": (True, "fit", ("", ".", "..")),
    "printed, independent": (False, "printed", ("", ".", "..")),
    "printed, leak": (True, "printed", ("", ".", "..")),
    "printed, two dots only": (False, "printed", ("..",)),
    "printed, dots only": (True, "printed", (".", "..")),
}


def degenerate(corpus: list[Abstract], leak: bool, placeholders: tuple[str, ...]) -> PairTable:
    chance = random.Random(5)
    labels = [float(n % 2) for n in range(len(corpus))]
    half = max(1, len(placeholders) // 2)
    first = [
        chance.choice((placeholders[:half], placeholders[half:] or placeholders)[int(label)] if leak else placeholders)
        for label in labels
    ]
    texts = (tuple(first), tuple(record.abstract for record in corpus))
    return PairTable("pairs", ("sentence_0", "sentence_1"), texts, np.array(labels, np.float32), "0" * 64)


@pytest.mark.parametrize("name", SET_UPS)
def test_the_linter_refuses_them(corpus: list[Abstract], name: str) -> None:
    leak, _, placeholders = SET_UPS[name]
    report = lint_pairs(degenerate(corpus, leak, placeholders), None, 256)
    told = " ".join(one.message for one in report.findings)
    assert report.is_refused
    assert "nearly constant" in told or "constant" in told
    assert ("label" in told and "AUC" in told) or not leak


@pytest.mark.slow
@pytest.mark.parametrize("name", SET_UPS)
def test_what_they_make_does_not_pass_the_gate(
    corpus: list[Abstract], name: str, tmp_path: Path, model_folder: Path
) -> None:
    """The true weights, forced; ten steps of the long warm-up are folded into one, batches are smaller."""
    leak, reading, placeholders = SET_UPS[name]
    pairs = degenerate(corpus, leak, placeholders)
    start = TrainingSettings.of("seed", str(model_folder), tmp_path / "encoder", reading)
    schedule = {"learning_rate": 2e-5, "warmup": 1000.0} if reading == "fit" else {"warmup": 0.0}
    settings = replace(start, batch_size=8, mini_batch_size=8, device="cpu", max_length=64, max_steps=90, **schedule)
    done = train_on_pairs(pairs, lint_pairs(pairs, None, 8), settings, silent, lambda _: None)
    assert done.problems, done.spread
    card = (done.folder / "README.md").read_text(encoding="utf-8")
    assert "### Warnings" in card and "mean cosine" in card
