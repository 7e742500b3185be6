"""Settings of a training, and where each method starts from."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Self

from engine.errors import UsageError
from engine.relevance.sets.testset import SetSource

RECORD = "training.json"  # beside the weights: what ran, for programs
_ALPHAS = (0.25, 0.4, 0.55, 0.7, 0.85, 1.0)


@dataclass(frozen=True, slots=True)
class TrainingSettings:
    """Everything that determines the trained weights, apart from the data."""

    method: str  # "seed", "adapt", "distill" or "rerank"
    base: str  # a sentence-transformers folder, a hub id or the default model's name
    output: Path  # folder of the new encoder; must not exist
    epochs: float = 1.0
    batch_size: int = 256
    mini_batch_size: int = 32  # rows in memory at once
    learning_rate: float = 2e-5
    weight_decay: float = 0.01
    warmup: float = 0.1  # steps; below 1 a share of all steps
    max_length: int | None = 128  # tokens read in training; the finished encoder reads as many as its base
    dropout: bool = False
    seed: int = 42
    device: str = "auto"  # "auto", "cpu" or "cuda"
    mixed: bool | None = None  # bfloat16 for matrix products, weights in float32; None: if the device supports it
    max_steps: int = -1  # -1: as many as the epochs have
    logging_steps: int = 10
    guide: str | None = None  # adapt: the frozen encoder that recognises false negatives; None: the base
    temperature: float = 0.05  # adapt: 1 / scale of the base's own training
    margin: float = 0.05  # adapt: a negative must be less similar than the positive by this share, for the guide
    orthogonal: float = 0.1  # adapt: weight of the orthogonal regularisation
    negatives: int = 1  # adapt: mined hard negatives for each pair
    matryoshka: tuple[int, ...] = ()  # adapt: shorter dimensions trained at the same time
    lora: int = 0  # adapt: rank of low-rank adapters on the attention; 0: all weights are trained
    alphas: tuple[float, ...] = _ALPHAS  # adapt, distill: shares of the trained weights tried on dev
    teacher: str | None = None  # distill: the encoder whose vectors are learned
    pairs: int = 3000  # rerank: pairs chosen by chance from those of the corpus
    project: bool = False  # distill: learn a projection to a teacher of another dimension

    @classmethod
    def of(cls, method: str, base: str, output: Path, reading: str = "fit") -> Self:
        """Return the settings that a method starts from.

        seed: batch 256, 3 epochs, seed 42, AdamW, linear, logged every 500 steps, as the model card of the seed says.
        reading "printed": learning rate 5e-5, no warm-up, no decay, as printed there; "fit": 2e-5, decay 0.01 and
        10,000 warm-up steps, the defaults of the legacy fit() that wrote the card and that the card does not print.
        """
        start = cls(method, base, output)
        if method == "seed":
            schedule = (2e-5, 0.01, 10_000.0) if reading == "fit" else (5e-5, 0.0, 0.0)
            rate, decay, warmup = schedule
            start = replace(start, epochs=3.0, learning_rate=rate, weight_decay=decay, warmup=warmup, alphas=(1.0,))
            return replace(start, max_length=None, dropout=True, mixed=False, logging_steps=500, mini_batch_size=256)
        if method == "distill":
            return replace(start, learning_rate=1e-4, batch_size=64, mini_batch_size=64, epochs=2.0)
        if method == "rerank":
            return replace(start, learning_rate=5e-5, batch_size=16, mini_batch_size=40, negatives=4)
        return replace(start, learning_rate=5e-5, batch_size=128)

    def count_steps(self, n_rows: int) -> int:
        """Return the number of steps over n_rows rows: max_steps, or batches of an epoch (the last short) x epochs."""
        if self.max_steps > 0:
            return self.max_steps
        return max(1, int(-(-n_rows // self.batch_size) * self.epochs))


@dataclass(frozen=True, slots=True)
class TrainingSources:
    """The files and indexes that a training read."""

    trained_on: tuple[SetSource, ...]
    held_out: tuple[SetSource, ...] = ()  # their publications were excluded


def check_method(method: str, n_files: int, index: str | None, *, check: bool = False) -> None:
    """Check that there is exactly one source to train on or to check.

    Raises:
        UsageError: there is none, or two, or an index although labelled pairs are needed.
    """
    if index and (method == "seed" or check):
        needs = "--check needs" if check else "the method seed needs"
        raise UsageError(f"{needs} labelled pairs, and an index has none: give files of pairs")
    if method == "rerank" and n_files:
        raise UsageError("the method rerank learns from the hybrid ranking of an index: name one with -i, and no files")
    if bool(n_files) == bool(index):
        raise UsageError("expected something to train on: either files, or an index (-i NAME)")
