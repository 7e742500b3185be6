"""Records, with or without a hit, as keys and values: the objects of JSON, the rows of CSV, TSV and XLSX."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict
from itertools import chain
from typing import Any

from engine.records.abstract import SOURCE_FIELDS, Abstract
from engine.records.answer import SCORE_DECIMALS, Answer, Hit, Why
from engine.records.reranker import RerankerIdentity
from engine.references.values.citation import Cited

_HIT = ("rank", "id", "score", "title", "abstract", "year", "journal", "authors", "pmid", "doi", "retracted")
SCORES = ("fused", "bm25", "semantic_rank", "keyword_rank", "rerank_score")  # None where the search has none
# The fields of a record that its hit lacks.
RECORD = tuple(name for name in SOURCE_FIELDS if name not in (*_HIT, "record_id"))
COLUMNS = (*_HIT, *SCORES, *RECORD)
_RECORD_COLUMNS = tuple(name for name in COLUMNS if name not in ("rank", "score", *SCORES))  # without a search

Cell = str | int | float | None
# What any reader takes for a tab or the end of a line.
BREAKS = re.compile("[\t\n\x0b\x0c\r\x1c-\x1e\x85\u2028\u2029]+")
# What JSON leaves as it is, though it may end a line or act on a terminal.
_CONTROL = re.compile("[\x7f-\x9f\u2028\u2029]")


def list_hit_fields(hit: Hit) -> dict[str, Any]:
    """Return a hit as the keys of JSON, scores to six decimals; scores that its mode lacks are left out."""
    found = {name: simplify_value(getattr(hit, name)) for name in _HIT}
    found |= {name: simplify_value(value) for name in SCORES if (value := getattr(hit, name)) is not None}
    return found if hit.why is None else found | {"why": _list_why_fields(hit.why)}


def list_answer_fields(answer: Answer, rows: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Return an answer as the keys of JSON; rows are its hits from list_hit_fields."""
    return {
        "query": asdict(answer.query),
        "generation": answer.generation,
        "n_qualified": answer.n_qualified,
        "verdict": None if answer.verdict is None else asdict(answer.verdict),
        "notes": list(answer.notes),
        "obstacles": [asdict(obstacle) for obstacle in answer.obstacles],
        "groups": [asdict(group) for group in answer.groups],
        "hits": list(rows),
    } | _list_reranker_fields(answer.reranker)


def _list_reranker_fields(reranker: RerankerIdentity | None) -> dict[str, Any]:
    """Return what names the reranker of an answer as the keys of JSON; none without one."""
    if reranker is None:
        return {}
    return {"reranker": {"model": reranker.short_name, "fingerprint": reranker.fingerprint}}


def _list_why_fields(why: Why) -> dict[str, Any]:
    """Return the explanation of a hit as the keys of JSON."""
    sentences = [asdict(sentence) | {"score": simplify_value(sentence.score)} for sentence in why.sentences]
    return asdict(why) | {"percentile": simplify_value(why.percentile), "sentences": sentences}


def _list_record_fields(record: Abstract) -> dict[str, Any]:
    """Return the fields of a record that its hit lacks."""
    return {name: simplify_value(getattr(record, name)) for name in RECORD}


def list_cited_fields(cited: Cited) -> dict[str, Any]:
    """Return a hit with its record as the keys of JSON; a record without a hit has neither rank nor score."""
    if cited.hit is not None:
        return dict(cited.further) | list_hit_fields(cited.hit) | _list_record_fields(cited.record)
    fields = list_abstract_fields(cited.record)
    return dict(cited.further) | {name: simplify_value(fields[name]) for name in _RECORD_COLUMNS}


def list_abstract_fields(record: Abstract) -> dict[str, Any]:
    """Return a whole record as the keys of JSON, without the version and revision date of one source."""
    fields = asdict(record)
    del fields["version"], fields["revised"]
    return {"id": fields.pop("record_id"), **fields}


def simplify_value(value: Any) -> Any:
    """Return a value for JSON: a float to six decimals, or None if it is not finite; a tuple as a list."""
    if isinstance(value, float):
        return round(value, SCORE_DECIMALS) + 0.0 if math.isfinite(value) else None  # + 0.0: never -0.0
    return list(value) if isinstance(value, tuple) else value


def choose_columns(cited: Iterable[Cited]) -> tuple[tuple[str, ...], Iterator[Cited]]:
    """Return the names of the columns, those of hits unless the first record has none; and the records again."""
    rest = iter(cited)
    first = next(rest, None)
    if first is None:
        return COLUMNS, iter(())
    return _list_columns(first), chain((first,), rest)


def _list_columns(cited: Cited) -> tuple[str, ...]:
    """Return the names of the columns of a record: further ones first."""
    return (*(name for name, _ in cited.further), *(COLUMNS if cited.hit is not None else _RECORD_COLUMNS))


def build_cells(cited: Cited) -> list[Cell]:
    """Return the cells below the columns that choose_columns returns; a list is one text, None is an empty cell."""
    found = list_cited_fields(cited)
    found["retracted"] = int(found["retracted"])
    values = (found.get(name) for name in _list_columns(cited))
    return [_join_items(value) if isinstance(value, list) else value for value in values]


def _join_items(items: Sequence[str]) -> str:
    """Join a list with "; "; return a JSON array where the items could not be split again.

    >>> _join_items(("Knee", "Hip, left")), _join_items(("a; b", "c"))
    ('Knee; Hip, left', '["a; b", "c"]')
    """
    text = "; ".join(items)
    is_plain = all(item == item.strip() and not re.search("[;|]", item) and not BREAKS.search(item) for item in items)
    return text if is_plain and not text.startswith("[") else dump_line(list(items))


def dump_line(content: object) -> str:
    """Return JSON on one line, for any reader's idea of a line end; NaN is refused."""
    text = json.dumps(content, ensure_ascii=False, allow_nan=False)
    return _CONTROL.sub(lambda found: f"\\u{ord(found[0]):04x}", text)
