"""The gate: what lets a candidate through, and each thing that holds one back."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import pytest

from engine.records.encoder import Encoded, EncoderIdentity
from engine.relevance.sets.judgments import Judgments
from engine.relevance.sets.testset import SetText, TestSet
from engine.train.promote.gate import judge_candidate
from tests.conftest import silent

DIM = 64


class FixedEncoder:
    """An encoder that gives each text the vector that it was told."""

    page, ahead = 64, 1

    def __init__(self, vectors: Mapping[str, np.ndarray]) -> None:
        self.vectors = vectors

    @property
    def identity(self) -> EncoderIdentity:
        return EncoderIdentity("told", DIM, 64, "mean", True, "", "fp32", "w", "t", "c")

    def encode(self, texts: Sequence[str]) -> Encoded:
        rows = np.stack([self.vectors[text] for text in texts])
        return Encoded((rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32), np.full(len(texts), 3))

    encode_queries = encode

    def close(self) -> None: ...


def items(name: str, n: int) -> TestSet:
    documents = tuple(SetText(f"d{i}", f"{name} document {i}") for i in range(n))
    queries = tuple(SetText(f"q{i}", f"{name} query {i}") for i in range(n))
    return TestSet(name, documents, queries, Judgments({f"q{i}": {f"d{i}": 1} for i in range(n)}))


def encoder(
    sets: Sequence[TestSet], found: Mapping[str, float], *, lean: float = 0.0, nothing: float = 0.0
) -> FixedEncoder:
    """An encoder that finds this share of the items of each set; all vectors lean in one direction."""
    chance = np.random.default_rng(3)
    made: dict[str, np.ndarray] = {}
    for one in sets:
        for place, (query, document) in enumerate(zip(one.queries, one.documents, strict=True)):
            at, off = chance.normal(size=(2, DIM)) / 8
            made[document.text] = at + lean * np.eye(DIM)[0]
            made[query.text] = made[document.text] if place < found[one.name] * len(one.queries) else -off
    for text in ("", ".", ".."):
        made[text] = np.eye(DIM)[1] - nothing * np.eye(DIM)[1] + nothing * np.eye(DIM)[0]
    return FixedEncoder(made)


def test_a_better_encoder_passes() -> None:
    known, guard = items("titles", 200), items("guard", 200)
    current = encoder([known, guard], {"titles": 0.7, "guard": 0.8})
    candidate = encoder([known, guard], {"titles": 0.8, "guard": 0.8})
    verdict = judge_candidate(current, candidate, [known], [guard], silent)
    assert verdict.is_passed and verdict.reasons == ()
    assert verdict.primary.difference.mean == pytest.approx(0.1, abs=0.02) and verdict.primary.difference.low > 0
    assert [one.name for one in verdict.guards] == ["titles", "guard"]
    assert verdict.guards[1].sha256 == guard.sha256 and verdict.guards[1].difference.mean == 0


@pytest.mark.parametrize(
    ("share", "reason"),
    [
        (0.7, "known items gain +0.0000, expected at least +0.010"),
        (0.6, "known items gain -0.0"),
        (0.725, "may be chance"),
    ],
)
def test_too_small_a_gain_is_refused(share: float, reason: str) -> None:
    known = items("titles", 80 if share == 0.725 else 200)
    if share == 0.725:  # some items won and some lost: a mean gain whose interval holds 0
        current = encoder([known], {"titles": 0.7})
        swapped = replace(known, queries=known.queries[::-1], documents=known.documents[::-1])
        candidate = encoder([swapped], {"titles": 0.72})
    else:
        current, candidate = encoder([known], {"titles": 0.7}), encoder([known], {"titles": share})
    verdict = judge_candidate(current, candidate, [known], [], silent)
    assert not verdict.is_passed and any(reason in one for one in verdict.reasons), verdict.reasons


def test_a_loss_elsewhere_is_refused() -> None:
    known, guard = items("titles", 200), items("guard", 200)
    current = encoder([known, guard], {"titles": 0.7, "guard": 0.8})
    candidate = encoder([known, guard], {"titles": 0.8, "guard": 0.7})
    verdict = judge_candidate(current, candidate, [known], [guard], silent)
    assert len(verdict.reasons) == 1 and verdict.reasons[0].startswith("guard may lose 0.1")


def test_a_kind_of_known_items_is_a_guard_as_well() -> None:
    titles, conclusions = items("titles", 200), items("conclusions", 200)
    current = encoder([titles, conclusions], {"titles": 0.5, "conclusions": 0.8})
    candidate = encoder([titles, conclusions], {"titles": 0.9, "conclusions": 0.7})
    verdict = judge_candidate(current, candidate, [titles, conclusions], [], silent)
    assert verdict.primary.difference.low > 0.05
    assert [one for one in verdict.reasons if one.startswith("conclusions may lose")]


def test_known_items_of_the_same_name_all_count() -> None:
    one, other = items("titles", 200), items("more titles", 100)
    current = encoder([one, other], {"titles": 0.5, "more titles": 0.5})
    candidate = encoder([one, other], {"titles": 0.9, "more titles": 0.9})
    verdict = judge_candidate(current, candidate, [one, replace(other, name="titles")], [], silent)
    assert verdict.primary.difference.n == 300


@pytest.mark.parametrize(("lean", "nothing"), [(1.3, 1.0), (7.0, 1.0), (0.0, 1.0), (2.0, 0.0)])
def test_a_collapsed_encoder_is_refused_however_well_it_ranks(lean: float, nothing: float) -> None:
    known = items("titles", 200)
    current = encoder([known], {"titles": 0.7}, lean=0.0)
    candidate = encoder([known], {"titles": 0.9}, lean=max(lean, 0.4) if nothing else lean, nothing=nothing)
    verdict = judge_candidate(current, candidate, [known], [], silent)
    assert verdict.primary.difference.low > 0.01
    assert verdict.reasons and all("cosine" in one for one in verdict.reasons)
