"""What follows from the numbers in a model card: steps, the loss that means nothing, how the training was started."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

from engine.train.cardparts import CardColumn, LogRow, Statistics, number, whole
from engine.train.modelcard import Card

FIT_COLUMNS = ("sentence_0", "sentence_1")  # what fit() calls the texts of its examples
FIT_RATE, FIT_WARMUP, FIT_DECAY = 2e-5, 10_000, 0.01  # its defaults, sentence-transformers 3.4.1, fit_mixin.py
SHORT = 6  # tokens, the two special ones included; a column of no longer texts has next to nothing in it
SPECIAL = 2  # tokens that the tokenizer adds to every text
ROUNDED = 0.0002  # of an epoch, which cards print with four decimals


@dataclass(frozen=True, slots=True)
class Steps:
    """How long a training was."""

    n_rows: int
    batch_size: int  # rows for each step, gradients accumulated; on one device
    per_epoch: int
    epochs: float | None
    total: int | None


@dataclass(frozen=True, slots=True)
class Logged:
    """One loss of the log, and what it is the mean of."""

    step: int
    first_step: int  # the loss is the mean from here to step
    loss: float
    epoch: float | None
    expected_epoch: float | None  # step / steps per epoch
    agrees: bool | None  # whether the two are the same; None: one is not known


@dataclass(frozen=True, slots=True)
class Floor:
    """The mean squared error that a model reaches that gives every pair the same cosine."""

    label_mean: float
    at_most: float  # the variance of the labels, if they are all at one end or the other; less otherwise
    at_zero: float | None  # the mean squared error at cosine 0, where training starts; None: labels below 0


@dataclass(frozen=True, slots=True)
class Legacy:
    """Whether the card was written by fit(), which trains by another schedule than the card prints."""

    signs: tuple[str, ...]
    is_fit: bool
    highest_rate: float | None  # that was reached by fit()'s own defaults; None: not fit(), or steps not known
    printed_rate: float | None


@dataclass(frozen=True, slots=True)
class ShortColumn:
    """A column whose texts have next to nothing in them."""

    name: str
    statistics: Statistics  # in tokens
    longest: tuple[float, float] | None  # least and greatest share of the longest texts; None: can't be told
    shortest: tuple[float, float] | None
    samples: tuple[str, ...]  # distinct


def steps(card: Card) -> Steps | None:
    """Steps of a training on one device; None where the card does not say rows and batch.

    Of several data sets, round_robin draws as many batches from each as the smallest has; otherwise all are used up.
    """
    batch = whole(card.setting("per_device_train_batch_size") or "")
    sizes = [one.size for one in card.training if one.size] or [size for size in (tagged_size(card),) if size]
    if not batch or batch < 0 or not sizes:
        return None
    accumulated = max(1, whole(card.setting("gradient_accumulation_steps") or "") or 1)
    cut = card.setting("dataloader_drop_last") == "True"
    batches = [size // batch if cut else -(-size // batch) for size in sizes]
    round_robin = card.setting("multi_dataset_batch_sampler") == "round_robin"
    drawn = min(batches) * len(batches) if round_robin else sum(batches)
    per_epoch = max(1, -(-drawn // accumulated))
    epochs, most = number(card.setting("num_train_epochs") or ""), whole(card.setting("max_steps") or "") or 0
    total = most if most > 0 else None if epochs is None else math.ceil(per_epoch * epochs)
    return Steps(sum(sizes), batch * accumulated, per_epoch, epochs, total)


def tagged_size(card: Card) -> int | None:
    """Rows as the tag dataset_size says."""
    return next((whole(tag) for tag in card.tags if tag.startswith("dataset_size:")), None)


def logged(log: tuple[LogRow, ...], found: Steps | None) -> Iterator[Logged]:
    """Yield the training losses of a log: each is the mean since the one before."""
    before = 0
    for row in log:
        if row.loss is None or row.step is None or row.step <= before:
            continue
        expected = row.step / found.per_epoch if found else None
        known = expected is not None and row.epoch is not None
        agrees = abs((expected or 0.0) - (row.epoch or 0.0)) < ROUNDED if known else None
        yield Logged(row.step, before + 1, row.loss, row.epoch, expected, agrees)
        before = row.step


def label_column(card: Card) -> CardColumn | None:
    """The column of labels of the first data set that has one with numbers."""
    columns = (column for one in card.training for column in one.columns)
    return next((one for one in columns if one.name in ("label", "score") and one.statistics), None)


def loss_floor(card: Card) -> Floor | None:
    """The floor of the loss; None where the loss is another than CosineSimilarityLoss or labels are not described.

    The variance of numbers in [low, high] with this mean is at most (high - mean) * (mean - low) (Bhatia & Davis 2000),
    and just that where all are low or high.
    """
    column = label_column(card)
    if "CosineSimilarityLoss" not in card.losses or column is None or column.statistics is None:
        return None
    low, mean, high = column.statistics.low, column.statistics.mean, column.statistics.high
    at_most = max(0.0, (high - mean) * (mean - low))
    return Floor(mean, at_most, at_most + mean**2 if low >= 0 else None)


def legacy(card: Card, found: Steps | None) -> Legacy:
    """What points to fit(): its names for columns, and settings that it gives and hardly anybody else does."""
    names = {column.name for one in card.training for column in one.columns}
    given = dict(card.non_default)
    columns = set(FIT_COLUMNS) <= names
    others = (
        (given.get("multi_dataset_batch_sampler") == "round_robin", "multi_dataset_batch_sampler is round_robin"),
        (given.get("disable_tqdm") == "False", "disable_tqdm is set, to False"),
        (card.setting("max_grad_norm") == "1", "max_grad_norm is the whole number 1, where the default is 1.0"),
    )
    signs = tuple(
        sign for there, sign in ((columns, f"columns are named {' and '.join(FIT_COLUMNS)}"), *others) if there
    )
    total = found.total if found else None
    is_fit = columns and len(signs) > 1
    highest = FIT_RATE * min(1.0, total / FIT_WARMUP) if is_fit and total is not None else None
    return Legacy(signs, is_fit, highest, number(card.setting("learning_rate") or ""))


def short_columns(card: Card) -> Iterator[ShortColumn]:
    """Yield the columns of texts that are all very short."""
    for one in card.training:
        for column in one.columns:
            found = column.statistics
            if found and found.unit == "tokens" and found.high <= SHORT:
                longest, shortest = shares(found)
                yield ShortColumn(column.name, found, longest, shortest, tuple(dict.fromkeys(column.samples)))


def shares(found: Statistics) -> tuple[tuple[float, float] | None, tuple[float, float] | None]:
    """Least and greatest share of the longest and of the shortest of texts of two or three lengths, by their mean.

    With lengths m - 1, m, m + 1 and shares p, q, r: r - p = mean - m and p + q + r = 1. So q lies between 0 and
    1 - |r - p|, and what it leaves is shared by p and r. None for more lengths.
    """
    width = found.high - found.low
    if width == 0:
        return (1.0, 1.0), (1.0, 1.0)
    if width == 1:
        long = round(min(1.0, max(0.0, found.mean - found.low)), 4)
        return (long, long), (round(1 - long, 4), round(1 - long, 4))
    if width != 2 or not found.low <= found.mean <= found.high:
        return None, None
    more = found.mean - (found.low + 1)
    rest = (1 - abs(more)) / 2
    ends = [(round(least, 4), round(least + rest, 4)) for least in (max(more, 0.0), max(-more, 0.0))]
    return ends[0], ends[1]
