"""The order of records by a field: the year, the first author, the journal, or when they were added."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from engine.corpus.storage.idsets import find_among
from engine.corpus.storage.store import Corpus
from engine.corpus.words.folding import split_words
from engine.records.generation import DocIds

_COLUMNS = {
    "year": "year",
    "author": "json_extract(authors, '$[0]')",
    "journal": "journal",
    "added": "first_generation",
}
_FEW = 50_000  # records whose values are read by their ids; for more, the whole column is read


def order_ids(corpus: Corpus, doc_ids: DocIds, field: str, *, descending: bool) -> DocIds:
    """Return doc ids in the order of a field, int64 (n,); those without a value come last, equal ones by id.

    Names are compared by their folded words, without case, accents and punctuation.

    field: "year", "author" (the first one), "journal" or "added" (the generation of the record).
    """
    filled: list[tuple[int | str, int]] = []
    empty: list[int] = []
    for doc_id, value in _read_values(corpus, _COLUMNS[field], np.sort(doc_ids)):
        key = " ".join(split_words(value)) if isinstance(value, str) else value
        if key in (None, ""):
            empty.append(doc_id)
        else:
            filled.append((key, doc_id))
    filled.sort(key=lambda pair: pair[0], reverse=descending)  # stable: equal keys stay in the order of their ids
    return np.array([*(doc_id for _, doc_id in filled), *empty], np.int64)


def _read_values(corpus: Corpus, column: str, doc_ids: DocIds) -> Iterable[tuple[int, int | str | None]]:
    """Return (doc id, value) of records (ids ascending), by id."""
    if len(doc_ids) <= _FEW:
        return (tuple(row) for row in corpus.read_by_ids(column, doc_ids.tolist()))
    rows = corpus.read_live(f"SELECT id, {column} FROM abstracts")
    inside = find_among(np.array([row[0] for row in rows], np.int64), doc_ids)
    return sorted(
        (tuple(row) for row, is_in in zip(rows, inside.tolist(), strict=True) if is_in), key=lambda row: row[0]
    )
