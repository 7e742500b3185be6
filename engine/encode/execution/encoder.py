"""The Encoder protocol and the check of its contract: n rows, dim columns, float32, finite, unit length."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from engine.errors import EncoderError
from engine.records.encoder import Encoded, EncoderIdentity, Vectors

LENGTH_TOLERANCE = 1e-3  # largest error of a unit vector's length; float32 rounding is near 1e-7, fp16 near 1e-4
SAME_TEXT_COSINE = 0.999  # least cosine of one text encoded alone and in a batch, at the lowest precision
WORDLESS = "no word that the encoder can read"  # a defect of the text, not of the encoder


class Encoder(Protocol):
    """Texts to vectors. Implemented in ``encode``: ``execution.onnx``, ``cpu.encoder``, ``gpu.encoder``; in scale."""

    ahead: int  # calls of encode that may run at the same time, in threads of one process

    @property
    def page(self) -> int:
        """Number of texts to pass to one call of encode."""
        ...

    @property
    def identity(self) -> EncoderIdentity:
        """Identity of the encoder: everything that determines its vectors."""
        ...

    def encode(self, texts: Sequence[str]) -> Encoded:
        """Encode prepared texts of records: float32 (n, dim), unit length, in the order of the texts."""
        ...

    def encode_queries(self, texts: Sequence[str]) -> Encoded:
        """Encode queries, which may have another prompt or other weights than documents: as encode."""
        ...

    def close(self) -> None:
        """Release threads, processes and device memory; the encoder can't be used afterwards."""
        ...


@dataclass(frozen=True, slots=True)
class CheckedVectors:
    """The usable vectors of n texts, and the reasons why the other texts have none."""

    kept: NDArray[np.int64]  # (m,) positions of the usable texts, ascending
    vectors: Vectors  # (m, dim) of the usable texts
    n_tokens: NDArray[np.int64]  # (m,) tokens of the usable texts, before truncation
    refused: tuple[tuple[int, str], ...]  # (position, reason) of the other texts
    made_by: str = ""  # as Encoded


def encode_checked(encoder: Encoder, texts: Sequence[str], *, as_query: bool = False) -> CheckedVectors:
    """Encode texts and keep only vectors that fulfil the contract; a text with a bad one is encoded again, alone.

    as_query: the texts are queries, not texts of records.
    """
    dim, encode = encoder.identity.dim, encoder.encode_queries if as_query else encoder.encode
    encoded = _check_shape(encode(texts), len(texts), dim)
    if encoded is None:
        encoded = Encoded(np.full((len(texts), dim), np.nan, np.float32), np.ones(len(texts), np.int64))
    vectors, n_tokens, made_by = encoded.vectors, encoded.n_tokens, encoded.made_by
    reasons = _find_problems(vectors, n_tokens)
    if not reasons:
        return CheckedVectors(np.arange(len(texts)), vectors, n_tokens, (), made_by)
    vectors, n_tokens = vectors.copy(), n_tokens.copy()
    for position in [at for at, reason in reasons.items() if reason != WORDLESS]:
        again = _check_shape(encode([texts[position]]), 1, dim)
        if again is None:
            reasons[position] = "the encoder returned a vector of the wrong shape"
        elif reason := _find_problems(again.vectors, again.n_tokens).get(0):
            reasons[position] = reason
        else:
            vectors[position], n_tokens[position] = again.vectors[0], again.n_tokens[0]
            del reasons[position]
    kept = np.array([at for at in range(len(texts)) if at not in reasons], dtype=np.int64)
    return CheckedVectors(kept, vectors[kept], n_tokens[kept], tuple(sorted(reasons.items())), made_by)


def _check_shape(encoded: Encoded, n: int, dim: int) -> Encoded | None:
    """Return the result, or None unless it has one float32 row of dim numbers for each of n texts."""
    vectors = encoded.vectors
    is_right = vectors.shape == (n, dim) and vectors.dtype == np.float32 and len(encoded.n_tokens) == n
    return encoded if is_right else None


def _find_problems(vectors: Vectors, n_tokens: NDArray[np.int64]) -> dict[int, str]:
    """Return the position of each vector that can't be used, ascending, and why, in words."""
    with np.errstate(over="ignore", invalid="ignore"):  # checked below
        lengths = np.sqrt(np.einsum("ij,ij->i", vectors, vectors, dtype=np.float64))
    doubtful = np.flatnonzero(~(np.abs(lengths - 1) <= LENGTH_TOLERANCE) | (n_tokens == 0))
    return {int(at): _describe_problem(float(lengths[at]), int(n_tokens[at])) for at in doubtful}


def _describe_problem(length: float, n_tokens: int) -> str:
    """Describe what is wrong with a vector of this length, of a text of n_tokens tokens."""
    if n_tokens == 0:
        return WORDLESS
    if not np.isfinite(length):
        return "the encoder returned NaN or infinity"
    if length == 0:
        return "the encoder returned a zero vector"
    return f"the encoder returned a vector of length {length:.3g}, expected 1"


def check_canaries(encoder: Encoder, texts: Sequence[str], vectors: Vectors, n: int) -> None:
    """Encode n of the texts again, alone, and compare, to notice rows that were shuffled or mixed up.

    Raises:
        EncoderError: a text has another vector when it is encoded alone.
    """
    for position in np.unique(np.linspace(0, len(texts) - 1, min(n, len(texts)), dtype=int)):
        alone = _check_shape(encoder.encode([texts[position]]), 1, encoder.identity.dim)
        cosine = -1.0 if alone is None else float(alone.vectors[0] @ vectors[position])
        if not cosine >= SAME_TEXT_COSINE:
            raise EncoderError(
                f"{encoder.identity.model} gave one text different vectors alone and in a batch: cosine {cosine:.4f}, "
                f"expected {SAME_TEXT_COSINE} or more. Nothing was published. Try --device cpu"
            )
