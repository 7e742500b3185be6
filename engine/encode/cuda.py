"""Indexing on a GPU: the original weights in half precision, texts packed without padding, copies beside the work."""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from threading import Lock
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray

from engine.encode.devices import DevicesEncoder
from engine.encode.encoder import Encoder
from engine.encode.forward import candidates, fastest, full_pack
from engine.encode.link import CudaLink, HostLink, Link, sent_ahead
from engine.encode.packed import Forward, PackedBert
from engine.encode.packing import packs
from engine.encode.padded import MULTIPLE
from engine.encode.probes import PROBES
from engine.encode.strategy import Original, Strategy, choose
from engine.encode.tokens import BatchTokenizer, Tokens
from engine.encode.tokens import fastest as fastest_tokenizer
from engine.encode.transformer import TransformerEncoder
from engine.errors import EncoderError
from engine.records import Encoded, EncoderIdentity, Vectors

log = logging.getLogger(__name__)

BUDGET = 131_072  # tokens in a pack: enough to keep the largest GPU busy
TUNE_AFTER = 50_000_000  # tokens; running so many as they come takes about as long as finding out what is faster


def open_cuda(folder: Path, identity: EncoderIdentity) -> Encoder:
    """A sentence-transformers folder on every GPU that this process may see.

    Raises:
        EncoderError: there is none, or the model can't be used on it.
    """
    n = torch.cuda.device_count()
    if n > 1:
        return DevicesEncoder(folder, identity, [f"cuda:{i}" for i in range(n)])
    return CudaEncoder(folder, identity, "cuda:0")


class CudaEncoder:
    """A sentence-transformers folder on one device. Safe to use from several threads.

    One call tokenises while another has the device. Every pack is encoded in half precision, where that gives the
    probes their fp32 vectors to a cosine of 0.9999; the identity is therefore the one of fp32.
    """

    page = 8192
    ahead = 2

    def __init__(
        self, folder: Path, identity: EncoderIdentity, device: str, half: torch.dtype | Literal["auto"] | None = "auto"
    ) -> None:
        """Load the weights and settle how they run; half None is full precision, "auto" is fp16 on a GPU that has it.

        Raises:
            EncoderError: the device is not there, or the model can't be loaded or gives other vectors there.
        """
        loaded = TransformerEncoder(folder, identity, device)
        self._identity = identity
        self.device = device
        self.link: Link = CudaLink(device) if device.startswith("cuda") else HostLink()
        self.tokenizer = tokenizer_of(loaded)
        original = Original(loaded.model[0].auto_model, identity, self.tokenizer, self.link, loaded.reference(PROBES))
        with self.link.active():
            self.strategy: Strategy = choose(original, half_precision(self.link.device) if half == "auto" else half)
        self.forward: Forward = self.strategy  # or a faster way to run it
        self.exact: Forward = original.padded()
        self.config: Any = original.model.config
        self.budget = budget_of(self.link.device, self.config, self.floor)
        self.untuned = self.link.device.type == "cuda" and isinstance(self.strategy, PackedBert)
        self.n_done = 0  # tokens
        self.lock = Lock()  # of the device, the forward and the budget

    @property
    def identity(self) -> EncoderIdentity:
        """What these vectors are."""
        return self._identity

    @property
    def floor(self) -> int:
        """The smallest budget worth trying: two texts of full length."""
        return 2 * self._identity.max_length

    def encode(self, texts: Sequence[str]) -> Encoded:
        """Encode prepared texts: float32 (n, dim), unit length, in the order given.

        A text that no precision gives a finite vector keeps the one it got; one without any token gets zeros.

        Raises:
            EncoderError: torch failed, or the device's memory is too small.
        """
        tokens = self.tokenizer.tokenise(texts)
        vectors = np.zeros((len(texts), self._identity.dim), np.float32)
        try:
            with self.lock, self.link.active(), torch.inference_mode():
                if self.untuned and self.n_done >= TUNE_AFTER:
                    self.tune()
                self.fill(vectors, tokens)
        except RuntimeError as err:
            reason = str(err).split("\n")[0]
            raise EncoderError(f"{self._identity.model} failed on {self.device}: {reason}. Try --device cpu") from err
        return Encoded(vectors, tokens.n_tokens)

    def close(self) -> None:
        """Give the device's memory back; encode can't be called any more."""
        del self.strategy, self.forward, self.exact
        self.link.release()

    def fill(self, vectors: Vectors, tokens: Tokens) -> None:
        """Write the vector of every text that has tokens; those that half precision spoils are done again in fp32.

        Raises:
            EncoderError: the device's memory is too small.
        """
        self.fill_rows(vectors, tokens, tokens.lengths > 0, exact=False)
        self.n_done += len(tokens.ids)
        spoilt = np.logical_not(np.isfinite(vectors).all(axis=1))
        if spoilt.any():
            log.warning("%d vectors were not finite on %s: encoded again in fp32", spoilt.sum(), self.device)
            self.fill_rows(vectors, tokens, spoilt, exact=True)

    def fill_rows(self, vectors: Vectors, tokens: Tokens, todo: NDArray[np.bool_], exact: bool) -> None:
        """Write the vectors of some texts, in smaller packs where the memory asks for it. Consumes todo (n,).

        Raises:
            EncoderError: the device's memory is too small.
            RuntimeError: torch failed in another way.
        """
        while todo.any():
            short = False
            forward, rounded = (self.exact, MULTIPLE) if exact else (self.forward, self.strategy.rounded)
            try:
                for positions, rows in self.run(forward, rounded, tokens, todo.copy()):
                    vectors[positions] = rows
                    todo[positions] = False
            except torch.OutOfMemoryError:
                short = True
            except Exception as err:  # compiled code fails in more ways than torch itself
                if forward in (self.exact, self.strategy):
                    raise
                log.warning("the tuned forward failed on %s (%s): going on without", self.device, err)
                self.forward = self.strategy
            if short:  # only now does nothing hold the tensors of the failed pack any more
                self.shrink()

    def run(
        self, forward: Forward, rounded: int | None, tokens: Tokens, among: NDArray[np.bool_]
    ) -> Iterator[tuple[NDArray[np.int64], Vectors]]:
        """Positions and vectors of texts, pack by pack; the device has the next pack before these are waited for."""
        waiting = None
        for pack, sent in sent_ahead(self.link, packs(tokens, self.budget, rounded, among)):
            now = pack.positions, self.link.fetch(forward(*sent))
            if waiting is not None:
                yield waiting[0], waiting[1]()
            waiting = now
        if waiting is not None:
            yield waiting[0], waiting[1]()

    def shrink(self) -> None:
        """Go on with half the budget.

        Raises:
            EncoderError: that would be less than two texts.
        """
        tried, self.budget = self.budget, self.budget // 2
        self.forward, self.untuned = self.strategy, False  # what was tuned holds memory, and was for larger packs
        self.link.release()
        if self.budget < self.floor:
            raise EncoderError(
                f"{self.device} has too little memory for {self._identity.model}: {tried} tokens at once are too many, "
                f"expected room for {self.floor} at least. Use --device cpu"
            )
        log.warning("%s ran out of memory: packs of %d tokens from now on, not %d", self.device, self.budget, tried)

    def tune(self) -> None:
        """Measure ways to run the packed model and keep the fastest; takes up to a minute, for compiling."""
        self.untuned = False
        ways = candidates(self.strategy, self.budget, self._identity.max_length, self.link.device)
        try:
            sent = self.link.send(full_pack(self.budget, self._identity.max_length, self.config.vocab_size))
            self.forward = fastest(self.strategy, ways, sent, self.link.finish)
        except torch.OutOfMemoryError:
            log.warning("%s has no room for measuring: going on as it is", self.device)
        self.link.release()


def tokenizer_of(loaded: TransformerEncoder) -> BatchTokenizer:
    """The fastest tokenizer that gives a model's own ids.

    Raises:
        EncoderError: the model's tokenizer can't be written as tokenizer.json.
    """
    with tempfile.TemporaryDirectory() as scratch:
        return fastest_tokenizer(loaded.write_tokenizer(Path(scratch)), loaded.identity.max_length)


def half_precision(device: torch.device) -> torch.dtype | None:
    """The half precision worth trying on a device: fp16, which keeps more digits than bf16, or none."""
    fast = device.type == "cuda" and torch.cuda.get_device_capability(device) >= (7, 0)
    return torch.float16 if fast else None


def budget_of(device: torch.device, config: Any, floor: int) -> int:
    """Tokens in a pack that half of the device's free memory has room for, even in fp32."""
    if device.type != "cuda":
        return BUDGET
    free, _ = torch.cuda.mem_get_info(device)
    width = config.hidden_size
    n_bytes = 4 * (6 * width + 2 * getattr(config, "intermediate_size", 4 * width))  # states alive at once, per token
    return max(floor, min(BUDGET, int(free // 2 // n_bytes)))
