"""What an encoder is to the rest of the engine."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from engine.records import Encoded, EncoderIdentity


class Encoder(Protocol):
    """Texts to vectors. Implemented by onnx.OnnxEncoder and gpu.encoder.GpuEncoder."""

    page: int  # texts worth handing over at once
    ahead: int  # calls of encode that may be under way at once, in threads of one process

    @property
    def identity(self) -> EncoderIdentity:
        """What these vectors are."""
        ...

    def encode(self, texts: Sequence[str]) -> Encoded:
        """Encode prepared texts: float32 (n, dim), unit length, in the order given."""
        ...

    def close(self) -> None:
        """Give back threads, processes and memory of a device; it can't be used after."""
        ...
