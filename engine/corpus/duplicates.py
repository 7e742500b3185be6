"""Search for records that may be the same work under several ids. It lists them and never merges them."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from engine.corpus.merging.merge import normalise_title
from engine.corpus.storage.store import Corpus

SHORT = 4  # words; many works share titles like "Editorial" and "Reply to the authors"


@dataclass(frozen=True, slots=True)
class _DuplicateCandidate:
    """The values of a record that are compared."""

    doc_id: int
    record_id: str
    title: str
    year: int | None
    author: str  # normalised family name of the first author; "" if unknown
    pmid: str | None
    doi: str | None
    journal: str


@dataclass(frozen=True, slots=True)
class Group:
    """Records that look like the same work, oldest first."""

    why: str  # "title, year, first author" or "DOI"
    members: tuple[_DuplicateCandidate, ...]


def find_duplicates(corpus: Corpus) -> list[Group]:
    """Find groups of two or more records with the same normalised title, year and first author, or the same DOI.

    A missing year or author matches any other, unless the title is short. Ordered by the first member.
    """
    rows = list(_read_candidates(corpus))
    by_title: dict[str, list[_DuplicateCandidate]] = {}
    by_doi: dict[str, list[_DuplicateCandidate]] = {}
    for row in rows:
        if title := normalise_title(row.title):
            by_title.setdefault(title, []).append(row)
        if row.doi:
            by_doi.setdefault(row.doi.lower(), []).append(row)
    groups = [
        Group("title, year, first author", members)
        for title, candidates in by_title.items()
        for members in _split_agreeing(title, candidates)
    ]
    known = {tuple(member.doc_id for member in group.members) for group in groups}
    shared = (tuple(group) for group in by_doi.values() if len(group) > 1)
    groups += [Group("DOI", group) for group in shared if tuple(member.doc_id for member in group) not in known]
    return sorted(groups, key=lambda group: (group.members[0].doc_id, group.why))


def _read_candidates(corpus: Corpus) -> Iterator[_DuplicateCandidate]:
    """Yield every record, by doc id, reading a thousand at a time."""
    last = -1
    columns = "id, record_id, title, year, authors, pmid, doi, journal"
    while rows := corpus.read_rows(f"SELECT {columns} FROM abstracts WHERE id > ? ORDER BY id LIMIT 1000", last):
        for row in rows:
            names = json.loads(row["authors"])
            author = _find_family_name(names[0]) if names else ""
            yield _DuplicateCandidate(
                row["id"], row["record_id"], row["title"], row["year"], author, row["pmid"], row["doi"], row["journal"]
            )
        last = rows[-1]["id"]


def _find_family_name(author: str) -> str:
    """Return the normalised family name of "Last, First", "First Last" or "Last F.".

    >>> [_find_family_name(name) for name in ("Müller, Jörg", "Jörg Müller", "Müller J.", "Müller JK", "WHO")]
    ['muller', 'muller', 'muller', 'muller', 'who']
    """
    if "," in author:
        return normalise_title(author.split(",")[0])
    words = author.split()
    initials = len(words) > 1 and words[-1].replace(".", "").replace("-", "").isupper() and len(words[-1]) <= 5
    return normalise_title(" ".join(words[:-1]) if initials else (words[-1] if words else ""))


def _split_agreeing(title: str, rows: list[_DuplicateCandidate]) -> Iterator[tuple[_DuplicateCandidate, ...]]:
    """Split records of one title into groups whose years and first authors agree; yield those of two or more."""
    groups: dict[tuple[int | None, str], list[_DuplicateCandidate]] = {}
    for row in rows:
        groups.setdefault((row.year, row.author), []).append(row)
    if len(title.split()) < SHORT:
        joined = [group for (year, author), group in groups.items() if year and author]
    else:
        joined = _join_groups(list(groups.values()))
    yield from (tuple(sorted(group, key=lambda row: row.doc_id)) for group in joined if len(group) > 1)


def _join_groups(groups: list[list[_DuplicateCandidate]]) -> list[list[_DuplicateCandidate]]:
    """Merge each group without a year or author into the first group that agrees with it."""
    joined: list[list[_DuplicateCandidate]] = []
    for group in sorted(groups, key=lambda g: (not g[0].year) + (not g[0].author)):  # complete ones first
        match = next((members for members in joined if all(_is_agreeing(group[0], row) for row in members)), None)
        if match is None:
            joined.append(list(group))
        else:
            match.extend(group)
    return joined


def _is_agreeing(row: _DuplicateCandidate, other: _DuplicateCandidate) -> bool:
    """Return whether the years and first authors of two records are equal as far as they are known."""
    pairs: Iterable[tuple[object, object]] = ((row.year, other.year), (row.author, other.author))
    return all(not value or not other_value or value == other_value for value, other_value in pairs)
