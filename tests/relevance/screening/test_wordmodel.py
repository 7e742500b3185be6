import math
import re
from collections import Counter
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from sklearn.feature_extraction.text import TfidfVectorizer

from engine.relevance.screening.wordmodel import (
    _COST,
    Features,
    Scores,
    _balance_weights,
    compute_features,
    learn_words,
)

TEXTS = ("Gout pain in gout", "Lupus pain", "Knee pain, knee surgery", "A lupus knee")
WORDS = ("gout", "pain", "lupus", "knee", "cell", "cells", "2020", "x", "Ångström")


def terms(text: str) -> Counter[str]:
    words = [word for word in re.findall(r"\w+", text.lower()) if len(word) > 1]
    return Counter([*words, *(f"{one} {other}" for one, other in pairwise(words))])


def plainly(texts: list[str], too_common: float) -> list[list[float]]:
    """TF-IDF from its definition, columns in the order of the terms."""
    n, counted = len(texts), [terms(text) for text in texts]
    df = Counter(term for one in counted for term in one)
    names = sorted(term for term in df if df[term] <= too_common * n)
    rows = []
    for one in counted:
        row = [(1 + math.log(one[t])) * (math.log((1 + n) / (1 + df[t])) + 1) if one[t] else 0.0 for t in names]
        length = math.hypot(*row)
        rows.append([weight / length if length else 0.0 for weight in row])
    return rows


def minimised(rows: list[list[float]], included: list[bool], weights: list[float]) -> Scores:
    """Scores of the machine from its definition: |w|^2 / 2 + C sum of weight max(0, 1 - y f)^2, by Newton steps."""
    x = np.column_stack([np.array(rows), np.ones(len(rows))])  # the constant has a weight that is kept small too
    y, cost, w = np.where(included, 1.0, -1.0), _COST * np.array(weights), np.zeros(x.shape[1])
    for _ in range(50):
        slack = 1 - y * (x @ w)
        inside = cost * (slack > 0)
        gradient = w - 2 * x.T @ (inside * y * slack)
        w = w - np.linalg.solve(np.eye(len(w)) + 2 * x.T @ (x * inside[:, None]), gradient)
    found: Scores = x @ w
    return found


def score_by_words(features: Features, rows: NDArray[np.int64], included: NDArray[np.bool_]) -> Scores:
    return learn_words(features, rows, included).score_rows(features)


def test_weights_by_hand() -> None:
    found = compute_features(["gout gout", "lupus", "lupus"])[0].toarray()
    gout, pair = (1 + math.log(2)) * (math.log(2) + 1), math.log(2) + 1  # gout twice, "gout gout" once, both in 1 of 3
    assert found[0] == pytest.approx([gout / math.hypot(gout, pair), pair / math.hypot(gout, pair), 0])
    assert found[1:].tolist() == [[0, 0, 1], [0, 0, 1]]


def test_what_is_in_nearly_every_text_says_nothing() -> None:
    assert (
        compute_features(["trial gout"] * 19 + ["trial lupus"])[0].shape[1] == 4
    )  # gout and its pair in 19 of 20 stay
    assert compute_features(["trial gout"] * 39 + ["lupus"])[0].shape[1] == 1  # in 39 of 40 they do not


@pytest.mark.parametrize("texts", [["gout"], ["gout", "gout"]])
def test_very_few_texts_keep_their_words(texts: list[str]) -> None:
    assert compute_features(texts)[0].toarray().tolist() == [[1.0]] * len(texts)


@pytest.mark.parametrize("texts", [[""], ["", "a b", "?"]])
def test_texts_without_words_are_zeros(texts: list[str]) -> None:
    assert compute_features(texts)[0].toarray().tolist() == [[0.0]] * len(texts)


@given(st.lists(st.lists(st.sampled_from(WORDS), max_size=8).map(" ".join), min_size=2, max_size=8))
def test_features_as_defined(texts: list[str]) -> None:
    expected = plainly(texts, 0.95)
    if not expected[0]:
        expected = plainly(texts, 1.0)
    found = compute_features(texts)[0].toarray()
    assert np.allclose(found, expected) if expected[0] else not found.any()


def test_included_records_weigh_9_8_times_the_excluded() -> None:
    found = _balance_weights(np.array([True, False, False]))
    assert found == pytest.approx([3 / (1 + 1 / 9.8), 3 / 2 / 9.8 / (1 + 1 / 9.8), 3 / 2 / 9.8 / (1 + 1 / 9.8)])
    assert found[0] / found[1:].sum() == pytest.approx(9.8)
    assert found.mean() == pytest.approx(1)


@given(st.lists(st.booleans(), min_size=4, max_size=4).filter(lambda found: 0 < sum(found) < 4))
@settings(deadline=None)
def test_scores_are_the_best_of_the_machine(included: list[bool]) -> None:
    features, labels = compute_features(TEXTS)[0], np.array(included)
    found = score_by_words(features, np.arange(4), labels)
    expected = minimised(features.toarray().tolist(), included, _balance_weights(labels).tolist())
    assert np.allclose(found, expected, atol=2e-3)
    assert np.array_equal(found, score_by_words(features, np.arange(4), labels))


def test_only_labelled_rows_teach() -> None:
    features = compute_features([*TEXTS, "gout", "lupus"])[0]
    found = score_by_words(features, np.array([1, 0]), np.array([False, True]))
    assert found[4] > found[2] > found[5]  # gout, nothing known, lupus


@given(st.lists(st.lists(st.sampled_from(WORDS), max_size=8).map(" ".join), min_size=2, max_size=8))
def test_features_are_those_of_scikit_learn(texts: list[str]) -> None:
    vectorizer = TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True)
    try:
        expected = vectorizer.fit_transform(texts)
    except ValueError:  # no text has a word
        return
    features, columns = compute_features(texts)
    names = [columns[n] for n in range(len(columns))]
    kept = [n for n, name in enumerate(vectorizer.get_feature_names_out()) if name in names]
    if len(kept) == expected.shape[1]:  # nothing is too common
        assert np.allclose(features.toarray(), expected.toarray())
    assert [*vectorizer.get_feature_names_out()[kept]] == names


def test_what_each_term_adds_to_the_score_of_a_record() -> None:
    features, columns = compute_features(TEXTS)
    model = learn_words(features, np.arange(4), np.array([True, False, False, False]))
    found, parts = model.weigh_terms(features, 0)
    assert {columns[n] for n in found.tolist()} == set(terms(TEXTS[0]))
    assert columns[int(found[0])] == "gout" and list(parts) == sorted(parts, reverse=True)
    assert parts.sum() + model.bias == pytest.approx(model.score_rows(features)[0])
