"""The OpenAPI document, built from the tables of addresses, their parameters and the dataclasses of the answers."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache

from starlette.requests import Request
from starlette.responses import Response

from engine import __version__
from engine.serve.api import handlers, schemas
from engine.serve.api.bodies import dump_bytes
from engine.serve.api.schemas import SCHEMAS, Schema
from engine.serve.http.limits import MAX_BATCH
from engine.serve.http.prefix import get_root
from engine.serve.request.operations import FORM, FORM_TOKEN, Audience, Operation
from engine.serve.request.parameters import CITED_RECORD, QUERY, SEARCH
from engine.serve.request.site import HTML, JSON

ROOT = "/api/v1"
OPERATIONS = tuple(
    Operation(
        f"{ROOT}/{name}",
        handler,
        parameters,
        (kind,),
        Audience.PROGRAMS,
        is_by_decision=name in ("search", "similar"),
    )
    for name, handler, parameters, kind in (
        ("search", handlers.search, SEARCH, "Answer"),
        ("similar", handlers.find_similar, handlers.SIMILAR, "Answer"),
        ("record", handlers.show_record, CITED_RECORD, "Record"),
        ("new", handlers.find_new, handlers.NEW, "Answer"),
        ("suggest", handlers.write_searches, handlers.SUGGEST, "Suggestion"),
        ("status", handlers.show_status, handlers.STATUS, "Status"),
        ("watch", handlers.list_saved_questions, handlers.STATUS, "Watches"),
    )
)
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
_FORM_REFUSALS = {
    "403": "The request comes from a page of another site, or without the form token of a page of this reviewer.",
    "409": "The reviewer has decided about the record elsewhere meanwhile.",
    "415": "The body is not a form.",
    "503": "The server is busy, or can't write now. Send the same again later.",
    "507": "The disk of the server is full. Nothing was written.",
}
_WRITE_REFUSALS = _FORM_REFUSALS | {
    "403": "The request comes from a page of another site.",
    "415": "The body is not JSON.",
}
_UNCHANGED = {"304": {"description": "The client already has the current answer."}}
_MOVED = {"303": {"description": "The answer is at the address that Location names."}}
ABOUT = (
    "Semantic search over abstracts. Every answer comes from one generation and names it. With ETag and If-None-Match, "
    "a client does not receive again what it already has. The API is read-only, but for saved questions where a review "
    "is kept."
)
_TAGS = {
    Audience.PROGRAMS: "The API. It stays as it is within its version.",
    Audience.PAGES: "The pages, what their scripts ask for, and files to save. They may change in any release.",
    Audience.REVIEWERS: "The pages of the review that this server keeps. They may change in any release.",
}


async def build_document(request: Request) -> Response:
    """Send the document."""
    servers = {"servers": [{"url": root}]} if (root := get_root()) else {}  # the default is the top of the host
    return Response(dump_bytes(dump_document(request.app.state.operations) | servers), media_type=JSON)


@cache
def dump_document(operations: tuple[Operation, ...]) -> Schema:
    """Return the document on these addresses, and on the batch, as a JSON object."""
    paths: Schema = {}
    for one in operations:
        paths.setdefault(one.path, {})[one.method.lower()] = _build_operation(one)
    paths[f"{ROOT}/batch"] = {"post": _build_batch_operation()}
    audiences = dict.fromkeys(one.audience for one in operations)
    return {
        "openapi": "3.1.0",
        "info": {"title": "abstract-engine", "version": __version__, "description": ABOUT},
        "tags": [{"name": str(each), "description": _TAGS[each]} for each in audiences],
        "paths": paths,
        "components": {
            "schemas": {name: make() for name, make in SCHEMAS.items()},
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
        },
        "security": [{}, {"token": []}],
    }


def _build_operation(operation: Operation) -> Schema:
    """Return what the document says about an address."""
    parameters = [schemas.build_query_parameter(parameter) for parameter in operation.parameters]
    found = {
        "operationId": operation.name,
        "summary": operation.summary,
        "tags": [str(operation.audience)],
        "parameters": parameters,
        "responses": _list_responses(operation),
    }
    if not operation.fields:
        return found
    token = {"name": FORM_TOKEN, "in": "header", "description": "The token, if the form does not hold it."}
    properties = {field.name: schemas.build_parameter_schema(field) for field in operation.fields}
    optional = [field.name for field in operation.fields if not field.required]
    schema = {"schema": schemas.build_object(properties, optional)}
    if operation.audience is Audience.PROGRAMS:
        return found | {"requestBody": {"required": True, "content": {JSON: schema}}}
    body = {"required": True, "content": {FORM: schema}}
    return found | {"parameters": [*parameters, token | {"schema": schemas.TEXT}], "requestBody": body}


def _build_batch_operation() -> Schema:
    """Return what the document says about the batch."""
    common = {parameter.name: schemas.build_body_schema(parameter) for parameter in handlers.BATCH}
    own = {parameter.name: schemas.build_body_schema(parameter) for parameter in QUERY}
    text = next(schemas.build_parameter_schema(parameter) for parameter in QUERY if parameter.name == "q")
    own["q"] = text | {"minLength": 1, "pattern": r"\S"}
    query = schemas.build_object(own, optional=set(own) - {"q"})
    queries = {"type": "array", "items": {"anyOf": [own["q"], query]}, "minItems": 1, "maxItems": MAX_BATCH}
    body = schemas.build_object(common | {"queries": queries}, optional=common)
    operation = Operation(f"{ROOT}/batch", handlers.search_batch, (), ("Batch",), Audience.PROGRAMS)
    responses = {status: found for status, found in _list_responses(operation).items() if status not in _UNCHANGED}
    return {
        "operationId": operation.name,
        "summary": operation.summary,
        "tags": [str(operation.audience)],
        "requestBody": {"required": True, "content": {JSON: {"schema": body}}},
        "responses": responses,
    }


def _list_responses(operation: Operation) -> Schema:
    """Return the responses of an address: its answers, and the errors."""
    answers = dict(_build_content(one) for one in operation.answers)
    moved = _MOVED if operation.redirects else {}
    is_read = operation.method == "GET"
    unchanged = _UNCHANGED if is_read else {}
    further = _WRITE_REFUSALS if operation.audience is Audience.PROGRAMS else _FORM_REFUSALS
    refusals = REFUSALS | ({} if is_read else further)
    found = {"200": {"description": ", ".join(operation.answers), "content": answers}} if answers else {}
    return found | _list_errors(refusals, operation.audience) | moved | unchanged


def _list_errors(refusals: Mapping[str, str], audience: Audience) -> Schema:
    """Return the errors: JSON, or for people a page."""
    content: Schema = {JSON: {"schema": {"$ref": "#/components/schemas/Error"}}}
    if audience is not Audience.PROGRAMS:
        content |= {_get_media_type(HTML): {}}
    return {status: {"description": text, "content": content} for status, text in refusals.items()}


def _build_content(answer: str) -> tuple[str, Schema]:
    """Return the media type of an answer, and its schema if it has one."""
    if answer in SCHEMAS:
        return JSON, {"schema": {"$ref": f"#/components/schemas/{answer}"}}
    return _get_media_type(answer), {}


def _get_media_type(kind: str) -> str:
    """Return a media type without its parameters."""
    return kind.partition(";")[0]
