"""The encoder for GPUs. It chooses how the model runs, and copes with full memory and overflow in half precision."""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from threading import Lock

import numpy as np
import torch

from engine.encode.gpu.library import LibraryRunner, open_library
from engine.encode.gpu.selfcheck import Runner, choose_runner
from engine.encode.original.packedmodel import PackedRunner
from engine.encode.original.transformer import TransformerEncoder
from engine.encode.texts.probes import CHECK_TEXTS, find_difference
from engine.encode.texts.tokens import PromptedTokenizer, Tokens, load_tokenizer
from engine.errors import EncoderError
from engine.records.encoder import Encoded, EncoderIdentity, Vectors

_log = logging.getLogger(__name__)

_PAGE = 8192  # texts for each device
_APPLE = "mps"  # torch's name for the GPU of a Mac
_FULL = "MPS backend out of memory"  # how the message begins when its memory runs out


def open_gpu_encoder(
    folder: Path, identity: EncoderIdentity, kind: str = "cuda", *, exact: bool = False
) -> _GpuEncoder:
    """Open a sentence-transformers folder on every visible GPU of a kind, in fp16 where all of them support it.

    kind: "cuda", or "mps" for the GPU of a Mac, of which there is one.
    exact: use fp32 on all of them.

    Raises:
        EncoderError: there is no GPU, or it can't run the model.
    """
    if kind == _APPLE:
        return _GpuEncoder(folder, identity, [_APPLE], torch.float32 if exact else torch.float16)
    n = torch.cuda.device_count()
    half = not exact and n > 0 and all(torch.cuda.get_device_capability(i) >= (7, 0) for i in range(n))
    return _GpuEncoder(
        folder, identity, [f"cuda:{i}" for i in range(n)] or ["cuda"], torch.float16 if half else torch.float32
    )


class _GpuEncoder:
    """A sentence-transformers folder on one or several devices. Safe to use from several threads.

    One call tokenises while another uses the devices. At every precision the vectors match those of the fp32 model
    within the tolerance of the probes, so the identity is that of fp32.
    """

    ahead = 2

    def __init__(self, folder: Path, identity: EncoderIdentity, devices: Sequence[str], dtype: torch.dtype) -> None:
        """Load the weights and choose how they run; dtype is the precision to try.

        Raises:
            EncoderError: a device is not available, or the model can't be loaded or run.
        """
        loaded = TransformerEncoder(folder, identity, devices[0])
        self.page = _PAGE * len(devices)
        self._identity = identity
        self._name = ", ".join(devices)
        self._dtype = str(dtype).removeprefix("torch.")
        self._lock = Lock()  # of the devices and the runners
        self._is_closed = False
        with tempfile.TemporaryDirectory() as scratch:
            tokenizer = load_tokenizer(loaded.write_tokenizer(Path(scratch)), identity.max_length)
        self._tokenizer = PromptedTokenizer(tokenizer, identity.document_prompt)
        how = {"prompt": identity.document_prompt, "task": "document", "truncate_dim": identity.dim}
        self._exact: Runner = LibraryRunner(loaded.model, devices[:1], how)
        try:
            expected, tokens = self._encode_reference(loaded, folder), self._tokenizer.tokenise(CHECK_TEXTS)
            self._library: Runner = open_library(loaded.model, devices, dtype, CHECK_TEXTS, expected, how)
            self._runner: Runner = self._library
            bert = getattr(loaded.model[0], "auto_model", None)  # a Router has none
            # Several devices have the library's pool; on a Mac the packed model would take one text after the other.
            if len(devices) == 1 and devices[0] != _APPLE and identity.is_plain and bert is not None:
                build_packed = partial(PackedRunner, bert, identity.pooling, identity.max_length, dtype)
                self._runner = choose_runner(self._library, build_packed, CHECK_TEXTS, tokens, expected)
        except Exception as err:
            raise self._describe(err) from err

    def _encode_reference(self, loaded: TransformerEncoder, folder: Path) -> Vectors:
        """Return the vectors of the check texts in fp32: float32 (n, dim). Those of a Mac's GPU are checked by its CPU.

        Raises:
            RuntimeError: they differ.
        """
        expected = loaded.encode_reference(CHECK_TEXTS)
        if self._name == _APPLE:
            reference = TransformerEncoder(folder, self._identity, "cpu").encode_reference(CHECK_TEXTS)
            if reason := find_difference(expected, reference):
                raise RuntimeError(f"other vectors than on the CPU: {reason}")
        return expected

    @property
    def identity(self) -> EncoderIdentity:
        """Identity of the encoder: everything that determines its vectors."""
        return self._identity

    def encode(self, texts: Sequence[str]) -> Encoded:
        """Encode prepared texts: float32 (n, dim), unit length, in the order of the texts.

        A text without a finite vector at any precision keeps the one from fp32.

        Raises:
            EncoderError: torch failed, the memory of a device is too small, or the encoder was closed.
        """
        if self._is_closed:
            raise EncoderError(f"the encoder {self._identity.model} was closed. Open it again to encode more texts")
        tokens = self._tokenizer.tokenise(texts)
        if not texts:
            return Encoded(np.zeros((0, self._identity.dim), np.float32), tokens.n_tokens)
        try:
            with self._lock:
                vectors = self._run_chosen(texts, tokens)
                overflown = np.flatnonzero(~np.isfinite(vectors).all(axis=1))
                if len(overflown):
                    _log.warning("%d vectors were not finite: encoding these texts again in fp32", len(overflown))
                    again = [texts[i] for i in overflown.tolist()]
                    vectors[overflown] = self._run(self._exact, again, self._tokenizer.tokenise(again))
        except Exception as err:  # sentence-transformers and torch raise many types
            raise self._describe(err) from err
        return Encoded(vectors, tokens.n_tokens, self._describe_runner())

    def encode_queries(self, texts: Sequence[str]) -> Encoded:
        """Refuse queries, for which the exported encoder is there.

        Raises:
            EncoderError: always.
        """
        raise EncoderError(
            f"{self._identity.model} on {self._name} encodes documents only. Use --device cpu for queries"
        )

    def close(self) -> None:
        """End the processes and release device memory; closing it again does nothing."""
        if self._is_closed:
            return
        self._is_closed = True
        for runner in {id(runner): runner for runner in (self._runner, self._library, self._exact)}.values():
            runner.close()
        del self._runner, self._library, self._exact
        self._release_memory()

    def _release_memory(self) -> None:
        """Give memory that no tensor uses back to the devices."""
        (torch.mps if self._name == _APPLE else torch.cuda).empty_cache()

    def _describe_runner(self) -> str:
        """Return the way that the model runs: "torch float16, packed, on cuda:0"."""
        how = "packed" if isinstance(self._runner, PackedRunner) else "sentence-transformers"
        return f"torch {self._dtype}, {how}, on {self._name}"

    def _run_chosen(self, texts: Sequence[str], tokens: Tokens) -> Vectors:
        """Run the chosen runner; if the packed one fails, use the library's from now on."""
        try:
            return self._run(self._runner, texts, tokens)
        except Exception as err:  # kernels fail in more ways than torch itself
            if self._runner is self._library:
                raise
            _log.warning("the packed model failed (%s): using sentence-transformers from now on", err)
        self._runner.close()
        self._runner = self._library
        return self._run(self._runner, texts, tokens)

    def _run(self, runner: Runner, texts: Sequence[str], tokens: Tokens) -> Vectors:
        """Run texts; halve the batch size whenever memory runs out.

        Raises:
            OutOfMemoryError: memory ran out at the smallest size, too.
            RuntimeError: torch failed in another way.
        """
        while True:
            try:
                return runner.encode(texts, tokens)
            except RuntimeError as err:
                is_full = isinstance(err, torch.OutOfMemoryError) or str(err).startswith(_FULL)
                if not is_full or runner.size // 2 < runner.smallest:
                    raise
            self._release_memory()  # only here are the tensors of the failed batch free
            runner.size //= 2
            _log.warning("%s ran out of memory: batches of %d from now on", self._name, runner.size)

    def _describe(self, err: Exception) -> EncoderError:
        reason = str(err).split("\n")[0] or repr(err)
        return EncoderError(f"{self._identity.model} failed on {self._name}: {reason}. Use --device cpu")
