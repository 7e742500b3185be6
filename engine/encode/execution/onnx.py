"""An exported encoder on ONNX Runtime, for queries and for indexing on a CPU. Loads no torch."""

from __future__ import annotations

import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property
from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine.config import count_cores
from engine.encode.execution.runtime import onnxruntime
from engine.encode.execution.threads import TEXTS_PER_CORE, ThreadLayout, get_default_layout, measure_layout
from engine.encode.models.folder import DOCUMENTS, QUERIES, TowerFiles, read_identity
from engine.encode.models.pooling import pool_tokens, scale_to_unit
from engine.encode.texts.tokens import (
    BatchTokenizer,
    PromptedTokenizer,
    TextTokenizer,
    Tokens,
    count_prompt_tokens,
    load_tokenizer,
)
from engine.errors import EncoderError
from engine.records.encoder import Encoded, EncoderIdentity, Vectors

_MANY = 16  # texts; with this many, loading the faster tokenizer pays off
_SHORT = 64  # tokens; a single text this short does not keep a core busy
_TOGETHER = 16  # short texts of the same length that run together


class _LoadedTower:
    """One tower of an encoder folder, loaded: tokenizer with prompt, graph, pooling, and what follows it."""

    def __init__(self, folder: Path, identity: EncoderIdentity, files: TowerFiles) -> None:
        """Load the tokenizer and the layers after pooling; the graph is loaded by `use_threads`.

        Raises:
            EncoderError: the folder does not hold them.
        """
        self._folder, self._identity, self._files = folder, identity, files
        own = identity.query_tower if files is QUERIES else None
        self._pooling, self._length = (own or identity).pooling, (own or identity).max_length
        self.tokenizer = TextTokenizer(folder / files.tokenizer, self._length)
        self._prompts = (identity.document_prompt, identity.query_prompt)
        self._skips = [0, 0]
        if not identity.prompt_pooled:
            self._skips = [count_prompt_tokens(self.tokenizer, prompt) for prompt in self._prompts]
        head = folder / files.head
        self._head: Any = load_session(head, 1) if head.is_file() else None

    @cached_property
    def batch_tokenizer(self) -> BatchTokenizer:
        """The faster tokenizer, for many texts; without the prompt."""
        return load_tokenizer(self._folder / self._files.tokenizer, self._length)

    def use_threads(self, threads: int) -> None:
        """Load the graph, of which `threads` threads share one run.

        Raises:
            EncoderError: ONNX Runtime can't load it.
        """
        self.session: Any = load_session(self._folder / self._files.graph, threads)
        self._inputs = {node.name for node in self.session.get_inputs()}

    def tokenise(self, texts: Sequence[str], *, as_query: bool) -> Tokens:
        """Tokenise prepared texts with their prompt."""
        tokenizer = self.tokenizer if len(texts) < _MANY else self.batch_tokenizer
        prompt = self._prompts[as_query]
        return PromptedTokenizer(tokenizer, prompt).tokenise(texts) if prompt else tokenizer.tokenise(texts)

    def run_group(self, tokens: Tokens, group: NDArray[np.int64], *, as_query: bool) -> Vectors:
        """Run some of the texts together, padded to the longest: float32 (m, dim), unit length."""
        rows = [tokens.get_row(int(i)) for i in group]
        ids = np.zeros((len(rows), max(map(len, rows))), np.int64)
        mask = np.zeros_like(ids)
        for place, row in enumerate(rows):
            ids[place, : len(row)], mask[place, : len(row)] = row, 1
        feeds = {"input_ids": ids, "attention_mask": mask, "token_type_ids": np.zeros_like(ids)}
        (states,) = self.session.run(None, {name: feeds[name] for name in self._inputs})
        skip = self._skips[as_query]
        pooled = np.stack([pool_tokens(states[i, : len(row)], self._pooling, skip) for i, row in enumerate(rows)])
        if self._head is not None:
            (pooled,) = self._head.run(None, {"pooled": pooled})
        return np.stack([scale_to_unit(vector[: self._identity.dim]) for vector in pooled])


class OnnxEncoder:
    """An encoder folder, loaded. Safe to use from several threads.

    Each text runs alone, without padding, on one thread, unless another layout was measured to be faster on this
    machine. Where queries have a tower of their own, that is loaded first, and the one for documents with the first of
    them.
    """

    page = max(32, TEXTS_PER_CORE * count_cores())
    ahead = 2

    def __init__(self, folder: Path, layout: ThreadLayout | None = None) -> None:
        """Load tokenizer and graph.

        Raises:
            EncoderError: the folder does not hold an encoder.
        """
        self.folder = folder
        self._identity = read_identity(folder)
        self._loading = Lock()
        self._documents: _LoadedTower | None = None
        self._queries = self._load_tower(QUERIES if self._identity.query_tower else DOCUMENTS)
        if self._identity.query_tower is None:
            self._documents = self._queries
        self.use_layout(layout or get_default_layout(count_cores()))

    def _load_tower(self, files: TowerFiles) -> _LoadedTower:
        """Load the tokenizer and the head of a tower."""
        return _LoadedTower(self.folder, self._identity, files)

    @property
    def documents(self) -> _LoadedTower:
        """The tower for documents.

        Raises:
            EncoderError: the folder does not hold it.
        """
        with self._loading:
            if self._documents is None:
                tower = self._load_tower(DOCUMENTS)
                tower.use_threads(self.layout.threads)
                self._documents = tower
            return self._documents

    def use_layout(self, layout: ThreadLayout) -> None:
        """Change the layout; not while a call of encode is running.

        Raises:
            EncoderError: ONNX Runtime can't load the graph.
        """
        self.layout = layout
        for tower in {id(tower): tower for tower in (self._queries, self._documents) if tower}.values():
            tower.use_threads(layout.threads)
        self.workers = ThreadPoolExecutor(layout.workers)

    @property
    def tokenizer(self) -> TextTokenizer:
        """The reference tokenizer of documents, without the prompt."""
        return self.documents.tokenizer

    @property
    def batch_tokenizer(self) -> BatchTokenizer:
        """The faster tokenizer of documents, without the prompt."""
        return self.documents.batch_tokenizer

    @property
    def identity(self) -> EncoderIdentity:
        """Identity of the encoder: everything that determines its vectors."""
        return self._identity

    def encode(self, texts: Sequence[str]) -> Encoded:
        """Encode prepared texts: float32 (n, dim), unit length, in the order of the texts; (0, dim) for no texts.

        Raises:
            EncoderError: ONNX Runtime failed on a text.
        """
        tokens = self.tokenise(texts)
        return Encoded(self.run(tokens, texts), tokens.n_tokens, f"ONNX Runtime {self._identity.precision}")

    def encode_queries(self, texts: Sequence[str]) -> Encoded:
        """Encode queries as encode does documents, with the prompt and the tower for queries.

        Raises:
            EncoderError: ONNX Runtime failed on a text.
        """
        tokens = self._queries.tokenise(texts, as_query=True)
        vectors = self._run(self._queries, tokens, texts, as_query=True)
        return Encoded(vectors, tokens.n_tokens, f"ONNX Runtime {self._identity.precision}")

    def tokenise(self, texts: Sequence[str]) -> Tokens:
        """Tokenise prepared texts of documents with their prompt, which counts as part of each."""
        return self.documents.tokenise(texts, as_query=False)

    def run(self, tokens: Tokens, texts: Sequence[str] = ()) -> Vectors:
        """Encode the tokens of n documents: float32 (n, dim), unit length, in the order of the texts.

        texts: for the message of an error.

        Raises:
            EncoderError: ONNX Runtime failed on a text.
        """
        return self._run(self.documents, tokens, texts, as_query=False)

    def close(self) -> None:
        """End the worker threads."""
        self.workers.shutdown()

    def _run(self, tower: _LoadedTower, tokens: Tokens, texts: Sequence[str], *, as_query: bool) -> Vectors:
        """Encode the tokens of n texts with one tower.

        Raises:
            EncoderError: ONNX Runtime failed on a text.
        """

        def run_group(group: NDArray[np.int64]) -> Vectors:
            try:
                return tower.run_group(tokens, group, as_query=as_query)
            except Exception as err:  # onnxruntime's own exceptions share no base but Exception
                text = texts[group[0]][:60] if texts else f"number {group[0] + 1}"
                raise EncoderError(f"{self._identity.model} failed on the text {text!r}: {err}") from err

        n = len(tokens.n_tokens)
        vectors = np.empty((n, self._identity.dim), np.float32)
        if n == 1:
            vectors[0] = run_group(np.zeros(1, np.int64))[0]
            return vectors
        groups = _group_texts(tokens, self.layout.batch, alone=self._identity.precision != "fp32")
        for group, rows in zip(groups, self.workers.map(run_group, groups), strict=True):
            vectors[group] = rows
        return vectors


def count_trial_texts() -> int:
    """Return the number of texts that `choose_layout` needs."""
    return TEXTS_PER_CORE * count_cores()


def choose_layout(encoder: OnnxEncoder, texts: Sequence[str]) -> None:
    """Switch the encoder to the fastest layout on this machine: a remembered one, or one measured now on the texts."""
    layouts = {encoder.layout: encoder}

    def seconds(layout: ThreadLayout) -> float:
        if layout not in layouts:
            layouts[layout] = OnnxEncoder(encoder.folder, layout)
        started = time.perf_counter()
        layouts[layout].encode(texts)
        return time.perf_counter() - started

    alone = encoder.identity.precision != "fp32"  # int8 shares scales between texts that run together
    layout = measure_layout(seconds, encoder.identity.fingerprint, onnxruntime.__version__, alone=alone)
    if layout != encoder.layout:
        encoder.use_layout(layout)


def load_session(graph: Path, threads: int) -> Any:
    """Load a graph that was optimised at export; `threads` threads share one run.

    Raises:
        EncoderError: ONNX Runtime can't load it.
    """
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
    options.log_severity_level = 4  # an error is raised, too; without enable_fallback, it is not printed either
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    try:
        return onnxruntime.InferenceSession(
            str(graph), options, providers=["CPUExecutionProvider"], enable_fallback=0
        )  # it would print
    except Exception as err:  # onnxruntime's own exceptions share no base but Exception
        raise EncoderError(f"{graph} can't be loaded: {err}") from err


def _group_texts(tokens: Tokens, batch: int, *, alone: bool) -> list[NDArray[np.int64]]:
    """Return the positions of texts that run together, the longest first.

    With batch above 1, texts of similar length are grouped. Otherwise each text runs alone, except short texts of
    exactly the same length: they need no padding, and each gets the same vector as alone. alone: run these alone too,
    since int8 shares scales between texts that run together.
    """
    if batch > 1:
        order = np.argsort(-tokens.lengths, kind="stable")
        return [order[start : start + batch] for start in range(0, len(order), batch)]
    if alone:
        return list(np.arange(len(tokens.n_tokens))[:, None])
    groups: list[NDArray[np.int64]] = []
    for length in np.unique(tokens.lengths)[::-1]:
        same = np.flatnonzero(tokens.lengths == length)
        size = _TOGETHER if length <= _SHORT else 1
        groups += [same[start : start + size] for start in range(0, len(same), size)]
    return groups
