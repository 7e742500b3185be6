"""A corpus that says everything twice, and small settings."""

import random
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from engine.records.abstract import Abstract
from engine.train.fit.settings import TrainingSettings
from tests.conftest import TOY_MODEL

WORDS = "knee hip pain drug trial arthritis gout bone muscle dose rat mouse human cell bias score lupus spine".split()


@pytest.fixture
def corpus() -> list[Abstract]:
    """300 records with a title, a structured abstract and four headings, the same every time."""
    chance = random.Random(7)
    made = []
    for number in range(300):
        topic = chance.choices(WORDS, k=6)
        told = " ".join([*topic, *chance.choices(WORDS, k=12)])
        concluded = " ".join([*topic, f"of number{number}"])
        abstract = f"OBJECTIVE: To see {told}. METHODS: We counted. CONCLUSION: We saw {concluded}."
        mesh = ("Humans", *chance.sample(WORDS, 3))
        made.append(Abstract(f"R{number}", f"{' '.join(topic)} {number}", abstract, mesh=mesh))
    return made


@pytest.fixture
def small(tmp_path: Path) -> Callable[..., TrainingSettings]:
    """small(recipe, …): settings for a run of seconds with the toy model."""

    def make(recipe: str, **given: Any) -> TrainingSettings:
        start = TrainingSettings.of(recipe, str(TOY_MODEL), tmp_path / "encoder")
        start = replace(start, batch_size=16, mini_batch_size=8, max_length=24, max_steps=4, logging_steps=2)
        return replace(start, mixed=False, device="cpu", alphas=(0.5, 1.0), **given)

    return make
