"""Model of the words of included records: TF-IDF and a linear support vector machine, as ASReview's ELAS u4.

The parameters are those that ASReview 2 tuned on the 26 SYNERGY reviews: asreview/models/models.py, "elas_u4".
"""

from __future__ import annotations

from collections.abc import Sequence
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


def compute_features(texts: Sequence[str]) -> Features:
    """Compute TF-IDF of words and word pairs: (n, terms), one row for each of n texts, in their order.

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
        try:
            return TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True, max_df=too_common).fit_transform(texts)
        except ValueError:
            continue
    return csr_matrix((len(texts), 1), dtype=np.float64)


def score_by_words(features: Features, rows: NDArray[np.int64], included: NDArray[np.bool_]) -> Scores:
    """Score every record (n,) by a model trained on the labelled rows; scores above 0 suggest inclusion.

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
    scores: Scores = machine.decision_function(features)
    return scores


def _balance_weights(included: NDArray[np.bool_]) -> Scores:
    """Return weights (m,) of labelled records, 1 on average: all included ones weigh _RATIO times all others."""
    n_included = int(included.sum())
    weights = np.where(included, 1.0, n_included / (_RATIO * max(1, len(included) - n_included)))
    scaled: Scores = weights * (len(included) / weights.sum())
    return scaled
