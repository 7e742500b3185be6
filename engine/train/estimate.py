"""What a training will take, before it starts: memory by a formula, time by running one small step."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from sentence_transformers import SentenceTransformer
from sentence_transformers.util import batch_to_device

from engine.train.fit import n_steps
from engine.train.settings import Settings

STATES = 4  # copies of the weights in float32: weights, gradients, two moments of Adam
# Forward and backward passes of a step, by recipe: caching and the guide embed once more each.
PASSES = {"seed": 1.0, "distill": 1.0, "adapt": 5 / 3}
TIMED = 2  # steps that are timed, after one that warms up


@dataclass(frozen=True, slots=True)
class Estimate:
    """What to expect."""

    n_rows: int
    n_steps: int
    n_bytes: int  # of memory on the device, at most
    free_bytes: int
    seconds: float  # of training; mining, encoding by a teacher and averaging come on top

    def __str__(self) -> str:
        hours, minutes = divmod(round(self.seconds / 60), 60)
        took = f"{hours} h {minutes} min" if hours else f"{max(1, minutes)} min"
        needs = f"{self.n_bytes / 1e9:.1f} GB of memory of {self.free_bytes / 1e9:.1f} GB free"
        return f"{self.n_rows:,} rows, {self.n_steps:,} steps, about {took} and up to {needs}"


def estimate(model: SentenceTransformer, columns: Sequence[Sequence[str]], settings: Settings, mixed: bool) -> Estimate:
    """Estimate a training on rows of these columns of text; changes neither model nor random state."""
    n_rows = len(columns[0])
    steps = settings.max_steps if settings.max_steps > 0 else n_steps(n_rows, settings)
    some = min(settings.mini_batch_size, n_rows)
    each = sum(seconds_of(model, column[:some], mixed) for column in columns) / some
    return Estimate(
        n_rows=n_rows,
        n_steps=steps,
        n_bytes=n_bytes(model, settings, mixed),
        free_bytes=free_bytes(model.device),
        seconds=each * steps * min(settings.batch_size, n_rows) * PASSES[settings.recipe],
    )


def n_bytes(model: SentenceTransformer, settings: Settings, mixed: bool) -> int:
    """Memory for weights, their states and what a backward pass keeps of one part of a batch.

    Activations of a layer: s b h (34 + 5 a s / h) bytes in half precision, twice that in float32; s tokens, b texts,
    hidden size h and a heads (Korthikanti et al. 2022, arXiv 2205.05198, equation 1). The attention matrix, the second
    term, is kept only where dropout is applied to it.
    """
    config: Any = model[0].auto_model.config  # type: ignore[union-attr]
    tokens = settings.max_length or model.max_seq_length or 512
    attention = 5 * config.num_attention_heads * tokens / config.hidden_size if settings.dropout else 0
    layer = tokens * settings.mini_batch_size * config.hidden_size * (34 + attention) * (1 if mixed else 2)
    weights = sum(p.numel() for p in model.parameters()) * 4
    guides = 1 if settings.recipe == "adapt" else 0
    return int(weights * (STATES + guides) + layer * config.num_hidden_layers)


def free_bytes(device: torch.device) -> int:
    """Memory that is free on a device."""
    if device.type == "cuda":
        return int(torch.cuda.mem_get_info(device)[0])
    with suppress(OSError):  # Linux: what can be had without swapping, caches included
        for line in Path("/proc/meminfo").read_text(encoding="ascii").splitlines():
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) * 1024
    return os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")


def seconds_of(model: SentenceTransformer, texts: Sequence[str], mixed: bool) -> float:
    """Seconds of one forward and backward pass over some texts, the mean of two after one that warms up."""
    with torch.random.fork_rng(devices=[]):
        begun = 0.0
        for turn in range(TIMED + 1):
            if turn == 1:
                begun = time.perf_counter()
            features = batch_to_device(model.preprocess(list(texts)), model.device)
            with torch.autocast(model.device.type, dtype=torch.bfloat16, enabled=mixed):
                model(features)["sentence_embedding"].float().sum().backward()
        taken = time.perf_counter() - begun
    model.zero_grad(set_to_none=True)
    return taken / TIMED
