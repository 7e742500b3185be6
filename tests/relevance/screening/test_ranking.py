from collections.abc import Callable

import numpy as np
import pytest

from engine import Index, open_index
from engine.errors import UsageError
from engine.index.generations.folder import IndexFolder
from engine.options import Filters
from engine.query.index import get_generation
from engine.reindex.generation.order import Report
from engine.relevance.screening import ranking as screening
from engine.relevance.screening.labels import Labels, look_up_labels
from engine.relevance.screening.ranking import (
    Screening,
    _score_unlabelled,
    _standardise,
    _weigh_criteria,
    build_pool,
    estimate_share,
    learn_order,
    rank_unlabelled,
    screen,
)
from engine.relevance.screening.wordmodel import Scores, learn_words

Add = Callable[..., Report]
TEXTS = ("gout pain", "lupus pain", "gout knee", "lupus knee", "gout", "hip")
COSINES = np.array([0.9, 0.1, 0.2, 0.5, 0.4, 0.3])
GOUT, LUPUS = np.array([0, 1]), np.array([True, False])  # labelled rows and what they are
LEFT = np.array([False, False, True, True, True, True])


def labels(index: Index, included: tuple[str, ...] = (), excluded: tuple[str, ...] = ()) -> Labels:
    return look_up_labels(get_generation(index).corpus, included, excluded)


def ids(found: Screening) -> list[str]:
    return [hit.id for hit in found.answer.hits]


def test_standardised_by_hand() -> None:
    assert _standardise(np.array([1.0, 3.0])).tolist() == [-1, 1]
    assert _standardise(np.array([2.0, 2.0, 2.0])).tolist() == [0, 0, 0]
    assert _standardise(np.array([])).tolist() == []


def test_words_rank_where_there_are_no_criteria() -> None:
    pool = build_pool(np.arange(6), TEXTS, None)
    rows, scores = rank_unlabelled(pool, GOUT, LUPUS, LEFT)
    assert rows.tolist() == [4, 2, 5, 3]  # gout, gout with another word, nothing known, lupus
    assert np.array_equal(scores, learn_words(pool.features, GOUT, LUPUS).score_rows(pool.features)[rows])


def test_criteria_rank_where_there_is_nothing_to_tell_apart() -> None:
    pool = build_pool(np.arange(6), TEXTS, COSINES)
    for labelled in (GOUT[:0], GOUT[:1]):
        left = np.isin(np.arange(6), labelled, invert=True)
        rows, scores = rank_unlabelled(pool, labelled, LUPUS[: len(labelled)], left)
        assert rows.tolist() == [row for row in (0, 3, 4, 5, 2, 1) if left[row]]
        assert scores.tolist() == COSINES[rows].tolist()


def test_the_sum_of_both() -> None:
    rows = np.flatnonzero(LEFT)
    pool = build_pool(np.arange(6), TEXTS, COSINES)
    words = learn_words(pool.features, GOUT, LUPUS).score_rows(pool.features)[rows]
    weight = 8 * (2 * 0.84 - 1) / 1.5  # the included record has the highest cosine: (4 * .8 + 1) / 5 = .84
    by_hand = (words - words.mean()) / words.std() + weight * (COSINES[rows] - 0.35) / COSINES[rows].std()
    assert _score_unlabelled(pool, GOUT, LUPUS, rows) == pytest.approx(by_hand)


@pytest.mark.parametrize(
    ("included", "others", "weight"),
    [
        ([0.9], [0.1, 0.2], 8 * (2 * 0.84 - 1) / 1.5),  # (4 * .8 + 1) / 5 = .84
        ([0.1], [0.9], 8 * (2 * 0.64 - 1) / 1.5),  # (4 * .8 + 0) / 5
        ([0.5], [0.5], 8 * (2 * 0.74 - 1) / 1.5),  # equal ones count half
        ([0.9, 0.9], [0.1, 0.95], 8 * (2 * 0.7 - 1) / 2.5),  # half of the pairs: (3.2 + 1) / 6
        ([0.9] * 12, [0.1], 8 * (2 * 0.95 - 1) / 12.5),  # (3.2 + 12) / 16
        ([0.1] * 12, [0.9], 0.0),  # the criteria mislead
    ],
)
def test_criteria_weigh_less_with_every_inclusion_and_where_they_tell_records_apart_badly(
    included: list[float], others: list[float], weight: float
) -> None:
    assert _weigh_criteria(np.array(included), np.array(others), 0.8) == pytest.approx(weight)


def test_a_title_is_expected_to_tell_less_than_criteria() -> None:
    title = "Stem cells in osteoarthritis of the knee: a systematic review"
    assert estimate_share(title) == 0.7
    assert estimate_share(f"{title}. We include randomised trials of adults with {'pain and ' * 10}stiffness.") == 0.8
    weights = [_weigh_criteria(np.array([0.9]), np.array([0.1]), share) for share in (0.7, 0.8)]
    assert weights == pytest.approx([8 * (2 * 0.76 - 1) / 1.5, 8 * (2 * 0.84 - 1) / 1.5])


def test_unread_records_count_as_not_included_in_the_weight() -> None:
    rows = np.flatnonzero(LEFT)
    pool = build_pool(np.arange(6), TEXTS, np.array([0.9, 0.1, 0.95, 0.95, 0.95, 0.2]))
    words = learn_words(pool.features, GOUT, LUPUS).score_rows(pool.features)[rows]
    weight = 8 * (2 * (4 * 0.8 + 2 / 5) / 5 - 1) / 1.5  # above the excluded one and one of four unread
    expected = _standardise(words) + weight * _standardise(pool.cosines[rows])  # type: ignore[index]
    assert _score_unlabelled(pool, GOUT, LUPUS, rows) == pytest.approx(expected)


def test_equal_scores_go_by_id_and_records_without_text_come_last() -> None:
    pool = build_pool(np.arange(6), ["gout", "lupus", "", "hip", "gout", "hip"], None)
    rows, scores = rank_unlabelled(pool, GOUT, LUPUS, LEFT)
    assert rows.tolist() == [4, 3, 5, 2]
    assert scores[1] == scores[2] and scores[3] == scores[2] - 1
    assert rank_unlabelled(pool, GOUT, LUPUS, np.arange(6) == 2)[1].tolist() == [-1]
    assert rank_unlabelled(pool, GOUT, LUPUS, np.zeros(6, bool))[0].tolist() == []


def test_neither_labels_nor_criteria() -> None:
    pool = build_pool(np.arange(6), TEXTS, None)
    with pytest.raises(ValueError, match="neither labels of both kinds nor criteria"):
        rank_unlabelled(pool, GOUT[:1], LUPUS[:1], LEFT)


def test_an_index_is_screened(toy: IndexFolder) -> None:
    index = open_index(toy.path)
    known = labels(index, ("toy-01", "toy-06", "nine"), ("toy-02", "toy-08"))
    found = screen(get_generation(index), known, top_k=6)
    assert ids(found) == ["toy-26", "toy-21", "toy-11", "toy-16", "toy-31", "toy-36"]  # every other one on gout
    assert (found.n_included, found.n_excluded, found.n_left, found.answer.n_qualified) == (2, 2, 36, 36)
    assert [hit.rank for hit in found.answer.hits] == [1, 2, 3, 4, 5, 6]
    assert found.cosines == (None,) * 6
    assert found.answer.notes == ("1 listed id not in this index: nine",)
    assert found == screen(get_generation(index), known, top_k=6)
    assert len(screen(get_generation(index), known, top_k=99).answer.hits) == 36


def test_criteria_alone_rank_as_a_search_does(toy: IndexFolder) -> None:
    index = open_index(toy.path)
    expected = index.nearest("etanercept in lupus", 40)
    found = screen(get_generation(index), labels(index), "etanercept\n in lupus", top_k=40)
    assert ids(found) == [hit.id for hit in expected]
    assert found.cosines == tuple(hit.score for hit in found.answer.hits)
    assert found.cosines == pytest.approx([hit.score for hit in expected])
    one_kind = screen(get_generation(index), labels(index, (expected[0].id,)), "etanercept in lupus", top_k=5)
    assert ids(one_kind) == [hit.id for hit in expected[1:6]]
    assert one_kind.cosines == found.cosines[1:6]


def test_labels_and_criteria_together(toy: IndexFolder) -> None:
    index = open_index(toy.path)
    known = labels(index, ("toy-01",), ("toy-02",))
    found = screen(get_generation(index), known, "etanercept in gout", top_k=40)
    assert ids(found)[0] == "toy-21"
    by_cosine = {hit.id: hit.score for hit in index.search("etanercept in gout", top_k=40)}
    assert dict(zip(ids(found), found.cosines, strict=True)) == pytest.approx(
        {name: score for name, score in by_cosine.items() if name not in ("toy-01", "toy-02")}
    )


def test_filters_say_what_is_ranked_and_not_what_teaches(toy: IndexFolder) -> None:
    index = open_index(toy.path)
    known = labels(index, ("toy-01", "toy-06"), ("toy-02", "toy-08"))
    found = screen(get_generation(index), known, filters=Filters(ids=("toy-03", "toy-01", "toy-11", "ten")), top_k=9)
    assert ids(found) == ["toy-11", "toy-03"]
    assert (found.n_included, found.n_left) == (2, 2)
    assert found.answer.notes == ("1 listed id not in this index: ten",)
    nothing = screen(get_generation(index), known, filters=Filters(ids=("toy-01",)))
    assert (ids(nothing), nothing.n_left) == ([], 0)


def test_long_criteria_are_told(toy: IndexFolder) -> None:
    index = open_index(toy.path)
    found = screen(get_generation(index), labels(index), "gout " * 1000, top_k=1)
    assert "criteria are longer than the encoder reads" in found.answer.notes[0]


@pytest.mark.parametrize("excluded", [(), ("nine",)])
def test_nothing_to_rank_by(toy: IndexFolder, excluded: tuple[str, ...]) -> None:
    index = open_index(toy.path)
    with pytest.raises(UsageError, match="1 included record and 0 excluded records of this index, and no criteria"):
        screen(get_generation(index), labels(index, ("toy-01",), excluded), " ")


def test_too_many_records_to_learn_from(toy: IndexFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(screening, "MOST", 39)
    index = open_index(toy.path)
    with pytest.raises(UsageError, match="40 records to learn from and to rank, expected 39 at most"):
        screen(get_generation(index), labels(index, ("toy-01",), ("toy-02",)))
    assert screen(get_generation(index), labels(index, ("toy-01",)), "gout").n_left == 39


def test_retracted_records_stay(toy: IndexFolder, add: Add) -> None:
    add({"id": "toy-41", "title": "Sham in gout", "abstract": "Sham for gout.", "retracted": True})
    index = open_index(toy.path)
    found = screen(get_generation(index), labels(index, ("toy-01", "toy-06"), ("toy-02", "toy-08")), top_k=7)
    assert next(hit.retracted for hit in found.answer.hits if hit.id == "toy-41")


@pytest.mark.parametrize("cosines", [None, COSINES])
def test_the_learned_order_of_all_rows_keeps_that_of_the_unread(cosines: Scores | None) -> None:
    pool = build_pool(np.arange(6), ["gout pain", "lupus pain", "", "lupus knee", "gout", "hip"], cosines)
    learned = learn_order(pool, GOUT, LUPUS, LEFT)
    assert sorted(learned.rows.tolist()) == list(range(6))
    assert [row for row in learned.rows.tolist() if LEFT[row]] == rank_unlabelled(pool, GOUT, LUPUS, LEFT)[0].tolist()
    assert learned.rows[-1] == 2  # without a text
    assert learned.criteria.any() == (cosines is not None)
