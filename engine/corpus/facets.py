"""Facets: the years, journals and other names of a corpus, with the number of records for each."""

from __future__ import annotations

from engine.corpus.storage.store import Corpus

Counted = tuple[tuple[str, int], ...]  # (name, records), most frequent first, then by name


def count_years(corpus: Corpus) -> tuple[tuple[int, int], ...]:
    """Return (year, records), earliest year first; records without a year are not counted."""
    sql = "SELECT year, count(*) FROM abstracts WHERE year IS NOT NULL GROUP BY year ORDER BY year"
    return tuple((row[0], row[1]) for row in corpus.read_rows(sql))


def read_years_and_journals(corpus: Corpus) -> list[tuple[int, str]]:
    """Return (year, journal) of every record, by doc id; 0 and "" if unknown."""
    return [
        (row[0], row[1]) for row in corpus.read_rows("SELECT coalesce(year, 0), journal FROM abstracts ORDER BY id")
    ]


def count_names(corpus: Corpus, kind: str, most: int) -> Counted:
    """Return the `most` most frequent names of a kind ("journal", "mesh", "type" …)."""
    sql = (
        "SELECT t.value, count(*) AS n FROM terms t JOIN members m ON m.term_id = t.id WHERE t.kind = ?"
        " GROUP BY t.id ORDER BY n DESC, t.value LIMIT ?"
    )
    return tuple((row[0], row[1]) for row in corpus.read_rows(sql, kind, most))
