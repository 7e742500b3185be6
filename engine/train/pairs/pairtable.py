"""Tables of pairs, read from files and checked: two or more columns of texts, and a label if there is one."""

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
from engine.train.pairs.cells import PairCells, read_cells

_SCHEMES = (  # names of the two text columns, in lower case; the first pair that a header has is used
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
_FURTHER = re.compile(r"negative(_\d+)?|sentence_([2-9]|\d{2,})")  # more text columns beside the two
_LABELS = ("label", "score")
_EXPECTED = "sentence_0 and sentence_1, sentence1 and sentence2, or anchor and positive"
_MAX_SHOWN = 60  # characters of a value in a message


@dataclass(frozen=True, slots=True)
class PairTable:
    """Rows of two or more texts, in the order of the files."""

    name: str  # of the first file, without its folder, and the number of further files
    columns: tuple[str, ...]  # names of the text columns, in lower case
    texts: tuple[tuple[str, ...], ...]  # a tuple for each column, texts as read
    labels: NDArray[np.float32] | None  # (n,) in [0, 1]; None: the files have none
    sha256: str  # of columns, texts and labels, in order

    @property
    def n_rows(self) -> int:
        """Number of rows."""
        return len(self.texts[0])


def read_pairs(paths: Sequence[Path], need_label: bool) -> PairTable:
    """Read pairs from CSV, TSV, JSON lines (each plain or gzip) or Parquet files that have the same columns.

    Other columns are ignored. Labels are read whenever a file has them, but must differ only if need_label is set. A
    text may be empty. Fails with SourceError, naming file, line and column, if a value can't be read.

    Raises:
        UsageError: paths is empty.
        SourceError: the files have different columns.
    """
    if not paths:
        raise UsageError("no file of pairs given, expected one or more: CSV, TSV, JSONL or Parquet")
    parts = [read_cells(path, lambda name, header: _choose_columns(name, header, need_label)) for path in paths]
    first = parts[0]
    for part in parts:
        _refuse_empty(part)
        if _normalise_names(part.columns) != _normalise_names(first.columns):
            raise SourceError(
                f"{part.name} has the columns {_format_names(part.columns)}, {first.name} has "
                f"{_format_names(first.columns)}. Give only files with the same columns"
            )
    columns = _normalise_names(first.columns)
    n_texts = len(columns) - (columns[-1] in _LABELS)
    texts = tuple(tuple(text for part in parts for text in _check_texts(part, column)) for column in range(n_texts))
    labels = np.concatenate([_check_labels(part) for part in parts]) if n_texts < len(columns) else None
    name = Path(first.name).name + (f" and {len(parts) - 1} more" if len(parts) > 1 else "")
    if need_label and labels is not None:
        _refuse_one_class(name, first.columns[-1], labels)
    return PairTable(name, columns[:n_texts], texts, labels, _hash_table(columns[:n_texts], texts, labels))


def _normalise_names(columns: Sequence[str]) -> tuple[str, ...]:
    """Return the names of columns in lower case, without spaces around them."""
    return tuple(column.strip().lower() for column in columns)


def _format_names(columns: Sequence[str]) -> str:
    """List names of columns for a message, eight at most."""
    return ", ".join(column.strip()[:_MAX_SHOWN] for column in columns[:8]) + (", …" if len(columns) > 8 else "")


def _choose_columns(name: str, header: Sequence[str], need_label: bool) -> tuple[str, ...]:
    """Return the columns to read, as the header spells them: texts, then the label.

    Raises:
        SourceError: two text columns or a needed label are missing, or two columns have the same name.
    """
    names = _normalise_names(header)
    scheme = next((pair for pair in _SCHEMES if set(pair) <= set(names)), None)
    if scheme is None:
        raise SourceError(
            f"{name}: no two columns of texts among {_format_names(header) or 'none'}. Expected {_EXPECTED}"
        )
    labels = [label for label in _LABELS if label in names]
    if need_label and not labels:
        raise SourceError(
            f"{name}: no column label or score among {_format_names(header)}. Expected numbers from 0 to 1"
        )
    if len(labels) > 1:
        raise SourceError(f"{name}: has both a column label and a column score. Remove one of them")
    further = [column for column in names if _FURTHER.fullmatch(column) and column not in scheme]
    wanted = (*scheme, *further, *labels)
    if twice := [column for column, count in Counter(names).items() if count > 1 and column in wanted]:
        raise SourceError(f"{name}: two columns are named {twice[0]!r}. Rename one")
    return tuple(header[names.index(column)] for column in wanted)


def _refuse_empty(part: PairCells) -> None:
    """Refuse a file without rows.

    Raises:
        SourceError: the file has only a header.
    """
    if not part.places:
        raise SourceError(f"{part.name}: a header and no rows below it, expected pairs")


def _check_texts(part: PairCells, column: int) -> Iterator[str]:
    """Yield the texts of a column.

    Raises:
        SourceError: a value is not a text.
    """
    for row, value in enumerate(part.values[column]):
        if not isinstance(value, str):
            shown = "no value (null)" if value is None else f"{str(value)[:_MAX_SHOWN]} ({type(value).__name__})"
            raise SourceError(f"{part.format_place(row, column)}: {shown}, expected a text in quotation marks")
        yield value


def _check_labels(part: PairCells) -> NDArray[np.float32]:
    """Return the last column as numbers in [0, 1]: float32 (n,).

    Raises:
        SourceError: a value is not a number, or outside [0, 1].
    """
    values = part.values[-1]
    labels = np.fromiter((_parse_label(value) for value in values), np.float64, len(values))
    bad = np.flatnonzero(~((labels >= 0) & (labels <= 1)))  # NaN is neither
    if bad.size:
        row = int(bad[0])
        value = "no value" if values[row] in (None, "") else repr(values[row])[:_MAX_SHOWN]
        raise SourceError(f"{part.format_place(row, len(part.columns) - 1)}: {value}, expected a number from 0 to 1")
    return labels.astype(np.float32)


def _parse_label(value: object) -> float:
    """Convert a label to a number; NaN if it is not one (booleans are not)."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return float("nan")
    try:
        return float("nan" if isinstance(value, str) and "_" in value else value)
    except (ValueError, OverflowError):
        return float("nan")


def _refuse_one_class(name: str, column: str, labels: NDArray[np.float32]) -> None:
    """Refuse labels that are all equal.

    Raises:
        SourceError: there is only one value.
    """
    if labels.min() == labels.max():
        raise SourceError(
            f"{name}, column {column!r}: every label is {labels[0]:g}, so there is nothing to learn. "
            "Add pairs with other labels"
        )


def _hash_table(
    columns: tuple[str, ...], texts: tuple[tuple[str, ...], ...], labels: NDArray[np.float32] | None
) -> str:
    """Hash a table with SHA-256: names, then each text with its length, then labels as little-endian float32."""
    content = hashlib.sha256("\0".join(columns).encode())
    for column in texts:
        for text in column:
            raw = text.encode("utf-8", "surrogatepass")
            content.update(b"%d:" % len(raw))
            content.update(raw)
    if labels is not None:
        content.update(labels.astype("<f4").tobytes())
    return content.hexdigest()
