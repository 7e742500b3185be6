"""Citations between records: the ids in lists of references, the records that they are of, and the records that cite.

A list of references is a record's cited_ids: ids, or texts as a source writes them.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Iterator, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING

from engine.accessions import parse_accession
from engine.corpus.storage.resolution import resolve_cited_ids
from engine.deadline import CURRENT
from engine.identifiers import find_dois, find_linked_pmid, find_listed_pmid, parse_openalex_id, parse_pmid

if TYPE_CHECKING:
    from engine.corpus.storage.store import Corpus

_NO_LIST = "[]"
_PAGE = 20_000  # references that are looked up at once
_LONGEST = 4_000  # characters of a reference that are looked at
_WITH_LISTS = "SELECT count(*) FROM abstracts WHERE cited_ids <> '[]' AND id NOT IN (SELECT id FROM dead)"
_NAMES = "SELECT {id}, {columns} FROM {table} WHERE {id} IN (SELECT value FROM json_each(?))"

_CitedIds = tuple[str, ...]


@lru_cache(maxsize=1 << 14)
def list_cited_ids(reference: str) -> _CitedIds:
    """Return the ids of the one work that a reference names, the best-known kind first; () if no id can be read.

    >>> list_cited_ids("PMID:1"), list_cited_ids("Roe A, 2001, KNEE, V1, DOI 10.1000/X"), list_cited_ids("Roe, 2001")
    (('PMID:1',), ('DOI:10.1000/x',), ())
    """
    text = reference[:_LONGEST].strip()
    if text.startswith("PMID:"):  # some lists of PubMed have other numbers in that place
        text = text.removeprefix("PMID:").strip()
        if text.isdecimal():
            return (f"PMID:{pmid}",) if (pmid := parse_pmid(text)) else ()
    if work := parse_openalex_id(text):
        return (work,)
    if pmid := find_listed_pmid(text) or find_linked_pmid(text):
        return (f"PMID:{pmid}", *_list_dois(text))
    if dois := _list_dois(text):
        return dois
    number = parse_accession(text)
    return (number,) if number else ()


def _list_dois(text: str) -> _CitedIds:
    """Return the DOIs of a reference, in lower case, as record ids have them."""
    return tuple(f"DOI:{doi.lower()}" for doi in find_dois(text)) if "10." in text or "%" in text else ()


def count_reference_lists(corpus: Corpus) -> int:
    """Return how many records have a list of references."""
    return sum(int(row[0]) for rows in corpus.read_each(_WITH_LISTS) for row in rows)


def read_references(corpus: Corpus, doc_ids: Sequence[int]) -> dict[int, list[str]]:
    """Return the list of references of each of these records that has one."""
    rows = corpus.read_by_ids("cited_ids", doc_ids)
    return {int(row[0]): json.loads(row[1]) for row in rows if row[1] != _NO_LIST}


def resolve_references(corpus: Corpus, references: Iterable[str]) -> dict[str, int]:
    """Return the doc id of each reference whose work is a record; of several ids of a reference, the first counts."""
    ids = {text: found for text in dict.fromkeys(references) if (found := list_cited_ids(text))}
    distinct = list(dict.fromkeys(one for found in ids.values() for one in found))
    places: dict[str, int] = {}
    for start in range(0, len(distinct), _PAGE):
        page = distinct[start : start + _PAGE]
        pairs = zip(page, resolve_cited_ids(corpus, page), strict=True)
        places |= {one: doc_id for one, doc_id in pairs if doc_id is not None}
    known = ((text, next((places[one] for one in found if one in places), None)) for text, found in ids.items())
    return {text: doc_id for text, doc_id in known if doc_id is not None}


def find_citing(corpus: Corpus, doc_ids: Collection[int]) -> dict[int, set[int]]:
    """Return the records that cite one of these, each with those that it cites. Reads every list of references once."""
    wanted = _name_records(corpus, sorted(doc_ids))
    citing: dict[int, set[int]] = {}
    for page in _split_pages(_find_candidates(corpus, wanted)):
        places = resolve_references(corpus, (text for _, text in page))
        for doc_id, text in page:
            if (cited := places.get(text)) in doc_ids and cited is not None and cited != doc_id:
                citing.setdefault(doc_id, set()).add(cited)
    return citing


def _name_records(corpus: Corpus, doc_ids: Sequence[int]) -> frozenset[str]:
    """Return every id by which a list of references may name these records."""
    asked = json.dumps(list(doc_ids))
    names: set[str] = set()
    for table, key, columns in (
        ("abstracts", "id", "pmid, doi, record_id"),
        ("parts", "joined", "pmid, doi, NULL"),
        ("contributions", "doc_id", "NULL, NULL, own_id"),
    ):
        for _, pmid, doi, own_id in corpus.read_live(_NAMES.format(id=key, columns=columns, table=table), asked):
            names |= {f"PMID:{pmid}"} if pmid else set()
            names |= {f"DOI:{doi.lower()}"} if doi else set()
            names |= {own_id} if own_id else set()
    return frozenset(names)


def _find_candidates(corpus: Corpus, wanted: frozenset[str]) -> Iterator[tuple[int, str]]:
    """Yield (doc id, reference) for each reference of the corpus that has one of these ids."""
    for doc_id, text in corpus.read_all("cited_ids"):
        if text == _NO_LIST:
            continue
        CURRENT.get().check()
        for reference in json.loads(text):
            if not wanted.isdisjoint(list_cited_ids(reference)):
                yield doc_id, reference


def _split_pages(candidates: Iterator[tuple[int, str]]) -> Iterator[list[tuple[int, str]]]:
    """Yield the candidates in pages, so that memory is bounded."""
    page: list[tuple[int, str]] = []
    for candidate in candidates:
        page.append(candidate)
        if len(page) == _PAGE:
            yield page
            page = []
    if page:
        yield page
