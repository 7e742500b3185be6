"""An exported reranker on ONNX Runtime. Loads no torch."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tokenizers import Encoding, Tokenizer

from engine.config import count_cores
from engine.deadline import CURRENT
from engine.encode.crossencoder.folder import read_reranker_identity
from engine.encode.execution.onnx import load_session
from engine.encode.models.folder import GRAPH, TOKENIZER
from engine.errors import EncoderError
from engine.records.reranker import RerankerIdentity

_TOGETHER = 8  # pairs that run together, if they have the same length and need no padding
_SHORT = 64  # tokens; a single pair this short does not keep a core busy


class OnnxReranker:
    """A reranker folder, loaded. Safe to use from several threads.

    Each pair runs without padding, on one thread, so its score does not depend on the other pairs.
    """

    def __init__(self, folder: Path) -> None:
        """Load tokenizer and graph.

        Raises:
            EncoderError: the folder does not hold a reranker.
            CorruptError: its receipt is missing or damaged.
        """
        self.identity: RerankerIdentity = read_reranker_identity(folder)
        try:
            self._tokenizer: Tokenizer = Tokenizer.from_str((folder / TOKENIZER).read_text(encoding="utf-8"))
        except Exception as err:  # the library raises bare Exception
            raise EncoderError(f"{folder / TOKENIZER} is not a tokenizer: {err}. Delete {folder}") from err
        self._tokenizer.no_padding()
        self._tokenizer.enable_truncation(self.identity.max_length, strategy="longest_first")
        self._session: Any = load_session(folder / GRAPH, 1)
        self._inputs = {node.name for node in self._session.get_inputs()}
        self._workers = ThreadPoolExecutor(count_cores())

    def score(self, query: str, texts: Sequence[str]) -> tuple[NDArray[np.float64], int]:
        """Score prepared texts for a query, the longest pairs first.

        Returns the scores (n,) in the order of the texts, higher is nearer, and the number of pairs of which the last
        tokens were not read.

        Raises:
            BusyError: the deadline of the answer has passed.
            EncoderError: ONNX Runtime failed on a pair, or a score is no number.
        """
        pairs = self._tokenizer.encode_batch([(query, text) for text in texts])
        outputs = np.empty(len(pairs), np.float64)
        groups = _group_pairs([len(pair) for pair in pairs], alone=self.identity.precision != "fp32")
        running = [self._workers.submit(self._run_group, [pairs[i] for i in group]) for group in groups]
        try:
            for group, future in zip(groups, running, strict=True):
                CURRENT.get().check()
                outputs[group] = future.result()
        finally:
            for future in running:
                future.cancel()
        if not np.isfinite(outputs).all():
            position = int(np.flatnonzero(~np.isfinite(outputs))[0])
            raise EncoderError(
                f"{self.identity.model} gave NaN or infinity for the text {texts[position][:60]!r}. "
                "Search without it: --rerank none"
            )
        return _compute_scores(outputs, self.identity.activation), sum(bool(pair.overflowing) for pair in pairs)

    def close(self) -> None:
        """End the worker threads."""
        self._workers.shutdown()

    def _run_group(self, pairs: Sequence[Encoding]) -> NDArray[np.float64]:
        """Run pairs of the same length: their outputs before activation, (n,).

        Raises:
            EncoderError: ONNX Runtime failed.
        """
        feeds = {
            "input_ids": np.array([pair.ids for pair in pairs], np.int64),
            "attention_mask": np.array([pair.attention_mask for pair in pairs], np.int64),
            "token_type_ids": np.array([pair.type_ids for pair in pairs], np.int64),
        }
        try:
            (outputs,) = self._session.run(None, {name: feeds[name] for name in self._inputs})
        except Exception as err:  # onnxruntime's own exceptions share no base but Exception
            raise EncoderError(f"{self.identity.model} failed on {len(pairs)} pairs: {err}") from err
        return np.asarray(outputs, np.float64).reshape(len(pairs))


def _group_pairs(lengths: Sequence[int], *, alone: bool) -> list[list[int]]:
    """Return the positions of pairs that run together, the longest first: short ones of exactly the same length.

    alone: no pairs run together, since int8 shares scales between them.
    """
    order = sorted(range(len(lengths)), key=lambda at: (-lengths[at], at))
    groups: list[list[int]] = []
    for at in order:
        last = groups[-1] if groups else []
        fits = last and lengths[last[0]] == lengths[at] <= _SHORT and len(last) < _TOGETHER
        if fits and not alone:
            last.append(at)
        else:
            groups.append([at])
    return groups


def _compute_scores(outputs: NDArray[np.float64], activation: str) -> NDArray[np.float64]:
    """Return scores: of "sigmoid" in (0, 1), of "identity" the outputs."""
    if activation == "identity":
        return outputs
    small = np.exp(-np.abs(outputs))  # never overflows
    scores: NDArray[np.float64] = np.where(outputs >= 0, 1.0, small) / (1 + small)
    return scores
