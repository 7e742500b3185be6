"""Similarity of texts in meaning: the cosine of their vectors."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from engine.encode.execution.encoder import Encoder, encode_checked
from engine.encode.models.recipe import clean_text
from engine.errors import EncoderError


@dataclass(frozen=True, slots=True)
class _Similarities:
    """Similarities of the first of n texts to the others."""

    scores: tuple[float, ...]  # (n - 1,) cosines
    cut: tuple[int, ...]  # positions, from 0, of texts that are longer than the encoder reads


def measure_similarity(encoder: Encoder, texts: Sequence[str]) -> _Similarities:
    """Compare the first text with each of the others; no text may be blank.

    Raises:
        EncoderError: a text has no usable vector.
    """
    checked = encode_checked(encoder, [clean_text(text) for text in texts])
    if checked.refused:
        position, reason = checked.refused[0]
        raise EncoderError(f"the text {texts[position][:60]!r} can't be compared: {reason}. Rephrase it")
    vectors = checked.vectors.astype(np.float64)
    scores = (vectors[1:] @ vectors[0]).clip(-1, 1)
    cut = np.flatnonzero(checked.n_tokens > encoder.identity.max_length)
    return _Similarities(tuple(map(float, scores)), tuple(map(int, cut)))
