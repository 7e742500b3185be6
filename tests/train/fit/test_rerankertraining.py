"""A tiny reranker learns which document has the word of a text, the same way every time."""

import json
import random
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from engine.encode.crossencoder.model import identify_reranker
from engine.errors import SourceError
from engine.relevance.sets.testset import SetSource
from engine.train.fit.rerankertraining import train_reranker
from engine.train.fit.settings import TrainingSettings, TrainingSources
from engine.train.pairs.rankedgroups import RankedGroup, RankedGroups
from tests.conftest import silent
from tests.train.conftest import WORDS

SOURCES = TrainingSources((SetSource("toy", "0" * 64),))


@pytest.fixture
def settings(small: Callable[..., TrainingSettings]) -> TrainingSettings:
    return small("rerank", learning_rate=3e-3)


def groups(n: int) -> RankedGroups:
    """Texts of one word; the first document repeats it, the others have other words."""
    chance = random.Random(3)
    made = []
    for _ in range(n):
        own, *others = chance.sample(WORDS, 3)
        made.append(RankedGroup(own, (f"{own} {own}", *(f"{word} {word}" for word in others))))
    return RankedGroups(tuple(made), tuple(made[:8]), n, 5, 0)


def test_it_learns_and_is_written_whole(settings: TrainingSettings) -> None:
    shown = list[str]()
    settings = replace(settings, max_steps=40)
    written = train_reranker(groups(48), SOURCES, settings, silent, shown.append)
    assert any(line.startswith("48 groups with 2 negatives each, 40 steps, about ") for line in shown), shown
    assert written.first_loss > 0.9 and written.last_loss < 0.75 * written.first_loss
    assert written.dev > 0.5 and written.steps == 40
    identity = identify_reranker(settings.output, "x")
    assert identity.fingerprint == written.identity.fingerprint and identity.max_length == 64  # of the base, not 24
    record = json.loads((settings.output / "training.json").read_text())
    assert record["groups"] == 48 and record["settings"]["negatives"] == 4 and record["sources"]["trained_on"]
    assert "## What Ran" in (settings.output / "README.md").read_text()
    assert str(settings.output.parent) not in (settings.output / "training.json").read_text()
    assert not list(settings.output.parent.glob("*.training"))


def test_the_same_run_gives_the_same_weights(settings: TrainingSettings, tmp_path: Path) -> None:
    found = [
        train_reranker(groups(16), SOURCES, replace(settings, output=tmp_path / name), silent, lambda _: None)
        for name in ("one", "two")
    ]
    assert found[0].identity.fingerprint == found[1].identity.fingerprint


def test_too_few_groups_are_refused(settings: TrainingSettings) -> None:
    with pytest.raises(SourceError, match="the corpus gave 15 groups to train on, expected at least one batch of 16"):
        train_reranker(groups(15), SOURCES, settings, silent, lambda _: None)
