"""Read the card that sentence-transformers writes for a model. Whatever a card does not say is None or empty."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from engine.collect.text.stream import open_source
from engine.errors import SourceError
from engine.files import decode
from engine.train.modelcard.cardtext import (
    CardSection,
    CardTable,
    find_code,
    parse_bullets,
    parse_front_matter,
    parse_tables,
    split_front_matter,
    split_sections,
    strip_comments,
    strip_markup,
)

_MAX_BYTES = 8 << 20  # cards are a few hundred KB at most
_LIBRARY = "sentence-transformers"
_TITLES = (  # of sections that only such cards have
    "model description",
    "full model architecture",
    "training dataset",
    "training datasets",
    "training hyperparameters",
    "training logs",
    "framework versions",
)
_NUMBER = re.compile(r"-?\d[\d,]{0,20}(?:\.\d{1,20})?(?:[eE][-+]?\d{1,3})?")
_MAX_NUMBER = 1e15
_STATISTIC = re.compile(r"(min|mean|max): (-?[\d.]{1,20}(?:[eE][-+]?\d{1,3})?)(?: (\w+))?")


@dataclass(frozen=True, slots=True)
class ColumnStatistics:
    """The spread of a column in the first rows."""

    unit: str  # "tokens" (special tokens included), "characters", "" for numbers
    low: float
    mean: float
    high: float


@dataclass(frozen=True, slots=True)
class CardColumn:
    """A column of a data set."""

    name: str
    statistics: ColumnStatistics | None
    samples: tuple[str, ...]  # values that the card shows


@dataclass(frozen=True, slots=True)
class CardDataset:
    """A data set that was trained or evaluated on."""

    use: str  # "training" or "evaluation"
    name: str  # "Unnamed Dataset" if it has none
    link: str  # of a named data set; "" otherwise
    size: int | None  # rows
    n_described: int | None  # first rows, which the statistics describe
    columns: tuple[CardColumn, ...]
    loss: str  # class name; "" if not said


@dataclass(frozen=True, slots=True)
class LogRow:
    """A line of the training log."""

    epoch: float | None
    step: int | None
    loss: float | None  # of training


@dataclass(frozen=True, slots=True)
class _FitCall:
    """The call of fit() that cards before version 3 print."""

    steps_per_epoch: int | None
    batch_size: int | None
    loss: str
    settings: tuple[tuple[str, str], ...]  # arguments; those of the optimizer too


@dataclass(frozen=True, slots=True)
class _EngineRun:
    """The section "What Ran" that ``engine train`` writes into its cards."""

    method: str
    facts: tuple[str, ...]  # its bullets


@dataclass(frozen=True, slots=True)
class ModelCard:
    """The contents of a model card."""

    name: str  # of the file
    tags: tuple[str, ...]
    base_model: str | None
    base_revision: str | None
    description: tuple[tuple[str, str], ...]  # "Output Dimensionality": "384 dimensions" …
    datasets: tuple[CardDataset, ...]
    non_default: tuple[tuple[str, str], ...]  # hyperparameters
    hyperparameters: tuple[tuple[str, str], ...]  # all printed ones
    log: tuple[LogRow, ...]
    metrics: tuple[tuple[str, str], ...]
    versions: tuple[tuple[str, str], ...]
    fit: _FitCall | None
    engine_run: _EngineRun | None  # None: not a card of engine train

    def find_setting(self, name: str) -> str | None:
        """Return a hyperparameter as printed; None if it is not."""
        return dict((*self.non_default, *self.hyperparameters)).get(name)

    @property
    def training(self) -> tuple[CardDataset, ...]:
        """The data sets that were trained on."""
        return tuple(part for part in self.datasets if part.use == "training")

    @property
    def losses(self) -> tuple[str, ...]:
        """Class names of the losses, each once."""
        names = [part.loss for part in self.training] + [self.fit.loss if self.fit else ""]
        tagged = [tag.removeprefix("loss:") for tag in self.tags if tag.startswith("loss:")]
        return tuple(dict.fromkeys(filter(None, names))) or tuple(tagged)


def read_card(path: Path) -> ModelCard:
    """Read a model card, or the README.md of a model's folder.

    Raises:
        SourceError: the file is missing, too large, or not such a card.
    """
    path = path / "README.md" if path.is_dir() else path
    with open_source(path) as stream:
        raw = stream.read(_MAX_BYTES + 1)
    if len(raw) > _MAX_BYTES:
        raise SourceError(f"{path} has more than {_MAX_BYTES:,} bytes, too many for a model card. Expected a README.md")
    return _parse_card(decode(raw)[0].lstrip("\ufeff").replace("\r\n", "\n"), str(path))


def _parse_card(text: str, name: str) -> ModelCard:
    """Parse the text of a card.

    Raises:
        SourceError: it has none of the sections of such cards.
    """
    head, rest = split_front_matter(text)
    front = dict(parse_front_matter(head))
    parts = split_sections(strip_comments(rest))
    fit = _parse_fit_call(parts)
    titles = {part.title.casefold() for part in parts}
    if (
        fit is None
        and not titles & set(_TITLES)
        and _LIBRARY not in (*front.get("tags", ()), *front.get("library_name", ()))
    ):
        raise SourceError(
            f"{name} is not a model card of {_LIBRARY}: found none of the sections Model Description, Training "
            "Dataset, Training Hyperparameters, Training Logs or Framework Versions. Expected the README.md of a model"
        )
    description = tuple(
        (key, strip_markup(value)) for key, value in parse_bullets(_find_lines(parts, "model description"))
    )
    revision = re.search(r"<!-- at revision (\w{1,64}) -->", rest)
    base = front.get("base_model", ()) or tuple(value for key, value in description if key == "Base model")
    return ModelCard(
        name=name,
        tags=front.get("tags", ()),
        base_model=base[0] if base else None,
        base_revision=revision[1] if revision else None,
        description=description,
        datasets=tuple(_parse_datasets(parts)),
        non_default=parse_bullets(_find_lines(parts, "non-default hyperparameters")),
        hyperparameters=parse_bullets(_find_lines(parts, "all hyperparameters")),
        log=tuple(_parse_log(parse_tables(_find_lines(parts, "training logs")))),
        metrics=tuple(_parse_metrics(parts)),
        versions=parse_bullets(_find_lines(parts, "framework versions")),
        fit=fit,
        engine_run=_parse_engine_run(_find_lines(parts, "what ran")),
    )


def _parse_engine_run(lines: Sequence[str]) -> _EngineRun | None:
    """Parse the section "What Ran"; None if these lines are not by engine train."""
    made_by = re.search(r"^Made by `engine train --method (\w{1,20})`", "\n".join(lines), re.MULTILINE)
    facts = tuple(strip_markup(line.removeprefix("* ")) for line in lines if line.startswith("* "))
    return _EngineRun(made_by[1], facts) if made_by else None


def _find_lines(parts: Sequence[CardSection], title: str) -> tuple[str, ...]:
    """Return the lines of the first section with this title; empty if there is none."""
    return next((part.lines for part in parts if part.title.casefold() == title), ())


def parse_number(text: str) -> float | None:
    """Return the first number in a text; None if there is none, or it is beyond 1e15."""
    match = _NUMBER.search(text)
    value = float(match[0].replace(",", "")) if match else math.nan
    return value if abs(value) < _MAX_NUMBER else None


def parse_whole(text: str) -> int | None:
    """Return the first number in a text as an integer."""
    value = parse_number(text)
    return None if value is None else int(value)


def _find_below(parts: Sequence[CardSection], titles: Sequence[str]) -> Iterator[CardSection]:
    """Yield the sections with one of these titles and those below them."""
    level = 0
    for part in parts:
        if part.title.casefold() in titles:
            level = part.level
            yield part
        elif level and part.level > level:
            yield part
        else:
            level = 0


def _parse_datasets(parts: Sequence[CardSection]) -> Iterator[CardDataset]:
    """Yield the data sets of a card in order."""
    for use in ("training", "evaluation"):
        for part in _find_below(parts, (f"{use} dataset", f"{use} datasets")):
            values = dict(parse_bullets(part.lines))
            if "Size" in values or "Columns" in values or "Loss" in values:
                yield _parse_dataset(use, part, values)


def _parse_dataset(use: str, part: CardSection, values: dict[str, str]) -> CardDataset:
    """Parse the data set of a section."""
    described = re.search(r"based on the first ([\d,]{1,15}) samples", "\n".join(part.lines))
    link = re.search(r"\]\((https://\S{1,300})\)", values.get("Dataset", ""))
    return CardDataset(
        use=use,
        name=strip_markup(part.title),
        link=link[1] if link else "",
        size=parse_whole(values.get("Size", "")),
        n_described=parse_whole(described[1]) if described else None,
        columns=tuple(_parse_columns(values.get("Columns", ""), list(parse_tables(part.lines)))),
        loss=strip_markup(values.get("Loss", "").split(" with ")[0]).rsplit(".", 1)[-1],
    )


def _parse_columns(names: str, printed: Sequence[CardTable]) -> Iterator[CardColumn]:
    """Yield the named columns, described by the two tables of a data set: statistics and samples."""
    described = next((table for table in printed if "details" in table.get_column("")), None)
    shown = next((table for table in printed if table is not described), None)
    for name in re.findall(r"<code>([^<]{1,200})</code>", names):
        about = dict(zip(described.get_column(""), described.get_column(name), strict=False)) if described else {}
        yield CardColumn(name, _parse_statistics(about.get("details", "")), shown.get_column(name) if shown else ())


def _parse_statistics(details: str) -> ColumnStatistics | None:
    """Parse the least, mean and greatest value of a column, or whole numbers with their shares; None if not said."""
    parts = {key: (parse_number(value), unit) for key, value, unit in _STATISTIC.findall(details)}
    low, mean, high = (parts.get(key, (None, ""))[0] for key in ("min", "mean", "max"))
    if low is not None and mean is not None and high is not None:
        return ColumnStatistics(parts["mean"][1], low, mean, high)
    shares = re.findall(r"<li>(-?\d{1,9}): ~?(\d{1,3}(?:\.\d{1,4})?)%</li>", details)
    total = sum(float(percent) for _, percent in shares)
    if not total:
        return None
    values = [int(value) for value, _ in shares]
    return ColumnStatistics("", min(values), sum(int(v) * float(p) for v, p in shares) / total, max(values))


def _parse_log(log: Iterable[CardTable]) -> Iterator[LogRow]:
    """Yield the lines of a training log."""
    for table in log:
        for row in table.rows:
            values = {
                key.casefold(): value
                for key, cell in zip(table.header, row, strict=True)
                if (value := parse_number(cell) if cell[:1].isdigit() or cell[:1] == "-" else None) is not None
            }
            epoch, step, loss = (values.pop(key, None) for key in ("epoch", "step", "training loss"))
            yield LogRow(epoch, None if step is None else int(step), loss)


def _parse_metrics(parts: Sequence[CardSection]) -> Iterator[tuple[str, str]]:
    """Yield (name, value) of every metric of the evaluation."""
    for part in _find_below(parts, ("metrics",)):
        for table in parse_tables(part.lines):
            yield from zip(table.get_column("metric"), table.get_column("value"), strict=False)


def _parse_fit_call(parts: Sequence[CardSection]) -> _FitCall | None:
    """Parse the call of fit() in a card before version 3; None if there is none."""
    lines = _find_lines(parts, "training")
    place = next((i for i, text in enumerate(lines) if text.startswith("Parameters of the fit()-Method")), None)
    if place is None:
        return None
    above = "\n".join(lines[:place])
    length, batch = re.search(r"of length (\d{1,12})", above), re.search(r"'batch_size': (\d{1,9})\b", above)
    loss = re.search(r"\*\*Loss\*\*:\s+`([\w.]{1,200})", above)
    try:
        arguments = json.loads("\n".join(find_code(lines[place:])))
    except (ValueError, RecursionError):
        arguments = {}
    arguments = arguments if isinstance(arguments, dict) else {}
    optimizer = arguments.get("optimizer_params")
    flat = arguments | (optimizer if isinstance(optimizer, dict) else {})
    return _FitCall(
        steps_per_epoch=int(length[1]) if length else None,
        batch_size=int(batch[1]) if batch else None,
        loss=loss[1].rsplit(".", 1)[-1] if loss else "",
        settings=tuple((key, str(value)) for key, value in flat.items() if not isinstance(value, dict | list)),
    )
