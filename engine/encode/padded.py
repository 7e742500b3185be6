"""Any transformers model, with texts padded to one length: for what the packed BERT does not support."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import normalize

from engine.encode.packing import round_up

MULTIPLE = 16  # lengths are rounded up to this, so that few shapes occur


class PaddedModel(torch.nn.Module):
    """A transformers model, called as a packed one is."""

    rounded: int | None = MULTIPLE

    def __init__(self, model: Any, pooling: str, max_length: int) -> None:
        """Wrap a model; pooling is "mean" or "cls"."""
        super().__init__()
        self.model = model
        self.pooling = pooling
        self.max_length = max_length
        # Some families find the positions by what is not padding.
        self.filler = int(getattr(model.config, "pad_token_id", None) or 0)

    def forward(self, ids: Tensor, position_ids: Tensor, cu: Tensor, longest: int) -> Tensor:
        """Encode a pack: ids, position_ids (n_ids,), cu (n_texts + 1,) int32 -> (n_texts, dim) float32, unit length."""
        n_texts = len(cu) - 1
        width = max(longest, min(round_up(longest, MULTIPLE), self.max_length))
        texts = torch.arange(n_texts, device=ids.device)
        rows = torch.repeat_interleave(texts, cu.diff(), output_size=len(ids))
        padded = torch.full((n_texts, width), self.filler, dtype=torch.int64, device=ids.device)
        mask = torch.zeros_like(padded)
        padded[rows, position_ids] = ids.long()
        mask[rows, position_ids] = 1
        states = self.model(input_ids=padded, attention_mask=mask).last_hidden_state.float()
        if self.pooling == "cls":
            return normalize(states[:, 0], dim=1)
        # What padding holds is left out, not multiplied by zero: it may be NaN.
        return normalize(states.masked_fill(mask[..., None] == 0, 0).sum(dim=1), dim=1)
