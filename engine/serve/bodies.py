"""Answers as JSON: the keys of `engine search --answer`, with the index that gave them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any
from urllib.parse import urlencode

from engine.queries import Answer
from engine.query.searcher import Index
from engine.records import Abstract
from engine.references.fields import answer_fields, hit_fields, record_fields
from engine.reindex.history import last_night
from engine.serve.limits import MAX_DEPTH


def as_bytes(content: object) -> bytes:
    """JSON in UTF-8; never NaN. What UTF-8 can't hold, half a character of a query, becomes a question mark."""
    return json.dumps(content, ensure_ascii=False, allow_nan=False).encode("utf-8", "replace")


def answered(index: Index, answer: Answer, changes: Sequence[str] = ()) -> dict[str, Any]:
    """An answer with its hits and all that is stored of them; changes says of each what is new about it."""
    rows = [
        hit_fields(hit) | record_fields(record)
        for hit, record in zip(answer.hits, index.records(answer.hits), strict=True)
    ]
    rows = [{"change": change, **row} for change, row in zip(changes, rows, strict=True)] if changes else rows
    return {"index": index.folder.path.resolve().name} | answer_fields(answer, rows)


def next_page(path: str, pairs: Sequence[tuple[str, str]], answer: Answer) -> str | None:
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
    fields = asdict(record)
    del fields["version"], fields["revised"]  # of one source, not of the record
    return {
        "index": index.folder.path.resolve().name,
        "generation": index.generation,
        "record": {"id": fields.pop("record_id"), **fields},
        "sources": [asdict(said) for said in index.sources(record.record_id)],
    }


def status_object(index: Index, problem: str) -> dict[str, Any]:
    """What is served of one index; problem says why a newer generation is not, "" where there is none."""
    manifest, path = index.manifest, index.folder.path
    night = last_night(path)
    encoder = asdict(manifest.encoder) | {"fingerprint": manifest.encoder.fingerprint}
    counts = manifest.counts
    return {
        "index": path.resolve().name,
        "generation": manifest.generation,
        "created": manifest.created,
        "newest_source": manifest.newest_source,
        "abstracts": counts.abstracts,
        "truncated": counts.truncated,
        "without_abstract": counts.without_abstract,
        "retracted": counts.retracted,
        "encoder": encoder,
        "metric": manifest.metric,
        "factory": manifest.factory,
        "recall": manifest.ann.recall if manifest.ann else None,
        "last_night": asdict(night) if night else None,
        "problem": problem,
    }
