"""Resolution of record ids, PMIDs, DOIs and ids of other sources to doc ids."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from engine.accessions import name_accession
from engine.corpus.storage.values import bind_text, dump_json_array
from engine.identifiers import strip_doi, strip_doi_address, strip_pmid

if TYPE_CHECKING:
    from engine.corpus.storage.store import Corpus


_RULES: tuple[tuple[str, Callable[[str], str]], ...] = (
    ("SELECT id FROM abstracts WHERE record_id = v.value", str.strip),
    ("SELECT id FROM abstracts WHERE record_id = v.value", strip_doi_address),
    ("SELECT id FROM abstracts WHERE pmid = v.value ORDER BY id LIMIT 1", strip_pmid),
    ("SELECT id FROM abstracts WHERE doi = v.value COLLATE NOCASE ORDER BY id LIMIT 1", strip_doi),
    ("SELECT id FROM abstracts WHERE record_id = v.value", name_accession),
    ("SELECT doc_id FROM contributions WHERE own_id = v.value ORDER BY id LIMIT 1", strip_doi_address),
    ("SELECT joined FROM parts WHERE pmid = v.value ORDER BY id LIMIT 1", strip_pmid),
    ("SELECT joined FROM parts WHERE doi = v.value COLLATE NOCASE ORDER BY id LIMIT 1", strip_doi),
)  # the first rule with a match wins


def resolve_ids(corpus: Corpus, record_ids: Sequence[str]) -> list[int | None]:
    """Return the doc id of each record id, None if there is no such record. Runs one statement for each rule needed.

    Raises:
        CorruptError: SQLite found the file damaged.
    """
    doc_ids: list[int | None] = [None] * len(record_ids)
    for select, form in _RULES:
        left = [n for n, doc_id in enumerate(doc_ids) if doc_id is None]
        if not left:
            break
        values = dump_json_array([bind_text(form(record_ids[n])) for n in left])
        (result,) = corpus.read_rows(f"SELECT json_group_array(({select})) FROM json_each(?) v", values)[0]
        for n, doc_id in zip(left, json.loads(result), strict=True):
            doc_ids[n] = doc_id
    return doc_ids
