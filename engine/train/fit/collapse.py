"""Detect a collapsed encoder: one whose scores no longer separate unrelated from related texts.

Training on meaningless pairs pulls all texts into one direction. Rankings survive that for a while, scores don't. The
limits were set from encoders that had collapsed: two unrelated abstracts had a cosine of .61 to .98 where the base has
.31, and a full stop one of .44 to .98 with any abstract, where the base has about 0.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from engine.records.encoder import Vectors

_EMPTY_TEXTS = ("", ".", "..")
_MAX_RISE = 0.15  # by which the mean cosine of unrelated texts may exceed the base's
SAMPLE_SIZE = 200  # texts to measure an encoder on
_MAX_EMPTY_COSINE = 0.3  # mean cosine of an empty text with others, at most
_UNIT_TOLERANCE = 1e-3  # by which the length of a vector may differ from 1

_EncodeTexts = Callable[[Sequence[str]], Vectors]


@dataclass(frozen=True, slots=True)
class ScoreSpread:
    """Cosines of unrelated texts, as an encoder has them."""

    mean: float  # cosine of two texts
    sd: float
    empty: tuple[tuple[str, float], ...]  # a text without words, and its mean cosine with the others
    n_texts: int
    is_sound: bool  # all vectors are finite and of unit length


def measure_spread(encode: _EncodeTexts, texts: Sequence[str]) -> ScoreSpread:
    """Measure an encoder on texts of different works, 200 or more. NaN for fewer than two."""
    vectors = encode([*texts, *_EMPTY_TEXTS]).astype(np.float64)
    full, empty = vectors[: len(texts)], vectors[len(texts) :]
    cosines = (full @ full.T)[np.triu_indices(len(full), 1)]
    lengths = np.linalg.norm(vectors, axis=1)
    return ScoreSpread(
        mean=float(cosines.mean()) if len(cosines) else float("nan"),
        sd=float(cosines.std()) if len(cosines) else float("nan"),
        empty=tuple((text, float((full @ row).mean())) for text, row in zip(_EMPTY_TEXTS, empty, strict=True)),
        n_texts=len(texts),
        is_sound=bool(np.isfinite(vectors).all() and (np.abs(lengths - 1) < _UNIT_TOLERANCE).all()),
    )


def find_collapse(candidate: ScoreSpread, base: ScoreSpread) -> list[str]:
    """Return the signs of a collapse in a candidate, compared with its base, in words; none if it is sound."""
    problems = []
    if not candidate.is_sound:
        problems.append("some vectors are not finite or not of unit length")
    if not candidate.mean <= base.mean + _MAX_RISE:
        problems.append(
            f"two unrelated texts have a mean cosine of {candidate.mean:.2f}, expected at most "
            f"{base.mean + _MAX_RISE:.2f} (the base has {base.mean:.2f}): scores no longer separate related texts"
        )
    problems += [
        f"the text {text!r} has a mean cosine of {cosine:.2f} with ordinary texts, expected below {_MAX_EMPTY_COSINE}"
        for text, cosine in candidate.empty
        if not cosine < _MAX_EMPTY_COSINE
    ]
    return problems
