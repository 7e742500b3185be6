"""Many record ids to doc ids at once, by the rules of Corpus.doc_id."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence

from engine.corpus.selections import as_json, bound
from engine.corpus.store import DOI_ADDRESS, Corpus


def as_plain(record_id: str) -> str:
    """An id without spaces around it; a link to a DOI without the address."""
    return DOI_ADDRESS.sub("", record_id.strip())


def as_pmid(record_id: str) -> str:
    """An id without "PMID:"."""
    plain = as_plain(record_id)
    return plain[5:].strip() if plain.upper().startswith("PMID:") else plain.strip()


def as_doi(record_id: str) -> str:
    """An id without "DOI:" or the address of a link."""
    plain = as_plain(record_id)
    return plain[4:].strip() if plain.upper().startswith("DOI:") else plain.strip()


RULES: tuple[tuple[str, Callable[[str], str]], ...] = (
    ("SELECT id FROM abstracts WHERE record_id = v.value", str.strip),
    ("SELECT id FROM abstracts WHERE record_id = v.value", as_plain),
    ("SELECT id FROM abstracts WHERE pmid = v.value ORDER BY id LIMIT 1", as_pmid),
    ("SELECT id FROM abstracts WHERE doi = v.value COLLATE NOCASE ORDER BY id LIMIT 1", as_doi),
    ("SELECT doc_id FROM contributions WHERE own_id = v.value ORDER BY id LIMIT 1", as_plain),
)  # first that finds something counts


def doc_ids_of(corpus: Corpus, record_ids: Sequence[str]) -> list[int | None]:
    """The doc id of each record id, None where nothing goes by it. One statement for each rule that is needed.

    Raises:
        CorruptError: SQLite found the file damaged.
    """
    found: list[int | None] = [None] * len(record_ids)
    for select, form in RULES if corpus.several_sources else RULES[:-1]:
        left = [n for n, doc_id in enumerate(found) if doc_id is None]
        if not left:
            break
        asked = as_json([bound(form(record_ids[n])) for n in left])
        (answer,) = corpus.rows(f"SELECT json_group_array(({select})) FROM json_each(?) v", asked)[0]
        for n, doc_id in zip(left, json.loads(answer), strict=True):
            found[n] = doc_id
    return found
