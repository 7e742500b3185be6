"""The original model on torch in bfloat16: a BERT without padding, other kinds in batches of similar length."""

from __future__ import annotations

import logging
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import torch
from transformers import AutoModel

from engine.encode.cpu.runners import CpuRunner
from engine.encode.original.packedmodel import PackedRunner
from engine.encode.texts.packing import iterate_packs
from engine.encode.texts.tokens import Tokens
from engine.errors import EncoderError
from engine.records.encoder import EncoderIdentity, Vectors

_log = logging.getLogger(__name__)

_TOKENS = 1024  # of texts that run together: enough work for the matrix unit, and they stay in cache
_BATCH = 8  # texts


def open_torch_runner(folder: Path, identity: EncoderIdentity, n_cores: int) -> CpuRunner:
    """Load a model folder for a CPU.

    Raises:
        EncoderError: transformers can't load the model.
    """
    try:
        model = AutoModel.from_pretrained(
            str(folder), local_files_only=True, use_safetensors=True, dtype=torch.float32
        ).eval()
    except Exception as err:  # transformers raises many types
        raise EncoderError(f"{folder} can't be loaded: {str(err).splitlines()[0]}") from err
    try:
        # Sums and norms in fp32 bring the vectors closer to those of the fp32 model, and cost little.
        packed = PackedRunner(model, identity.pooling, identity.max_length, torch.bfloat16, torch.float32)
        return _PackedTorchRunner(packed, identity.dim, n_cores)
    except EncoderError as err:
        _log.info("texts are padded: %s", err)
    return _PaddedTorchRunner(model.to(torch.bfloat16), identity, n_cores)


class _PackedTorchRunner:
    """A BERT without padding. Each core runs packs of its own, so that none waits for another."""

    def __init__(self, runner: PackedRunner, dim: int, n_cores: int) -> None:
        self._n_before = torch.get_num_threads()
        torch.set_num_threads(1)
        self._runner, self._dim, self._workers = runner, dim, ThreadPoolExecutor(n_cores)

    def encode(self, tokens: Tokens) -> Vectors:
        """Encode the tokens of n texts: float32 (n, dim), unit length, in the order of the texts."""
        vectors = np.zeros((len(tokens.n_tokens), self._dim), np.float32)
        packs = list(iterate_packs(tokens, _TOKENS))
        for pack, rows in zip(packs, self._workers.map(self._runner.encode_pack, packs), strict=True):
            vectors[pack.positions] = rows
        return vectors

    def close(self) -> None:
        """Release the weights, and let torch use as many threads as before."""
        self._workers.shutdown()
        self._runner.close()
        torch.set_num_threads(self._n_before)


class _PaddedTorchRunner:
    """Any transformer, in batches of texts of similar length."""

    def __init__(self, model: Any, identity: EncoderIdentity, n_cores: int) -> None:
        self._n_before = torch.get_num_threads()
        torch.set_num_threads(n_cores)
        self._model, self._pooling, self._dim = model, identity.pooling, identity.dim
        self._kinds = bool(getattr(model.config, "type_vocab_size", 0))

    def encode(self, tokens: Tokens) -> Vectors:
        """Encode the tokens of n texts: float32 (n, dim), unit length, in the order of the texts."""
        vectors = np.zeros((len(tokens.n_tokens), self._dim), np.float32)
        order = np.argsort(-tokens.lengths, kind="stable")
        with torch.inference_mode():
            for start in range(0, len(order), _BATCH):
                group = order[start : start + _BATCH]
                vectors[group] = self._run([tokens.get_row(int(i)) for i in group])
        return vectors

    def close(self) -> None:
        """Release the weights, and let torch use as many threads as before."""
        del self._model
        torch.set_num_threads(self._n_before)

    def _run(self, rows: list[Any]) -> Vectors:
        """Run some texts together, padded to the longest."""
        ids = torch.zeros(len(rows), max(map(len, rows)), dtype=torch.long)
        mask = torch.zeros_like(ids)
        for place, row in enumerate(rows):
            ids[place, : len(row)], mask[place, : len(row)] = torch.from_numpy(row.astype(np.int64)), 1
        kinds = {"token_type_ids": torch.zeros_like(ids)} if self._kinds else {}
        states = self._model(input_ids=ids, attention_mask=mask, **kinds).last_hidden_state.float()
        if self._pooling == "cls":
            pooled = states[:, 0]
        else:
            pooled = (states * mask[..., None]).sum(1) / mask.sum(1, keepdim=True)
        found: Vectors = torch.nn.functional.normalize(pooled, dim=1).numpy()
        return found
