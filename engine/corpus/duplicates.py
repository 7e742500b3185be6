"""Records that may be one work under two ids: found, listed, never merged here."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from engine.corpus.merging.merge import normalise_title
from engine.corpus.storage.store import Corpus

SHORT = 4  # words; "Editorial" and "Reply to the authors" are the titles of many works


@dataclass(frozen=True, slots=True)
class _DuplicateCandidate:
    """What is compared of a record."""

    doc_id: int
    record_id: str
    title: str
    year: int | None
    author: str  # family name of the first author, plain; "" where unknown
    pmid: str | None
    doi: str | None
    journal: str


@dataclass(frozen=True, slots=True)
class Group:
    """Records that look like one work, oldest first."""

    why: str  # "title, year, first author" or "DOI"
    members: tuple[_DuplicateCandidate, ...]


def find_duplicates(corpus: Corpus) -> list[Group]:
    """Groups of two or more records with the same title, year and first author after normalising, or the same DOI.

    A year or an author that a record lacks contradicts nothing, unless its title is short. Ordered by the first member.
    """
    rows = list(_read_candidates(corpus))
    by_title: dict[str, list[_DuplicateCandidate]] = {}
    by_doi: dict[str, list[_DuplicateCandidate]] = {}
    for row in rows:
        if title := normalise_title(row.title):
            by_title.setdefault(title, []).append(row)
        if row.doi:
            by_doi.setdefault(row.doi.lower(), []).append(row)
    found = [
        Group("title, year, first author", g) for title, rs in by_title.items() for g in _split_agreeing(title, rs)
    ]
    listed = {tuple(m.doc_id for m in group.members) for group in found}
    shared = (tuple(group) for group in by_doi.values() if len(group) > 1)
    found += [Group("DOI", group) for group in shared if tuple(m.doc_id for m in group) not in listed]
    return sorted(found, key=lambda group: (group.members[0].doc_id, group.why))


def _read_candidates(corpus: Corpus) -> Iterator[_DuplicateCandidate]:
    """Yield every record by doc id, a thousand at a time."""
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
    """The plain family name of "Last, First", "First Last" or "Last F.".

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
        full = [group for (year, author), group in groups.items() if year and author]
    else:
        full = _join_groups(list(groups.values()))
    yield from (tuple(sorted(group, key=lambda row: row.doc_id)) for group in full if len(group) > 1)


def _join_groups(groups: list[list[_DuplicateCandidate]]) -> list[list[_DuplicateCandidate]]:
    """Put groups whose year or author is missing to the first one that they don't contradict."""
    found: list[list[_DuplicateCandidate]] = []
    for group in sorted(groups, key=lambda g: (not g[0].year) + (not g[0].author)):  # the best known first
        home = next((other for other in found if all(_is_agreeing(group[0], row) for row in other)), None)
        if home is None:
            found.append(list(group))
        else:
            home.extend(group)
    return found


def _is_agreeing(one: _DuplicateCandidate, other: _DuplicateCandidate) -> bool:
    """Whether the years and first authors of two records are the same as far as they are known."""
    pairs: Iterable[tuple[object, object]] = ((one.year, other.year), (one.author, other.author))
    return all(not a or not b or a == b for a, b in pairs)
