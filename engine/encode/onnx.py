"""An exported encoder on ONNX Runtime: the query path, and indexing on a CPU. Loads no torch."""

from __future__ import annotations

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from engine.encode.runtime import onnxruntime
from engine.encode.saved import GRAPH, TOKENIZER, read_identity
from engine.encode.tokens import TextTokenizer
from engine.errors import EncoderError
from engine.records import Encoded, EncoderIdentity, Vectors


class OnnxEncoder:
    """One encoder folder, ready to encode. Safe to use from several threads.

    Every text runs alone and un-padded on one thread, which beats padded batches on a CPU (the activations stay in
    cache and nothing is computed for padding); several texts run on several threads. So a text's vector does not
    depend on its neighbours.
    """

    def __init__(self, folder: Path) -> None:
        """Load tokenizer and graph.

        Raises:
            EncoderError: the folder does not hold an encoder.
        """
        self._identity = read_identity(folder)
        self.tokenizer = TextTokenizer(folder / TOKENIZER, self._identity.max_length)
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.log_severity_level = 3  # errors only
        # The graph was optimised when it was exported.
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
        try:
            self.session = onnxruntime.InferenceSession(
                str(folder / GRAPH), options, providers=["CPUExecutionProvider"]
            )
        except Exception as err:  # onnxruntime's own exceptions share no base but Exception
            raise EncoderError(f"{folder / GRAPH} can't be loaded: {err}") from err
        self.inputs = {given.name for given in self.session.get_inputs()}
        self.n_threads = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1

    @property
    def identity(self) -> EncoderIdentity:
        """What these vectors are."""
        return self._identity

    def encode(self, texts: Sequence[str]) -> Encoded:
        """Encode prepared texts: float32 (n, dim), unit length, in the order given; (0, dim) for no texts.

        Raises:
            EncoderError: ONNX Runtime failed on a text.
        """
        if len(texts) < 2:
            found = [self.embed(text) for text in texts]
        else:
            with ThreadPoolExecutor(self.n_threads) as pool:
                found = list(pool.map(self.embed, texts))
        vectors = np.stack([vector for vector, _ in found]) if found else np.empty((0, self._identity.dim), np.float32)
        return Encoded(vectors, np.array([n for _, n in found], dtype=np.int64))

    def embed(self, text: str) -> tuple[NDArray[np.float32], int]:
        """Run one text: its vector, float32 (dim,), unit length, and its length in tokens before the cut.

        Raises:
            EncoderError: ONNX Runtime failed on it.
        """
        tokens = self.tokenizer.tokenise([text])
        row = np.array([tokens.ids[0]], dtype=np.int64)
        feeds = {"input_ids": row, "attention_mask": np.ones_like(row), "token_type_ids": np.zeros_like(row)}
        try:
            (states,) = self.session.run(None, {name: feeds[name] for name in self.inputs})
        except Exception as err:  # onnxruntime's own exceptions share no base but Exception
            raise EncoderError(f"{self._identity.model} failed on the text {text[:60]!r}: {err}") from err
        return unit(pooled(states[0], self._identity.pooling)), int(tokens.n_tokens[0])


def pooled(states: NDArray[np.float32], pooling: str) -> NDArray[np.float32]:
    """Token states (n_tokens, dim) to one vector (dim,): their mean, or the first one."""
    vector: NDArray[np.float32] = states[0] if pooling == "cls" else states.mean(axis=0, dtype=np.float32)
    return vector


def unit(vector: NDArray[np.float32]) -> Vectors:
    """Scale to length 1; a zero vector stays zero, for the contract check to find."""
    length = float(np.linalg.norm(vector))
    return (vector / length if length > 0 else vector).astype(np.float32)
