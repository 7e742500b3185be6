"""Whether an encoder has collapsed: whether its scores still tell unrelated texts from related ones.

Training on pairs that say nothing pulls all texts into one direction. Rankings survive that for a while, scores don't.
The limits were set by encoders that had collapsed so: two unrelated abstracts had a cosine of .61 to .98 where the base
has .31, and a full stop one of .44 to .98 with any abstract, where the base has about 0.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from engine.records import Vectors

SAYS_NOTHING = ("", ".", "..")
ABOVE_BASE = 0.15  # how much higher the mean cosine of unrelated texts may be than the base's
SAMPLE = 200  # texts that are enough to measure an encoder on
NOTHING = 0.3  # cosine of a text that says nothing with one that says something
UNIT = 1e-3  # how far the length of a vector may be from 1

Encode = Callable[[Sequence[str]], Vectors]


@dataclass(frozen=True, slots=True)
class Spread:
    """How an encoder spreads texts that have nothing to do with each other."""

    mean: float  # cosine of two of them
    sd: float
    nothing: tuple[tuple[str, float], ...]  # a text that says nothing, and its mean cosine with the others
    n_texts: int
    sound: bool  # all vectors are finite and of unit length


def spread(encode: Encode, texts: Sequence[str]) -> Spread:
    """Measure an encoder on texts of different works, SAMPLE or more. NaN where there are fewer than two."""
    found = encode([*texts, *SAYS_NOTHING]).astype(np.float64)
    said, nothing = found[: len(texts)], found[len(texts) :]
    cosines = (said @ said.T)[np.triu_indices(len(said), 1)]
    lengths = np.linalg.norm(found, axis=1)
    return Spread(
        mean=float(cosines.mean()) if len(cosines) else float("nan"),
        sd=float(cosines.std()) if len(cosines) else float("nan"),
        nothing=tuple((text, float((said @ row).mean())) for text, row in zip(SAYS_NOTHING, nothing, strict=True)),
        n_texts=len(texts),
        sound=bool(np.isfinite(found).all() and (np.abs(lengths - 1) < UNIT).all()),
    )


def collapsed(candidate: Spread, base: Spread) -> list[str]:
    """What is wrong with a candidate beside its base, in words; empty when nothing is."""
    found = []
    if not candidate.sound:
        found.append("some vectors are not finite or not of unit length")
    if not candidate.mean <= base.mean + ABOVE_BASE:
        found.append(
            f"two unrelated texts have a mean cosine of {candidate.mean:.2f}, expected at most "
            f"{base.mean + ABOVE_BASE:.2f} (the base has {base.mean:.2f}): scores no longer tell near from far"
        )
    found += [
        f"the text {text!r} has a mean cosine of {cosine:.2f} with texts that say something, expected below {NOTHING}"
        for text, cosine in candidate.nothing
        if not cosine < NOTHING
    ]
    return found
