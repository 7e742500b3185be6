"""What a model card means: for a person in plain sentences, for a program as the numbers behind them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from engine.train.cardfacts import (
    Floor,
    Legacy,
    Logged,
    ShortColumn,
    Steps,
    legacy,
    logged,
    loss_floor,
    short_columns,
    steps,
)
from engine.train.cardwords import NOT_SAID, about_data, about_model, about_repeating, about_settings
from engine.train.installed import GONE, MOVED, Moved, installed_settings
from engine.train.losswords import about_loss, about_schedule, about_steps
from engine.train.modelcard import Card

REPEATABLE = "CosineSimilarityLoss"  # the loss of the recipe seed


@dataclass(frozen=True, slots=True)
class Topic:
    """A few sentences on one thing."""

    title: str
    lines: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Explanation:
    """A card explained."""

    card: str  # the file
    steps: Steps | None
    log: tuple[Logged, ...]
    floor: Floor | None
    legacy: Legacy
    short_columns: tuple[ShortColumn, ...]
    gone: tuple[str, ...]  # settings that the installed libraries no longer take
    moved: tuple[Moved, ...]  # settings whose default is another one today
    commands: tuple[str, ...]  # that come nearest to the training of the card
    topics: tuple[Topic, ...]


def explain(card: Card) -> Explanation:
    """Explain a card as far as it goes; what it does not say is said to be missing."""
    found = steps(card)
    log, short = tuple(logged(card.log, found)), tuple(short_columns(card))
    floor, fitted = loss_floor(card), legacy(card, found)
    gone, moved, nearest = gone_settings(card), moved_defaults(card), commands(card, fitted)
    topics = (
        ("Model", about_model(card)),
        ("Data", about_data(card, short)),
        ("Steps", about_steps(card, found, log)),
        ("Learning rate and schedule", about_schedule(card, found, fitted)),
        ("Loss", about_loss(card, floor, log, fitted, is_short=bool(short))),
        ("Settings", about_settings(card, gone, moved)),
        ("Can it be repeated?", about_repeating(card, fitted, nearest)),
    )
    told = tuple(Topic(title, tuple(lines) or (NOT_SAID,)) for title, lines in topics)
    return Explanation(card.name, found, log, floor, fitted, short, gone, moved, nearest, told)


def text_lines(found: Explanation) -> Iterator[str]:
    """Yield the lines of an explanation for a terminal."""
    for place, topic in enumerate(found.topics):
        if place:
            yield ""
        yield topic.title
        yield from (f"  {line}" for line in topic.lines)


def gone_settings(card: Card) -> tuple[str, ...]:
    """Names on the card that the installed libraries do not take; where these are missing, those known to be gone."""
    names = tuple(dict.fromkeys(name for name, _ in card.hyperparameters))
    there = installed_settings()
    return tuple(name for name in names if (name in GONE if there is None else name not in there))


def moved_defaults(card: Card) -> tuple[Moved, ...]:
    """Settings that the card has at a default that is another one today."""
    return tuple(moved for moved in MOVED if card.setting(moved.name) == moved.then)


def commands(card: Card, fitted: Legacy) -> tuple[str, ...]:
    """The commands that come nearest to the card's training, the most likely one first; none for another loss."""
    if card.losses != (REPEATABLE,):
        return ()
    readings = ("fit", "printed") if fitted.is_fit or card.fit else ("printed",)
    return tuple(f"engine train PAIRS --recipe seed --reading {reading}" for reading in readings)
