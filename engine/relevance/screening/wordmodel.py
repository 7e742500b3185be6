"""Model of the words of included records: TF-IDF and a linear support vector machine, as ASReview's ELAS u4.

The parameters are those that ASReview 2 tuned on the 26 SYNERGY reviews: asreview/models/models.py, "elas_u4".
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine.errors import MissingExtraError

Features = Any  # scipy.sparse matrix (n, terms), float64; rows have unit length, or are zero without a term
Scores = NDArray[np.float64]

_TOO_COMMON = 0.95  # share of the records; words and word pairs in more of them are ignored
_COST = 0.11  # C of the support vector machine, the cost of errors
_RATIO = 9.8  # total weight of the included records relative to the excluded ones
_SEED = 0  # for the order in which the solver visits records; it changes only the last digits
_MAX_ITERATIONS = 20_000
_EXTRAS = "[cpu] or [gpu]"


class Terms:
    """The words and word pairs of features, by column, in little memory."""

    def __init__(self, terms: Sequence[str]) -> None:
        """Keep terms, in the order of the columns."""
        encoded = [term.encode("utf-8") for term in terms]
        self._text = b"".join(encoded)
        self._ends = np.cumsum([0, *map(len, encoded)], dtype=np.int64)

    def __len__(self) -> int:
        return len(self._ends) - 1

    def __getitem__(self, column: int) -> str:
        """Return the term of a column."""
        return self._text[self._ends[column] : self._ends[column + 1]].decode("utf-8")


def compute_features(texts: Sequence[str]) -> tuple[Features, Terms]:
    """Compute TF-IDF of words and word pairs: (n, terms), one row for each of n texts, in their order; and the terms.

    Words have two or more letters or digits, in lower case; the weight is (1 + ln tf) (ln((1 + n) / (1 + df)) + 1), and
    rows have unit length. If no text has a word, the result is one column of zeros.

    Raises:
        MissingExtraError: scikit-learn is not installed.
    """
    try:
        from scipy.sparse import csr_matrix
        from sklearn.feature_extraction.text import TfidfVectorizer
    except ImportError as err:
        raise MissingExtraError("scikit-learn (needed to learn from labels)", _EXTRAS) from err
    for too_common in (_TOO_COMMON, 1.0):  # with very few texts, the lower share may leave no word
        vectorizer = TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True, max_df=too_common)
        try:
            features = vectorizer.fit_transform(texts)
        except ValueError:
            continue
        return features, Terms(vectorizer.get_feature_names_out().tolist())
    return csr_matrix((len(texts), 1), dtype=np.float64), Terms([""])


def get_terms(features: Features, row: int) -> tuple[NDArray[np.int64], Scores]:
    """Return the columns of the terms of a row (k,), ascending, and their weights (k,)."""
    start, end = features.indptr[row], features.indptr[row + 1]
    return features.indices[start:end].astype(np.int64), features.data[start:end]


@dataclass(frozen=True, slots=True, eq=False)
class WordModel:
    """A linear model of words: what each term says for inclusion."""

    weights: Scores  # (terms,)
    bias: float

    def score_rows(self, features: Features) -> Scores:
        """Return the score of each row (n,); above 0 suggests inclusion."""
        scores: Scores = features @ self.weights + self.bias
        return scores

    def weigh_terms(self, features: Features, row: int) -> tuple[NDArray[np.int64], Scores]:
        """Return the columns of the terms of a row (k,), and what each adds to its score (k,), the most first."""
        columns, values = get_terms(features, row)
        parts = values * self.weights[columns]
        order = np.lexsort((columns, -parts))
        return columns[order], parts[order]


def learn_words(features: Features, rows: NDArray[np.int64], included: NDArray[np.bool_]) -> WordModel:
    """Train a model on the labelled rows.

    rows (m,) are the labelled rows and included (m,) their labels, of both kinds.

    Raises:
        MissingExtraError: scikit-learn is not installed.
    """
    try:
        from sklearn.svm import LinearSVC
    except ImportError as err:
        raise MissingExtraError("scikit-learn (needed to learn from labels)", _EXTRAS) from err
    machine = LinearSVC(C=_COST, loss="squared_hinge", dual=True, random_state=_SEED, max_iter=_MAX_ITERATIONS)
    machine.fit(features[rows], included, sample_weight=_balance_weights(included))
    return WordModel(machine.coef_[0], float(machine.intercept_[0]))


def _balance_weights(included: NDArray[np.bool_]) -> Scores:
    """Return weights (m,) of labelled records, 1 on average: all included ones weigh _RATIO times all others."""
    n_included = int(included.sum())
    weights = np.where(included, 1.0, n_included / (_RATIO * max(1, len(included) - n_included)))
    scaled: Scores = weights * (len(included) / weights.sum())
    return scaled
