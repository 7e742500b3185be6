"""The gate before a new encoder: is it better where it should be, and no worse anywhere else?

Thresholds: see docs/quality.md. They are of nDCG@10, whose difference between two encoders has a standard deviation of
about 0.25 a query: 1,000 queries resolve 0.016, 3,000 resolve 0.009.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

from engine.encode.encoder import Encoder
from engine.progress import Progress
from engine.records import Vectors
from engine.relevance.exhaustive import rank
from engine.relevance.measures import parse, per_query
from engine.relevance.significance import Difference, paired
from engine.relevance.testset import TestSet
from engine.train.collapse import SAMPLE, Spread, collapsed, spread

MEASURE = "nDCG@10"
GAIN = 0.010  # at least, over all known items
LOSS = -0.010  # the lower bound of every guard's interval lies above


@dataclass(frozen=True, slots=True)
class Outcome:
    """What the candidate gains on one test set."""

    name: str
    sha256: str  # of the test set
    current: float  # mean nDCG@10
    candidate: float
    difference: Difference


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether a candidate passes, and on what grounds."""

    primary: Outcome  # all known items together
    guards: tuple[Outcome, ...]
    current_spread: Spread
    candidate_spread: Spread
    reasons: tuple[str, ...]  # why it does not; none when it passes

    @property
    def passed(self) -> bool:
        """Whether nothing speaks against it."""
        return not self.reasons


def judge(
    current: Encoder, candidate: Encoder, known: Sequence[TestSet], guards: Sequence[TestSet], progress: Progress
) -> Verdict:
    """Search the same test sets with both encoders and compare them query by query.

    The known items of all sets together decide; each set of them is a guard as well.
    """
    values = [(one, measured(current, one, progress), measured(candidate, one, progress)) for one in (*known, *guards)]
    outcomes = tuple(outcome(one.name, one.sha256, old, new) for one, old, new in values)
    decisive = values[: len(known)]
    old, new = (np.concatenate([found[which] for found in decisive]) for which in (1, 2))
    primary = outcome("known items", "", old, new)
    texts = [text.text for text in known[0].documents[:SAMPLE]]
    before, after = (spread(partial(plain, encoder), texts) for encoder in (current, candidate))
    reasons = [
        *too_little(primary),
        *(why for one in outcomes for why in too_much_lost(one)),
        *collapsed(after, before),
    ]
    return Verdict(primary, outcomes, before, after, tuple(reasons))


def measured(encoder: Encoder, test_set: TestSet, progress: Progress) -> NDArray[np.float64]:
    """The measure of every judged query: (n,), in the order of the judgments."""
    progress(f"searching {test_set.name} with {encoder.identity.model}", 0, None)
    found = per_query(parse(MEASURE), rank(encoder, test_set, 10), test_set.judgments)
    return np.fromiter(found.values(), np.float64, len(found))


def outcome(name: str, sha256: str, old: NDArray[np.float64], new: NDArray[np.float64]) -> Outcome:
    """Compare two encoders on the same queries."""
    return Outcome(name, sha256, float(old.mean()), float(new.mean()), paired(old, new))


def too_little(primary: Outcome) -> list[str]:
    """Why the gain is not enough; empty when it is."""
    found = primary.difference
    if found.mean < GAIN:
        return [f"known items gain {found.mean:+.4f}, expected at least {GAIN:+.3f}"]
    if found.low <= 0:
        return [f"the gain on known items may be chance: 95 % interval from {found.low:+.4f}, expected above 0"]
    return []


def too_much_lost(one: Outcome) -> list[str]:
    """Why a guard speaks against it; empty when it does not."""
    if one.difference.low > LOSS:
        return []
    lost = f"{one.name} may lose {-one.difference.low:.4f} (95 % interval {interval_text(one.difference)})"
    return [f"{lost}, expected less than {-LOSS:.3f}"]


def interval_text(found: Difference) -> str:
    """The bounds of a difference."""
    return f"{found.low:+.4f} to {found.high:+.4f}"


def plain(encoder: Encoder, texts: Sequence[str]) -> Vectors:
    """Encode texts as they are, blank ones included: float32 (n, dim)."""
    pages = range(0, len(texts), encoder.page)
    return np.concatenate([encoder.encode(texts[at : at + encoder.page]).vectors for at in pages])
