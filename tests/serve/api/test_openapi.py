"""The OpenAPI document: what it says is what the server does."""

import json
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import jsonschema
import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from schemathesis import Case, GenerationMode
from schemathesis.checks import load_all_checks
from schemathesis.schemas import BaseSchema
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    negative_data_rejection,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
    unsupported_method,
)
from starlette.testclient import TestClient
from starlette.types import ASGIApp, Receive, Scope, Send

from engine import __version__
from engine.corpus.storage.journal import DecisionKind
from engine.index.generations.folder import IndexFolder
from engine.review.decisions.reviews import NewLabel, Review, ReviewSettings
from engine.serve import app
from engine.serve.api import openapi
from engine.serve.http.access import Access, is_review_path
from engine.serve.http.limits import MAX_TEXT
from engine.serve.request.operations import Operation
from engine.serve.review import handlers
from engine.serve.work.openreview import ReviewRules
from tests.conftest import examples
from tests.serve.conftest import client_of, error_of, parsed

DOCUMENT = "/api/v1/openapi.json"
OPERATIONS = ("search", "similar", "record", "new", "suggest", "status", "watch", "batch")
PAGES = tuple(one for one in (*app.OPERATIONS, *handlers.OPERATIONS) if one not in openapi.OPERATIONS)
CHECKS = [
    schemathesis.checks.not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    unsupported_method,
]
load_all_checks()


NAME = "testserver"  # of the site, for the client of the tool


def lasting(client: TestClient) -> ASGIApp:
    """The site of a client, which lives as long as this one."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            raise RuntimeError(scope["type"])
        await client.app(scope, receive, send)

    return app


@pytest.fixture(scope="module")
def site(library: IndexFolder) -> Iterator[ASGIApp]:
    """A site that goes by the name that the tests' client has for it."""
    with client_of(library.path, names=(NAME,)) as client:
        yield lasting(client)


@dataclass(frozen=True)
class Desk:
    """A site that keeps the decisions of a review: its document, and the form token of its reviewer."""

    schema: BaseSchema
    token: str
    client: TestClient


@pytest.fixture(scope="module")
def desk(library: IndexFolder, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    """A site with a review that has decisions of two reviewers, one of them in conflict."""
    folder = IndexFolder(tmp_path_factory.mktemp("reviewed") / "toy")
    shutil.copytree(library.path, folder.path)
    review = Review(folder, "main")
    review.start("ann", ReviewSettings("painful joints\nadults", ("wrong population",)))
    for who, kind, names in (("ann", "include", ["toy-01", "toy-02"]), ("bob", "exclude", ["toy-02", "toy-03"])):
        review.decide(who, names, NewLabel(DecisionKind(kind)))
    site = app.build_app([folder.path], Access(frozenset({NAME})), review=ReviewRules("main", "ann"))
    with TestClient(site) as client:
        token = client.get("/review/next").json()["token"]
        yield Desk(schemathesis.openapi.from_asgi(DOCUMENT, lasting(client)), token, client)


@pytest.fixture(scope="module")
def schema(site: ASGIApp) -> BaseSchema:
    """The document as the tool reads it."""
    return schemathesis.openapi.from_asgi(DOCUMENT, site)


def operation(schema: BaseSchema, name: str) -> Any:
    """One operation of the document."""
    return schema[f"/api/v1/{name}"]["post" if name == "batch" else "get"]


def at_random() -> settings:
    """The same examples each time; a failure is made small, but which of its parts matter isn't tried out for minutes."""
    phases = (Phase.explicit, Phase.generate, Phase.shrink)
    return settings(
        examples(0.3), derandomize=True, database=None, suppress_health_check=list(HealthCheck), phases=phases
    )


def try_out(schema: BaseSchema, name: str, mode: GenerationMode) -> None:
    """Ask an operation questions made from the document, and check every answer; what it forbids is refused.

    But not everything is: a blank value is one that is not given, and in a body a number may stand for a text.
    """

    @given(case=operation(schema, name).as_strategy(mode))
    @at_random()
    def check(case: Case) -> None:
        response = case.call()
        values = [
            one for value in (case.query or {}).values() for one in (value if isinstance(value, list) else [value])
        ]
        is_plain = name != "batch" and all(str(value).strip() for value in values)
        strict = mode is GenerationMode.NEGATIVE and is_plain and response.status_code != 431  # a refusal, too
        case.validate_response(response, checks=[*CHECKS, negative_data_rejection] if strict else CHECKS)
        parsed(response.content.decode("utf-8"))

    check()


def grounded(given: dict[str, Any], common: Mapping[str, Any] = MappingProxyType({})) -> dict[str, Any]:
    """The same with a text that has words, and with nothing that would have to be in the index or to be an expression.

    Nor with two that rule each other out, one of which may be common to a batch: each is switched off where it is.
    """
    needless = ("i", "like", "unlike", "mesh_tree", "where", "year", "offset")
    found = {key: value for key, value in given.items() if key not in needless}
    if "id" in found:
        found |= {"id": ["toy-01"], "mode": "hybrid"}
    if "author" in found:  # a mark alone is no name
        found |= {"author": ["smith"]}
    if "rerank" in found:  # a model of the index, which has none
        found |= {"rerank": "none"}
    both = {**common, **found}
    if both.get("sort", "relevance") != "relevance" and "diversify" in both:  # each sets the order of the hits
        found |= {"diversify": 0}
    if both.get("mode") == "keyword" and "feedback" in both:  # it moves a meaning, which keyword mode leaves out
        found |= {"feedback": "false"}
    return found | {"q": "gout"} | ({"since": "2"} if "since" in found else {})


def try_out_grounded(schema: BaseSchema, name: str) -> None:
    """Ask an operation questions that the document allows and that can be answered."""

    @given(case=operation(schema, name).as_strategy(GenerationMode.POSITIVE))
    @at_random()
    def check(case: Case) -> None:
        if name == "batch":
            common = grounded({key: value for key, value in case.body.items() if key != "queries"} | {"n": 3})
            del common["q"]
            queries = [grounded(one, common) if isinstance(one, dict) else "gout" for one in case.body["queries"]]
            case.body = {**common, "queries": [one if isinstance(one, str) else one | {"n": 5} for one in queries]}
        else:
            case.query = grounded(dict(case.query or {}))
        response = case.call()
        assert response.status_code == 200, response.content
        case.validate_response(response, checks=CHECKS)
        parsed(response.content.decode("utf-8"))

    check()


@pytest.mark.hypothesis
@pytest.mark.parametrize("name", OPERATIONS)
@pytest.mark.parametrize("mode", list(GenerationMode), ids=lambda mode: mode.value)
def test_questions_made_from_the_document_are_answered_as_it_says(
    schema: BaseSchema, name: str, mode: GenerationMode
) -> None:
    try_out(schema, name, mode)


@pytest.mark.hypothesis
@pytest.mark.parametrize("name", ["search", "similar", "new", "batch"])
def test_what_the_document_allows_is_answered(schema: BaseSchema, name: str) -> None:
    try_out_grounded(schema, name)


def try_out_page(desk: Desk, one: Operation, mode: GenerationMode) -> None:
    """Ask a page questions made from the document, some about a record that is there, and check every answer."""

    @given(record=st.sampled_from([None, "toy-04"]), case=desk.schema[one.path][one.method.lower()].as_strategy(mode))
    @settings(at_random(), max_examples=examples(0.06).max_examples)
    def check(record: str | None, case: Case) -> None:
        is_strict = mode is GenerationMode.NEGATIVE and all(map(is_given, list_values(case)))
        if record and not is_strict:
            case.query = {**(case.query or {}), **({"id": record} if "id" in (case.query or {}) else {})}
            if isinstance(case.body, dict) and "id" in case.body:
                case.body = {**case.body, "id": record}
        headers = {"X-Form-Token": desk.token} if one.fields else {}
        response = case.call(headers=headers, allow_redirects=False)
        checks = [*CHECKS, negative_data_rejection] if is_strict and response.status_code not in (413, 431) else CHECKS
        case.validate_response(response, checks=checks)

    check()


def list_values(case: Case) -> list[Any]:
    """All values of the URL and of the form of a case."""
    found = [*(case.query or {}).values(), *(case.body.values() if isinstance(case.body, dict) else ())]
    return [one for value in found for one in (value if isinstance(value, list) else [value])]


def is_given(value: object) -> bool:
    """Whether a value is not blank; a blank one is ignored."""
    return bool(str(value).strip())


@pytest.mark.hypothesis
@pytest.mark.parametrize("one", PAGES, ids=lambda one: one.name)
def test_pages_answer_as_the_document_says(desk: Desk, one: Operation) -> None:
    try_out_page(desk, one, GenerationMode.POSITIVE)
    if one.parameters or one.fields:  # without any there is nothing to do wrong
        try_out_page(desk, one, GenerationMode.NEGATIVE)


# By hand


def test_the_document_has_the_pages_of_a_review_only_if_there_is_one(desk: Desk, document: dict[str, Any]) -> None:
    own = {one.path for one in handlers.OPERATIONS}
    with_review = desk.client.get(DOCUMENT).json()["paths"]
    assert own and set(with_review) - set(document["paths"]) == own
    assert all(is_review_path(path) for path in own)  # which only reviewers reach


@pytest.fixture(scope="module")
def document(client: TestClient) -> dict[str, Any]:
    """The document as it is served."""
    response = client.get(DOCUMENT)
    assert response.status_code == 200 and response.headers["content-type"] == "application/json"
    found: dict[str, Any] = json.loads(response.text)
    return found


def resolved(document: dict[str, Any], name: str) -> dict[str, Any]:
    """A schema of the document that stands alone."""
    return {"$ref": f"#/components/schemas/{name}", "components": document["components"]}


def check_valid(document: dict[str, Any], name: str, content: object) -> None:
    """A content is what a schema says."""
    jsonschema.Draft202012Validator(resolved(document, name)).validate(content)


def test_the_document_names_every_operation(document: dict[str, Any]) -> None:
    assert document["openapi"] == "3.1.0" and document["info"]["version"] == __version__
    api = {f"/api/v1/{name}" for name in OPERATIONS}
    assert set(document["paths"]) == api | {one.path for one in app.OPERATIONS} > api
    assert {one["operationId"] for path in api for one in document["paths"][path].values()} == set(OPERATIONS)
    for path, methods in document["paths"].items():
        (method,) = methods
        assert method == ("post" if path.endswith("batch") else "get")
        one = methods[method]
        assert len(one["summary"]) > 10
        assert {"200", "400", "401", "404", "405", "413", "421", "500", "503"} <= set(one["responses"])
    for name, schema in document["components"]["schemas"].items():
        jsonschema.Draft202012Validator.check_schema(resolved(document, name))
        assert schema["additionalProperties"] is False


def test_the_document_is_strict_json(client: TestClient) -> None:
    parsed(client.get(DOCUMENT).text)
    assert client.get(DOCUMENT, params={"zzz": "1"}).status_code == 200


@pytest.mark.parametrize("name", [name for name in OPERATIONS if name != "batch"])
def test_the_parameters_of_the_document_are_those_that_are_taken(
    client: TestClient, document: dict[str, Any], name: str
) -> None:
    described = {one["name"]: one for one in document["paths"][f"/api/v1/{name}"]["get"]["parameters"]}
    said = error_of(client.get(f"/api/v1/{name}?zzzz=1"), 400, "bad_request")
    assert said.rpartition("Known parameters: ")[2].split(", ") == list(described)
    good = {"since": "2", "id": "toy-01", "i": "toy", "mode": "hybrid", "fusion": "rrf", "group_by": "year", "n": "2",
            "offset": "0", "weight": "0.5", "min_score": "-1", "diversify": "0.5", "explain": "true", "feedback": "true", "year": "1991-",
            "rerank": "none", "cite": "apa", "rerank_depth": "5", "rerank_precision": "int8", "sort": "year:asc",
            "retracted": "false", "has_abstract": "true", "has_fulltext": "true", "where": "year > 1", "q": "gout", "like": "toy-02",
            "unlike": "toy-03", "ids": "toy-01", "hide": "toy-04", "journal": "*", "language": "eng", "known": "toy-03"}  # fmt: skip
    needed = {"q": "gout", "id": "toy-01", "since": "2", "known": ["toy-01", "toy-02"]}
    base = {key: value for key, value in needed.items() if key in described}
    for parameter, one in described.items():
        assert one["in"] == "query" and one["description"]
        assert one["required"] == (parameter in ("id", "since", "known"))
        value = good.get(parameter, "*")
        if parameter != "mesh_tree":
            pair = ["toy-02", value] if parameter == "known" else value  # one alone has nothing in common
            response = client.get(f"/api/v1/{name}", params={**base, parameter: pair})
            assert response.status_code == 200, (parameter, response.text)
        schema = one["schema"]
        many = schema.get("maxItems", 1)
        again = client.get(f"/api/v1/{name}", params=[*base.items(), *[(parameter, value)] * (many + 1)])
        assert again.status_code == 400 and f"expected {many:,} at most" in again.text
        inner = schema.get("items", schema)
        rest = {key: value for key, value in base.items() if key != parameter}
        for bad in bad_values(inner):
            refused = client.get(f"/api/v1/{name}", params={**rest, parameter: bad})
            assert refused.status_code == 400, (parameter, bad)


def bad_values(schema: dict[str, Any]) -> Iterator[str]:
    """Values that a schema does not allow."""
    if "enum" in schema:
        yield "nope"
    if "maxLength" in schema:
        yield "a" * (schema["maxLength"] + 1)
    if schema["type"] in ("integer", "number"):
        yield str(schema["maximum"] + 1)
        yield str(schema["minimum"] - 1)
        yield "x"
    if schema["type"] == "boolean":
        yield "perhaps"


def test_the_defaults_of_the_document_are_those_in_force(client: TestClient, document: dict[str, Any]) -> None:
    described = {one["name"]: one["schema"] for one in document["paths"]["/api/v1/search"]["get"]["parameters"]}
    defaults = {name: schema["default"] for name, schema in described.items() if "default" in schema}
    assert defaults == {"n": 10, "offset": 0, "mode": "hybrid", "sort": "relevance"}
    plain = client.get("/api/v1/search?q=gout").json()
    assert client.get("/api/v1/search", params={"q": "gout", **defaults}).json()["hits"] == plain["hits"]
    assert (plain["query"]["top_k"], plain["query"]["offset"], plain["query"]["mode"]) == (10, 0, "hybrid")


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("search?q=gout", "Answer"),
        ("search?q=gout&mode=hybrid&explain=true&group_by=journal&n=50", "Answer"),
        ("search?q=gout&mode=keyword&explain=true&year=2031-&year=1990&ids=nope&ids=gut", "Answer"),
        ("search?q=gout&diversify=0.3&min_score=0.2&retracted=true&where=year>1", "Answer"),
        ("search?q=gout&i=old", "Answer"),
        ("similar?id=toy-01&unlike=gut&n=3", "Answer"),
        ("new?q=gout&since=2", "Answer"),
        ("record?id=gut", "Record"),
        ("record?id=77", "Record"),
        ("record?id=toy-01&i=old", "Record"),
        ("status", "Status"),
        ("suggest?known=toy-01&known=toy-02&known=toy-03&known=nope", "Suggestion"),
        ("search?n=x", "Error"),
        ("record?id=nope", "Error"),
        ("nope", "Error"),
    ],
)
def test_an_answer_is_what_the_document_says(
    client: TestClient, document: dict[str, Any], path: str, name: str
) -> None:
    content = parsed(client.get(f"/api/v1/{path}").text)
    check_valid(document, name, content)
    for other in ("Answer", "Record", "Status", "Suggestion", "Error", "Batch"):
        if other != name:
            with pytest.raises(jsonschema.ValidationError, match="required|unexpected"):
                check_valid(document, other, content)


def test_a_batch_is_what_the_document_says(client: TestClient, document: dict[str, Any]) -> None:
    asked = {"queries": ["gout", {"q": "pain", "mode": "hybrid", "explain": True, "year": ["2000-"]}], "n": 5}
    content = document["paths"]["/api/v1/batch"]["post"]["requestBody"]["content"]["application/json"]
    body = {**content["schema"], "components": document["components"]}
    validator = jsonschema.Draft202012Validator(body)
    validator.validate(asked)
    response = client.post("/api/v1/batch", json=asked)
    assert response.status_code == 200
    check_valid(document, "Batch", parsed(response.text))
    for bad in ({"queries": []}, {"queries": ["a"] * 65}, {}, {"queries": ["a"], "zzz": 1}, {"queries": [""]},
                {"queries": [{"n": 3}]}, {"queries": ["a"], "n": 0}, {"queries": ["a"], "q": "b"},
                {"queries": [{"q": "a", "i": "toy"}]}, {"queries": ["a" * (MAX_TEXT + 1)]}, {"queries": [3]},
                {"queries": ["a"], "mode": "nope"}, {"queries": [{"q": "a", "weight": 2}]}, {"queries": [" "]},
                {"queries": [{"q": 5}]}, {"queries": [{"q": ""}]}, {"queries": [{"q": None}]}):  # fmt: skip
        assert not validator.is_valid(bad), bad
        assert client.post("/api/v1/batch", json=bad).status_code == 400, bad
    for name, good, wrong in (
        ("where", ["year > 1"], [5, True, ["year > 1"], {}]),
        ("year", ["2000-", 2000, 2000.0, [2000, "2001"]], [True, 2000.5, [[2000]]]),
        ("journal", ["Gut", ["Gut"]], [5, [5], True]),
        ("n", [3, 3.0], ["3", [3], True, 3.5]),
        ("retracted", [True, False], ["true", 1, [True]]),
        ("mode", ["hybrid"], [["hybrid"], 1]),
    ):
        for values, is_good in (([None, *good], True), (wrong, False)):
            for value in values:
                for asked in ({"queries": ["a"], name: value}, {"queries": [{"q": "a", name: value}]}):
                    assert validator.is_valid(asked) == is_good, asked
                    assert (client.post("/api/v1/batch", json=asked).status_code == 200) == is_good, asked


def test_a_status_with_a_night_is_what_the_document_says(fresh: IndexFolder, document: dict[str, Any]) -> None:
    with client_of(fresh.path) as client:
        content = client.get("/api/v1/status").json()
    check_valid(document, "Status", content)
    assert content["indexes"][0]["recall"] is not None and content["indexes"][0]["last_night"] is None
