"""The OpenAPI document of the API, built from the request parameters and the dataclasses of the answers."""

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
from engine.serve.http.prefix import get_root
from engine.serve.request.parameters import CITED_RECORD, QUERY, SEARCH, Parameter
from engine.serve.request.site import JSON

ROOT = "/api/v1"
GET: tuple[tuple[str, Callable[..., Any], Sequence[Parameter], str], ...] = (
    ("search", handlers.search, SEARCH, "Answer"),
    ("similar", handlers.find_similar, handlers.SIMILAR, "Answer"),
    ("record", handlers.show_record, CITED_RECORD, "Record"),
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
REFUSALS = {
    "400": "A parameter is invalid; the message says which one, and what was expected.",
    "401": "An access token is required.",
    "403": "The request comes from a page of another site.",
    "404": "There is no such record or index.",
    "405": "The method is not allowed.",
    "408": "The body did not arrive in time.",
    "413": "The body is too long.",
    "421": "The Host header is not a name of this server.",
    "431": "URL and headers are too long.",
    "500": "The server failed; its log says why.",
    "503": "The server is busy; Retry-After says when to try again.",
}
ABOUT = (
    "Semantic search over abstracts. Every answer comes from one generation and names it. With ETag and If-None-Match, "
    "a client does not receive again what it already has. The API is read-only."
)


async def build_document(request: Request) -> Response:
    """Send the document."""
    servers = {"servers": [{"url": root}]} if (root := get_root()) else {}  # the default is the top of the host
    return Response(dump_bytes(dump_document() | servers), media_type=JSON)


@cache
def dump_document() -> Schema:
    """Return the document as a JSON object."""
    paths = {
        f"{ROOT}/{name}": {"get": _build_operation(name, handler, parameters, kind)}
        for name, handler, parameters, kind in GET
    }
    paths[f"{ROOT}/batch"] = {"post": _build_batch_operation()}
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


def summarise_operation(handler: Callable[..., Any]) -> str:
    """Return the first line of the docstring of a handler."""
    return (inspect.getdoc(handler) or "").partition("\n")[0]


def _build_operation(name: str, handler: Callable[..., Any], parameters: Sequence[Parameter], kind: str) -> Schema:
    """Return a GET operation."""
    unchanged = {"304": {"description": "The client already has the current answer."}}
    return {
        "operationId": name,
        "summary": summarise_operation(handler),
        "parameters": [schemas.build_query_parameter(parameter) for parameter in parameters],
        "responses": _list_responses(kind) | unchanged,
    }


def _build_batch_operation() -> Schema:
    """Return the POST operation of a batch."""
    common = {parameter.name: schemas.build_parameter_schema(parameter) for parameter in handlers.BATCH}
    own = {parameter.name: schemas.build_parameter_schema(parameter) for parameter in QUERY}
    query = schemas.build_object(own, optional=set(own) - {"q"})
    own["q"] = own["q"] | {"minLength": 1}
    queries = {"type": "array", "items": {"anyOf": [own["q"], query]}, "minItems": 1, "maxItems": MAX_BATCH}
    body = schemas.build_object(common | {"queries": queries}, optional=common)
    return {
        "operationId": "batch",
        "summary": summarise_operation(handlers.search_batch),
        "requestBody": {"required": True, "content": {JSON: {"schema": body}}},
        "responses": _list_responses("Batch"),
    }


def _list_responses(kind: str) -> Schema:
    """Return the responses of an operation: its answer, and the errors."""
    errors = {
        status: {"description": text, "content": {JSON: {"schema": {"$ref": "#/components/schemas/Error"}}}}
        for status, text in REFUSALS.items()
    }
    answer = {"description": kind, "content": {JSON: {"schema": {"$ref": f"#/components/schemas/{kind}"}}}}
    return {"200": answer} | errors
