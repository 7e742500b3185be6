"""JSON bodies: the keys of `engine search --answer`, with the index and all stored fields of each hit."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any
from urllib.parse import urlencode

from engine.index.generations.folder import IndexFolder
from engine.query.index import Index
from engine.query.seeds.suggestion import list_suggestion_fields
from engine.records.abstract import Abstract
from engine.records.answer import Answer
from engine.references.values.citation import cite_hits
from engine.references.values.fields import list_abstract_fields, list_answer_fields, list_cited_fields
from engine.references.writers.bibliography import format_reference
from engine.reindex.news.savedwatches import build_search, list_watches
from engine.reindex.reports.nights import NIGHTS, Night, read_last_night
from engine.serve.http.limits import MAX_DEPTH
from engine.serve.http.prefix import link

# The full messages name files of the server, which clients must not see.
_PROBLEM = "what is on disk now can't be used; the server's log says why"
_NIGHT_PROBLEM = f"the last line of {NIGHTS}, in the folder of the index, says why"


def dump_bytes(content: object) -> bytes:
    """Return JSON in UTF-8, with "?" for lone surrogates.

    Raises:
        ValueError: the content has NaN or an infinite number.
    """
    return json.dumps(content, ensure_ascii=False, allow_nan=False).encode("utf-8", "replace")


def build_answer_body(index: Index, answer: Answer, changes: Sequence[str] = ()) -> dict[str, Any]:
    """Return the JSON object of an answer; changes, if any, has the kind of change of each hit, in their order."""
    rows = [list_cited_fields(cited) for cited in cite_hits(index, answer)]
    rows = [{"change": change, **row} for change, row in zip(changes, rows, strict=True)] if changes else rows
    return {"index": index.name} | list_answer_fields(answer, rows)


def build_next_path(path: str, pairs: Sequence[tuple[str, str]], answer: Answer) -> str | None:
    """Return the address of the following hits; None if there are none, or they are beyond MAX_DEPTH."""
    query = answer.query
    offset = query.offset + query.top_k
    n = min(query.top_k, MAX_DEPTH - offset)
    if len(answer.hits) < query.top_k or offset >= answer.n_qualified or n < 1:
        return None
    kept = [(name, value) for name, value in pairs if name not in ("offset", "n")]
    return f"{link(path)}?{urlencode([*kept, ('n', n), ('offset', offset)], errors='replace')}"


def build_record_body(index: Index, record: Abstract, cite: str = "") -> dict[str, Any]:
    """Return the JSON object of a record: all its fields, its sources and, if a style is given, its reference."""
    body = {
        "index": index.name,
        "generation": index.generation,
        "record": list_abstract_fields(record),
        "sources": [asdict(source) for source in index.get_sources(record.record_id)],
    }
    return body | ({"citation": format_reference(record, cite)} if cite else {})


def build_suggestion_body(index: Index, known: Sequence[str]) -> dict[str, Any]:
    """Return the JSON object of searches that find known records, with the words and headings that they are made of.

    Raises:
        UsageError: too few or too many are in the index, or nothing tells them from the others.
        AbstractNotFoundError: none is in the index.
    """
    return {"index": index.name} | list_suggestion_fields(index.suggest(known))


def build_status_body(index: Index, problems: Mapping[str, str]) -> dict[str, Any]:
    """Return the status of an index; the keys of problems are the indexes whose newest generation can't be opened."""
    manifest, name = index.manifest, index.name
    names = {"model": manifest.encoder.short_name, "fingerprint": manifest.encoder.fingerprint}
    counts = manifest.counts
    return {
        "index": name,
        "generation": manifest.generation,
        "created": manifest.created,
        "newest_source": manifest.newest_source,
        "abstracts": counts.abstracts,
        "truncated": counts.truncated,
        "without_abstract": counts.without_abstract,
        "retracted": counts.retracted,
        "encoder": asdict(manifest.encoder) | names,
        "metric": manifest.metric,
        "factory": manifest.factory,
        "recall": manifest.ann.recall if manifest.ann else None,
        "last_night": _build_night_body(read_last_night(index.path)),
        "problem": _PROBLEM * (name in problems),
    }


def build_watches_body(index: Index) -> dict[str, Any]:
    """Return the JSON object of the saved questions of an index, with what was reported for each.

    Raises:
        ConfigError: index.toml is not valid.
        CorruptError: what is remembered is damaged.
    """
    watches = [
        fields | {"top_k": watch.most, "search": build_search(watch)}
        for watch, fields in list_watches(IndexFolder(index.path))
    ]
    return {"index": index.name, "generation": index.generation, "watches": watches}


def _build_night_body(night: Night | None) -> dict[str, Any] | None:
    """Return the public fields of a nightly run; None without one."""
    if night is None:
        return None
    fields = ("started", "status", "seconds", "generation")
    return {name: getattr(night, name) for name in fields} | {"error": _NIGHT_PROBLEM * bool(night.problem)}
