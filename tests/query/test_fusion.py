from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.options import FUSIONS, Fusion
from engine.query.ranks.ranking import DEPTH, _add_scored, _choose_weight, _fuse_rankings, _share_scores
from engine.records.encoder import Vectors
from engine.records.generation import DocIds

SEMANTIC = [(1, 0.9), (2, 0.5), (3, 0.1)]
KEYWORD = [(3, 8.0), (4, 4.0), (1, 2.0)]


def test_convex_by_hand() -> None:
    # Shares: 1 -> 1, 2 -> 5/9, 3 -> 1/9 by meaning; 3 -> 1, 4 -> 1/2, 1 -> 1/4 by words.
    assert _fuse_rankings(SEMANTIC, KEYWORD, "convex", 0.5) == [
        (1, pytest.approx(5 / 8)),
        (3, pytest.approx(5 / 9)),
        (2, pytest.approx(5 / 18)),
        (4, 0.25),
    ]
    assert [i for i, _ in _fuse_rankings(SEMANTIC, KEYWORD, "convex", 0.2)] == [3, 1, 4, 2]
    assert _fuse_rankings(SEMANTIC, KEYWORD, "convex", 1.0)[:2] == [(1, 1.0), (2, pytest.approx(5 / 9))]


def test_rrf_by_hand() -> None:
    found = dict(_fuse_rankings(SEMANTIC, KEYWORD, "rrf", 0.9))
    assert found[1] == pytest.approx((61 / 61 + 61 / 63) / 2)
    assert found[3] == pytest.approx((61 / 63 + 61 / 61) / 2)
    assert found[2] == pytest.approx(61 / 62 / 2)
    assert [i for i, _ in _fuse_rankings(SEMANTIC, KEYWORD, "rrf", 0.1)] == [1, 3, 2, 4]


def test_an_empty_leg_leaves_the_other_in_its_order() -> None:
    for fusion in FUSIONS:
        assert [i for i, _ in _fuse_rankings(SEMANTIC, [], fusion, 0.5)] == [1, 2, 3]
        assert [i for i, _ in _fuse_rankings([], KEYWORD, fusion, 0.5)] == [3, 4, 1]
        assert _fuse_rankings([], [], fusion, 0.5) == []


def test_scores_are_shares_of_the_best_and_keep_their_order_below_zero() -> None:
    assert _share_scores([(5, 0.3), (7, 0.3), (9, 0.15), (2, -0.3)]) == [(5, 1.0), (7, 1.0), (9, 0.5), (2, -1.0)]
    assert _share_scores([(5, -0.2), (7, -0.4)]) == [(5, -1.0), (7, -2.0)]
    assert _share_scores([(5, 0.0), (7, -0.4)]) == [(5, 0.0), (7, -0.4)]
    assert _share_scores([]) == []
    assert _fuse_rankings([(9, 0.3)], [], "convex", 0.5) == [(9, 0.5)]


def test_only_so_deep() -> None:
    long = [(i, 1.0 - i / 10_000) for i in range(DEPTH + 50)]
    assert len(_fuse_rankings(long, [], "convex", 0.5)) == DEPTH


LEGS = st.dictionaries(st.integers(0, 30), st.floats(0, 1), max_size=20)


@given(LEGS, LEGS, st.floats(0, 1), st.sampled_from(FUSIONS))
def test_all_of_both_legs_once_in_a_total_order(
    one: dict[int, float], other: dict[int, float], weight: float, fusion: Fusion
) -> None:
    legs = [sorted(leg.items(), key=lambda pair: (-pair[1], pair[0])) for leg in (one, other)]
    found = _fuse_rankings(legs[0], legs[1], fusion, weight)
    assert {i for i, _ in found} == one.keys() | other.keys() and len(found) == len(one.keys() | other.keys())
    assert all(-1e-9 <= score <= 1 + 1e-9 for _, score in found)
    assert [(-score, i) for i, score in found] == sorted((-score, i) for i, score in found)


def test_records_found_by_words_take_their_places_by_meaning_where_a_search_may_miss_some() -> None:
    cosines = {4: 0.7, 5: 0.1}

    def score_ids(query: Vectors, doc_ids: DocIds) -> Vectors:
        return np.array([cosines[doc_id] for doc_id in doc_ids.tolist()], np.float32)

    for is_exact, wanted in ((False, [1, 4, 2]), (True, [1, 2, 3])):
        vectors = SimpleNamespace(is_exact=is_exact, score_ids=score_ids)
        snapshot: Any = SimpleNamespace(vectors=vectors)
        found = _add_scored(snapshot, SEMANTIC, [(4, 9.0), (1, 8.0), (5, 7.0)], np.zeros(2, np.float32))
        assert [doc_id for doc_id, _ in found] == wanted


@pytest.mark.parametrize(
    ("n_words", "best", "weight"),
    [
        (3, 8.0, 0.4),  # the best record holds all that is asked
        (4, 8.0, 0.6),
        (4, 3.2, 0.6),  # enough of it
        (4, 1.6, 1 - 0.4 / 256),  # half of enough, so hardly any weight of words
        (2, 1.6, 1 - 0.6 / 256),
        (4, None, 0.6),  # nothing, so the weight makes no difference
    ],
)
def test_the_weight_of_a_question_by_hand(n_words: int, best: float | None, weight: float) -> None:
    words = SimpleNamespace(compute_highest=lambda wording, n: 8.0)
    snapshot: Any = SimpleNamespace(get_words=lambda: words)
    question: Any = SimpleNamespace(wording=SimpleNamespace(wanted=("word",) * n_words))
    assert _choose_weight(snapshot, question, [] if best is None else [(1, best)]) == pytest.approx(weight)
