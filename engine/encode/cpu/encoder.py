"""The encoder of the corpus on a CPU: an exported encoder, and for many texts the fastest way to run it here."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from pathlib import Path
from threading import Lock

import numpy as np

from engine.config import count_cores
from engine.encode.cpu import contest
from engine.encode.cpu.contest import DEFAULT, ContestTexts
from engine.encode.cpu.contestants import Contestant, list_contestants
from engine.encode.cpu.runners import CpuRunner
from engine.encode.execution.onnx import OnnxEncoder, choose_layout, count_trial_texts
from engine.encode.texts.probes import CHECK_TEXTS, TOKEN_PROBES
from engine.records.encoder import Encoded, EncoderIdentity

_log = logging.getLogger(__name__)

MEASURED_TEXTS = 32  # of a contest
_MANY = 1000  # texts; encoding this many takes far longer than a contest
_FEW = 2  # texts that reject a way that is far too slow
_PAGE = 128  # texts of a page: enough to sort them by length


class CpuEncoder:
    """An exported encoder, run for many texts in the way that was measured to be fastest. Safe for several threads.

    Until `settle` is called, and for what another way can't encode, it is ONNX Runtime in fp32.
    """

    ahead = OnnxEncoder.ahead

    def __init__(self, exported: OnnxEncoder, find_model: Callable[[], Path], *, exact: bool = False) -> None:
        """Use an exported encoder, which is not closed with this one.

        Args:
            exported: the encoder on ONNX Runtime.
            find_model: returns the folder of the original model; raises EncoderError if it is not there.
            exact: compute in fp32, whatever would be faster.
        """
        self._exported = exported
        self._contestants: Sequence[Contestant] = ()
        if not exact:
            self._contestants = list_contestants(exported.folder, exported.identity, find_model, count_cores())
        self._runner: CpuRunner | None = None
        self._name = ""  # of the runner
        self._lock = Lock()

    @property
    def identity(self) -> EncoderIdentity:
        """Identity of the encoder: everything that determines its vectors."""
        return self._exported.identity

    @property
    def page(self) -> int:
        """Number of texts to pass to one call of encode."""
        return self._exported.page if self._runner is None else max(_PAGE, self._exported.page)

    def settle(self, texts: Sequence[str], n_texts: int) -> None:
        """Choose how to encode n_texts texts, of which some are given: as remembered, or as a contest decides.

        A contest takes some seconds, so for few texts there is none.
        """
        if n_texts >= _MANY:
            choose_layout(self._exported, texts[: count_trial_texts()])
        if not self._contestants:
            return
        outcome = contest.recall(self.identity, self._contestants)
        if outcome is None and n_texts >= _MANY:
            outcome, self._runner = contest.run_contest(
                self.identity, self._contestants, self._exported.run, self._prepare_trial(texts)
            )
            self._name = outcome.winner
        elif outcome is not None and (name := outcome.choose(n_texts)) != DEFAULT:
            self._use(name, texts)

    def encode(self, texts: Sequence[str]) -> Encoded:
        """Encode prepared texts: float32 (n, dim), unit length, in the order of the texts; (0, dim) for no texts.

        A text to which another way gives no finite vector gets that of ONNX Runtime. A way that fails is given up.

        Raises:
            EncoderError: ONNX Runtime failed on a text.
        """
        if self._runner is None or not texts:
            return self._exported.encode(texts)
        tokens = self._exported.tokenise(texts)
        with self._lock:
            runner, name = self._runner, self._name
            try:
                vectors = None if runner is None else runner.encode(tokens)
            except Exception as err:  # libraries fail in many ways
                _log.warning(
                    "%s failed (%s): using %s from now on", name, str(err).split("\n")[0] or repr(err), DEFAULT
                )
                self._give_up()
                vectors = None
        if vectors is None:
            return self.encode(texts)
        if len(bad := np.flatnonzero(~np.isfinite(vectors).all(axis=1))):
            vectors[bad] = self._exported.encode([texts[i] for i in bad.tolist()]).vectors
        return Encoded(vectors, tokens.n_tokens, name)

    def encode_queries(self, texts: Sequence[str]) -> Encoded:
        """Encode queries on ONNX Runtime, whichever way was chosen for documents.

        Raises:
            EncoderError: ONNX Runtime failed on a text.
        """
        return self._exported.encode_queries(texts)

    def close(self) -> None:
        """Release what the other way holds; the exported encoder stays open."""
        with self._lock:
            self._give_up()

    def _give_up(self) -> None:
        """Close the runner and go back to ONNX Runtime."""
        if self._runner is not None:
            self._runner.close()
        self._runner = None

    def _use(self, name: str, texts: Sequence[str]) -> None:
        """Open the way with this name if it passes its check."""
        for contestant in self._contestants:
            if contestant.name == name:
                self._runner = contest.open_checked(contestant, self._prepare_trial(texts))
                self._name = name

    def _prepare_trial(self, texts: Sequence[str]) -> ContestTexts:
        """Tokenise what a contest runs. Texts without a word are not compared: they get no vector."""
        tokenise = self._exported.tokenise
        check = [text for text in (*CHECK_TEXTS, *TOKEN_PROBES) if self._has_words(text)]
        tokens = tokenise(check)
        return ContestTexts(tokenise(texts[:_FEW]), tokens, self._exported.run(tokens), tokenise(texts))

    def _has_words(self, text: str) -> bool:
        """Return whether the tokenizer finds a word in a text."""
        return bool(self._exported.tokenise([text]).n_tokens[0])
