"""The check that decides on the packed model: it needs the vectors of the fp32 model and a higher speed."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from statistics import median
from time import perf_counter
from typing import Protocol

from engine.encode.texts.probes import find_difference
from engine.encode.texts.tokens import Tokens
from engine.records.encoder import Vectors

_log = logging.getLogger(__name__)

_WARM_UP, _ROUNDS = 2, 5


class Runner(Protocol):
    """A way to run a model. Implemented by LibraryRunner and PackedRunner."""

    size: int  # texts or tokens that go through the model together
    smallest: int  # least size that is tried

    def encode(self, texts: Sequence[str], tokens: Tokens) -> Vectors:
        """Encode n texts, passed with their tokens: float32 (n, dim), unit length, in the order of the texts.

        Raises:
            RuntimeError: torch failed; OutOfMemoryError if memory ran out.
        """
        ...

    def close(self) -> None:
        """End the processes and release the weights; the runner can't be used afterwards."""
        ...


def choose_runner(
    library: Runner, build_packed: Callable[[], Runner], texts: Sequence[str], tokens: Tokens, expected: Vectors
) -> Runner:
    """Return the packed runner if it passes the check, else that of the library; log the choice.

    expected (n, dim): vectors of the texts from the fp32 model.
    """
    try:
        packed = build_packed()
        reason = find_difference(packed.encode(texts, tokens), expected)
        if reason is None:
            packed_s, library_s = _measure_seconds((packed, library), texts, tokens)
            rates = (
                f"{len(tokens.ids) / packed_s:,.0f} tokens/s packed, {len(tokens.ids) / library_s:,.0f} by the library"
            )
            if packed_s < library_s:
                _log.info("using the packed model: %s", rates)
                return packed
            reason = f"it is not faster: {rates}"
    except Exception as err:  # kernels missing on this GPU or in this torch raise many types
        reason = str(err).split("\n")[0] or repr(err)
    _log.info("using sentence-transformers, not the packed model: %s", reason)
    return library


def _measure_seconds(runners: Sequence[Runner], texts: Sequence[str], tokens: Tokens) -> list[float]:
    """Return the median time of each runner for the texts, in seconds. The runners take turns."""

    def run(runner: Runner) -> float:
        start = perf_counter()
        runner.encode(texts, tokens)
        return perf_counter() - start

    rounds = [[run(runner) for runner in runners] for _ in range(_WARM_UP + _ROUNDS)]
    return [median(times) for times in zip(*rounds[_WARM_UP:], strict=True)]
