"""Resolution of record ids, PMIDs, DOIs and ids of other sources to doc ids."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from engine.accessions import name_accession
from engine.corpus.storage.values import bind_text, dump_json_array
from engine.identifiers import find_printed_id, strip_doi, strip_doi_address, strip_pmid

if TYPE_CHECKING:
    from engine.corpus.storage.store import Corpus


# What a key may be, with its form: SELECT doc id, n, order of the candidates. The first rule with a match wins, and of
# its matches the first in their order.
_BY_ID = "SELECT a.id, v.key AS n, a.id AS place FROM json_each(?) v CROSS JOIN abstracts a ON"
_BY_CONTRIBUTION = "SELECT c.doc_id, v.key AS n, c.id AS place FROM json_each(?) v CROSS JOIN contributions c ON"
_BY_PART = "SELECT p.joined, v.key AS n, p.id AS place FROM json_each(?) v CROSS JOIN parts p ON"
_Rules = tuple[tuple[str, Callable[[str], str]], ...]
_RULES: _Rules = (
    (f"{_BY_ID} a.record_id = v.value", str.strip),
    (f"{_BY_ID} a.record_id = v.value", strip_doi_address),
    (f"{_BY_ID} a.pmid = v.value", strip_pmid),
    (f"{_BY_ID} a.doi = v.value COLLATE NOCASE", strip_doi),
    (f"{_BY_ID} a.record_id = v.value", name_accession),
    (f"{_BY_CONTRIBUTION} c.own_id = v.value", strip_doi_address),
    (f"{_BY_PART} p.pmid = v.value", strip_pmid),
    (f"{_BY_PART} p.doi = v.value COLLATE NOCASE", strip_doi),
    # As copied from a PDF or typed on an East Asian keyboard:
    (f"{_BY_ID} a.record_id = v.value", lambda text: strip_doi_address(find_printed_id(text))),
    (f"{_BY_ID} a.pmid = v.value", lambda text: strip_pmid(find_printed_id(text))),
    (f"{_BY_ID} a.doi = v.value COLLATE NOCASE", lambda text: strip_doi(find_printed_id(text))),
)


# The same for the ids that list_cited_ids reads in a list of references: each is of one kind, and looked up as that.
_CITED_RULES: _Rules = (
    (f"{_BY_ID} a.pmid = v.value", lambda text: _get_of_kind(text, "PMID:")),
    (f"{_BY_ID} a.doi = v.value COLLATE NOCASE", lambda text: _get_of_kind(text, "DOI:")),
    (f"{_BY_ID} a.record_id = v.value", str),
    (f"{_BY_CONTRIBUTION} c.own_id = v.value", str),
    (f"{_BY_PART} p.pmid = v.value", lambda text: _get_of_kind(text, "PMID:")),
    (f"{_BY_PART} p.doi = v.value COLLATE NOCASE", lambda text: _get_of_kind(text, "DOI:")),
)


def _get_of_kind(text: str, kind: str) -> str:
    """Return an id without its kind; "" for one of another kind."""
    return text.removeprefix(kind) if text.startswith(kind) else ""


def resolve_ids(corpus: Corpus, record_ids: Sequence[str]) -> list[int | None]:
    """Return the doc id of each record id, None if there is no such record. Runs one statement for each rule needed.

    Raises:
        CorruptError: SQLite found the file damaged.
    """
    return _apply_rules(corpus, record_ids, _RULES)


def resolve_cited_ids(corpus: Corpus, cited_ids: Sequence[str]) -> list[int | None]:
    """Return the doc id of each id of `list_cited_ids`, None if there is no such record.

    Raises:
        CorruptError: SQLite found the file damaged.
    """
    return _apply_rules(corpus, cited_ids, _CITED_RULES)


def _apply_rules(corpus: Corpus, record_ids: Sequence[str], rules: _Rules) -> list[int | None]:
    """Return the doc id of each id by the first rule with a match."""
    doc_ids: list[int | None] = [None] * len(record_ids)
    for select, form in rules:
        left = [n for n, doc_id in enumerate(doc_ids) if doc_id is None]
        if not left:
            break
        values = dump_json_array([bind_text(form(record_ids[n])) for n in left])
        best: dict[int, tuple[int, int]] = {}
        for doc_id, n, place in corpus.read_live(select, values):
            best[n] = min(best.get(n, (place, doc_id)), (place, doc_id))
        for n, (_, doc_id) in best.items():
            doc_ids[left[n]] = doc_id
    return doc_ids
