"""The arrays of a segment: what broad filters select, computed once when the segment is written."""

from __future__ import annotations

import math
import sqlite3
from collections.abc import Iterator, Sequence
from itertools import chain

import numpy as np
from numpy.typing import NDArray

from engine.corpus.selection.clauses import WITH_FULL_TEXT, WITHOUT_ABSTRACT, select_with_key, select_with_terms
from engine.corpus.storage import arrays
from engine.corpus.storage.docsets import Selected
from engine.corpus.storage.store import Corpus
from engine.deadline import CURRENT
from engine.records.generation import DocIds

_LEAST = 10_000  # records of a segment with arrays; in a smaller one, rows are read as fast
_FREQUENT = 1000  # records of a term with an array


def write_arrays(db: sqlite3.Connection) -> None:
    """Write the arrays of a segment whose other tables are complete; a small one gets none."""
    (n,) = db.execute("SELECT count(*) FROM abstracts").fetchone()
    if n < _LEAST:
        return
    db.execute(arrays.CREATE_ARRAYS)
    for name, content in _build_arrays(db):
        db.execute("INSERT INTO main.arrays VALUES (?, ?)", (name, content))


def find_array_problems(corpus: Corpus) -> Iterator[str]:
    """Yield each segment with arrays that do not say what its other tables say."""
    for segment in corpus.segments:
        with segment.database.borrow(CURRENT.get(), math.inf) as db:
            if not db.execute("SELECT 1 FROM sqlite_master WHERE name = 'arrays'").fetchone():
                continue
            left = {row[0] for row in db.execute("SELECT name FROM arrays")}
            wrong = []
            for name, content in _build_arrays(db):
                stored = db.execute("SELECT content FROM arrays WHERE name = ?", (name,)).fetchone()
                wrong += [] if stored and stored[0] == content else [name]
                left.discard(name)
        if wrong := [*wrong, *sorted(left)]:
            yield f"{segment.database.path}: {len(wrong):,} arrays differ from the records, the first is {wrong[0]!r}"


def _build_arrays(db: sqlite3.Connection) -> Iterator[tuple[str, bytes]]:
    """Yield the name and content of each array."""
    ids = np.sort(_read_ids(db, "SELECT id FROM abstracts"))
    yield arrays.IDS, arrays.dump_ids(ids)
    years = arrays.dump_years(*_read_years(db, ids))
    if years is not None:
        yield arrays.YEARS, years
    for selection in _list_kept(db):
        yield selection.array, arrays.dump_flags(np.isin(ids, _read_ids(db, selection.sql, selection.values)))
    for term_id in _read_ids(db, f"SELECT term_id FROM members GROUP BY 1 HAVING count(*) >= {_FREQUENT}").tolist():
        members = _read_ids(db, "SELECT doc_id FROM members WHERE term_id = ?", (term_id,))
        yield arrays.name_term(term_id), arrays.dump_places(np.searchsorted(ids, members))


def _list_kept(db: sqlite3.Connection) -> list[Selected]:
    """Return the selections whose flags are kept."""
    kinds = [row[0] for row in db.execute("SELECT DISTINCT kind FROM terms ORDER BY 1")]
    return [WITHOUT_ABSTRACT, WITH_FULL_TEXT, *map(select_with_key, ("pmid", "doi")), *map(select_with_terms, kinds)]


def _read_years(db: sqlite3.Connection, ids: DocIds) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Return the year of each id, and whether it is known, both (n,)."""
    rows = _read_ids(db, "SELECT id, year FROM abstracts WHERE year IS NOT NULL").reshape(-1, 2)
    years, known = np.zeros(len(ids), np.int64), np.zeros(len(ids), np.bool_)
    places = np.searchsorted(ids, rows[:, 0])
    years[places], known[places] = rows[:, 1], True
    return years, known


def _read_ids(db: sqlite3.Connection, sql: str, values: Sequence[object] = ()) -> DocIds:
    """Return the numbers of a SELECT, row after row, int64."""
    cursor = db.cursor()
    cursor.row_factory = None
    return np.fromiter(chain.from_iterable(cursor.execute(sql, values)), np.int64)
