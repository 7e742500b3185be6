"""The contract of every encoder, checked at its border: n rows, dim columns, float32, finite, unit length."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from engine.encode.encoder import Encoder
from engine.errors import EncoderError
from engine.records import Encoded, Vectors

LENGTH_TOLERANCE = 1e-3  # of a unit vector; float32 rounding is near 1e-7, fp16 near 1e-4
SAME_COSINE = 0.999  # one text encoded twice, alone and among others, at the lowest precision on offer
N_CANARIES = 4
WORDLESS = "no word that the encoder can read"  # the text's fault, not the encoder's


@dataclass(frozen=True, slots=True)
class Checked:
    """What became of n texts."""

    kept: NDArray[np.int64]  # (m,) positions of the usable texts, ascending
    vectors: Vectors  # (m, dim) of those
    n_tokens: NDArray[np.int64]  # (m,) of those, before truncation
    refused: tuple[tuple[int, str], ...]  # (position, reason) of the others


def encode_checked(encoder: Encoder, texts: Sequence[str]) -> Checked:
    """Encode texts and keep only vectors that honour the contract; a bad one is tried once more, alone."""
    dim = encoder.identity.dim
    encoded = well_shaped(encoder.encode(texts), len(texts), dim)
    rows: dict[int, tuple[NDArray[np.float32], int]] = {}
    refused: list[tuple[int, str]] = []
    for position, text in enumerate(texts):
        row = None if encoded is None else (encoded.vectors[position], int(encoded.n_tokens[position]))
        reason = problem(row)
        if reason is not None and (row is None or row[1] > 0):
            again = well_shaped(encoder.encode([text]), 1, dim)
            row = None if again is None else (again.vectors[0], int(again.n_tokens[0]))
            reason = problem(row)
        if row is not None and reason is None:
            rows[position] = row
        else:
            refused.append((position, reason or ""))
    vectors = np.array([vector for vector, _ in rows.values()], dtype=np.float32).reshape(len(rows), dim)
    lengths = np.array([n for _, n in rows.values()], dtype=np.int64)
    return Checked(np.array(list(rows), dtype=np.int64), vectors, lengths, tuple(refused))


def well_shaped(encoded: Encoded, n: int, dim: int) -> Encoded | None:
    """The result itself, or None when it has not one float32 row of dim numbers for each of n texts."""
    vectors = encoded.vectors
    right = vectors.shape == (n, dim) and vectors.dtype == np.float32 and len(encoded.n_tokens) == n
    return encoded if right else None


def problem(row: tuple[NDArray[np.float32], int] | None) -> str | None:
    """Why a vector can't be used, in words, or None."""
    if row is None:
        return "the encoder returned a vector of the wrong shape"
    vector, n_tokens = row
    if n_tokens == 0:
        return WORDLESS
    if not np.isfinite(vector).all():
        return "the encoder returned NaN or infinity"
    length = float(np.linalg.norm(vector.astype(np.float64)))
    if length == 0:
        return "the encoder returned a zero vector"
    if abs(length - 1) > LENGTH_TOLERANCE:
        return f"the encoder returned a vector of length {length:.3g}, expected 1"
    return None


def check_canaries(encoder: Encoder, texts: Sequence[str], vectors: Vectors) -> None:
    """Encode a few of the texts again, alone, and compare: rows that were shuffled or mixed up are noticed.

    Raises:
        EncoderError: a text alone gets another vector than it got among others.
    """
    for position in np.unique(np.linspace(0, len(texts) - 1, min(N_CANARIES, len(texts)), dtype=int)):
        alone = well_shaped(encoder.encode([texts[position]]), 1, encoder.identity.dim)
        cosine = -1.0 if alone is None else float(alone.vectors[0] @ vectors[position])
        if not cosine >= SAME_COSINE:
            raise EncoderError(
                f"{encoder.identity.model} gave the same text two vectors, alone and in a batch: cosine {cosine:.4f}, "
                f"expected {SAME_COSINE} or more. Nothing was published. Try --device cpu"
            )
