"""Pairs of texts to train on, read from files and checked: a table of text columns, with a label where there is one."""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from engine.errors import SourceError, UsageError
from engine.train.pairfiles import Cells, read_cells

SCHEMES = (  # names of the two text columns, in small letters; the first scheme that a header has is taken
    ("sentence_0", "sentence_1"),  # as fit() of sentence-transformers names them
    ("sentence1", "sentence2"),
    ("sentence_a", "sentence_b"),
    ("sentence_1", "sentence_2"),
    ("text1", "text2"),
    ("anchor", "positive"),
    ("query", "positive"),
    ("query", "document"),
    ("query", "passage"),
    ("query", "answer"),
    ("question", "answer"),
    ("premise", "hypothesis"),
    ("title", "abstract"),
    ("title", "body"),
    ("conclusion", "objective"),
)
FURTHER = re.compile(r"negative(_\d+)?|sentence_([2-9]|\d{2,})")  # more text columns beside the two
LABELS = ("label", "score")
EXPECTED = "sentence_0 and sentence_1, sentence1 and sentence2, or anchor and positive"
SHOWN = 60  # characters of a value in a message


@dataclass(frozen=True, slots=True)
class PairTable:
    """Rows of two or more texts, in the order of the files."""

    name: str  # of the first file, without its folder, and how many more
    columns: tuple[str, ...]  # names of the text columns, in small letters
    texts: tuple[tuple[str, ...], ...]  # a tuple for each column, texts as they came
    labels: NDArray[np.float32] | None  # (n,) in [0, 1]; None: the files have none
    sha256: str  # of columns, texts and labels, in order

    @property
    def n_rows(self) -> int:
        """How many rows."""
        return len(self.texts[0])


def read_pairs(paths: Sequence[Path], need_label: bool) -> PairTable:
    """Read pairs from CSV, TSV, JSON lines (each plain or gzip) or Parquet files that have the same columns.

    Columns of any other name are left out. Labels are read wherever there are any; that they differ is checked only
    where they are needed. A text may be empty. Fails with SourceError, naming file, line and column, for what can't be
    read.

    Raises:
        UsageError: no file is named.
        SourceError: the files have different columns.
    """
    if not paths:
        raise UsageError("no file of pairs is named, expected one or more: CSV, TSV, JSONL or Parquet")
    parts = [read_cells(path, lambda name, header: chosen(name, header, need_label)) for path in paths]
    first = parts[0]
    for part in parts:
        refuse_empty(part)
        if plain(part.columns) != plain(first.columns):
            raise SourceError(
                f"{part.name} has the columns {listed(part.columns)}, {first.name} has {listed(first.columns)}. "
                "Read files of one kind at a time"
            )
    columns = plain(first.columns)
    n_texts = len(columns) - (columns[-1] in LABELS)
    texts = tuple(tuple(text for part in parts for text in checked_texts(part, column)) for column in range(n_texts))
    labels = np.concatenate([checked_labels(part) for part in parts]) if n_texts < len(columns) else None
    name = Path(first.name).name + (f" and {len(parts) - 1} more" if len(parts) > 1 else "")
    if need_label and labels is not None:
        refuse_one_class(name, first.columns[-1], labels)
    return PairTable(name, columns[:n_texts], texts, labels, digest(columns[:n_texts], texts, labels))


def plain(columns: Sequence[str]) -> tuple[str, ...]:
    """Names of columns without regard to case."""
    return tuple(column.strip().lower() for column in columns)


def listed(columns: Sequence[str]) -> str:
    """Names of columns for a message."""
    return ", ".join(column.strip()[:SHOWN] for column in columns[:8]) + (", …" if len(columns) > 8 else "")


def chosen(name: str, header: Sequence[str], need_label: bool) -> tuple[str, ...]:
    """The columns to read, as the header spells them: texts, then the label.

    Raises:
        SourceError: no two text columns, no label where one is needed, or two columns of one name.
    """
    names = plain(header)
    scheme = next((pair for pair in SCHEMES if set(pair) <= set(names)), None)
    if scheme is None:
        raise SourceError(f"{name}: no two columns of texts among {listed(header) or 'none'}. Expected {EXPECTED}")
    labels = [label for label in LABELS if label in names]
    if need_label and not labels:
        raise SourceError(f"{name}: no column label or score among {listed(header)}. Expected numbers from 0 to 1")
    if len(labels) > 1:
        raise SourceError(f"{name}: a column label and a column score. Leave out the one that is not meant")
    further = [one for one in names if FURTHER.fullmatch(one) and one not in scheme]
    wanted = (*scheme, *further, *labels)
    if twice := [one for one, count in Counter(names).items() if count > 1 and one in wanted]:
        raise SourceError(f"{name}: two columns are named {twice[0]!r}. Rename one")
    return tuple(header[names.index(one)] for one in wanted)


def refuse_empty(part: Cells) -> None:
    """Refuse a file without rows.

    Raises:
        SourceError: it has none.
    """
    if not part.places:
        raise SourceError(f"{part.name}: a header and no rows below it, expected pairs")


def checked_texts(part: Cells, column: int) -> Iterator[str]:
    """Yield the texts of a column.

    Raises:
        SourceError: a value that is no text.
    """
    for row, value in enumerate(part.values[column]):
        if not isinstance(value, str):
            found = "no value (null)" if value is None else f"{str(value)[:SHOWN]} ({type(value).__name__})"
            raise SourceError(f"{part.at(row, column)}: {found}, expected a text in quotation marks")
        yield value


def checked_labels(part: Cells) -> NDArray[np.float32]:
    """The last column as numbers in [0, 1]: (n,).

    Raises:
        SourceError: a value that is no number, or one outside.
    """
    values = part.values[-1]
    found = np.fromiter((number(value) for value in values), np.float64, len(values))
    bad = np.flatnonzero(~((found >= 0) & (found <= 1)))  # NaN is neither
    if bad.size:
        row = int(bad[0])
        value = "no value" if values[row] in (None, "") else repr(values[row])[:SHOWN]
        raise SourceError(f"{part.at(row, len(part.columns) - 1)}: {value}, expected a number from 0 to 1")
    return found.astype(np.float32)


def number(value: object) -> float:
    """A label as a number; NaN for what is none, truth values among it."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return float("nan")
    try:
        return float("nan" if isinstance(value, str) and "_" in value else value)
    except (ValueError, OverflowError):
        return float("nan")


def refuse_one_class(name: str, column: str, labels: NDArray[np.float32]) -> None:
    """Refuse labels that say nothing.

    Raises:
        SourceError: all are equal.
    """
    if labels.min() == labels.max():
        raise SourceError(
            f"{name}, column {column!r}: every label is {labels[0]:g}, so there is nothing to tell apart. "
            "Add pairs with other labels"
        )


def digest(columns: tuple[str, ...], texts: tuple[tuple[str, ...], ...], labels: NDArray[np.float32] | None) -> str:
    """SHA-256 of everything in a table: names, then each text with its length, then labels as little-endian float32."""
    content = hashlib.sha256("\0".join(columns).encode())
    for column in texts:
        for text in column:
            raw = text.encode("utf-8", "surrogatepass")
            content.update(b"%d:" % len(raw))
            content.update(raw)
    if labels is not None:
        content.update(labels.astype("<f4").tobytes())
    return content.hexdigest()
