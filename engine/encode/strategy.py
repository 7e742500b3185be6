"""Which form of a model runs on a device: packed or padded, in half precision or not. Settled by trying the probes."""

from __future__ import annotations

import copy
import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor

from engine.encode.link import Link
from engine.encode.packed import Attention, PackedBert, per_text, supported, varlen
from engine.encode.packing import packs
from engine.encode.padded import PaddedModel
from engine.encode.probes import PROBES
from engine.encode.tokens import BatchTokenizer
from engine.errors import EncoderError
from engine.records import EncoderIdentity, Vectors

log = logging.getLogger(__name__)

SAME_COSINE = 0.9999  # of every probe's vector with the one that sentence-transformers gives in fp32


class Strategy(Protocol):
    """A model that runs packs. Implemented by PackedBert and PaddedModel."""

    rounded: int | None  # what it pads lengths to a multiple of; None when it does not pad

    def __call__(self, ids: Tensor, position_ids: Tensor, cu: Tensor, longest: int) -> Tensor:
        """Encode a pack, as packed.Forward says."""
        ...


@dataclass(frozen=True, slots=True)
class Original:
    """What a strategy is made from."""

    model: Any  # a transformers model in fp32, on the device of the link
    identity: EncoderIdentity
    tokenizer: BatchTokenizer
    link: Link
    wanted: Vectors  # (n_probes, dim) what sentence-transformers makes of the probes in fp32

    def padded(self, dtype: torch.dtype | None = None) -> PaddedModel:
        """The model itself, or a copy at another precision."""
        model = self.model if dtype is None else copy.deepcopy(self.model).to(dtype)
        return PaddedModel(model, self.identity.pooling, self.identity.max_length)

    def packed(self, dtype: torch.dtype, attention: Attention) -> PackedBert:
        """Its weights as a packed BERT."""
        return PackedBert(self.model, dtype, self.identity.pooling, attention).to(self.link.device).eval()


@dataclass(frozen=True, slots=True)
class Option:
    """A strategy that may do."""

    name: str
    make: Callable[[], Strategy]


def choose(original: Original, half: torch.dtype | None) -> Strategy:
    """The first option that gives the probes the vectors of sentence-transformers.

    Raises:
        EncoderError: none does.
    """
    reason = "there is no way to run it"
    for option in options(original, half):
        try:
            strategy = option.make()
            with torch.inference_mode():
                reason = difference(original, strategy) or ""
        except Exception as err:  # kernels that this GPU or this torch lacks raise many kinds
            reason = str(err).split("\n")[0] or repr(err)
        if not reason:
            log.info("%s runs %s on %s", original.identity.model, option.name, original.link.device)
            return strategy
        log.warning("%s can't run %s on %s: %s", original.identity.model, option.name, original.link.device, reason)
    raise EncoderError(f"{original.identity.model} can't be used on {original.link.device}: {reason}. Use --device cpu")


def options(original: Original, half: torch.dtype | None) -> Iterator[Option]:
    """What to try, the fastest first; half None tries full precision only."""
    link, model = original.link, original.model
    for dtype in (half, torch.float32):
        if dtype is None:
            continue
        name = str(dtype).removeprefix("torch.")
        obstacle = supported(model.config) or unpackable(link.device, dtype)
        if obstacle is None:
            attention = varlen if link.device.type == "cuda" else per_text
            yield Option(f"packed in {name}", partial(original.packed, dtype, attention))
        else:
            log.info("%s is padded in %s: %s", original.identity.model, name, obstacle)
        yield Option(f"padded in {name}", partial(original.padded, None if dtype is torch.float32 else dtype))


def unpackable(device: torch.device, dtype: torch.dtype) -> str | None:
    """Why a device can't run packed texts at this precision, in words, or None when it can."""
    if device.type != "cuda":
        return None
    if dtype is torch.float32:
        return "flash attention has half precision only"
    if torch.cuda.get_device_capability(device) < (8, 0):
        return "flash attention needs compute capability 8.0"
    return None


def difference(original: Original, strategy: Strategy) -> str | None:
    """How a strategy's vectors of the probes differ from those wanted, in words, or None when they are the same."""
    tokens = original.tokenizer.tokenise(PROBES)
    found = np.zeros_like(original.wanted)
    for pack in packs(tokens, int(tokens.offsets[-1]) * len(PROBES), strategy.rounded):
        found[pack.positions] = original.link.fetch(strategy(*original.link.send(pack)))()
    cosine = float((found * original.wanted).sum(axis=1).min())
    if cosine >= SAME_COSINE:
        return None
    return f"its vectors differ from those in fp32: cosine {cosine:.6f}, expected {SAME_COSINE} or more"
