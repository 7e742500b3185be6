"""What gives the answer away: a label that one column alone tells, and texts that are on both sides of a split."""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from engine.encode.recipe import cleaned
from engine.records import many
from engine.train.columns import says_something
from engine.train.findings import ColumnFacts, Finding, Severity, share
from engine.train.pairs import PairTable

FOLDS = 5
SEED = 0  # of the folds
BINS = 32  # quantiles of a length
READ_OFF = 0.75  # AUC from which a label counts as told by one column
SUSPECT = 0.65
SURE = 3.3  # standard errors above 0.5: by chance alone, about one table in two hundred has such a feature


@dataclass(frozen=True, slots=True)
class Told:
    """How well something that one column has tells the label."""

    what: str
    auc: float  # in [0, 1]; 0.5: not at all
    floor: float  # mean squared error of the labels


def best_told(texts: Sequence[str], labels: NDArray[np.float32]) -> Told:
    """The most telling feature of a column, cross-validated: its text, its first or last word, or its length."""
    found, constant = [], float(np.var(labels, dtype=np.float64))
    for what, keys in features(texts):
        predicted = held_out_means(coded(keys), labels.astype(np.float64))
        found.append(
            Told(what, auc(predicted, labels > labels.mean()), min(constant, float(np.mean((predicted - labels) ** 2))))
        )
    return max(found, key=lambda told: (round(told.auc, 3), -told.floor))


def features(texts: Sequence[str]) -> Iterator[tuple[str, Sequence[Hashable]]]:
    """Yield what a label might be told by, with its value for every text."""
    yield "the text", texts
    words = [text.split() or [""] for text in texts]
    yield "its first word", [one[0].casefold() for one in words]
    yield "its last word", [one[-1].casefold() for one in words]
    lengths = np.fromiter(map(len, texts), np.int64, len(texts))
    edges = np.unique(np.quantile(lengths, np.linspace(0, 1, BINS + 1)[1:-1]))
    yield "its length", np.searchsorted(edges, lengths, side="right").tolist()


def coded(keys: Sequence[Hashable]) -> NDArray[np.int64]:
    """A number from 0 for every distinct key, in order of appearance: (n,)."""
    codes: dict[Hashable, int] = {}
    return np.fromiter((codes.setdefault(key, len(codes)) for key in keys), np.int64, len(keys))


def held_out_means(codes: NDArray[np.int64], labels: NDArray[np.float64]) -> NDArray[np.float64]:
    """For every row, the mean label of rows with the same code in the other folds, shrunk by one row of mean label.

    codes and labels: (n,). A code that no other fold has gets the mean of all labels.
    """
    n_codes, mean = int(codes.max()) + 1, float(labels.mean())
    folds = np.random.default_rng(SEED).permutation(len(codes)) % FOLDS
    sums, counts = np.bincount(codes, labels, n_codes), np.bincount(codes, minlength=n_codes)
    predicted = np.empty(len(codes))
    for fold in range(FOLDS):
        here = folds == fold
        inside = codes[here]
        other_sums = sums - np.bincount(inside, labels[here], n_codes)
        other_counts = counts - np.bincount(inside, minlength=n_codes)
        predicted[here] = ((other_sums + mean) / (other_counts + 1))[inside]
    return np.round(predicted, 9)  # sums of one value in another order are equal


def auc(scores: NDArray[np.float64], positive: NDArray[np.bool_]) -> float:
    """Area under the ROC curve: the share of pairs of a positive and a negative row with the positive scored higher.

    scores, positive: (n,). A tie counts half. 0.5 where one class is missing. (Mann-Whitney U over n1 * n0.)
    """
    n_positive = int(positive.sum())
    n_negative = len(positive) - n_positive
    if not n_positive or not n_negative:
        return 0.5
    _, inverse, counts = np.unique(scores, return_inverse=True, return_counts=True)
    ranks = (np.cumsum(counts) - (counts - 1) / 2)[inverse]  # from 1; the mean rank of a tie
    above = ranks[positive].sum() - n_positive * (n_positive + 1) / 2
    return float(above / (n_positive * n_negative))


def by_chance(positive: NDArray[np.bool_]) -> float:
    """Standard error of the AUC of scores that have nothing to do with the classes."""
    n_positive = max(1, int(positive.sum()))
    n_negative = max(1, len(positive) - n_positive)
    return float(np.sqrt((n_positive + n_negative + 1) / (12 * n_positive * n_negative)))


def label_findings(facts: Sequence[ColumnFacts], labels: NDArray[np.float32]) -> Iterator[Finding]:
    """Yield a finding for each column that tells the label by itself."""
    least = 0.5 + SURE * by_chance(labels > labels.mean())
    for column in facts:
        found = column.label_auc or 0.0
        if found < max(SUSPECT, least):
            continue
        severity = Severity.REFUSE if found >= READ_OFF else Severity.WARN
        yield Finding(
            "label-read-off-column",
            severity,
            f"the label can be read off {column.name} alone (by {column.told_by}; AUC {found:.2f}, where 0.5 is "
            "chance). A model learns to look at that and never has to compare the two texts, so it gets better at this "
            f"label and worse at search. A mean squared error of {column.floor or 0.0:.3f} can be reached in this way. "
            "Draw negatives in the same way as positives: the same texts, differently paired",
        )


def held_out_findings(table: PairTable, held_out: PairTable) -> Iterator[Finding]:
    """Yield what is in the rows to train on and in those held out as well, white space and case aside."""
    train, test = normalised(table), normalised(held_out)
    seen_pairs = set(zip(*train, strict=True))
    pairs = sum(row in seen_pairs for row in zip(*test, strict=True))
    if pairs:
        part = pairs / held_out.n_rows
        yield Finding(
            "held-out-pairs",
            Severity.REFUSE if part > 0.01 else Severity.WARN,
            f"{many(pairs, 'held-out row')} ({share(part)}) also in the rows to train on: a test on them measures "
            "memory. Take them out of one side",
        )
    seen = {text for column in train for text in column}
    found = sum(any(text in seen and says_something(text) for text in row) for row in zip(*test, strict=True))
    if found > pairs:
        yield Finding(
            "held-out-texts",
            Severity.WARN,
            f"{many(found, 'held-out row')} ({share(found / held_out.n_rows)}) with a text that is trained on. "
            "Split by publication, not by pair, so that no text is on both sides",
        )


def normalised(table: PairTable) -> list[list[str]]:
    """The texts of each column, compared without regard to white space and case."""
    return [[cleaned(text).casefold() for text in column] for column in table.texts]
