"""Model of the words of included records: TF-IDF and a linear support vector machine, as ASReview's ELAS u4.

The parameters are those that ASReview 2 tuned on the 26 SYNERGY reviews: asreview/models/models.py, "elas_u4".
"""

from __future__ import annotations

import re
from array import array
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import count
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine.errors import MissingExtraError

Features = Any  # scipy.sparse matrix (n, terms), float64; rows have unit length, or are zero without a term
Scores = NDArray[np.float64]

_TOO_COMMON = 0.95  # share of the records; words and word pairs in more of them are ignored
_TOKEN = re.compile(r"\b\w\w+\b")
_COST = 0.11  # C of the support vector machine, the cost of errors
_RATIO = 9.8  # total weight of the included records relative to the excluded ones
_SEED = 0  # for the order in which the solver visits records; it changes only the last digits
_MAX_ITERATIONS = 20_000
_EXTRAS = "[cpu] or [gpu]"


class Terms:
    """The words and word pairs of features, by column."""

    def __init__(self, words: Sequence[str], keys: NDArray[np.int64]) -> None:
        """Keep the words and, for each column, a key: of word i (n + 1) i, and of the words i and j that plus j + 1."""
        self._words = words
        self._keys = keys

    def __len__(self) -> int:
        return len(self._keys)

    @property
    def words(self) -> Sequence[str]:
        """The single words that keys count."""
        return self._words

    @property
    def keys(self) -> NDArray[np.int64]:
        """The key of each column."""
        return self._keys

    def __getitem__(self, column: int) -> str:
        """Return the term of a column."""
        first, second = divmod(int(self._keys[column]), len(self._words) + 1)
        return f"{self._words[first]} {self._words[second - 1]}" if second else self._words[first]


def compute_features(texts: Sequence[str]) -> tuple[Features, Terms]:
    """Compute TF-IDF of words and word pairs: (n, terms), one row for each of n texts, in their order; and the terms.

    Words have two or more letters or digits, in lower case; the weight is (1 + ln tf) (ln((1 + n) / (1 + df)) + 1), and
    rows have unit length. Columns are in the order of the terms. If no text has a word, the result is one column of
    zeros. It is what scikit-learn's TfidfVectorizer computes, in a quarter of the time.

    Raises:
        MissingExtraError: scikit-learn is not installed.
    """
    try:
        from scipy.sparse import csr_matrix
        from sklearn.feature_extraction.text import TfidfTransformer
    except ImportError as err:
        raise MissingExtraError("scikit-learn (needed to learn from labels)", _EXTRAS) from err
    counts, words, keys = _count_terms(texts)
    if not len(keys):
        return csr_matrix((len(texts), 1), dtype=np.float64), Terms([""], np.zeros(1, np.int64))
    n_holding = np.bincount(counts.indices, minlength=len(keys))
    kept = n_holding <= _TOO_COMMON * len(texts)
    if kept.any() and not kept.all():  # with very few texts, the share may leave no word
        counts, keys = _select_columns(counts, kept), keys[kept]
    return TfidfTransformer(sublinear_tf=True).fit_transform(counts), Terms(words, keys)


def list_arrays(features: Features, terms: Terms) -> tuple[NDArray[Any], ...]:
    """Return features and their terms as five plain arrays, from which `restore_features` builds them again."""
    words = np.frombuffer("\n".join(terms.words).encode(), np.uint8)
    return features.data, features.indices, features.indptr, terms.keys, words


def restore_features(arrays: Sequence[NDArray[Any]]) -> tuple[Features, Terms]:
    """Return the features and terms of which `list_arrays` made arrays; these are not copied.

    Raises:
        MissingExtraError: scikit-learn is not installed, with which scipy comes.
    """
    try:
        from scipy.sparse import csr_matrix
    except ImportError as err:
        raise MissingExtraError("scikit-learn (needed to learn from labels)", _EXTRAS) from err
    data, indices, ends, keys, words = arrays
    features = csr_matrix((data, indices, ends), (len(ends) - 1, len(keys)))
    return features, Terms(words.tobytes().decode().split("\n"), keys)


def _count_terms(texts: Sequence[str]) -> tuple[Features, list[str], NDArray[np.int64]]:
    """Count words and word pairs: (n, terms) in the order of the terms; return the words and the keys of Terms, too."""
    from scipy.sparse import csr_matrix

    words, found, lengths = _number_words(texts)
    step = len(words) + 1
    rows = np.repeat(np.arange(len(texts), dtype=np.int32), lengths)
    at = np.flatnonzero(rows[:-1] == rows[1:])  # of the first words of pairs
    pairs, pair = np.unique(found[at] * step + found[at + 1] + 1, return_inverse=True)
    single = np.arange(len(words)) * step
    # A word comes before the pairs that begin with it, and these before the next word.
    column_of_word = (np.arange(len(words)) + np.searchsorted(pairs, single)).astype(np.int32)
    column_of_pair = (np.arange(len(pairs)) + pairs // step + 1).astype(np.int32)
    keys = np.zeros(len(single) + len(pairs), np.int64)
    keys[column_of_word], keys[column_of_pair] = single, pairs
    both = np.zeros(2 * len(found), np.int32)  # each word, then the pair that it begins
    both[::2] = column_of_word[found]
    both[2 * at + 1] = column_of_pair[pair]
    there = np.ones(len(both), bool)
    there[1::2] = False
    there[2 * at + 1] = True
    ends = np.concatenate([[0], np.cumsum(2 * lengths - (lengths > 0))])
    counts = csr_matrix((np.ones(int(there.sum())), both[there], ends), (len(texts), len(keys)))
    counts.sum_duplicates()
    return counts, words, keys


def _number_words(texts: Sequence[str]) -> tuple[list[str], NDArray[np.int64], NDArray[np.int64]]:
    """Return the words of texts, ascending; the place of each word of the texts among them; the words of each text."""
    numbers: dict[str, int] = defaultdict(count().__next__)
    found = array("i")
    lengths = np.zeros(len(texts), np.int64)
    for row, text in enumerate(texts):
        tokens = _TOKEN.findall(text.lower())
        lengths[row] = len(tokens)
        found.extend([numbers[token] for token in tokens])
    words = sorted(numbers)
    places = np.zeros(len(words), np.int64)
    places[[numbers[word] for word in words]] = np.arange(len(words))
    return words, places[np.array(found, np.int64)], lengths


def _select_columns(counts: Features, kept: NDArray[np.bool_]) -> Features:
    """Return the columns that are kept."""
    from scipy.sparse import csr_matrix

    inside = kept[counts.indices]
    ends = np.concatenate([[0], np.cumsum(inside)])[counts.indptr]
    columns = (np.cumsum(kept) - 1)[counts.indices[inside]]
    return csr_matrix((counts.data[inside], columns, ends), (counts.shape[0], int(kept.sum())))


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


def load_learning() -> None:
    """Load the library that `learn_words` needs, so that the first decisions do not wait for that.

    Raises:
        MissingExtraError: scikit-learn is not installed.
    """
    try:
        import sklearn.svm  # noqa: F401
    except ImportError as err:
        raise MissingExtraError("scikit-learn (needed to learn from labels)", _EXTRAS) from err


def _balance_weights(included: NDArray[np.bool_]) -> Scores:
    """Return weights (m,) of labelled records, 1 on average: all included ones weigh _RATIO times all others."""
    n_included = int(included.sum())
    weights = np.where(included, 1.0, n_included / (_RATIO * max(1, len(included) - n_included)))
    scaled: Scores = weights * (len(included) / weights.sum())
    return scaled
