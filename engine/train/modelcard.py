"""The card that sentence-transformers writes for a model, read as far as it goes: what is not said is None or empty."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from engine.collect.opening import open_source
from engine.errors import SourceError
from engine.files import decode
from engine.train.cardparts import (
    CardDataset,
    FitCall,
    LogRow,
    datasets,
    fit_call,
    lines_of,
    log_rows,
    metrics,
)
from engine.train.cardtext import (
    bullets,
    code,
    front_matter,
    plain,
    sections,
    split_front_matter,
    tables,
    without_comments,
)

MAX_CARD = 8 << 20  # bytes; cards are a few hundred KB at most
LIBRARY = "sentence-transformers"
KNOWN = (  # titles of sections that only such cards have
    "model description",
    "full model architecture",
    "training dataset",
    "training datasets",
    "training hyperparameters",
    "training logs",
    "framework versions",
)


@dataclass(frozen=True, slots=True)
class Card:
    """What a model card says."""

    name: str  # of the file
    title: str
    tags: tuple[str, ...]
    base_model: str | None
    base_revision: str | None
    description: tuple[tuple[str, str], ...]  # "Output Dimensionality": "384 dimensions" …
    architecture: tuple[str, ...]  # lines
    datasets: tuple[CardDataset, ...]
    non_default: tuple[tuple[str, str], ...]  # hyperparameters
    hyperparameters: tuple[tuple[str, str], ...]  # all that are printed
    log: tuple[LogRow, ...]
    metrics: tuple[tuple[str, str], ...]
    versions: tuple[tuple[str, str], ...]
    fit: FitCall | None

    def setting(self, name: str) -> str | None:
        """A hyperparameter as printed; None where it is not."""
        return dict((*self.non_default, *self.hyperparameters)).get(name)

    @property
    def training(self) -> tuple[CardDataset, ...]:
        """The data sets that were trained on."""
        return tuple(one for one in self.datasets if one.use == "training")

    @property
    def losses(self) -> tuple[str, ...]:
        """Class names of the losses, each once."""
        found = [one.loss for one in self.training] + [self.fit.loss if self.fit else ""]
        tagged = [tag.removeprefix("loss:") for tag in self.tags if tag.startswith("loss:")]
        return tuple(dict.fromkeys(filter(None, found))) or tuple(tagged)


def read_card(path: Path) -> Card:
    """Read a model card, or the README.md of a model's folder.

    Raises:
        SourceError: missing, too large, or no such card.
    """
    path = path / "README.md" if path.is_dir() else path
    with open_source(path) as stream:
        raw = stream.read(MAX_CARD + 1)
    if len(raw) > MAX_CARD:
        raise SourceError(f"{path} has more than {MAX_CARD:,} bytes, so it is no model card. Expected a README.md")
    return parsed(decode(raw)[0].lstrip("\ufeff").replace("\r\n", "\n"), str(path))


def parsed(text: str, name: str) -> Card:
    """Read the text of a card.

    Raises:
        SourceError: no section that such cards have.
    """
    head, rest = split_front_matter(text)
    front = dict(front_matter(head))
    parts = sections(without_comments(rest))
    fit = fit_call(parts)
    titles = {part.title.casefold() for part in parts}
    if (
        fit is None
        and not titles & set(KNOWN)
        and LIBRARY not in (*front.get("tags", ()), *front.get("library_name", ()))
    ):
        raise SourceError(
            f"{name} is not a model card of {LIBRARY}: found none of the sections Model Description, Training Dataset, "
            "Training Hyperparameters, Training Logs or Framework Versions. Expected the README.md of a model"
        )
    description = tuple((key, plain(value)) for key, value in bullets(lines_of(parts, "model description")))
    revision = re.search(r"<!-- at revision (\w{1,64}) -->", rest)
    base = front.get("base_model", ()) or tuple(value for key, value in description if key == "Base model")
    return Card(
        name=name,
        title=next((part.title for part in parts if part.level == 1), ""),
        tags=front.get("tags", ()),
        base_model=base[0] if base else None,
        base_revision=revision[1] if revision else None,
        description=description,
        architecture=code(lines_of(parts, "full model architecture")),
        datasets=tuple(datasets(parts)),
        non_default=bullets(lines_of(parts, "non-default hyperparameters")),
        hyperparameters=bullets(lines_of(parts, "all hyperparameters")),
        log=tuple(log_rows(tables(lines_of(parts, "training logs")))),
        metrics=tuple(metrics(parts)),
        versions=bullets(lines_of(parts, "framework versions")),
        fit=fit,
    )
