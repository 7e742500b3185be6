import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from engine.query.ranks.ranking import _diversify_ranking
from engine.records.encoder import Vectors

EAST, NORTH = [1.0, 0.0], [0.0, 1.0]
VECTORS: Vectors = np.array([EAST, EAST, NORTH], np.float32)
SCORES = np.array([0.9, 0.8, 0.5], np.float32)


def test_by_hand() -> None:
    # After the first: east again 0.5 * 0.8 - 0.5 * 1 = -0.1, north 0.5 * 0.5 - 0 = 0.25.
    assert _diversify_ranking(SCORES, VECTORS, 0.5, 3) == [0, 2, 1]
    assert _diversify_ranking(SCORES, VECTORS, 0.5, 2) == [0, 2]


def test_without_it_the_order_stays() -> None:
    assert _diversify_ranking(SCORES, VECTORS, 0.0, 3) == [0, 1, 2]


def test_fewer_candidates_than_wanted() -> None:
    assert _diversify_ranking(SCORES[:1], VECTORS[:1], 0.7, 5) == [0]
    assert _diversify_ranking(SCORES[:0], VECTORS[:0], 0.7, 5) == []


def slowly(scores: list[float], vectors: Vectors, diversify: float, wanted: int) -> list[int]:
    taken: list[int] = []
    while len(taken) < min(wanted, len(scores)):

        def gain(i: int) -> float:
            near = max((float(vectors[i].astype(float) @ vectors[j].astype(float)) for j in taken), default=0.0)
            return (1 - diversify) * scores[i] - diversify * near

        rest = [i for i in range(len(scores)) if i not in taken]
        taken.append(max(rest, key=lambda i: (round(gain(i), 9), -i)))
    return taken


@given(st.integers(1, 12), st.integers(1, 12), st.integers(0, 1000), st.sampled_from([0.0, 0.3, 0.5, 1.0]))
def test_as_the_formula_says(n: int, wanted: int, seed: int, diversify: float) -> None:
    rng = np.random.default_rng(seed)
    vectors = rng.normal(size=(n, 4)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    scores = np.sort(rng.uniform(size=n).astype(np.float32))[::-1].copy()
    found = _diversify_ranking(scores, vectors, diversify, wanted)
    assert found == slowly([float(s) for s in scores], vectors, diversify, wanted)
