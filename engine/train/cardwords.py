"""The sentences of a card's explanation on what is used: model, data, settings, and what a repetition lacks."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from engine.records import many
from engine.train.cardfacts import SPECIAL, Legacy, ShortColumn
from engine.train.cardparts import CardDataset
from engine.train.findings import share
from engine.train.installed import Moved, installed_version
from engine.train.modelcard import Card

NOT_SAID = "not said in the card"
DESCRIBED = ("Maximum Sequence Length", "Output Dimensionality", "Similarity Function")


def about_model(card: Card) -> Iterator[str]:
    """Yield what was trained."""
    revision = f" at revision {card.base_revision}" if card.base_revision else ""
    yield f"base model: {f'{card.base_model}{revision}' if card.base_model else NOT_SAID}"
    said = dict(card.description)
    yield from (f"{name.lower()}: {said.get(name) or NOT_SAID}" for name in DESCRIBED)
    yield f"libraries: {', '.join(' '.join(one) for one in card.versions) or NOT_SAID}"
    if card.metrics:
        yield f"evaluation: {', '.join(' '.join(one) for one in card.metrics[:8])}"


def about_data(card: Card, short: Sequence[ShortColumn]) -> Iterator[str]:
    """Yield what was trained on, and which columns have next to nothing in them."""
    for one in card.training:
        yield described(one)
    for column in short:
        yield from degenerate(column)


def described(one: CardDataset) -> str:
    """A data set in one line."""
    rows = f"{one.size:,} rows" if one.size is not None else f"rows {NOT_SAID}"
    columns = []
    for column in one.columns:
        found = column.statistics
        unit = f" {found.unit}" if found and found.unit else ""
        spread = f" ({found.low:g} to {found.high:g}{unit}, mean {found.mean:g})" if found else ""
        columns.append(f"{column.name}{spread}")
    looked = f"; statistics of the first {one.n_looked_at:,} rows" if one.n_looked_at else ""
    named = f"{one.name} ({one.link})" if one.link else one.name
    return f"{named}: {rows}; {', '.join(columns) or 'columns ' + NOT_SAID}{looked}"


def degenerate(column: ShortColumn) -> Iterator[str]:
    """Yield what a column of very short texts is, and what it does."""
    found = column.statistics
    words = int(found.high) - SPECIAL
    empty = ", some of them empty" if found.low <= SPECIAL else ""
    seen = f" Shown are: {', '.join(map(repr, column.samples))}." if column.samples else ""
    yield (
        f"{column.name} has next to nothing in it: at most {many(max(0, words), 'token')} beside the {SPECIAL} special "
        f"ones{empty}.{seen}"
    )
    if column.longest and column.shortest and found.high > found.low:
        yield (
            f"  By the mean of {found.mean:g} tokens, texts of {found.high:g} tokens are {between(column.longest)} of "
            f"the rows, texts of {found.low:g} are {between(column.shortest)}."
        )
    yield (
        "  So few different texts give a model nothing to compare: every text of the other column is drawn to the same "
        "few vectors, and all cosines rise. Whether the label can be read off this column the card can't tell; the "
        "pairs can: engine train PAIRS --recipe seed --check"
    )


def between(part: tuple[float, float]) -> str:
    """A share of which only the ends are known."""
    low, high = share(part[0]), share(part[1])
    return low if low == high else f"between {low} and {high}"


def about_settings(card: Card, gone: Sequence[str], moved: Sequence[Moved]) -> Iterator[str]:
    """Yield what has changed in the libraries since."""
    if not card.hyperparameters:
        return
    used = installed_version("transformers")
    which = f"the installed transformers {used}" if used else "transformers 5.24"
    yield f"{many(len(card.hyperparameters), 'setting')} printed, {len(card.non_default):,} of them not the default"
    if gone:
        yield f"{many(len(gone), 'name')} no longer known to {which} (leave them out): {', '.join(gone)}"
    for one in moved:
        yield f"{one.name}: {one.then} then, today {one.now}"


def about_repeating(card: Card, fitted: Legacy, nearest: Sequence[str]) -> Iterator[str]:
    """Yield what is missing for a repetition, and which command comes nearest."""
    yield "not exactly. Missing are:"
    unnamed = [one for one in card.training if not one.link]
    if unnamed or not card.training:
        yield "  - the pairs: the card names no data set that could be had, and shows three rows at most"
    else:
        named = ", ".join(one.link for one in card.training)
        yield f"  - the pairs as they were: {named} may have changed since"
    seed = card.setting("seed")
    order = f"seed {seed} shuffles numbers of rows, not texts" if seed else "nor is a seed given"
    yield f"  - the order of the rows: {order}"
    if fitted.is_fit:
        yield "  - the arguments that fit() was given: learning rate, warm-up and weight decay"
    if not card.base_revision:
        yield "  - the revision of the base model"
    machine = (
        f"besides {', '.join(' '.join(one) for one in card.versions[:4])}" if card.versions else "and all versions"
    )
    yield f"  - the machine: kind and number of devices ({machine}); the same sums in another order are other weights"
    if nearest:
        yield "The nearest, with your own PAIRS (sentence_0, sentence_1, label):"
        yield from (f"  {command}" for command in nearest)
    else:
        yield "No recipe of engine train has this loss and these settings; engine train --help tells which there are."
