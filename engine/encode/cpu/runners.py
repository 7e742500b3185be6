"""What every way to run an encoder on a CPU offers."""

from __future__ import annotations

from typing import Protocol

from engine.encode.texts.tokens import Tokens
from engine.records.encoder import Vectors


class CpuRunner(Protocol):
    """A way to run an encoder. Implemented in engine.encode.cpu.torchrunner and engine.encode.cpu.openvinorunner."""

    def encode(self, tokens: Tokens) -> Vectors:
        """Encode the tokens of n texts: float32 (n, dim), unit length, in the order of the texts."""
        ...

    def close(self) -> None:
        """Release the weights; the runner can't be used afterwards."""
        ...
