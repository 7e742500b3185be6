"""Explain a model card: in plain sentences for a person, as the numbers behind them for a program."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from engine.phrases import pluralize
from engine.train.fit.settings import RECORD
from engine.train.modelcard.card import CardDataset, ModelCard
from engine.train.modelcard.cardfacts import (
    FIT_DECAY,
    FIT_RATE,
    FIT_WARMUP,
    N_SPECIAL,
    LegacyFit,
    LossFloor,
    LossInterval,
    ShortColumn,
    StepCount,
    compute_loss_floor,
    count_card_steps,
    find_short_columns,
    recognise_fit,
    split_log,
)
from engine.train.modelcard.libraries import (
    CHANGED_DEFAULTS,
    REMOVED_SETTINGS,
    ChangedDefault,
    read_settings,
    read_version,
)
from engine.train.pairs.findings import format_share

_SEED_LOSS = "CosineSimilarityLoss"  # the loss of the method seed
_NOT_SAID = "not said in the card"
_DESCRIBED = ("Maximum Sequence Length", "Output Dimensionality", "Similarity Function")
_FLOOR_TOLERANCE = 0.02  # share of the floor within which a loss counts as at the floor
_MAX_LINES = 3  # lines of a log that are explained
_MEASURED = (
    "Only a learning rate that rises very slowly keeps the mean that high. Measured with the weights of "
    "all-MiniLM-L6-v2 and data of this kind: about 0.38 over steps 1 to 500 with the defaults of fit(), 0.26 or less "
    "with 5e-5 and no warm-up."
)


@dataclass(frozen=True, slots=True)
class _CardTopic:
    """A few sentences about one topic."""

    title: str
    lines: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _CardExplanation:
    """A card explained."""

    card: str  # the file
    steps: StepCount | None
    log: tuple[LossInterval, ...]
    floor: LossFloor | None
    legacy: LegacyFit
    short_columns: tuple[ShortColumn, ...]
    removed: tuple[str, ...]  # settings that the installed libraries no longer accept
    changed: tuple[ChangedDefault, ...]  # settings printed at a default that has changed since
    commands: tuple[str, ...]  # the nearest to the training of the card
    topics: tuple[_CardTopic, ...]


def explain_model_card(card: ModelCard) -> _CardExplanation:
    """Explain a card as far as possible; the explanation names what the card does not say."""
    steps = count_card_steps(card)
    log, short = tuple(split_log(card.log, steps)), tuple(find_short_columns(card))
    floor, legacy = compute_loss_floor(card), recognise_fit(card, steps)
    removed, changed, commands = _find_removed(card), _find_changed(card), _find_commands(card, legacy)
    topics = (
        ("Model", _describe_model(card)),
        ("Data", _describe_data(card, short)),
        ("Steps", _describe_steps(card, steps, log)),
        ("Learning rate and schedule", _describe_schedule(card, steps, legacy)),
        ("Loss", _describe_loss(card, floor, log, legacy, is_short=bool(short))),
        ("Settings", _describe_settings(card, removed, changed)),
        ("Can it be repeated?", _describe_repeating(card, legacy, commands)),
    )
    explained = tuple(_CardTopic(title, tuple(lines) or (_NOT_SAID,)) for title, lines in topics)
    return _CardExplanation(card.name, steps, log, floor, legacy, short, removed, changed, commands, explained)


def format_explanation(explanation: _CardExplanation) -> Iterator[str]:
    """Yield the lines of an explanation for a terminal."""
    for place, topic in enumerate(explanation.topics):
        if place:
            yield ""
        yield topic.title
        yield from (f"  {line}" for line in topic.lines)


def _find_removed(card: ModelCard) -> tuple[str, ...]:
    """Return the settings on the card that the installed libraries, or else the newest known ones, don't accept."""
    names = tuple(dict.fromkeys(name for name, _ in card.hyperparameters))
    known = read_settings()
    return tuple(name for name in names if (name in REMOVED_SETTINGS if known is None else name not in known))


def _find_changed(card: ModelCard) -> tuple[ChangedDefault, ...]:
    """Return the settings that the card has at a default that has changed since."""
    return tuple(changed for changed in CHANGED_DEFAULTS if card.find_setting(changed.name) == changed.then)


def _find_commands(card: ModelCard, legacy: LegacyFit) -> tuple[str, ...]:
    """Return the commands nearest to the card's training, the most likely first; empty for another loss."""
    if card.engine_run:
        source = "PAIRS" if card.engine_run.method == "seed" else "-i NAME"
        return (f"engine train {source} --method {card.engine_run.method}",)
    if card.losses != (_SEED_LOSS,):
        return ()
    readings = ("fit", "printed") if legacy.is_fit or card.fit else ("printed",)
    return tuple(f"engine train PAIRS --method seed --reading {reading}" for reading in readings)


def _describe_model(card: ModelCard) -> Iterator[str]:
    """Yield what was trained."""
    revision = f" at revision {card.base_revision}" if card.base_revision else ""
    yield f"base model: {f'{card.base_model}{revision}' if card.base_model else _NOT_SAID}"
    values = dict(card.description)
    yield from (f"{name.lower()}: {values.get(name) or _NOT_SAID}" for name in _DESCRIBED)
    yield f"libraries: {', '.join(' '.join(version) for version in card.versions) or _NOT_SAID}"
    if card.metrics:
        yield f"evaluation: {', '.join(' '.join(metric) for metric in card.metrics[:8])}"


def _describe_data(card: ModelCard, short: Sequence[ShortColumn]) -> Iterator[str]:
    """Yield the data sets, and the columns that are nearly empty."""
    for part in card.training:
        yield _describe_dataset(part)
    for column in short:
        yield from _describe_short_column(column)


def _describe_dataset(part: CardDataset) -> str:
    """Describe a data set in one line."""
    rows = f"{part.size:,} rows" if part.size is not None else f"rows {_NOT_SAID}"
    columns = []
    for column in part.columns:
        values = column.statistics
        unit = f" {values.unit}" if values and values.unit else ""
        spread = f" ({values.low:g} to {values.high:g}{unit}, mean {values.mean:g})" if values else ""
        columns.append(f"{column.name}{spread}")
    described = f"; statistics of the first {part.n_described:,} rows" if part.n_described else ""
    name = f"{part.name} ({part.link})" if part.link else part.name
    return f"{name}: {rows}; {', '.join(columns) or 'columns ' + _NOT_SAID}{described}"


def _describe_short_column(column: ShortColumn) -> Iterator[str]:
    """Yield what a column of very short texts is, and what it does to the training."""
    lengths = column.statistics
    words = int(lengths.high) - N_SPECIAL
    empty = ", some of them empty" if lengths.low <= N_SPECIAL else ""
    samples = f" The card shows: {', '.join(map(repr, column.samples))}." if column.samples else ""
    yield (
        f"{column.name} is nearly empty: at most {pluralize(max(0, words), 'token')} beside the {N_SPECIAL} special "
        f"ones{empty}.{samples}"
    )
    if column.longest and column.shortest and lengths.high > lengths.low:
        yield (
            f"  By the mean of {lengths.mean:g} tokens, texts of {lengths.high:g} tokens are "
            f"{_format_range(column.longest)} of the rows, texts of {lengths.low:g} are "
            f"{_format_range(column.shortest)}."
        )
    yield (
        "  So few different texts give a model nothing to compare: training pulls every text of the other column "
        "towards the same few vectors, and all cosines rise. Whether this column predicts the label, only the pairs "
        "can show: engine train PAIRS --method seed --check"
    )


def _format_range(ends: tuple[float, float]) -> str:
    """Format a share that is known to lie between two ends."""
    low, high = format_share(ends[0]), format_share(ends[1])
    return low if low == high else f"between {low} and {high}"


def _describe_steps(card: ModelCard, steps: StepCount | None, log: Sequence[LossInterval]) -> Iterator[str]:
    """Yield the length of the training, and whether the log agrees."""
    if card.fit and card.fit.steps_per_epoch:
        yield f"{pluralize(card.fit.steps_per_epoch, 'step')} an epoch, batches of {card.fit.batch_size or _NOT_SAID}"
    if steps is None:
        if not card.fit:
            yield f"steps: {_NOT_SAID} (rows or batch size are missing)"
        return
    total = f"; {steps.total:,} in all" if steps.total is not None else ""
    epochs = f", {steps.epochs:g} epochs" if steps.epochs is not None else ""
    yield (
        f"{steps.n_rows:,} rows in batches of {steps.batch_size:,}: {pluralize(steps.per_epoch, 'step')} an "
        f"epoch{epochs}{total}"
    )
    checked = [row for row in log if row.agrees is not None and row.expected_epoch is not None]
    for row in checked[:_MAX_LINES]:
        verdict = "as the log says" if row.agrees else f"the log says {row.epoch:g}: other rows, batches or devices"
        yield f"step {row.step:,} is epoch {row.expected_epoch:.4f}: {verdict}"
    if len(checked) > _MAX_LINES:
        n_agreeing = sum(row.agrees is True for row in checked)
        yield f"of {len(checked):,} lines of the log {n_agreeing:,} agree"


def _describe_schedule(card: ModelCard, steps: StepCount | None, legacy: LegacyFit) -> Iterator[str]:
    """Yield the printed learning rate, and whether it is the one that ran."""
    if card.fit:
        values = dict(card.fit.settings)
        yield "the card prints the call of fit(), so these values are what ran: " + ", ".join(
            f"{name} {values.get(name, _NOT_SAID)}"
            for name in ("lr", "scheduler", "warmup_steps", "weight_decay", "epochs")
        )
    elif card.hyperparameters or card.non_default:
        printed = ("learning_rate", "lr_scheduler_type", "warmup_steps", "warmup_ratio", "weight_decay", "optim")
        yield "printed: " + ", ".join(f"{name} {card.find_setting(name) or _NOT_SAID}" for name in printed)
    if card.engine_run:
        yield "this card was written by engine train, so its section What Ran is what ran:"
        yield from (f"  {fact}" for fact in card.engine_run.facts)
    if not legacy.is_fit:
        return
    yield "The printed learning rate and schedule are very probably not what ran: this card was written by model.fit()."
    yield f"  Signs: {'; '.join(legacy.signs)}."
    yield (
        "  fit() makes an optimizer and a schedule of its own; the card prints settings that were not used. The "
        f"defaults of fit() are AdamW, a peak learning rate of {FIT_RATE:g}, weight decay {FIT_DECAY:g}, and "
        f"{FIT_WARMUP:,} warm-up steps, then a linear decrease."
    )
    if steps and steps.total is not None and legacy.highest_rate is not None:
        highest = f"{legacy.highest_rate:.1e}".replace("e-0", "e-")
        factor = legacy.printed_rate / legacy.highest_rate if legacy.printed_rate and legacy.highest_rate else None
        times = f", {factor:.0f} times less than printed" if factor else ""
        still = "the warm-up never ended: " if steps.total < FIT_WARMUP else ""
        n_steps = pluralize(steps.total, "step")
        yield f"  With these defaults and {n_steps} {still}the highest rate was {highest}{times}."


def _describe_loss(
    card: ModelCard, floor: LossFloor | None, log: Sequence[LossInterval], legacy: LegacyFit, *, is_short: bool
) -> Iterator[str]:
    """Yield what the logged losses are, and how they compare with the floor."""
    if card.losses:
        yield f"loss: {', '.join(card.losses)}"
    for row in log[:_MAX_LINES]:
        yield (
            f"{row.loss:g}, logged at step {row.step:,}, is the mean over steps {row.first_step:,} to {row.step:,}, "
            f"not the loss at step {row.step:,}"
        )
    if len(log) > _MAX_LINES:
        yield (
            f"{pluralize(len(log) - _MAX_LINES, 'more line')} of the log, the last {log[-1].loss:g} at step "
            f"{log[-1].step:,}"
        )
    if card.losses and not log:
        yield f"values of the training loss: {_NOT_SAID}"
    if floor is None:
        return
    yield (
        f"floor: labels have the mean {floor.label_mean:g}. A model that has learned nothing, and gives every pair "
        f"this cosine, has a mean squared error of {floor.at_most:.4g} (less if some labels lie between the ends)."
    )
    if log:
        yield from _compare_with_floor(log[-1], floor, legacy, is_short=is_short)


def _compare_with_floor(last: LossInterval, floor: LossFloor, legacy: LegacyFit, *, is_short: bool) -> Iterator[str]:
    """Yield what the last logged loss means."""
    start = f" Training starts near {floor.at_zero:.2g} if cosines are near 0." if floor.at_zero is not None else ""
    if last.loss > floor.at_most * (1 + _FLOOR_TOLERANCE):
        yield (
            f"{last.loss:g} is above the floor: over these steps the model did worse than a constant.{start} "
            "The mean includes the first steps, so the loss fell slowly, towards that of a constant."
        )
        if legacy.is_fit and last.first_step == 1 and is_short:
            yield _MEASURED
    elif last.loss < floor.at_most * (1 - _FLOOR_TOLERANCE):
        shortcut = " With a column this short, that may be a label read from the column alone." if is_short else ""
        yield f"{last.loss:g} is below the floor: the model learned something that separates labels.{shortcut}"
    else:
        yield f"{last.loss:g} is at the floor: the model learned nothing but the mean of the labels."


def _describe_settings(card: ModelCard, removed: Sequence[str], changed: Sequence[ChangedDefault]) -> Iterator[str]:
    """Yield what has changed in the libraries since."""
    if not card.hyperparameters:
        return
    version = read_version("transformers")
    library = f"the installed transformers {version}" if version else "transformers 5.24"
    settings = pluralize(len(card.hyperparameters), "setting")
    yield f"{settings} printed, {len(card.non_default):,} of them not the default"
    if removed:
        names = pluralize(len(removed), "name")
        yield f"{names} no longer accepted by {library} (leave them out): {', '.join(removed)}"
    for default in changed:
        yield f"{default.name}: {default.then} then, today {default.now}"


def _describe_repeating(card: ModelCard, legacy: LegacyFit, commands: Sequence[str]) -> Iterator[str]:
    """Yield what is missing for a repetition, and the nearest command."""
    yield "not exactly. Missing are:"
    if card.engine_run:
        yield f"  - the pairs: {RECORD} has only the SHA-256 of what was read"
    elif not card.training or any(not part.link for part in card.training):
        yield "  - the pairs: the card names no public data set, and shows three rows at most"
    else:
        links = ", ".join(part.link for part in card.training)
        yield f"  - the pairs as they were: {links} may have changed since"
    seed = card.find_setting("seed")
    order = f"seed {seed} shuffles row numbers, not texts" if seed else "nor is a seed given"
    yield f"  - the order of the rows: {order}"
    if legacy.is_fit:
        yield "  - the arguments of fit(): learning rate, warm-up and weight decay"
    if not card.base_revision:
        yield "  - the revision of the base model"
    versions = ", ".join(" ".join(version) for version in card.versions[:4])
    machine = f"besides {versions}" if versions else "and all versions"
    yield f"  - the machine: kind and number of devices ({machine}); sums in another order give other weights"
    if commands and card.engine_run:
        yield f"The nearest, with the settings in {RECORD}:"
        yield from (f"  {command}" for command in commands)
    elif commands:
        yield "The nearest, with your own PAIRS (sentence_0, sentence_1, label):"
        yield from (f"  {command}" for command in commands)
    else:
        yield "No method of engine train has this loss and these settings; engine train --help lists the methods."
