"""A BERT that runs texts one after the other in one long row, so that nothing is computed for padding."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, cast

import torch
from torch import Tensor
from torch.nn.functional import embedding, gelu, layer_norm, linear, normalize, scaled_dot_product_attention

# q, k, v (n_ids, heads, dim of a head), cu_seqlens (n_texts + 1,) int32, longest -> the shape of q
Attention = Callable[[Tensor, Tensor, Tensor, Tensor, int], Tensor]
# ids, position_ids (n_ids,) int32, cu_seqlens (n_texts + 1,) int32, longest -> (n_texts, dim) float32, unit length
Forward = Callable[[Tensor, Tensor, Tensor, int], Tensor]


def supported(config: Any) -> str | None:
    """Why a model of this transformers configuration can't be run packed, in words, or None when it can."""
    wanted = {"model_type": "bert", "hidden_act": "gelu"}
    for key, value in wanted.items():
        if getattr(config, key, None) != value:
            return f"its {key} is {getattr(config, key, None)}, not {value}"
    if getattr(config, "position_embedding_type", None) not in (None, "absolute"):
        return f"its positions are {config.position_embedding_type}, not absolute"
    if getattr(config, "is_decoder", False) or getattr(config, "add_cross_attention", False):
        return "it is a decoder"
    return None


def per_text(q: Tensor, k: Tensor, v: Tensor, cu: Tensor, longest: int) -> Tensor:
    """Attention of each text to itself, one text after the other: slow, and right on every device."""
    out = torch.zeros_like(q)
    bounds = cu.tolist()
    for start, end in zip(bounds[:-1], bounds[1:], strict=True):
        if end > start:
            one_q, one_k, one_v = (x[start:end].transpose(0, 1)[None] for x in (q, k, v))
            out[start:end] = scaled_dot_product_attention(one_q, one_k, one_v)[0].transpose(0, 1)
    return out


def varlen(q: Tensor, k: Tensor, v: Tensor, cu: Tensor, longest: int) -> Tensor:
    """The same by torch's own flash attention: CUDA from compute capability 8.0, half precision."""
    from torch.nn.attention.varlen import varlen_attn  # new in torch 2.10

    # Only these seven: the keywords after them changed from release to release.
    return cast(Tensor, varlen_attn(q, k, v, cu, cu, longest, longest))


class PackedBert(torch.nn.Module):
    """The weights of a transformers BertModel at one precision."""

    rounded: int | None = None  # nothing is padded

    def __init__(self, bert: Any, dtype: torch.dtype, pooling: str, attention: Attention = per_text) -> None:
        """Copy the weights of a model that is `supported`; pooling is "mean" or "cls"."""
        super().__init__()
        self.pooling = pooling
        self.attention = attention
        self.heads: int = bert.config.num_attention_heads
        parts = bert.embeddings
        self.words = frozen(parts.word_embeddings.weight, dtype)
        # Every token is of type 0, so the type's row is part of each position's.
        self.places = frozen(parts.position_embeddings.weight + parts.token_type_embeddings.weight[0], dtype)
        self.norm = Norm(parts.LayerNorm, dtype)
        self.layers: Iterable[Any] = torch.nn.ModuleList(Layer(layer, dtype) for layer in bert.encoder.layer)

    def forward(self, ids: Tensor, position_ids: Tensor, cu: Tensor, longest: int) -> Tensor:
        """Encode a pack: ids, position_ids (n_ids,) and cu (n_texts + 1,) int32 -> (n_texts, dim) float32, unit length.

        Tokens after the last text are computed and not used.
        """
        x = self.norm(embedding(ids, self.words) + embedding(position_ids, self.places))
        for layer in self.layers:
            q, k, v = layer.qkv(x).view(x.shape[0], 3, self.heads, -1).unbind(1)
            mixed = self.attention(q, k, v, cu, longest).reshape(x.shape)
            x = layer.after_attention(layer.out(mixed) + x)
            x = layer.after_feed(layer.down(gelu(layer.up(x))) + x)
        return normalize(pooled(x, cu, self.pooling), dim=1)


def pooled(states: Tensor, cu: Tensor, pooling: str) -> Tensor:
    """States (n_ids, dim) -> (n_texts, dim) float32: the sum of each text's states, or its first.

    A text without ids gets any value. The sum has the direction of the mean. It is added up text by text in order,
    without atomics, so the same states have the same sum in every pack and every run.
    """
    if pooling == "cls":
        return states[cu[:-1].clamp(max=states.shape[0] - 1)].float()
    return torch.segment_reduce(states.float(), "sum", offsets=cu, axis=0, unsafe=True)


class Layer(torch.nn.Module):
    """One transformer layer, with the three projections of attention in one matrix."""

    def __init__(self, layer: Any, dtype: torch.dtype) -> None:
        super().__init__()
        attention, output = layer.attention.self, layer.attention.output
        self.qkv = Affine((attention.query, attention.key, attention.value), dtype)
        self.out = Affine((output.dense,), dtype)
        self.after_attention = Norm(output.LayerNorm, dtype)
        self.up = Affine((layer.intermediate.dense,), dtype)
        self.down = Affine((layer.output.dense,), dtype)
        self.after_feed = Norm(layer.output.LayerNorm, dtype)


class Affine(torch.nn.Module):
    """Linear layers of the same input, side by side."""

    def __init__(self, parts: Iterable[Any], dtype: torch.dtype) -> None:
        super().__init__()
        parts = tuple(parts)
        self.weight = frozen(torch.cat([part.weight for part in parts]), dtype)
        self.bias = frozen(torch.cat([part.bias for part in parts]), dtype)

    def forward(self, x: Tensor) -> Tensor:
        """(n_ids, in) -> (n_ids, out)."""
        return linear(x, self.weight, self.bias)


class Norm(torch.nn.Module):
    """A layer norm; torch adds up in float32 whatever the precision of the states."""

    def __init__(self, norm: Any, dtype: torch.dtype) -> None:
        super().__init__()
        self.weight, self.bias = frozen(norm.weight, dtype), frozen(norm.bias, dtype)
        self.eps: float = norm.eps

    def forward(self, x: Tensor) -> Tensor:
        """(n_ids, dim) -> (n_ids, dim)."""
        return layer_norm(x, x.shape[-1:], self.weight, self.bias, self.eps)


def frozen(weight: Tensor, dtype: torch.dtype) -> torch.nn.Parameter:
    """A copy of a weight, not to be trained."""
    return torch.nn.Parameter(weight.detach().clone().to(dtype), requires_grad=False)
