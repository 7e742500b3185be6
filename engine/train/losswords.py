"""The sentences of a card's explanation on how the training went: its steps, its schedule and its loss."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from engine.records import many
from engine.train.cardfacts import FIT_DECAY, FIT_RATE, FIT_WARMUP, Floor, Legacy, Logged, Steps
from engine.train.cardwords import NOT_SAID
from engine.train.modelcard import Card

NEAR = 0.02  # share of the floor within which a loss is at the floor
SHOWN = 3  # lines of a log


def about_steps(card: Card, found: Steps | None, log: Sequence[Logged]) -> Iterator[str]:
    """Yield how long the training was, and whether the log agrees."""
    if card.fit and card.fit.steps_per_epoch:
        yield f"{many(card.fit.steps_per_epoch, 'step')} an epoch, batches of {card.fit.batch_size or NOT_SAID}"
    if found is None:
        if not card.fit:
            yield f"steps: {NOT_SAID} (rows or batch size are missing)"
        return
    in_all = f"; {found.total:,} in all" if found.total is not None else ""
    epochs = f", {found.epochs:g} epochs" if found.epochs is not None else ""
    yield (
        f"{found.n_rows:,} rows in batches of {found.batch_size:,}: {many(found.per_epoch, 'step')} an epoch{epochs}"
        f"{in_all}"
    )
    checked = [one for one in log if one.agrees is not None and one.expected_epoch is not None]
    for one in checked[:SHOWN]:
        verdict = "as the log says" if one.agrees else f"the log says {one.epoch:g}: other rows, batches or devices"
        yield f"step {one.step:,} is epoch {one.expected_epoch:.4f}: {verdict}"
    if len(checked) > SHOWN:
        n_agreeing = sum(one.agrees is True for one in checked)
        yield f"of {len(checked):,} lines of the log {n_agreeing:,} agree"


def about_schedule(card: Card, found: Steps | None, fitted: Legacy) -> Iterator[str]:
    """Yield what learning rate is printed, and whether it is the one that ran."""
    if card.fit:
        given = dict(card.fit.settings)
        given_names = ("lr", "scheduler", "warmup_steps", "weight_decay", "epochs")
        yield "the call of fit() is printed, and what it says is what ran: " + ", ".join(
            f"{name} {given.get(name, NOT_SAID)}" for name in given_names
        )
    elif card.hyperparameters or card.non_default:
        named = ("learning_rate", "lr_scheduler_type", "warmup_steps", "warmup_ratio", "weight_decay", "optim")
        yield "printed: " + ", ".join(f"{name} {card.setting(name) or NOT_SAID}" for name in named)
    if not fitted.is_fit:
        return
    yield "The printed learning rate and schedule are very probably not what ran: this card was written by model.fit()."
    yield f"  Signs: {'; '.join(fitted.signs)}."
    yield (
        "  fit() makes an optimizer and a schedule of its own; the card prints the settings that were not used. The "
        f"defaults of fit() are AdamW, {FIT_RATE:g} at the highest, weight decay {FIT_DECAY:g}, and {FIT_WARMUP:,} "
        "warm-up steps, then a linear fall."
    )
    if found and found.total is not None and fitted.highest_rate is not None:
        highest = f"{fitted.highest_rate:.1e}".replace("e-0", "e-")
        times = (
            f", {fitted.printed_rate / fitted.highest_rate:.0f} times less than printed" if fitted.printed_rate else ""
        )
        still = "the warm-up never ended: " if found.total < FIT_WARMUP else ""
        yield f"  With these defaults and {many(found.total, 'step')} {still}the highest rate was {highest}{times}."


def about_loss(
    card: Card, floor: Floor | None, log: Sequence[Logged], fitted: Legacy, *, is_short: bool
) -> Iterator[str]:
    """Yield what the logged losses are, and what they mean beside the floor."""
    if card.losses:
        yield f"loss: {', '.join(card.losses)}"
    for one in log[:SHOWN]:
        yield (
            f"{one.loss:g}, logged at step {one.step:,}, is the mean over steps {one.first_step:,} to {one.step:,}, "
            f"not the loss at step {one.step:,}"
        )
    if len(log) > SHOWN:
        yield f"{many(len(log) - SHOWN, 'more line')} of the log, the last {log[-1].loss:g} at step {log[-1].step:,}"
    if card.losses and not log:
        yield f"values of the training loss: {NOT_SAID}"
    if floor is None:
        return
    yield (
        f"floor: labels have the mean {floor.label_mean:g}. A model that has learned nothing, and gives every pair "
        f"this cosine, has a mean squared error of {floor.at_most:.4g} (less if some labels lie between the ends)."
    )
    if log:
        yield from beside_floor(log, floor, fitted, is_short=is_short)


def beside_floor(log: Sequence[Logged], floor: Floor, fitted: Legacy, *, is_short: bool) -> Iterator[str]:
    """Yield what the last logged loss means."""
    last = log[-1]
    start = f" Training starts near {floor.at_zero:.2g} where cosines are near 0." if floor.at_zero is not None else ""
    if last.loss > floor.at_most * (1 + NEAR):
        yield (
            f"{last.loss:g} is above the floor: over these steps the model did worse than a constant.{start} "
            "The mean holds the first steps too, so it came down slowly, towards what a constant has."
        )
        if fitted.is_fit and last.first_step == 1 and is_short:
            yield MEASURED
    elif last.loss < floor.at_most * (1 - NEAR):
        shortcut = " With a column as short as this one, that may be the label read off it." if is_short else ""
        yield f"{last.loss:g} is below the floor: something was learned that tells labels apart.{shortcut}"
    else:
        yield f"{last.loss:g} is at the floor: nothing was learned but the mean of the labels."


MEASURED = (
    "Only a learning rate that rises very slowly keeps the mean that high. Measured with the weights of "
    "all-MiniLM-L6-v2 and data of this kind: about 0.38 over steps 1 to 500 with the defaults of fit(), 0.26 or less "
    "with 5e-5 and no warm-up."
)
