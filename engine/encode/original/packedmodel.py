"""A BERT that processes joined texts in one row, so that nothing is computed for padding."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import embedding, gelu, layer_norm, linear, normalize, scaled_dot_product_attention

from engine.encode.texts.packing import Pack, iterate_packs
from engine.encode.texts.tokens import Tokens
from engine.errors import EncoderError
from engine.records.encoder import Vectors

_BUDGET = 131_072  # tokens of a pack, until memory runs out; keeps the largest GPU busy

# q, k, v (n_ids, heads, dim of a head), cu_seqlens (n_texts + 1,) int32, longest -> the shape of q
_Attention = Callable[[Tensor, Tensor, Tensor, Tensor, int], Tensor]


class PackedRunner:
    """A BERT on one device, without padding."""

    def __init__(
        self, bert: Any, pooling: str, max_length: int, dtype: torch.dtype, between: torch.dtype | None = None
    ) -> None:
        """Copy the weights of a transformers BertModel to its device; pooling is "mean" or "cls".

        Matrices are multiplied in dtype; what is added up and normalised between them is in the second one, by default
        the same.

        Raises:
            EncoderError: the model can't be packed.
        """
        _check_config(bert.config)
        self._device: torch.device = bert.device
        attention = _attend_varlen if self._device.type == "cuda" else _attend_per_text
        self._model = _PackedBert(bert, dtype, pooling, attention, between or dtype).to(self._device).eval()
        self.size, self.smallest = _BUDGET, 2 * max_length

    def encode(self, texts: Sequence[str], tokens: Tokens) -> Vectors:
        """Encode tokens of n texts: float32 (n, dim), unit length, in the order of the texts. The texts are not used.

        Raises:
            RuntimeError: torch failed; OutOfMemoryError if memory ran out.
        """
        with torch.inference_mode():
            # All packs are sent to the device before the first result is awaited.
            running = [(pack.positions, self._model(*self._send(pack))) for pack in iterate_packs(tokens, self.size)]
            vectors = np.zeros((len(texts), self._model.dim), np.float32)
            for positions, pooled in running:
                vectors[positions] = pooled.cpu().numpy()
        return vectors

    def encode_pack(self, pack: Pack) -> Vectors:
        """Encode one pack: float32 (n_texts, dim), unit length, in the order of the pack. Safe for several threads.

        Raises:
            RuntimeError: as encode.
        """
        with torch.inference_mode():
            pooled: Vectors = self._model(*self._send(pack)).cpu().numpy()
        return pooled

    def close(self) -> None:
        """Release the weights."""
        del self._model

    def _send(self, pack: Pack) -> tuple[Tensor, Tensor, Tensor, int]:
        arrays = (pack.ids, pack.position_ids, pack.cu_seqlens)
        ids, places, cu = (torch.from_numpy(array).to(self._device, non_blocking=True) for array in arrays)
        return ids, places, cu, pack.longest


def _check_config(config: Any) -> None:
    """Check that a model of this transformers configuration can be packed.

    Raises:
        EncoderError: it can't; the message says why.
    """
    for key, value in {"model_type": "bert", "hidden_act": "gelu"}.items():
        if getattr(config, key, None) != value:
            raise EncoderError(f"its {key} is {getattr(config, key, None)}, not {value}")
    if getattr(config, "position_embedding_type", None) not in (None, "absolute"):
        raise EncoderError(f"its positions are {config.position_embedding_type}, not absolute")
    if getattr(config, "is_decoder", False) or getattr(config, "add_cross_attention", False):
        raise EncoderError("it is a decoder")


def _attend_per_text(q: Tensor, k: Tensor, v: Tensor, cu: Tensor, longest: int) -> Tensor:
    """Let each text attend to itself, one text after the other: slow, but correct on every device."""
    out = torch.zeros_like(q)
    bounds = cu.tolist()
    for start, end in zip(bounds[:-1], bounds[1:], strict=True):
        if end > start:
            text_q, text_k, text_v = (x[start:end].transpose(0, 1)[None] for x in (q, k, v))
            out[start:end] = scaled_dot_product_attention(text_q, text_k, text_v)[0].transpose(0, 1)
    return out


def _attend_varlen(q: Tensor, k: Tensor, v: Tensor, cu: Tensor, longest: int) -> Tensor:
    """Do the same with torch's own flash attention: CUDA from compute capability 8.0, half precision."""
    from torch.nn.attention.varlen import varlen_attn  # new in torch 2.10

    # Only these seven arguments: the keywords after them differ between releases.
    return cast(Tensor, varlen_attn(q, k, v, cu, cu, longest, longest))


class _PackedBert(torch.nn.Module):
    """The weights of a transformers BertModel at one precision."""

    def __init__(
        self,
        bert: Any,
        dtype: torch.dtype,
        pooling: str,
        attention: _Attention = _attend_per_text,
        between: torch.dtype | None = None,
    ) -> None:
        """Copy the weights of a model that passes `_check_config`; the arguments are those of PackedRunner."""
        super().__init__()
        self.pooling = pooling
        self.attention = attention
        self.heads: int = bert.config.num_attention_heads
        self.dim: int = bert.config.hidden_size
        parts = bert.embeddings
        between = between or dtype
        self.words = _copy(parts.word_embeddings.weight, between)
        # Every token has type 0, so the row of the type is added to each position.
        self.places = _copy(parts.position_embeddings.weight + parts.token_type_embeddings.weight[0], between)
        self.norm = _Norm(parts.LayerNorm, between)
        self.layers: Iterable[Any] = torch.nn.ModuleList(_Layer(layer, dtype, between) for layer in bert.encoder.layer)

    def forward(self, ids: Tensor, position_ids: Tensor, cu: Tensor, longest: int) -> Tensor:
        """Encode a pack: ids, position_ids (n_ids,), cu (n_texts + 1,) int32 -> (n_texts, dim) float32, unit length."""
        x = self.norm(embedding(ids, self.words) + embedding(position_ids, self.places))
        for layer in self.layers:
            q, k, v = layer.qkv(x).view(x.shape[0], 3, self.heads, -1).unbind(1)
            mixed = self.attention(q, k, v, cu, longest).reshape(x.shape)
            x = layer.after_attention(layer.out(mixed) + x)
            x = layer.after_feed(layer.down(gelu(layer.up(x))) + x)
        return normalize(_pool_texts(x, cu, self.pooling), dim=1)


def _pool_texts(states: Tensor, cu: Tensor, pooling: str) -> Tensor:
    """Pool states (n_ids, dim) to (n_texts, dim) float32: the sum of each text's states, or its first.

    Every text must have ids. The sum has the direction of the mean. It is computed in order and without atomics, so the
    same states have the same sum in every pack and every run.
    """
    if pooling == "cls":
        return states[cu[:-1]].float()
    return torch.segment_reduce(states.float(), "sum", offsets=cu, axis=0, unsafe=True)


class _Layer(torch.nn.Module):
    """One transformer layer, with the three projections of attention in one matrix."""

    def __init__(self, layer: Any, dtype: torch.dtype, between: torch.dtype) -> None:
        super().__init__()
        attention, output = layer.attention.self, layer.attention.output
        self.qkv = _Affine((attention.query, attention.key, attention.value), dtype)
        self.out = _Affine((output.dense,), dtype)
        self.after_attention = _Norm(output.LayerNorm, between)
        self.up = _Affine((layer.intermediate.dense,), dtype)
        self.down = _Affine((layer.output.dense,), dtype)
        self.after_feed = _Norm(layer.output.LayerNorm, between)


class _Affine(torch.nn.Module):
    """Linear layers of the same input, joined to one."""

    def __init__(self, parts: Iterable[Any], dtype: torch.dtype) -> None:
        super().__init__()
        parts = tuple(parts)
        self.weight = _copy(torch.cat([part.weight for part in parts]), dtype)
        self.bias = _copy(torch.cat([part.bias for part in parts]), dtype)

    def forward(self, x: Tensor) -> Tensor:
        """Map (n_ids, in) to (n_ids, out), in the precision of the weights."""
        return linear(x.to(self.weight.dtype), self.weight, self.bias)


class _Norm(torch.nn.Module):
    """A layer norm; torch sums in float32 at every precision."""

    def __init__(self, norm: Any, dtype: torch.dtype) -> None:
        super().__init__()
        self.weight, self.bias = _copy(norm.weight, dtype), _copy(norm.bias, dtype)
        self.eps: float = norm.eps

    def forward(self, x: Tensor) -> Tensor:
        """Map (n_ids, dim) to (n_ids, dim)."""
        return layer_norm(x, x.shape[-1:], self.weight, self.bias, self.eps)


def _copy(weight: Tensor, dtype: torch.dtype) -> torch.nn.Parameter:
    """Copy a weight as one that is not trained."""
    return torch.nn.Parameter(weight.detach().clone().to(dtype), requires_grad=False)
