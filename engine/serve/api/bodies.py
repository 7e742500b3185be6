"""Answers as JSON: the keys of `engine search --answer`, with the index and all that is stored of each hit."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any
from urllib.parse import urlencode

from engine.query.index import Index
from engine.records.abstract import Abstract
from engine.records.answer import Answer
from engine.references.citation import cite_hits
from engine.references.fields import list_abstract_fields, list_answer_fields, list_hit_fields, record_fields
from engine.reindex.nights import NIGHTS, Night, read_last_night
from engine.serve.http.limits import MAX_DEPTH

# What went wrong in full names files of the server, which are nobody's business elsewhere.
_PROBLEM = "a newer generation can't be opened; the server's log says why"
_NIGHT_PROBLEM = f"the last line of {NIGHTS}, in the folder of the index, says why"


def dump_bytes(content: object) -> bytes:
    """JSON in UTF-8; never NaN. What UTF-8 can't hold, half a character of a query, becomes a question mark."""
    return json.dumps(content, ensure_ascii=False, allow_nan=False).encode("utf-8", "replace")


def build_answer_body(index: Index, answer: Answer, changes: Sequence[str] = ()) -> dict[str, Any]:
    """An answer with its hits and all that is stored of them; changes says of each what is new about it."""
    rows = [list_hit_fields(one.hit) | record_fields(one.record) for one in cite_hits(index, answer)]
    rows = [{"change": change, **row} for change, row in zip(changes, rows, strict=True)] if changes else rows
    return {"index": index.name} | list_answer_fields(answer, rows)


def build_next_path(path: str, pairs: Sequence[tuple[str, str]], answer: Answer) -> str | None:
    """The path of the hits that follow; None where there are none, or none that may be asked for."""
    query = answer.query
    offset = query.offset + query.top_k
    n = min(query.top_k, MAX_DEPTH - offset)
    if len(answer.hits) < query.top_k or offset >= answer.n_qualified or n < 1:
        return None
    kept = [(name, value) for name, value in pairs if name not in ("offset", "n")]
    return f"{path}?{urlencode([*kept, ('n', n), ('offset', offset)], errors='replace')}"


def record_object(index: Index, record: Abstract) -> dict[str, Any]:
    """One record whole, and where it comes from."""
    return {
        "index": index.name,
        "generation": index.generation,
        "record": list_abstract_fields(record),
        "sources": [asdict(said) for said in index.get_sources(record.record_id)],
    }


def build_status_body(index: Index, problems: Mapping[str, str]) -> dict[str, Any]:
    """What is served of one index; problems has the names of those of which a newer generation can't be opened."""
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


def _build_night_body(night: Night | None) -> dict[str, Any] | None:
    """Return what clients may know of a nightly run."""
    if night is None:
        return None
    fields = ("started", "status", "seconds", "generation")
    return {name: getattr(night, name) for name in fields} | {"error": _NIGHT_PROBLEM * bool(night.problem)}
