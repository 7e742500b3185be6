"""Facets: the years, journals and other names of a corpus or of some of its records, with their numbers of records."""

from __future__ import annotations

import heapq
import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from operator import itemgetter

from engine.corpus.schema import KINDS
from engine.corpus.storage.store import Corpus
from engine.records.generation import DocIds

_HEADLINE = 1000  # characters of an abstract that stand for a title
Counted = tuple[tuple[str, int], ...]  # (name, records), most frequent first, then by name


_LOWER = {letter: letter + 32 for letter in range(ord("A"), ord("Z") + 1)}  # what SQLite's NOCASE ignores


def fold_name(name: str) -> str:
    """Return a name as it is compared: without the case of ASCII letters."""
    return name.translate(_LOWER)


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


def read_headlines(corpus: Corpus, doc_ids: Sequence[int]) -> list[str]:
    """Return the title of each of some records, in order; of one without a title, the beginning of the abstract."""
    rows = corpus.read_by_ids(
        f"CASE WHEN title = '' THEN substr(abstract, 1, {_HEADLINE}) ELSE title END AS headline", doc_ids
    )
    found = {row["id"]: row["headline"] for row in rows}
    return [found[doc_id] for doc_id in doc_ids]


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
        folded = fold_name(value)
        names.setdefault(folded, value)
        counts[folded] += n
    best = heapq.nsmallest(most, counts.items(), key=lambda pair: (-pair[1], pair[0]))
    return tuple((names[folded], n) for folded, n in best)


@dataclass(frozen=True, slots=True)
class _Field:
    """Where the values of a field are stored, as SQL."""

    table: str
    value: str
    doc_id: str
    group: str  # rows with the same value
    count: str = "count(*)"  # records of a group
    is_single: bool = True  # whether a record has one value at most


_SOURCES = "(SELECT doc_id, source_id FROM contributions UNION SELECT doc_id, spoken FROM contributions)"
_FIELDS = {
    "year": _Field("abstracts", "year", "id", "year"),
    "first_author": _Field("abstracts", "json_extract(authors, '$[0]')", "id", "1"),
    "source": _Field(
        f"sources s JOIN {_SOURCES} c ON c.source_id = s.id",
        "s.name",
        "c.doc_id",
        "s.name",
        "count(DISTINCT c.doc_id)",  # a file that was read twice is two sources
        is_single=False,
    ),
} | {
    kind: _Field(
        f"terms t JOIN members m ON m.term_id = t.id AND t.kind = '{kind}'",
        "t.value",
        "m.doc_id",
        "t.id",
        is_single=kind == "journal",
    )
    for kind in KINDS
}


def count_values(corpus: Corpus, field: str, doc_ids: DocIds | None = None) -> Counted:
    """Return each value of a field with its number of records, most frequent first, then by name; "" for no value.

    A record counts once for each of its values. Names that differ only in the case of ASCII letters are one.

    field: "year", "first_author", "source" or a kind of name. doc_ids: of live records, to count only these.
    """
    of = _FIELDS[field]
    filled = f"{of.table} WHERE {of.value} <> '' AND {of.doc_id} NOT IN (SELECT id FROM dead)"
    values = () if doc_ids is None else (json.dumps(doc_ids.tolist()),)
    if values:
        # The plus sign has SQLite read all members once, instead of each name for each of the records.
        plus = "" if of.table == "abstracts" else "+"
        filled += f" AND {plus}{of.doc_id} IN (SELECT value FROM json_each(?))"
    names: dict[str, str] = {}
    counts: Counter[str] = Counter()
    for rows in corpus.read_each(f"SELECT {of.value}, {of.count} FROM {filled} GROUP BY {of.group}", *values):
        for value, n in rows:
            folded = fold_name(str(value))
            names.setdefault(folded, str(value))
            counts[folded] += n
    n_filled = sum(counts.values())
    if not of.is_single:
        n_filled = sum(
            rows[0][0] for rows in corpus.read_each(f"SELECT count(DISTINCT {of.doc_id}) FROM {filled}", *values)
        )
    if empty := (len(corpus.read_ids()) if doc_ids is None else len(doc_ids)) - n_filled:
        counts[""], names[""] = empty, ""
    ordered = sorted(counts.items(), key=lambda pair: (-pair[1], pair[0]))
    return tuple((names[folded], n) for folded, n in ordered)
