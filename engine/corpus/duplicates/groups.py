"""Search for records that may be the same work under several ids. Candidates share a key; pairs are then scored."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations

from engine.corpus.duplicates.likeness import (
    Likeness,
    RecordFacts,
    compare_records,
    find_family_name,
    find_first_page,
    join_words,
    list_titles,
)
from engine.corpus.storage.store import Corpus

_PROPOSED = 0.5  # score from which records are proposed
_POSSIBLE = 0.02  # score without the abstracts from which the abstracts are compared too
_TOLERATED = 0.1  # least score of any two records of one group
_EDGE = 18  # letters of the beginning and the end of a title
_CROWD = 12  # records of one key that are all compared with each other
_NEAR = 6  # in a larger crowd, records are compared with so many that follow them by title
_COLUMNS = "record_id, title, vernacular_title, year, authors, pmid, doi, journal, volume, issue, pages"


@dataclass(frozen=True, slots=True)
class Group:
    """Records that look like one work, oldest first."""

    name: str  # from the ids of its members, so that it means the same group in every generation
    score: float  # of the least certain link
    same: tuple[str, ...]  # facts that agree wherever two of them are known
    other: tuple[str, ...]  # facts that differ between some of them
    members: tuple[RecordFacts, ...]


@dataclass(frozen=True, slots=True)
class _Link:
    """Two candidates that look like one work."""

    one: int  # doc id
    other: int
    likeness: Likeness


def find_duplicates(corpus: Corpus, apart: Iterable[frozenset[int]] = ()) -> list[Group]:
    """Find groups of two or more records that are more likely one work than not, by the first member.

    apart: pairs of doc ids that a person has decided to keep apart. The work grows with the number of records, not
    with its square: only records that share a title, the edge of a title, a DOI, a page, or first author and year are
    compared.
    """
    rows = {row.doc_id: row for row in _read_facts(corpus)}
    kept_apart = set(apart)
    pairs = [pair for pair in _find_pairs(rows.values()) if frozenset(pair) not in kept_apart]
    links = [
        _Link(*pair, likeness) for pair, likeness in _score_pairs(corpus, rows, pairs) if likeness.score >= _PROPOSED
    ]
    groups = [_build_group(rows, members, chosen) for members, chosen in _join_links(rows, links, kept_apart)]
    return sorted(groups, key=lambda group: group.members[0].doc_id)


def _read_facts(corpus: Corpus) -> Iterator[RecordFacts]:
    """Yield every record, by doc id."""
    for row in corpus.read_all(_COLUMNS):
        values = dict(zip(_COLUMNS.split(", "), tuple(row)[1:], strict=True))
        yield RecordFacts(row["id"], **{**values, "authors": tuple(json.loads(values["authors"]))})


def name_group(record_ids: Iterable[str]) -> str:
    """Return the name of the group of these records: eight hexadecimal digits, whatever their order."""
    return hashlib.sha256("\n".join(sorted(record_ids)).encode("utf-8")).hexdigest()[:8]


def _find_pairs(rows: Iterable[RecordFacts]) -> list[tuple[int, int]]:
    """Return the pairs of doc ids that share a key, each once, ascending."""
    crowds: dict[tuple[str, ...], list[RecordFacts]] = {}
    for row in rows:
        for key in set(_list_keys(row)):
            crowds.setdefault(key, []).append(row)
    pairs: set[tuple[int, int]] = set()
    for crowd in crowds.values():
        if len(crowd) > _CROWD:
            crowd.sort(key=lambda row: (join_words((list_titles(row) or [""])[0]), row.year or 0, row.doc_id))
            reach = [(row, other) for n, row in enumerate(crowd) for other in crowd[n + 1 : n + 1 + _NEAR]]
        else:
            reach = list(combinations(crowd, 2))
        pairs.update((min(a.doc_id, b.doc_id), max(a.doc_id, b.doc_id)) for a, b in reach)
    return sorted(pairs)


def _list_keys(row: RecordFacts) -> Iterator[tuple[str, ...]]:
    """Yield the keys of a record; records of one work share at least one of them."""
    author = find_family_name(row.authors[0]) if row.authors else ""
    for title in map(join_words, list_titles(row)):
        yield "title", title
        yield "start", title[:_EDGE]
        yield "end", title[-_EDGE:]
    if row.doi:
        yield "doi", row.doi.casefold()
    if row.pmid:
        yield "pmid", row.pmid
    if author and row.year:
        yield "author", author, str(row.year)
    if page := find_first_page(row.pages):
        yield "page", page, row.volume
        yield "page of author", page, author


def _score_pairs(
    corpus: Corpus, rows: dict[int, RecordFacts], pairs: Sequence[tuple[int, int]]
) -> Iterator[tuple[tuple[int, int], Likeness]]:
    """Yield the likeness of each pair that is possible without its abstracts, with them."""
    possible = [(one, other) for one, other in pairs if compare_records(rows[one], rows[other]).score >= _POSSIBLE]
    for start in range(0, len(possible), 500):
        page = possible[start : start + 500]
        texts = {
            doc_id: record.abstract for doc_id, record in corpus.fetch(sorted({n for p in page for n in p})).items()
        }
        for one, other in page:
            yield (one, other), compare_records(rows[one], rows[other], (texts[one], texts[other]))


def _join_links(
    rows: dict[int, RecordFacts], links: Sequence[_Link], apart: set[frozenset[int]]
) -> Iterator[tuple[list[int], list[_Link]]]:
    """Yield the members of each group with its links. The surest links join first.

    Two groups are not joined if any record of one contradicts a record of the other, so that a record between two works
    does not make them one.
    """
    clusters = {doc_id: [doc_id] for link in links for doc_id in (link.one, link.other)}
    joined: dict[int, list[_Link]] = {}
    for link in sorted(links, key=lambda link: (-link.likeness.points, link.one, link.other)):
        mine, theirs = clusters[link.one], clusters[link.other]
        if mine is not theirs and all(_can_join(rows[a], rows[b], apart) for a in mine for b in theirs):
            mine += theirs
            clusters |= dict.fromkeys(theirs, mine)
            mine_links = joined.pop(id(theirs), [])
            joined.setdefault(id(mine), []).extend([*mine_links, link])
    for members in {id(cluster): cluster for cluster in clusters.values() if len(cluster) > 1}.values():
        yield sorted(members), joined[id(members)]


def _can_join(one: RecordFacts, other: RecordFacts, apart: set[frozenset[int]]) -> bool:
    """Return whether nothing keeps two records out of one group."""
    pair = frozenset((one.doc_id, other.doc_id))
    return pair not in apart and compare_records(one, other).score >= _TOLERATED


def _build_group(rows: dict[int, RecordFacts], members: list[int], links: Sequence[_Link]) -> Group:
    """Build a group from its members and the links that joined them."""
    other = list(dict.fromkeys(fact for link in links for fact in link.likeness.other))
    same = list(dict.fromkeys(fact for link in links for fact in link.likeness.same if fact not in other))
    candidates = tuple(rows[doc_id] for doc_id in members)
    score = round(min(link.likeness.score for link in links), 3)
    return Group(name_group(row.record_id for row in candidates), score, tuple(same), tuple(other), candidates)
