"""JSON Schemas of the parameters and answers of the API, built from the dataclasses of the engine."""

from __future__ import annotations

import types
from collections.abc import Iterable, Sequence
from dataclasses import fields, is_dataclass
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from engine.corpus import history
from engine.corpus.storage.store import RecordSource
from engine.options import Query, ValueKind, YearRange
from engine.records.abstract import Abstract
from engine.records.answer import AnswerVerdict, Hit, Obstacle, ValueCount
from engine.records.encoder import EncoderIdentity
from engine.references.values.fields import RECORD, SCORES
from engine.serve.request.parameters import BOOLEANS, NUMBERS, Parameter

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
    """Return the schema of a dataclass, a literal, a tuple, a sequence, a union or a plain type.

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
    if get_origin(kind) is Sequence:
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
        schema |= {"minimum": parameter.low, "maximum": parameter.high}
    elif parameter.kind not in BOOLEANS:
        schema["maxLength"] = parameter.length
    if parameter.default is not None:
        schema["default"] = parameter.default
    return schema if parameter.most == 1 else {"type": "array", "items": schema, "maxItems": parameter.most}


def build_argument_schema(parameter: Parameter) -> Schema:
    """Return the schema of a tool argument: that of the parameter, with a single value allowed instead of a list."""
    schema = build_parameter_schema(parameter)
    if parameter.kind.is_repeatable:
        item = schema["items"]
        if parameter.kind is not ValueKind.NAMES:
            item["type"] = ["string", "integer"]  # a year, a PMID
        schema = {"anyOf": [item, schema]}
    return schema | {"description": parameter.help}


def build_query_parameter(parameter: Parameter) -> Schema:
    """Return the OpenAPI object of a parameter in the URL."""
    return {
        "name": parameter.name,
        "in": "query",
        "required": parameter.required,
        "description": parameter.help,
        "schema": build_parameter_schema(parameter),
    }


def build_hit_schema() -> Schema:
    """Return the schema of a hit with all stored fields of its record."""
    own, stored = _build_schema(Hit)["properties"], _build_schema(Abstract)["properties"]
    names: Schema = own | {name: stored[name] for name in RECORD}
    change = {"type": "string", "enum": [history.ADDED, history.TEXT, history.METADATA]}
    return build_object(names | {"change": change}, optional=(*SCORES, "why", "change"))


def build_answer_schema() -> Schema:
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


def build_record_schema() -> Schema:
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


def build_status_schema() -> Schema:
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


def build_batch_schema() -> Schema:
    """Return the schema of the answers to a batch."""
    return build_object(
        {"index": TEXT, "generation": WHOLE, "answers": _build_array({"$ref": "#/components/schemas/Answer"})}
    )


def build_error_schema() -> Schema:
    """Return the schema of an error."""
    return build_object({"error": build_object({"code": TEXT, "message": TEXT})})
