"""The gate for a new encoder: better on known items, and no worse on any guard.

Thresholds: see docs/quality.md. They apply to nDCG@10, whose difference between two encoders has a standard deviation
of about 0.25 a query: 1,000 queries resolve 0.016, 3,000 resolve 0.009.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

from engine.encode.execution.encoder import Encoder
from engine.progress import Progress
from engine.records.encoder import Vectors
from engine.relevance.scoring.exhaustive import prepare_document, search_documents
from engine.relevance.scoring.measures import measure_queries, parse
from engine.relevance.scoring.significance import Difference, compare_paired
from engine.relevance.sets.testset import SetText, TestSet
from engine.train.fit.collapse import SAMPLE_SIZE, ScoreSpread, find_collapse, measure_spread

MEASURE = "nDCG@10"
_MIN_GAIN = 0.010  # mean gain over all known items, at least
_MAX_LOSS = 0.010  # loss at the lower bound of a guard's interval, at most


@dataclass(frozen=True, slots=True)
class GateOutcome:
    """Current encoder and candidate on one test set."""

    name: str
    sha256: str  # of the test set
    current: float  # mean nDCG@10
    candidate: float
    difference: Difference


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether a candidate passes the gate, and the measurements."""

    primary: GateOutcome  # all known items together
    guards: tuple[GateOutcome, ...]
    current_spread: ScoreSpread
    candidate_spread: ScoreSpread
    reasons: tuple[str, ...]  # why it is refused; empty if it passes

    @property
    def is_passed(self) -> bool:
        """Whether there is no reason to refuse it."""
        return not self.reasons


def judge_candidate(
    current: Encoder, candidate: Encoder, known: Sequence[TestSet], guards: Sequence[TestSet], progress: Progress
) -> Verdict:
    """Search the same test sets with both encoders and compare them query by query.

    The known items of all sets together decide; each set of them is a guard as well.
    """
    before, after = (
        [_measure_queries(encoder, test_set, progress) for test_set in (*known, *guards)]
        for encoder in (current, candidate)
    )
    outcomes = tuple(
        compare_outcomes(test_set.name, test_set.sha256, old, new)
        for test_set, old, new in zip((*known, *guards), before, after, strict=True)
    )
    old, new = (np.concatenate(values[: len(known)]) for values in (before, after))
    primary = compare_outcomes("known items", "", old, new)
    spreads = [_measure_spread(encoder, known[0].documents[:SAMPLE_SIZE]) for encoder in (current, candidate)]
    reasons = [
        *check_gain(primary),
        *(reason for outcome in outcomes for reason in check_loss(outcome)),
        *find_collapse(spreads[1], spreads[0]),
    ]
    return Verdict(primary, outcomes, spreads[0], spreads[1], tuple(reasons))


def _measure_spread(encoder: Encoder, documents: Sequence[SetText]) -> ScoreSpread:
    """Measure the scores of unrelated documents."""
    texts = [prepare_document(encoder.identity, document) for document in documents]
    return measure_spread(partial(_encode_plain, encoder), texts)


def _measure_queries(encoder: Encoder, test_set: TestSet, progress: Progress) -> NDArray[np.float64]:
    """Return nDCG@10 of every judged query: (n,), in the order of the judgments."""
    progress(f"searching {test_set.name} with {encoder.identity.model}", 0, None)
    values = measure_queries(parse(MEASURE), search_documents(encoder, test_set, 10).run, test_set.judgments)
    return np.fromiter(values.values(), np.float64, len(values))


def compare_outcomes(name: str, sha256: str, old: NDArray[np.float64], new: NDArray[np.float64]) -> GateOutcome:
    """Compare two encoders on the same queries."""
    return GateOutcome(name, sha256, float(old.mean()), float(new.mean()), compare_paired(old, new))


def check_gain(primary: GateOutcome) -> list[str]:
    """Return why the gain is not enough; empty if it is."""
    gain = primary.difference
    if gain.mean < _MIN_GAIN:
        return [f"known items gain {gain.mean:+.4f}, expected at least {_MIN_GAIN:+.3f}"]
    if gain.low <= 0:
        return [f"the gain on known items may be chance: 95 % interval from {gain.low:+.4f}, expected above 0"]
    return []


def check_loss(guard: GateOutcome) -> list[str]:
    """Return why a guard refuses the candidate; empty if it does not."""
    if guard.difference.low > -_MAX_LOSS:
        return []
    interval = format_interval(guard.difference)
    lost = f"{guard.name} may lose {-guard.difference.low:.4f} (95 % interval {interval})"
    return [f"{lost}, expected less than {_MAX_LOSS:.3f}"]


def format_interval(difference: Difference) -> str:
    """Format the bounds of a difference."""
    return f"{difference.low:+.4f} to {difference.high:+.4f}"


def _encode_plain(encoder: Encoder, texts: Sequence[str]) -> Vectors:
    """Encode texts unchanged, blank ones included: float32 (n, dim)."""
    pages = range(0, len(texts), encoder.page)
    return np.concatenate([encoder.encode(texts[at : at + encoder.page]).vectors for at in pages])
