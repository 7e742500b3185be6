"""Low-rank adapters (LoRA, Hu et al. 2021, arXiv 2106.09685) on the attention, merged before the encoder is saved."""

from __future__ import annotations

from sentence_transformers import SentenceTransformer

from engine.errors import MissingExtraError

TARGETS = ["query", "key", "value", "q_lin", "k_lin", "v_lin"]  # of BERT and of DistilBERT


def with_adapters(model: SentenceTransformer, rank: int) -> None:
    """Freeze the weights and add adapters of this rank, with alpha twice the rank.

    Raises:
        MissingExtraError: peft is not installed.
    """
    try:
        from peft import LoraConfig, inject_adapter_in_model
    except ImportError as err:
        raise MissingExtraError("peft (needed for --lora)", "[cpu,train] or [gpu,train]") from err
    names = {name.rsplit(".", 1)[-1] for name, _ in model.named_modules()}
    targets = [name for name in TARGETS if name in names]
    inject_adapter_in_model(LoraConfig(r=rank, lora_alpha=2 * rank, lora_dropout=0.0, target_modules=targets), model)


def merge_adapters(model: SentenceTransformer) -> None:
    """Add the adapters to the weights and take them out, so that the folder loads without peft."""
    from peft.tuners.tuners_utils import BaseTunerLayer

    for name, module in list(model.named_modules()):
        if isinstance(module, BaseTunerLayer):
            module.merge()
            parent, _, last = name.rpartition(".")
            setattr(model.get_submodule(parent), last, module.get_base_layer())
    model.requires_grad_(True)
