"""The original model run by sentence-transformers, in half or full precision, on one or several devices."""

from __future__ import annotations

import copy
import logging
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from sentence_transformers import SentenceTransformer

from engine.encode.texts.probes import find_difference
from engine.encode.texts.tokens import Tokens
from engine.records.encoder import Vectors

_log = logging.getLogger(__name__)

_BATCH = 256  # texts in a batch, before memory runs out


class LibraryRunner:
    """A sentence-transformers model. The library sorts texts by length, pads and batches them.

    With several devices it runs in the library's pool, one process per device. These processes are spawned, so a script
    that creates a runner needs an `if __name__ == "__main__":` guard.
    """

    smallest = 1

    def __init__(
        self, model: SentenceTransformer, devices: Sequence[str], how: Mapping[str, Any] | None = None
    ) -> None:
        """Start the processes if there are several devices; they load the model with their first texts.

        how: more arguments of the model's encode, such as the prompt.
        """
        self.size, self._how = _BATCH, dict(how or {})
        self._model = model
        self._devices = list(devices)
        self._pool: Any = self._start_pool()

    def encode(self, texts: Sequence[str], tokens: Tokens) -> Vectors:
        """Encode texts: float32 (n, dim), unit length, in the order of the texts. The tokens are not used.

        A pool that has lost a process is restarted once.

        Raises:
            RuntimeError: torch failed; OutOfMemoryError if memory ran out.
        """
        try:
            return self.run(texts)
        except RuntimeError as err:
            if self._pool is None or all(process.is_alive() for process in self._pool["processes"]):
                raise
            _log.warning("%s; starting the processes again", err)
        self.close()
        self._pool = self._start_pool()
        return self.run(texts)

    def close(self) -> None:
        """End the processes."""
        if self._pool is not None:
            self._model.stop_multi_process_pool(self._pool)
            self._pool = None

    def _start_pool(self) -> Any:
        return self._model.start_multi_process_pool(self._devices) if len(self._devices) > 1 else None

    def run(self, texts: Sequence[str]) -> Vectors:
        """Encode texts without a second attempt."""
        vectors = self._model.encode(
            list(texts),
            batch_size=self.size,
            normalize_embeddings=True,
            show_progress_bar=False,
            pool=self._pool,
            **self._how,
        )
        return _normalize(np.asarray(vectors, np.float32))


def open_library(
    model: SentenceTransformer,
    devices: Sequence[str],
    dtype: torch.dtype,
    texts: Sequence[str],
    expected: Vectors,
    how: Mapping[str, Any] | None = None,
) -> LibraryRunner:
    """Return the model in half precision if its vectors are as expected, else in fp32; the latter is logged.

    model is in fp32 and is not changed; how is as in LibraryRunner.
    """
    if dtype is not torch.float32:
        half = LibraryRunner(copy.deepcopy(model).to(dtype), devices, how)
        try:
            reason = find_difference(half.run(texts), expected)
        except Exception as err:  # a device may lack any operation
            reason = str(err).split("\n")[0] or repr(err)
        if reason is None:
            return half
        half.close()
        _log.warning("the model runs in fp32, not in %s: %s", str(dtype).removeprefix("torch."), reason)
    return LibraryRunner(copy.deepcopy(model) if len(devices) > 1 else model, devices, how)


def _normalize(vectors: Vectors) -> Vectors:
    """Scale rows to length 1, which half precision misses by up to 1e-3; zeros and NaN are not changed."""
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    scaled: Vectors = (vectors / np.where(lengths > 0, lengths, 1)).astype(np.float32)
    return scaled
