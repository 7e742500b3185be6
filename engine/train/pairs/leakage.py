"""Leaks in training pairs: labels that one column alone predicts, and texts on both sides of a split."""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from engine.encode.models.recipe import clean_text
from engine.phrases import pluralize
from engine.train.pairs.findings import ColumnFacts, PairFinding, Severity, format_share, has_words
from engine.train.pairs.pairtable import PairTable

_FOLDS = 5
_SEED = 0  # of the folds
_BINS = 32  # quantiles of a length
_REFUSED_AUC = 0.75  # AUC from which one column gives the label away
_SUSPECT_AUC = 0.65
_MIN_ERRORS = 3.3  # standard errors above 0.5: by chance alone, about one table in two hundred has such a feature


@dataclass(frozen=True, slots=True)
class _LabelLeak:
    """How well a feature of one column predicts the label."""

    feature: str
    auc: float  # in [0, 1]; 0.5: not at all
    floor: float  # mean squared error of the labels


def find_leak(texts: Sequence[str], labels: NDArray[np.float32]) -> _LabelLeak:
    """Return the feature that predicts the label best, cross-validated: text, first or last word, or length."""
    leaks, constant = [], float(np.var(labels, dtype=np.float64))
    for feature, keys in _compute_features(texts):
        predicted = _predict_held_out(_encode_keys(keys), labels.astype(np.float64))
        error = min(constant, float(np.mean((predicted - labels) ** 2)))
        leaks.append(_LabelLeak(feature, _compute_auc(predicted, labels > labels.mean()), error))
    return max(leaks, key=lambda leak: (round(leak.auc, 3), -leak.floor))


def _compute_features(texts: Sequence[str]) -> Iterator[tuple[str, Sequence[Hashable]]]:
    """Yield the name of each feature that may predict a label, with its value for every text."""
    yield "the text", texts
    words = [text.split() or [""] for text in texts]
    yield "its first word", [split[0].casefold() for split in words]
    yield "its last word", [split[-1].casefold() for split in words]
    lengths = np.fromiter(map(len, texts), np.int64, len(texts))
    edges = np.unique(np.quantile(lengths, np.linspace(0, 1, _BINS + 1)[1:-1]))
    yield "its length", np.searchsorted(edges, lengths, side="right").tolist()


def _encode_keys(keys: Sequence[Hashable]) -> NDArray[np.int64]:
    """Replace each key by its number, from 0 in order of first appearance: int64 (n,)."""
    codes: dict[Hashable, int] = {}
    return np.fromiter((codes.setdefault(key, len(codes)) for key in keys), np.int64, len(keys))


def _predict_held_out(codes: NDArray[np.int64], labels: NDArray[np.float64]) -> NDArray[np.float64]:
    """Predict each row's label from the other folds: float64 (n,).

    codes and labels: (n,). The prediction is the mean label of the rows with the same code, shrunk by one row of mean
    label; the mean of all labels if no other fold has the code.
    """
    n_codes, mean = int(codes.max()) + 1, float(labels.mean())
    folds = np.random.default_rng(_SEED).permutation(len(codes)) % _FOLDS
    sums, counts = np.bincount(codes, labels, n_codes), np.bincount(codes, minlength=n_codes)
    predicted = np.empty(len(codes))
    for fold in range(_FOLDS):
        here = folds == fold
        inside = codes[here]
        other_sums = sums - np.bincount(inside, labels[here], n_codes)
        other_counts = counts - np.bincount(inside, minlength=n_codes)
        predicted[here] = ((other_sums + mean) / (other_counts + 1))[inside]
    return np.round(predicted, 9)  # sums of one value in another order are equal


def _compute_auc(scores: NDArray[np.float64], positive: NDArray[np.bool_]) -> float:
    """Compute the area under the ROC curve: the share of (positive, negative) pairs with the positive scored higher.

    scores, positive: (n,). A tie counts half. 0.5 if one class is missing. (Mann-Whitney U over n1 * n0.)
    """
    n_positive = int(positive.sum())
    n_negative = len(positive) - n_positive
    if not n_positive or not n_negative:
        return 0.5
    _, inverse, counts = np.unique(scores, return_inverse=True, return_counts=True)
    ranks = (np.cumsum(counts) - (counts - 1) / 2)[inverse]  # from 1; the mean rank of a tie
    above = ranks[positive].sum() - n_positive * (n_positive + 1) / 2
    return float(above / (n_positive * n_negative))


def _compute_chance_error(positive: NDArray[np.bool_]) -> float:
    """Return the standard error of the AUC of scores that are independent of the classes."""
    n_positive = max(1, int(positive.sum()))
    n_negative = max(1, len(positive) - n_positive)
    return float(np.sqrt((n_positive + n_negative + 1) / (12 * n_positive * n_negative)))


def find_label_leaks(facts: Sequence[ColumnFacts], labels: NDArray[np.float32]) -> Iterator[PairFinding]:
    """Yield a finding for each column that predicts the label by itself."""
    least = 0.5 + _MIN_ERRORS * _compute_chance_error(labels > labels.mean())
    for column in facts:
        value = column.label_auc or 0.0
        if value < max(_SUSPECT_AUC, least):
            continue
        severity = Severity.REFUSE if value >= _REFUSED_AUC else Severity.WARN
        yield PairFinding(
            "label-leak",
            severity,
            f"{column.name} alone predicts the label (by {column.predictor}; AUC {value:.2f}, where 0.5 is chance). "
            "A model learns this shortcut and never has to compare the two texts, so it gets better at this "
            f"label and worse at search. The shortcut reaches a mean squared error of {column.floor or 0.0:.3f}. "
            "Draw negatives in the same way as positives: the same texts, paired differently",
        )


def find_overlap(table: PairTable, held_out: PairTable) -> Iterator[PairFinding]:
    """Yield findings about held-out rows and texts that are trained on, ignoring white space and case."""
    train, test = _normalise_texts(table), _normalise_texts(held_out)
    seen_pairs = set(zip(*train, strict=True))
    pairs = sum(row in seen_pairs for row in zip(*test, strict=True))
    if pairs:
        part = pairs / held_out.n_rows
        yield PairFinding(
            "held-out-pairs",
            Severity.REFUSE if part > 0.01 else Severity.WARN,
            f"{pluralize(pairs, 'held-out row')} ({format_share(part)}) also in the training rows: a test on them "
            "measures memory. Remove them from one side",
        )
    seen = {text for column in train for text in column}
    n_seen = sum(any(text in seen and has_words(text) for text in row) for row in zip(*test, strict=True))
    if n_seen > pairs:
        yield PairFinding(
            "held-out-texts",
            Severity.WARN,
            f"{pluralize(n_seen, 'held-out row')} ({format_share(n_seen / held_out.n_rows)}) with a text that is "
            "trained on. Split by publication, not by pair, so that no text is on both sides",
        )


def _normalise_texts(table: PairTable) -> list[list[str]]:
    """Return the texts of each column with white space and case normalised."""
    return [[clean_text(text).casefold() for text in column] for column in table.texts]
