"""The model that a training starts from: loaded from safetensors on this disk, without code of its own."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import torch
from sentence_transformers import SentenceTransformer

from engine.encode.models.model import identify, locate
from engine.encode.original.transformer import TransformerEncoder
from engine.errors import EncoderError, MissingExtraError, UsageError
from engine.options import DEFAULT_MODEL
from engine.records.encoder import EncoderIdentity, Vectors
from engine.train.fit.settings import TrainingSettings

_LORA_TARGETS = ("query", "key", "value", "q_lin", "k_lin", "v_lin")  # attention of BERT and of DistilBERT


def load_model(name: str, device: str) -> SentenceTransformer:
    """Load a model in float32 and evaluation mode.

    Raises:
        EncoderError: it can't be loaded safely, or is of a kind that the training does not know.
    """
    folder = locate(name)
    identity = identify(folder, name)
    _check_kind(identity)
    model = TransformerEncoder(folder, identity, device).model
    model.model_card_data.local_files_only = True
    model.model_card_data.base_model = format_model_name(name)
    return model


def _check_kind(identity: EncoderIdentity) -> None:
    """Check that texts are trained as they will be encoded.

    Raises:
        EncoderError: the model has prompts, which the training would leave out, or other modules than it knows.
    """
    if identity.query_prompt or identity.document_prompt:
        raise EncoderError(
            f"{identity.model} puts prompts before its texts, which `engine train` does not do. Train a model without "
            "prompts, or take them out of config_sentence_transformers.json of a copy"
        )
    if not identity.is_plain or identity.query_tower:
        raise EncoderError(
            f"{identity.model} is of a kind that `engine train` can't train: expected a transformer with mean or cls "
            f"pooling, found {identity.modules or identity.pooling}. Name another base"
        )


def format_model_name(name: str) -> str:
    """Return a name that may stand in a card: the hub's for the default model, the last part of a folder's path."""
    if name == DEFAULT_MODEL:
        return f"sentence-transformers/{DEFAULT_MODEL}"
    return Path(name).name if Path(name).expanduser().is_dir() else name


def resolve_device(settings: TrainingSettings) -> TrainingSettings:
    """Return the settings with device "cpu" or "cuda", and mixed True or False.

    Unless mixed is set, matrix products run in bfloat16 if the device multiplies it in hardware: a processor without
    such instructions is about a hundred times slower in it than in float32.

    Raises:
        UsageError: the device is "cuda" and there is none.
    """
    has_cuda = torch.cuda.is_available()
    if settings.device == "cuda" and not has_cuda:
        raise UsageError("--device cuda, but no CUDA device is available here. Use --device cpu, or leave it out")
    device = ("cuda" if has_cuda else "cpu") if settings.device == "auto" else settings.device
    if settings.mixed is not None:
        return replace(settings, device=device)
    if device == "cuda":
        return replace(settings, device=device, mixed=bool(torch.cuda.is_bf16_supported(including_emulation=False)))
    capabilities = torch.cpu.get_capabilities()
    mixed = bool(capabilities.get("avx512_bf16") or capabilities.get("amx_bf16"))
    return replace(settings, device=device, mixed=mixed)


@contextmanager
def limit_length(models: Sequence[SentenceTransformer], max_length: int | None) -> Iterator[None]:
    """Within the block, have models read at most max_length tokens of a text; None or more than usual: as usual."""
    usual = [model.max_seq_length for model in models]
    for model in models:
        if max_length and max_length < (model.max_seq_length or max_length + 1):
            model.max_seq_length = max_length
    try:
        yield
    finally:
        for model, length in zip(models, usual, strict=True):
            model.max_seq_length = length


def disable_dropout(model: SentenceTransformer) -> None:
    """Set every dropout of a model to 0: a short run over fresh pairs does not overfit, and costs half."""
    for module in model.modules():
        if isinstance(module, torch.nn.Dropout):
            module.p = 0.0


def add_adapters(model: SentenceTransformer, rank: int) -> None:
    """Freeze the weights and add low-rank adapters to the attention, with alpha twice the rank.

    LoRA, Hu et al. 2021, arXiv 2106.09685.

    Raises:
        MissingExtraError: peft is not installed.
    """
    try:
        from peft import LoraConfig, inject_adapter_in_model
    except ImportError as err:
        raise MissingExtraError("peft (needed for --lora)", "[cpu,train] or [gpu,train]") from err
    names = {name.rsplit(".", 1)[-1] for name, _ in model.named_modules()}
    targets = [name for name in _LORA_TARGETS if name in names]
    inject_adapter_in_model(LoraConfig(r=rank, lora_alpha=2 * rank, lora_dropout=0.0, target_modules=targets), model)


def merge_adapters(model: SentenceTransformer) -> None:
    """Add the adapters to the weights and remove them, so that the folder loads without peft."""
    from peft.tuners.tuners_utils import BaseTunerLayer

    for name, module in list(model.named_modules()):
        if isinstance(module, BaseTunerLayer):
            module.merge()
            parent, _, last = name.rpartition(".")
            setattr(model.get_submodule(parent), last, module.get_base_layer())
    model.requires_grad_(True)


def encode_texts(model: SentenceTransformer, texts: Sequence[str], mixed: bool) -> Vectors:
    """Encode texts in the order given: float32 (n, dim), unit length."""
    with torch.autocast(model.device.type, dtype=torch.bfloat16, enabled=mixed):
        encoded = model.encode(list(texts), convert_to_tensor=True, normalize_embeddings=True, show_progress_bar=False)
    vectors: Vectors = encoded.float().cpu().numpy()
    return vectors
