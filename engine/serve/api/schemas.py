"""JSON Schemas of the parameters and answers of the API, built from the dataclasses of the engine."""

from __future__ import annotations

import math
import types
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import fields, is_dataclass
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from engine.corpus import history
from engine.corpus.flow import Flow, OriginFlow
from engine.corpus.storage.store import RecordSource
from engine.options import Query, ValueKind, YearRange
from engine.query.seeds.suggestion import SeedRecord
from engine.records.abstract import Abstract
from engine.records.answer import AnswerVerdict, Hit, Obstacle, ValueCount
from engine.records.encoder import EncoderIdentity
from engine.references.values.fields import RECORD, SCORES
from engine.reindex.news.savedwatches import CHANGES
from engine.review.report.flow import ScreeningCounts
from engine.serve.request.parameters import BOOLEANS, LARGEST_WHOLE, NUMBERS, Parameter

Schema = dict[str, Any]
_PLAIN: dict[object, str] = {str: "string", int: "integer", float: "number", bool: "boolean", type(None): "null"}
TEXT, WHOLE = {"type": "string"}, {"type": "integer"}
_TYPES = {
    ValueKind.INTEGER: "integer",
    ValueKind.NUMBER: "number",
    ValueKind.SWITCH: "boolean",
    ValueKind.EITHER: "boolean",
}


def _build_schema(kind: Any) -> Schema:
    """Return the schema of a dataclass, a literal, a tuple, a sequence, a mapping of texts, a union or a plain type.

    Raises:
        TypeError: any other type.
    """
    if kind in _PLAIN:
        return {"type": _PLAIN[kind]}
    if is_dataclass(kind):
        hints = get_type_hints(kind)
        return build_object({field.name: _build_schema(hints[field.name]) for field in fields(kind)})
    if get_origin(kind) is Literal:
        return {"type": "string", "enum": list(get_args(kind))}
    if get_origin(kind) in (types.UnionType, Union):
        return {"anyOf": [_build_schema(member) for member in get_args(kind)]}
    if get_origin(kind) is tuple:
        return _build_tuple_schema(get_args(kind))
    if get_origin(kind) in (dict, Mapping):
        return {"type": "object", "additionalProperties": _build_schema(get_args(kind)[1])}
    if get_origin(kind) in (Sequence, list):
        (item,) = get_args(kind)
        return _build_array(_build_schema(YearRange if item == YearRange | str else item))  # years are parsed
    raise TypeError(f"no schema for {kind}")


def _build_tuple_schema(kinds: tuple[Any, ...]) -> Schema:
    """Return the schema of a tuple, of any length or of a fixed one."""
    if kinds[-1] is Ellipsis:
        return _build_array(_build_schema(kinds[0]))
    different = [_build_schema(kind) for kind in dict.fromkeys(kinds)]
    items = different[0] if len(different) == 1 else {"anyOf": different}
    return {"type": "array", "items": items, "minItems": len(kinds), "maxItems": len(kinds)}


def _build_array(items: Schema) -> Schema:
    """Return the schema of a list of any length."""
    return {"type": "array", "items": items}


def build_object(properties: Schema, optional: Iterable[str] = ()) -> Schema:
    """Return the schema of an object with these keys and no others; all but the optional ones are required."""
    required = [name for name in properties if name not in set(optional)]
    return {"type": "object", "properties": properties, "required": required, "additionalProperties": False}


def _allow_null(schema: Schema) -> Schema:
    """Return a schema that also allows null."""
    return {"anyOf": [schema, {"type": "null"}]}


def build_parameter_schema(parameter: Parameter) -> Schema:
    """Return the schema of a parameter: of its value, or of a list of values if it is repeatable."""
    schema: Schema = {"type": _TYPES.get(parameter.kind, "string")}
    if parameter.choices:
        schema["enum"] = list(parameter.choices)
    elif parameter.kind in NUMBERS:
        schema |= _describe_range(parameter)
    elif parameter.kind not in BOOLEANS:
        schema["maxLength"] = parameter.length
    if parameter.default is not None:
        schema["default"] = parameter.default
    return schema if parameter.most == 1 else {"type": "array", "items": schema, "maxItems": parameter.most}


def _describe_range(parameter: Parameter) -> Schema:
    """Return the smallest and the largest number that a parameter may be; a number without an end has none."""
    low, high = parameter.low, parameter.high
    if parameter.kind is ValueKind.INTEGER:
        low, high = max(low, -LARGEST_WHOLE), min(high, LARGEST_WHOLE)
    ends = {"minimum": low, "maximum": high}
    return {name: int(end) if end == int(end) else end for name, end in ends.items() if math.isfinite(end)}


def build_argument_schema(parameter: Parameter) -> Schema:
    """Return the schema of a tool argument: that of the parameter, with a single value allowed instead of a list."""
    schema = build_parameter_schema(parameter)
    if parameter.kind.is_repeatable:
        item = schema["items"]
        if parameter.kind is not ValueKind.NAMES:
            item["type"] = ["string", "integer"]  # a year, a PMID
        schema = {"anyOf": [item, schema]}
    return schema | {"description": parameter.help}


def build_body_schema(parameter: Parameter) -> Schema:
    """Return the schema of a parameter in a JSON body: as of a tool argument; null stands for nothing."""
    return _allow_null(build_argument_schema(parameter))


def build_query_parameter(parameter: Parameter) -> Schema:
    """Return the OpenAPI object of a parameter in the URL."""
    return {
        "name": parameter.name,
        "in": "query",
        "required": parameter.required,
        "description": parameter.help,
        "schema": build_parameter_schema(parameter),
    }


def _build_hit_schema() -> Schema:
    """Return the schema of a hit with all stored fields of its record."""
    own, stored = _build_schema(Hit)["properties"], _build_schema(Abstract)["properties"]
    names: Schema = own | {name: stored[name] for name in RECORD}
    change = {"type": "string", "enum": [history.ADDED, history.TEXT, history.METADATA]}
    return build_object(names | {"change": change}, optional=(*SCORES, "why", "change"))


def _build_answer_schema() -> Schema:
    """Return the schema of an answer."""
    return build_object(
        {
            "index": TEXT,
            "query": _build_schema(Query),
            "generation": WHOLE,
            "n_qualified": WHOLE,
            "verdict": _allow_null(_build_schema(AnswerVerdict)),
            "notes": _build_array(TEXT),
            "obstacles": _build_array(_build_schema(Obstacle)),
            "groups": _build_array(_build_schema(ValueCount)),
            "hits": _build_array({"$ref": "#/components/schemas/Hit"}),
            "reranker": build_object({"model": TEXT, "fingerprint": TEXT}),
            "next": _allow_null(TEXT),
        },
        optional=("next", "reranker"),
    )


def _build_record_schema() -> Schema:
    """Return the schema of a record with all its fields and sources."""
    stored = _build_schema(Abstract)["properties"]
    record = {"id": stored["record_id"]} | {
        name: stored[name] for name in stored if name not in ("record_id", "version", "revised")
    }
    return build_object(
        {
            "index": TEXT,
            "generation": WHOLE,
            "record": build_object(record),
            "sources": _build_array(_build_schema(RecordSource)),
            "citation": TEXT,
        },
        optional=("citation",),
    )


def _build_status_schema() -> Schema:
    """Return the schema of the status of the indexes."""
    encoder = _build_schema(EncoderIdentity)["properties"] | {"fingerprint": TEXT}
    number = {"type": "number"}
    night = {"started": TEXT, "status": TEXT, "seconds": number, "generation": _allow_null(WHOLE), "error": TEXT}
    status = {
        "index": TEXT,
        "generation": WHOLE,
        "created": TEXT,
        "newest_source": TEXT,
        "abstracts": WHOLE,
        "truncated": WHOLE,
        "without_abstract": WHOLE,
        "retracted": WHOLE,
        "encoder": build_object(encoder),
        "metric": TEXT,
        "factory": TEXT,
        "recall": _allow_null(number),
        "last_night": _allow_null(build_object(night)),
        "problem": TEXT,
    }
    return build_object({"indexes": _build_array(build_object(status))})


def _build_watches_schema() -> Schema:
    """Return the schema of the saved questions of an index, with what was reported for each."""
    number = {"type": "number"}
    plain = [TEXT, number, {"type": "boolean"}, _build_array(TEXT)]
    record = {"id": TEXT, "change": TEXT, "title": TEXT, "authors": _build_array(TEXT), "journal": TEXT}
    record |= {"year": _allow_null(WHOLE), "url": TEXT, "score": number}
    records = _build_array(build_object(record))
    report = build_object({"run": WHOLE, "created": TEXT, "more": WHOLE, "records": records})
    search = {"type": "object", "additionalProperties": {"anyOf": plain}, "required": ["q"]}
    watch = {"name": TEXT, "question": TEXT, "top_k": _allow_null(WHOLE), "search": search}
    watches = _build_array(build_object(watch | {"reports": _build_array(report)}))
    return build_object({"index": TEXT, "generation": WHOLE, "watches": watches})


def _build_saved_schema() -> Schema:
    """Return the schema of the answer to a change of the saved questions."""
    return build_object({"index": TEXT, "name": TEXT, "done": {"type": "string", "enum": list(CHANGES)}})


def _build_batch_schema() -> Schema:
    """Return the schema of the answers to a batch."""
    return build_object(
        {"index": TEXT, "generation": WHOLE, "answers": _build_array({"$ref": "#/components/schemas/Answer"})}
    )


def _build_error_schema() -> Schema:
    """Return the schema of an error."""
    return build_object({"error": build_object({"code": TEXT, "message": TEXT})})


def _build_suggestion_schema() -> Schema:
    """Return the schema of searches from known records."""
    texts, number = _build_array(TEXT), {"type": "number"}
    term = {"term": TEXT, "field": TEXT, "known": WHOLE, "titles": WHOLE, "records": WHOLE, "weight": number}
    search = {
        "width": TEXT,
        "records": WHOLE,
        "found": WHOLE,
        "found_unseen": WHOLE,
        "groups": _build_array(texts),
        "lines": _build_schema(dict[str, str]),
        "notes": texts,
    }
    return build_object(
        {
            "index": TEXT,
            "generation": WHOLE,
            "records": WHOLE,
            "terms": _build_array(build_object(term)),
            "best": TEXT,
            "searches": _build_array(build_object(search)),
            "known": _build_array(_build_schema(SeedRecord)),
            "absent": texts,
            "notes": texts,
        }
    )


def _build_flow_schema() -> Schema:
    """Return the schema of the flow of records; without a review, it has no decisions."""
    days = {"first_read": TEXT, "last_read": TEXT}
    origin = build_object(_build_schema(OriginFlow)["properties"] | days)
    screening = {"review": TEXT, "screened": WHOLE, "sought": WHOLE, "assessed": WHOLE}
    decided = build_object(screening | _build_schema(ScreeningCounts)["properties"])
    fields = _build_schema(Flow)["properties"] | {"origins": _build_array(origin), "removed": WHOLE}
    return build_object({"index": TEXT} | fields | {"screening": decided}, optional=("screening",))


def _build_point_schema() -> Schema:
    """Return the schema of the record of a point of the map."""
    return build_object({"id": TEXT, "title": TEXT, "journal": TEXT, "year": _allow_null(WHOLE)})


def _build_next_schema() -> Schema:
    """Return the schema of the next records of a reviewer, with their forms as HTML."""
    record = build_object({"id": TEXT, "html": TEXT})
    texts = {"progress": TEXT, "note": TEXT, "token": TEXT}
    return build_object({"next": _build_array(TEXT), "records": _build_array(record)} | texts)


def _build_numbers_schema() -> Schema:
    """Return the schema of the answer to a form: the numbers of the decisions."""
    return build_object({"numbers": _build_array(WHOLE)})


SCHEMAS: dict[str, Callable[[], Schema]] = {
    "Answer": _build_answer_schema,
    "Batch": _build_batch_schema,
    "Error": _build_error_schema,
    "Flow": _build_flow_schema,
    "Hit": _build_hit_schema,
    "Next": _build_next_schema,
    "Numbers": _build_numbers_schema,
    "Point": _build_point_schema,
    "Record": _build_record_schema,
    "Saved": _build_saved_schema,
    "Status": _build_status_schema,
    "Suggestion": _build_suggestion_schema,
    "Watches": _build_watches_schema,
}
