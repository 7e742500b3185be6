"""The parts of a model card that say what was trained on and how: data sets, log, metrics, the call of fit()."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from engine.train.cardtext import Section, Table, bullets, code, plain, tables

NUMBER = re.compile(r"-?\d[\d,]{0,20}(?:\.\d{1,20})?(?:[eE][-+]?\d{1,3})?")
BEYOND = 1e15  # no card counts as far
STATISTIC = re.compile(r"(min|mean|max): (-?[\d.]{1,20}(?:[eE][-+]?\d{1,3})?)(?: (\w+))?")


@dataclass(frozen=True, slots=True)
class Statistics:
    """The spread of a column in the first rows."""

    unit: str  # "tokens" (special tokens included), "characters", "" for numbers
    low: float
    mean: float
    high: float


@dataclass(frozen=True, slots=True)
class CardColumn:
    """A column of a data set."""

    name: str
    kind: str  # "string", "float" …; "" where not said
    statistics: Statistics | None
    samples: tuple[str, ...]  # values shown


@dataclass(frozen=True, slots=True)
class CardDataset:
    """A data set that was trained or evaluated on."""

    use: str  # "training" or "evaluation"
    name: str  # "Unnamed Dataset" where it has none
    link: str  # of a named one; "" otherwise
    size: int | None  # rows
    n_looked_at: int | None  # first rows that the statistics are of
    columns: tuple[CardColumn, ...]
    loss: str  # class name; "" where not said
    loss_settings: str  # JSON, as printed


@dataclass(frozen=True, slots=True)
class LogRow:
    """A line of the training log."""

    epoch: float | None
    step: int | None
    loss: float | None  # of training
    others: tuple[tuple[str, float], ...]


@dataclass(frozen=True, slots=True)
class FitCall:
    """The call of fit() that cards before version 3 print."""

    steps_per_epoch: int | None
    batch_size: int | None
    loss: str
    settings: tuple[tuple[str, str], ...]  # arguments; those of the optimizer too


def lines_of(parts: Sequence[Section], title: str) -> tuple[str, ...]:
    """The lines of the first section of this title; none where there is no such section."""
    return next((part.lines for part in parts if part.title.casefold() == title), ())


def number(text: str) -> float | None:
    """The first number in a text; None where there is none, or one beyond 1e15."""
    found = NUMBER.search(text)
    value = float(found[0].replace(",", "")) if found else math.nan
    return value if abs(value) < BEYOND else None


def whole(text: str) -> int | None:
    """The first number in a text as an integer."""
    value = number(text)
    return None if value is None else int(value)


def below(parts: Sequence[Section], titles: Sequence[str]) -> Iterator[Section]:
    """Yield the sections that are below one of these titles, that one included."""
    level = 0
    for part in parts:
        if part.title.casefold() in titles:
            level = part.level
            yield part
        elif level and part.level > level:
            yield part
        else:
            level = 0


def datasets(parts: Sequence[Section]) -> Iterator[CardDataset]:
    """Yield the data sets of a card in order."""
    for use in ("training", "evaluation"):
        for part in below(parts, (f"{use} dataset", f"{use} datasets")):
            said = dict(bullets(part.lines))
            if "Size" in said or "Columns" in said or "Loss" in said:
                yield dataset(use, part, said)


def dataset(use: str, part: Section, said: dict[str, str]) -> CardDataset:
    """One data set of a section."""
    text = "\n".join(part.lines)
    looked_at = re.search(r"based on the first ([\d,]{1,15}) samples", text)
    link = re.search(r"\]\((https://\S{1,300})\)", said.get("Dataset", ""))
    return CardDataset(
        use=use,
        name=plain(part.title),
        link=link[1] if link else "",
        size=whole(said.get("Size", "")),
        n_looked_at=whole(looked_at[1]) if looked_at else None,
        columns=tuple(columns(said.get("Columns", ""), list(tables(part.lines)))),
        loss=plain(said.get("Loss", "").split(" with ")[0]).rsplit(".", 1)[-1],
        loss_settings="\n".join(code(part.lines)),
    )


def columns(said: str, found: Sequence[Table]) -> Iterator[CardColumn]:
    """Yield the columns that are named, with what the two tables of a data set say of them."""
    described = next((table for table in found if "details" in table.column("")), None)
    shown = next((table for table in found if table is not described), None)
    for name in re.findall(r"<code>([^<]{1,200})</code>", said):
        about = dict(zip(described.column(""), described.column(name), strict=False)) if described else {}
        samples = shown.column(name) if shown else ()
        yield CardColumn(name, about.get("type", ""), statistics(about.get("details", "")), samples)


def statistics(details: str) -> Statistics | None:
    """The least, mean and greatest value of a column; of whole numbers with their shares, too. None where not said."""
    found = {key: (number(value), unit) for key, value, unit in STATISTIC.findall(details)}
    low, mean, high = (found.get(key, (None, ""))[0] for key in ("min", "mean", "max"))
    if low is not None and mean is not None and high is not None:
        return Statistics(found["mean"][1], low, mean, high)
    counted = re.findall(r"<li>(-?\d{1,9}): ~?(\d{1,3}(?:\.\d{1,4})?)%</li>", details)
    total = sum(float(percent) for _, percent in counted)
    if not total:
        return None
    values = [int(value) for value, _ in counted]
    return Statistics("", min(values), sum(int(v) * float(p) for v, p in counted) / total, max(values))


def log_rows(found: Iterable[Table]) -> Iterator[LogRow]:
    """Yield the lines of a training log."""
    for table in found:
        for row in table.rows:
            values = {
                key.casefold(): value
                for key, cell in zip(table.header, row, strict=True)
                if (value := number(cell) if cell[:1].isdigit() or cell[:1] == "-" else None) is not None
            }
            epoch, step, loss = (values.pop(key, None) for key in ("epoch", "step", "training loss"))
            yield LogRow(epoch, None if step is None else int(step), loss, tuple(values.items()))


def metrics(parts: Sequence[Section]) -> Iterator[tuple[str, str]]:
    """Yield (name, value) of every metric of the evaluation."""
    for part in below(parts, ("metrics",)):
        for table in tables(part.lines):
            yield from zip(table.column("metric"), table.column("value"), strict=False)


def fit_call(parts: Sequence[Section]) -> FitCall | None:
    """The call of fit() in a card before version 3; None where none is printed."""
    lines = lines_of(parts, "training")
    place = next((i for i, line in enumerate(lines) if line.startswith("Parameters of the fit()-Method")), None)
    if place is None:
        return None
    above = "\n".join(lines[:place])
    length, batch = re.search(r"of length (\d{1,12})", above), re.search(r"'batch_size': (\d{1,9})\b", above)
    loss = re.search(r"\*\*Loss\*\*:\s+`([\w.]{1,200})", above)
    try:
        given = json.loads("\n".join(code(lines[place:])))
    except (ValueError, RecursionError):
        given = {}
    given = given if isinstance(given, dict) else {}
    optimizer = given.get("optimizer_params")
    flat = given | (optimizer if isinstance(optimizer, dict) else {})
    return FitCall(
        steps_per_epoch=int(length[1]) if length else None,
        batch_size=int(batch[1]) if batch else None,
        loss=loss[1].rsplit(".", 1)[-1] if loss else "",
        settings=tuple((key, str(value)) for key, value in flat.items() if not isinstance(value, dict | list)),
    )
