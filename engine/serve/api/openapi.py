"""The OpenAPI document of the API, made from the table of parameters and the dataclasses of the answers."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from functools import cache
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from engine import __version__
from engine.serve.api import handlers, schemas
from engine.serve.api.bodies import dump_bytes
from engine.serve.api.schemas import Schema
from engine.serve.http.limits import MAX_BATCH
from engine.serve.request.parameters import RECORD, SEARCH, Parameter
from engine.serve.request.site import JSON

GET: tuple[tuple[str, Callable[..., Any], Sequence[Parameter], str], ...] = (
    ("search", handlers.search, SEARCH, "Answer"),
    ("similar", handlers.find_similar, handlers.SIMILAR, "Answer"),
    ("record", handlers.show_record, RECORD, "Record"),
    ("new", handlers.find_new, handlers.NEW, "Answer"),
    ("status", handlers.show_status, handlers.STATUS, "Status"),
)
_SCHEMAS: dict[str, Callable[[], Schema]] = {
    "Answer": schemas.build_answer_schema,
    "Batch": schemas.build_batch_schema,
    "Error": schemas.build_error_schema,
    "Hit": schemas.build_hit_schema,
    "Record": schemas.build_record_schema,
    "Status": schemas.build_status_schema,
}
_REFUSALS = {
    "400": "A parameter that makes no sense; says which, and what was expected.",
    "401": "A token is needed.",
    "403": "A page of another site asks.",
    "404": "No such record, or no such index.",
    "405": "Another method.",
    "408": "The body did not arrive in time.",
    "413": "The body is too long.",
    "421": "The name in Host is none of this server's.",
    "431": "Address and headers are too long.",
    "500": "The server's own failure; its log says more.",
    "503": "Too much is asked at once; Retry-After says when to ask again.",
}
ABOUT = (
    "Semantic search over abstracts. Every answer is of one generation, which it names; ETag and If-None-Match spare "
    "what is held already. Nothing can be written."
)


async def build_document(request: Request) -> Response:
    """The document."""
    return Response(dump_bytes(dump_document()), media_type=JSON)


@cache
def dump_document() -> Schema:
    """The document as plain fields."""
    paths = {f"/api/v1/{name}": {"get": _build_operation(name, work, asked, kind)} for name, work, asked, kind in GET}
    paths["/api/v1/batch"] = {"post": _build_batch_operation()}
    return {
        "openapi": "3.1.0",
        "info": {"title": "abstract-engine", "version": __version__, "description": ABOUT},
        "paths": paths,
        "components": {
            "schemas": {name: make() for name, make in _SCHEMAS.items()},
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
        },
        "security": [{}, {"token": []}],
    }


def _summarise_operation(work: Callable[..., Any]) -> str:
    """What an operation is for."""
    return (inspect.getdoc(work) or "").partition("\n")[0]


def _build_operation(name: str, work: Callable[..., Any], asked: Sequence[Parameter], kind: str) -> Schema:
    """An operation that is asked by an address."""
    unchanged = {"304": {"description": "What the client holds is still so."}}
    return {
        "operationId": name,
        "summary": _summarise_operation(work),
        "parameters": [schemas.build_query_parameter(parameter) for parameter in asked],
        "responses": _list_responses(kind) | unchanged,
    }


def _build_batch_operation() -> Schema:
    """The operation that is asked by a body."""
    common = {one.name: schemas.build_parameter_schema(one) for one in handlers.BATCH}
    own = {one.name: schemas.build_parameter_schema(one) for one in SEARCH[1:]}
    query = schemas.build_object(own, optional=set(own) - {"q"})
    own["q"] = own["q"] | {"minLength": 1}
    queries = {"type": "array", "items": {"anyOf": [own["q"], query]}, "minItems": 1, "maxItems": MAX_BATCH}
    body = schemas.build_object(common | {"queries": queries}, optional=common)
    return {
        "operationId": "batch",
        "summary": _summarise_operation(handlers.search_batch),
        "requestBody": {"required": True, "content": {JSON: {"schema": body}}},
        "responses": _list_responses("Batch"),
    }


def _list_responses(kind: str) -> Schema:
    """What an operation may answer."""
    refused = {
        status: {"description": what, "content": {JSON: {"schema": {"$ref": "#/components/schemas/Error"}}}}
        for status, what in _REFUSALS.items()
    }
    found = {"description": kind, "content": {JSON: {"schema": {"$ref": f"#/components/schemas/{kind}"}}}}
    return {"200": found} | refused
