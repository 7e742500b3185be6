"""What follows from the numbers in a model card: steps, the loss of a constant, how the training was started."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

from engine.train.modelcard.card import CardColumn, ColumnStatistics, LogRow, ModelCard, parse_number, parse_whole

_FIT_COLUMNS = ("sentence_0", "sentence_1")  # fit()'s names for the texts of its examples
FIT_RATE, FIT_WARMUP, FIT_DECAY = 2e-5, 10_000, 0.01  # its defaults, sentence-transformers 3.4.1, fit_mixin.py
_SHORT = 6  # tokens, the two special ones included; a column without longer texts is nearly empty
N_SPECIAL = 2  # tokens that the tokenizer adds to every text
_EPOCH_ROUNDING = 0.0002  # of an epoch, which cards print with four decimals


@dataclass(frozen=True, slots=True)
class StepCount:
    """The length of a training in steps."""

    n_rows: int
    batch_size: int  # rows for each step, gradients accumulated; on one device
    per_epoch: int
    epochs: float | None
    total: int | None


@dataclass(frozen=True, slots=True)
class LossInterval:
    """One loss of the log, and the steps of which it is the mean."""

    step: int
    first_step: int  # the loss is the mean from first_step to step
    loss: float
    epoch: float | None
    expected_epoch: float | None  # step / steps per epoch
    agrees: bool | None  # whether the two are the same; None: one is unknown


@dataclass(frozen=True, slots=True)
class LossFloor:
    """The mean squared error of a model that gives every pair the same cosine."""

    label_mean: float
    at_most: float  # the variance of the labels, if each is the least or the greatest; less otherwise
    at_zero: float | None  # the mean squared error at cosine 0, where training starts; None: labels below 0


@dataclass(frozen=True, slots=True)
class LegacyFit:
    """Whether the card was written by fit(), which trains by another schedule than the card prints."""

    signs: tuple[str, ...]
    is_fit: bool
    highest_rate: float | None  # reached by fit()'s own defaults; None: not fit(), or steps unknown
    printed_rate: float | None


@dataclass(frozen=True, slots=True)
class ShortColumn:
    """A column whose texts are nearly empty."""

    name: str
    statistics: ColumnStatistics  # in tokens
    longest: tuple[float, float] | None  # least and greatest share of the longest texts; None: unknown
    shortest: tuple[float, float] | None
    samples: tuple[str, ...]  # distinct


def count_card_steps(card: ModelCard) -> StepCount | None:
    """Count the steps of a training on one device; None if the card does not say rows and batch size.

    Of several data sets, round_robin draws as many batches from each as the smallest has; otherwise all are used up.
    """
    batch = parse_whole(card.find_setting("per_device_train_batch_size") or "")
    sizes = [part.size for part in card.training if part.size] or [size for size in (_find_tagged_size(card),) if size]
    if not batch or batch < 0 or not sizes:
        return None
    accumulated = max(1, parse_whole(card.find_setting("gradient_accumulation_steps") or "") or 1)
    cut = card.find_setting("dataloader_drop_last") == "True"
    batches = [size // batch if cut else -(-size // batch) for size in sizes]
    round_robin = card.find_setting("multi_dataset_batch_sampler") == "round_robin"
    drawn = min(batches) * len(batches) if round_robin else sum(batches)
    per_epoch = max(1, -(-drawn // accumulated))
    epochs, most = (
        parse_number(card.find_setting("num_train_epochs") or ""),
        parse_whole(card.find_setting("max_steps") or "") or 0,
    )
    total = most if most > 0 else None if epochs is None else math.ceil(per_epoch * epochs)
    return StepCount(sum(sizes), batch * accumulated, per_epoch, epochs, total)


def _find_tagged_size(card: ModelCard) -> int | None:
    """Return the number of rows in the tag dataset_size."""
    return next((parse_whole(tag) for tag in card.tags if tag.startswith("dataset_size:")), None)


def split_log(log: tuple[LogRow, ...], steps: StepCount | None) -> Iterator[LossInterval]:
    """Yield the training losses of a log, each the mean since the one before."""
    before = 0
    for row in log:
        if row.loss is None or row.step is None or row.step <= before:
            continue
        expected = row.step / steps.per_epoch if steps else None
        known = expected is not None and row.epoch is not None
        agrees = abs((expected or 0.0) - (row.epoch or 0.0)) < _EPOCH_ROUNDING if known else None
        yield LossInterval(row.step, before + 1, row.loss, row.epoch, expected, agrees)
        before = row.step


def _find_label_column(card: ModelCard) -> CardColumn | None:
    """Return the column of labels of the first data set that has one with numbers."""
    columns = (column for part in card.training for column in part.columns)
    return next((column for column in columns if column.name in ("label", "score") and column.statistics), None)


def compute_loss_floor(card: ModelCard) -> LossFloor | None:
    """Compute the floor of the loss; None if it is not CosineSimilarityLoss or the labels are not described.

    The variance of numbers in [low, high] with this mean is at most (high - mean) * (mean - low) (Bhatia & Davis 2000),
    and equal to it if all are low or high.
    """
    column = _find_label_column(card)
    if "CosineSimilarityLoss" not in card.losses or column is None or column.statistics is None:
        return None
    low, mean, high = column.statistics.low, column.statistics.mean, column.statistics.high
    at_most = max(0.0, (high - mean) * (mean - low))
    return LossFloor(mean, at_most, at_most + mean**2 if low >= 0 else None)


def recognise_fit(card: ModelCard, steps: StepCount | None) -> LegacyFit:
    """Recognise a card of fit() by its names for columns and by settings that hardly anybody else gives.

    A card of engine train says what ran, so it is none, although the method seed uses the same names.
    """
    names = {column.name for part in card.training for column in part.columns}
    rate = parse_number(card.find_setting("learning_rate") or "")
    if card.engine_run:
        return LegacyFit((), False, None, rate)
    settings = dict(card.non_default)
    columns = set(_FIT_COLUMNS) <= names
    others = (
        (settings.get("multi_dataset_batch_sampler") == "round_robin", "multi_dataset_batch_sampler is round_robin"),
        (settings.get("disable_tqdm") == "False", "disable_tqdm is set, to False"),
        (card.find_setting("max_grad_norm") == "1", "max_grad_norm is the whole number 1, where the default is 1.0"),
    )
    signs = tuple(
        sign
        for is_present, sign in ((columns, f"columns are named {' and '.join(_FIT_COLUMNS)}"), *others)
        if is_present
    )
    total = steps.total if steps else None
    is_fit = columns and len(signs) > 1
    highest = FIT_RATE * min(1.0, total / FIT_WARMUP) if is_fit and total is not None else None
    return LegacyFit(signs, is_fit, highest, rate)


def find_short_columns(card: ModelCard) -> Iterator[ShortColumn]:
    """Yield the columns whose texts are all very short."""
    for column in (column for part in card.training for column in part.columns):
        lengths = column.statistics
        if lengths and lengths.unit == "tokens" and lengths.high <= _SHORT:
            longest, shortest = _compute_shares(lengths)
            yield ShortColumn(column.name, lengths, longest, shortest, tuple(dict.fromkeys(column.samples)))


def _compute_shares(lengths: ColumnStatistics) -> tuple[tuple[float, float] | None, tuple[float, float] | None]:
    """Compute the share, at least and at most, of the longest and of the shortest of texts of two or three lengths.

    With lengths m - 1, m, m + 1 and shares p, q, r: r - p = mean - m and p + q + r = 1. So q lies between 0 and
    1 - |r - p|, and what it leaves is shared by p and r. None for more lengths.
    """
    width = lengths.high - lengths.low
    if width == 0:
        return (1.0, 1.0), (1.0, 1.0)
    if width == 1:
        long = round(min(1.0, max(0.0, lengths.mean - lengths.low)), 4)
        return (long, long), (round(1 - long, 4), round(1 - long, 4))
    if width != 2 or not lengths.low <= lengths.mean <= lengths.high:
        return None, None
    more = lengths.mean - (lengths.low + 1)
    rest = (1 - abs(more)) / 2
    ends = [(round(least, 4), round(least + rest, 4)) for least in (max(more, 0.0), max(-more, 0.0))]
    return ends[0], ends[1]
