"""Load the encoder that a training starts from: safetensors only, from this disk only, no code of its own."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
from sentence_transformers import SentenceTransformer

from engine.encode.model import DEFAULT_MODEL, identify, locate
from engine.encode.transformer import TransformerEncoder
from engine.errors import UsageError
from engine.train.settings import Settings


def load(name: str, device: str) -> SentenceTransformer:
    """A model by name, in float32, in evaluation mode; fails with EncoderError where it can't be loaded safely."""
    folder = locate(name)
    model = TransformerEncoder(folder, identify(folder, name), device).model
    model.model_card_data.local_files_only = True
    model.model_card_data.base_model = public_name(name)
    return model


def public_name(name: str) -> str:
    """A model's name as it may stand in a card: the hub's for the default model, the last part of a folder's path."""
    if name == DEFAULT_MODEL:
        return f"sentence-transformers/{DEFAULT_MODEL}"
    return Path(name).name if Path(name).expanduser().is_dir() else name


def device_for(settings: Settings) -> str:
    """Where to train: "cuda" or "cpu".

    Raises:
        UsageError: cuda was asked for and is not there.
    """
    if settings.device == "cuda" and not torch.cuda.is_available():
        raise UsageError("--device cuda, but no CUDA device is available here. Use --device cpu, or leave it out")
    if settings.device == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    return settings.device


def mixed_for(settings: Settings, device: str) -> bool:
    """Whether matrix products run in bfloat16: as told, or else where the device multiplies it in hardware.

    A processor without such instructions is about a hundred times slower in it than in float32.
    """
    if settings.mixed is not None:
        return settings.mixed
    if device == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    able = torch.cpu.get_capabilities()
    return bool(able.get("avx512_bf16") or able.get("amx_bf16"))


def shorten(models: Sequence[SentenceTransformer], max_length: int | None) -> None:
    """Have models read at most so many tokens of a text; None, or more than one reads: as many as it does."""
    for model in models:
        if max_length and max_length < (model.max_seq_length or max_length + 1):
            model.max_seq_length = max_length


def without_dropout(model: SentenceTransformer) -> None:
    """Set every dropout of a model to 0: a short run over fresh pairs memorises nothing, and costs half."""
    for module in model.modules():
        if isinstance(module, torch.nn.Dropout):
            module.p = 0.0
