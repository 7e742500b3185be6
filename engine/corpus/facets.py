"""Facets: the years, journals and other names of a corpus, with the number of records for each."""

from __future__ import annotations

import heapq
from collections import Counter
from operator import itemgetter

from engine.corpus.storage.store import Corpus

Counted = tuple[tuple[str, int], ...]  # (name, records), most frequent first, then by name


_LOWER = {letter: letter + 32 for letter in range(ord("A"), ord("Z") + 1)}  # what SQLite's NOCASE ignores


def count_years(corpus: Corpus) -> tuple[tuple[int, int], ...]:
    """Return (year, records), earliest year first; records without a year are not counted."""
    sql = (
        "SELECT year, count(*) FROM abstracts WHERE year IS NOT NULL AND id NOT IN (SELECT id FROM dead) GROUP BY year"
    )
    counts: Counter[int] = Counter()
    for rows in corpus.read_each(sql):
        counts.update(dict(map(tuple, rows)))
    return tuple(sorted(counts.items()))


def read_years_and_journals(corpus: Corpus) -> list[tuple[int, str]]:
    """Return (year, journal) of every record, by doc id; 0 and "" if unknown."""
    rows = corpus.read_live("SELECT id, coalesce(year, 0), journal FROM abstracts")
    return [(row[1], row[2]) for row in sorted(rows, key=itemgetter(0))]


def count_names(corpus: Corpus, kind: str, most: int) -> Counted:
    """Return the `most` most frequent names of a kind ("journal", "mesh", "type" …).

    Names that differ only in the case of ASCII letters are one, written as in the oldest segment.
    """
    sql = (
        "SELECT t.value, count(*) FROM terms t JOIN members m ON m.term_id = t.id"
        " WHERE t.kind = ? AND m.doc_id NOT IN (SELECT id FROM dead) GROUP BY t.id"
    )
    names: dict[str, str] = {}
    counts: Counter[str] = Counter()
    for value, n in (row for rows in corpus.read_each(sql, kind) for row in rows):
        folded = value.translate(_LOWER)
        names.setdefault(folded, value)
        counts[folded] += n
    best = heapq.nsmallest(most, counts.items(), key=lambda pair: (-pair[1], pair[0]))
    return tuple((names[folded], n) for folded, n in best)
