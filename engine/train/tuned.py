"""What a recipe hands over when it is done."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from sentence_transformers import SentenceTransformer

from engine.train.averaging import Tried
from engine.train.fit import Trained


@dataclass(frozen=True, slots=True)
class Tuned:
    """A finished training, before it is written."""

    model: SentenceTransformer
    trained: Trained
    tried: tuple[Tried, ...]  # averages with the base; none where the recipe has none
    rows: Mapping[str, int]  # of each data set
