"""What a training will take, before it starts: memory by a formula, time by running one small step."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from sentence_transformers import SentenceTransformer
from sentence_transformers.util import batch_to_device

from engine.platform import count_free_memory
from engine.train.fit.settings import TrainingSettings

_STATES = 4  # copies of the weights in float32: weights, gradients, two moments of Adam
# Forward and backward passes of a step, by method: caching and the guide embed once more each.
_PASSES = {"seed": 1.0, "distill": 1.0, "adapt": 5 / 3}
_TIMED = 2  # steps that are timed, after one that warms up
_PAGE = 1024  # texts tokenised at once


@dataclass(frozen=True, slots=True)
class TrainingEstimate:
    """What to expect of a training."""

    n_rows: int
    n_steps: int
    n_bytes: int  # of memory on the device, at most
    free_bytes: int
    seconds: float  # of training, without mining, encoding by a teacher and averaging
    mini_batch_size: int | None  # the largest that fits into free_bytes; None: not even 1

    def __str__(self) -> str:
        hours, minutes = divmod(round(self.seconds / 60), 60)
        took = f"{hours} h {minutes} min" if hours else f"{max(1, minutes)} min"
        needs = f"{self.n_bytes / 1e9:.1f} GB of memory of {self.free_bytes / 1e9:.1f} GB free"
        return f"{self.n_rows:,} rows, {self.n_steps:,} steps, about {took} and up to {needs}"


def estimate_training(
    model: SentenceTransformer, columns: Sequence[Sequence[str]], settings: TrainingSettings
) -> TrainingEstimate:
    """Estimate a training on rows of these columns of text; changes neither model nor random state."""
    n_rows, mixed = len(columns[0]), bool(settings.mixed)
    sample = min(settings.mini_batch_size, n_rows)
    row_seconds = sum(_time_step(model, column[:sample], mixed) for column in columns) / sample
    longest = [_find_longest(model, column) for column in columns]
    # A cached loss embeds one column at a time; any other keeps the activations of all columns for its backward pass.
    tokens = max(longest) if settings.method == "adapt" else sum(longest)
    free = _read_free_memory(model.device)
    steps = settings.count_steps(n_rows)
    return TrainingEstimate(
        n_rows=n_rows,
        n_steps=steps,
        n_bytes=_estimate_memory(model, tokens, n_rows, settings),
        free_bytes=free,
        seconds=row_seconds * steps * min(settings.batch_size, n_rows) * _PASSES[settings.method],
        mini_batch_size=_find_mini_batch(model, tokens, n_rows, settings, free),
    )


def _estimate_memory(model: SentenceTransformer, tokens: int, n_rows: int, settings: TrainingSettings) -> int:
    """Return the bytes for weights, their states and what a backward pass keeps of one part of a batch.

    tokens: of a row, all columns whose activations are kept together. Activations of a layer: s b h (34 + 5 a s / h)
    bytes in half precision, twice that in float32; s tokens, b texts, hidden size h and a heads (Korthikanti et al.
    2022, arXiv 2205.05198, equation 1). The attention matrix, the second term, is kept only if dropout applies to it.
    """
    config: Any = model[0].auto_model.config  # type: ignore[union-attr]
    rows = min(settings.mini_batch_size, settings.batch_size, n_rows)
    attention = 5 * config.num_attention_heads * tokens / config.hidden_size if settings.dropout else 0
    layer = tokens * rows * config.hidden_size * (34 + attention) * (1 if settings.mixed else 2)
    weights = sum(p.numel() for p in model.parameters()) * 4
    guides = 1 if settings.method == "adapt" else 0
    return int(weights * (_STATES + guides) + layer * config.num_hidden_layers)


def _find_mini_batch(
    model: SentenceTransformer, tokens: int, n_rows: int, settings: TrainingSettings, free: int
) -> int | None:
    """Return the largest mini-batch, halving the one that is set, that fits into free bytes; None if none does."""
    size = min(settings.mini_batch_size, settings.batch_size, n_rows)
    while size and _estimate_memory(model, tokens, n_rows, replace(settings, mini_batch_size=size)) > free:
        size //= 2
    return size or None


def _find_longest(model: SentenceTransformer, texts: Sequence[str]) -> int:
    """Return the tokens of the longest text, as the model reads it.

    The longest in characters come first: a token has at least one, so the rest may be skipped as soon as it can't have
    more tokens, or the model reads no more.
    """
    limit = model.max_seq_length or len(max(texts, key=len)) + 2
    ordered = sorted(set(texts), key=len, reverse=True)
    longest = 0
    for start in range(0, len(ordered), _PAGE):
        if longest >= min(limit, len(ordered[start]) + 2):  # two special tokens
            break
        longest = max(longest, model.preprocess(ordered[start : start + _PAGE])["input_ids"].shape[1])
    return longest


def _read_free_memory(device: torch.device) -> int:
    """Return the bytes that are free on a device."""
    if device.type == "cuda":
        return int(torch.cuda.mem_get_info(device)[0])
    return count_free_memory()


def _time_step(model: SentenceTransformer, texts: Sequence[str], mixed: bool) -> float:
    """Return the seconds of a forward and backward pass over some texts, the mean of two after one that warms up."""
    with torch.random.fork_rng(devices=[]):
        start = 0.0
        for turn in range(_TIMED + 1):
            if turn == 1:
                start = time.perf_counter()
            features = batch_to_device(model.preprocess(list(texts)), model.device)
            with torch.autocast(model.device.type, dtype=torch.bfloat16, enabled=mixed):
                model(features)["sentence_embedding"].float().sum().backward()
        elapsed = time.perf_counter() - start
    model.zero_grad(set_to_none=True)
    return elapsed / _TIMED
