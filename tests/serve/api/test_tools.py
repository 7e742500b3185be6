"""The tools for assistants, through a client of their protocol."""

import asyncio
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import pytest
from mcp import Client, StdioServerParameters, stdio_client
from starlette.testclient import TestClient

from engine import __version__, open_index
from engine.index.generations.folder import IndexFolder
from engine.options import BY_FIELD
from engine.query.seeds.suggestion import list_suggestion_fields
from engine.serve.api.tools import _build_tools
from engine.serve.http.limits import MAX_TEXT
from engine.serve.work.shelf import Shelf
from tests.conftest import CURRENT, ROOT, segment_of

T = TypeVar("T")


@pytest.fixture(scope="module")
def shelf(library: IndexFolder, old: Path) -> Iterator[Shelf]:
    """Both indexes, open."""
    found = Shelf([library.path, old])
    yield found
    found.close()


def with_client(shelf: Shelf, work: Callable[[Client], Awaitable[T]]) -> T:
    """What comes of work with a client of the tools."""

    async def run() -> T:
        async with Client(_build_tools(shelf)) as client:
            return await work(client)

    return asyncio.run(run())


def called(shelf: Shelf, name: str, **given: object) -> Any:
    """The result of a tool."""
    return with_client(shelf, lambda client: client.call_tool(name, given))


def ok(shelf: Shelf, name: str, **given: object) -> dict[str, Any]:
    """What a tool answers, which is the same as text and as fields."""
    result = called(shelf, name, **given)
    assert not result.is_error, result.content
    (text,) = result.content
    found: dict[str, Any] = result.structured_content
    assert json.loads(text.text) == found
    return found


def refused(shelf: Shelf, name: str, **given: object) -> str:
    """The message of a tool that was asked for what makes no sense."""
    result = called(shelf, name, **given)
    assert result.is_error
    (text,) = result.content
    assert "Traceback" not in text.text and "pydantic" not in text.text
    return str(text.text)


def test_there_are_four_tools_that_say_what_they_are_for(shelf: Shelf) -> None:
    listed = with_client(shelf, lambda client: client.list_tools()).tools
    assert [one.name for one in listed] == ["search", "similar", "record", "suggest"]
    for one in listed:
        assert one.description and len(one.description) > 40
    search, similar, record, suggest = (one.input_schema for one in listed)
    asked = {option.name for option in BY_FIELD.values()}
    assert set(search["properties"]) == asked - {"q"} | {"query", "index"}
    assert set(similar["properties"]) == asked - {"q", "like"} | {"query", "index"}  # ids are the examples
    assert set(record["properties"]) == {"id", "index", "cite"}
    assert set(suggest["properties"]) == {"known", "index"}
    required = [schema["required"] for schema in (search, similar, record, suggest)]
    assert required == [[], ["ids"], ["id"], ["known"]]
    for schema in (search, similar, record, suggest):
        assert schema["additionalProperties"] is False
        assert all(one["description"] for one in schema["properties"].values())
    for option in BY_FIELD.values():
        if option.name != "q":
            assert search["properties"][option.name]["description"] == option.help


def test_the_server_says_what_it_holds(shelf: Shelf) -> None:
    async def told(client: Client) -> tuple[str, str, str]:
        return client.server_info.name, client.server_info.version, client.instructions or ""

    name, version, about = with_client(shelf, told)
    assert (name, version) == ("abstract-engine", __version__)
    assert about.endswith("Indexes: toy (46 abstracts), old (40 abstracts).")


@pytest.mark.parametrize(
    ("given", "query"),
    [
        ({"query": "gout"}, "q=gout"),
        ({"query": "gout", "n": 3, "offset": 2}, "q=gout&n=3&offset=2"),
        ({"query": "gout", "mode": "hybrid"}, "q=gout&mode=hybrid"),
        ({"query": "gout", "mode": "keyword", "year": "1991-2010"}, "q=gout&mode=keyword&year=1991-2010"),
        ({"query": "gout", "journal": "Gut"}, "q=gout&journal=Gut"),
        ({"query": "gout", "mesh": "gout"}, "q=gout&mesh=gout"),
        ({"query": "gout", "type": "review"}, "q=gout&type=review"),
        ({"query": "gout", "type": ["review"], "keyword": ["urate"]}, "q=gout&type=review&keyword=urate"),
        ({"query": "gout", "language": "French", "has_abstract": None}, "q=gout&language=French"),
        ({"query": "gout", "source": "rows*", "has_abstract": True}, "q=gout&source=rows*&has_abstract=true"),
        ({"query": "gout", "mode": "hybrid", "weight": 0.25}, "q=gout&mode=hybrid&weight=0.25"),
        ({"query": "gout", "year": 2031}, "q=gout&year=2031"),
        ({"query": "gout", "year": [2031, "1991-2010"]}, "q=gout&year=2031&year=1991-2010"),
        ({"query": "gout", "n": "3", "offset": "2"}, "q=gout&n=3&offset=2"),
        ({"query": "gout", "n": 3.0, "min_score": "0.1"}, "q=gout&n=3&min_score=0.1"),
        ({"query": "gout", "n": None, "year": None, "mode": None, "index": None}, "q=gout"),
        ({"query": "gout", "ids": ["gut", 77]}, "q=gout&ids=gut&ids=77"),
        ({"like": ["toy-01"], "unlike": "toy-09"}, "like=toy-01&unlike=toy-09"),
        ({"query": "gout", "author": "smith j"}, "q=gout&author=smith+j"),
        ({"query": "gout", "where": "year >= 2031"}, "q=gout&where=year+>=+2031"),
        ({"query": "gout", "n": 50, "retracted": False}, "q=gout&n=50&retracted=false"),
        ({"query": "gout", "index": "old"}, "q=gout&i=old"),
    ],
)  # fmt: skip
def test_search_is_the_search_of_the_api(shelf: Shelf, client: TestClient, given: dict[str, Any], query: str) -> None:
    found, wanted = ok(shelf, "search", **given), client.get(f"/api/v1/search?{query}").json()
    assert wanted["hits"]
    for name in ("query", "groups", "next"):
        del wanted[name]
    assert found == wanted


def test_similar_and_record_are_those_of_the_api(shelf: Shelf, client: TestClient) -> None:
    found = ok(shelf, "similar", ids=["toy-01", "77"], unlike=["toy-09"], n=4)
    wanted = client.get("/api/v1/similar?id=toy-01&id=77&unlike=toy-09&n=4").json()
    assert found["hits"] == wanted["hits"] and len(found["hits"]) == 4
    assert found["generation"] == 3 and found["n_qualified"] == wanted["n_qualified"]
    assert ok(shelf, "similar", ids=["toy-01"])["hits"] == client.get("/api/v1/similar?id=toy-01").json()["hits"]
    for given in ("gut", "PMID:77", "10.1000/gut.1"):
        assert ok(shelf, "record", id=given) == client.get("/api/v1/record", params={"id": given}).json()
    for ids in ([77], 77, "77", ["77"]):
        assert ok(shelf, "similar", ids=ids, n=2)["hits"] == client.get("/api/v1/similar?id=77&n=2").json()["hits"]
    narrowed = ok(shelf, "similar", ids="toy-01", year="1991-2010", query="gout", n=40)
    assert narrowed["hits"] == client.get("/api/v1/similar?id=toy-01&year=1991-2010&q=gout&n=40").json()["hits"]
    assert ok(shelf, "record", id=77) == client.get("/api/v1/record", params={"id": "77"}).json()
    assert ok(shelf, "record", id="toy-01", index="old")["index"] == "old"


def test_what_makes_no_sense_is_an_error_of_the_tool(shelf: Shelf) -> None:
    for given, said in (
        ({"query": ""}, "the query is blank"),
        ({"query": "gout", "n": 0}, "n is '0', expected a whole number from 1 to 1,000"),
        ({"query": "gout", "n": 10**9}, "n is '1000000000'"),
        ({"query": "gout", "n": 2**70}, "n is '"),
        ({"query": "gout", "offset": -1}, "offset is '-1'"),
        ({"query": "gout", "offset": 9_999}, "expected 10,000 at most"),
        ({"query": "gout", "mode": "x"}, "mode is 'x', expected one of semantic, keyword, hybrid"),
        ({"query": "gout", "year": "x"}, "is not a range of years"),
        ({"query": "gout", "where": "year >"}, "where: at character"),
        ({"query": "a" * (MAX_TEXT + 1)}, f"query has {MAX_TEXT + 1:,} characters"),
        ({"query": "gout", "n": True}, "n is 'true', expected a whole number"),
        ({"query": "gout", "n": 2.5}, "n is '2.5', expected a whole number"),
        ({"query": "gout", "n": {"a": 1}}, "n contains dict, expected texts, numbers, true or false"),
        ({"query": "gout", "top_k": 2}, "unknown parameter 'top_k' (did you mean n?)"),
        ({"query": "gout", "years": "1990"}, "unknown parameter 'years' (did you mean year?)"),
        ({"query": "gout", "year_from": 2030}, "unknown parameter 'year_from'"),
        ({"query": "gout", "limit": 1}, "unknown parameter 'limit'"),
        ({"query": "gout", "retracted": "maybe"}, "retracted is 'maybe', expected true or false"),
        ({"query": "gout", "index": "nope"}, "no index named 'nope'"),
        ({"query": "gout", "n": "many"}, "n is 'many', expected a whole number from 1"),
        ({}, "the query is blank"),
    ):
        assert said in refused(shelf, "search", **given), given  # type: ignore[arg-type]
    assert "no record 'nope'" in refused(shelf, "similar", ids=["nope"])
    assert "ids is missing" in refused(shelf, "similar", ids=[])
    assert "id is missing" in refused(shelf, "record")
    assert "unknown parameter 'q'" in refused(shelf, "record", id="toy-01", q="x")
    assert "ids has 101 values, expected 100 at most" in refused(shelf, "similar", ids=["toy-01"] * 101)
    assert "no record 'nope'" in refused(shelf, "record", id="nope")
    for name in ("..", "../toy", "/etc/passwd", "a\x00", "x" * 300):
        assert "no index named" in refused(shelf, "record", id="toy-01", index=name)
    assert "id has 10,000 characters, expected 500 at most" in refused(shelf, "record", id="x" * 10_000)
    assert "no tool named 'find'. Known tools: search, similar, record" in refused(shelf, "find")


def test_a_damaged_index_is_an_error_of_the_tool_too(fresh: IndexFolder) -> None:
    shelf = Shelf([fresh.path])
    try:
        database = segment_of(fresh, 2).database
        size = database.stat().st_size
        with database.open("r+b") as file:
            file.seek(4096)
            file.write(b"\xff" * (size - 4096))
        assert "abstracts.db" in refused(shelf, "search", query="gout")
    finally:
        shelf.close()


def test_the_command_answers_on_standard_output_and_ends_with_its_input(tmp_path: Path) -> None:
    shutil.copytree(CURRENT, tmp_path / "indexes" / "toy")
    server = StdioServerParameters(
        command=sys.executable,
        args=["-m", "engine", "mcp", "-i", "toy"],
        env={**os.environ, "ENGINE_INDEXES": str(tmp_path / "indexes"), "PYTHONPATH": str(ROOT)},
        cwd=tmp_path,
    )

    async def run() -> tuple[list[str], Any]:
        with (tmp_path / "errors").open("w") as errors:
            async with Client(stdio_client(server, errlog=errors)) as client:
                listed = [one.name for one in (await client.list_tools()).tools]
                return listed, await client.call_tool("search", {"query": "secretquestion", "n": 3})

    listed, result = asyncio.run(run())
    assert listed == ["search", "similar", "record", "suggest"]
    assert len(result.structured_content["hits"]) == 3 and result.structured_content["generation"] == 2
    assert "secretquestion" not in (tmp_path / "errors").read_text()


def test_a_message_with_an_id_is_always_replied_to(tmp_path: Path) -> None:
    shutil.copytree(CURRENT, tmp_path / "indexes" / "toy")
    lines = [
        {"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": {
            "protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {"name": "x", "version": "1"}}},
        {"jsonrpc": "2.0", "method": "notifications/initialized"},
        {"jsonrpc": "2.0", "id": 2, "method": "tools/call", "params": "x"},
        {"jsonrpc": "2.0", "id": "three", "method": 3},
        {"jsonrpc": "2.0", "id": 4, "method": "tools/list"},
    ]  # fmt: skip
    done = subprocess.run(
        [sys.executable, "-m", "engine", "mcp", "-i", "toy", "--indexes", str(tmp_path / "indexes")],
        input="".join(json.dumps(line) + "\n" for line in lines) + "not JSON\n",
        capture_output=True, text=True, timeout=120, cwd=tmp_path, env={**os.environ, "PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    replies = {reply["id"]: reply for reply in map(json.loads, done.stdout.splitlines())}
    assert set(replies) == {1, 2, "three", 4}
    assert replies[2]["error"]["code"] == replies["three"]["error"]["code"] == -32600
    assert "if present, an object as params" in replies[2]["error"]["message"] and "pydantic" not in done.stdout
    assert len(replies[4]["result"]["tools"]) == 4


def test_searches_from_known_records_are_those_of_the_api(shelf: Shelf, client: TestClient) -> None:
    ids = ["toy-01", "toy-02", "toy-03", "nope"]
    found = ok(shelf, "suggest", known=ids)
    assert found == client.get("/api/v1/suggest", params={"known": ids}).json()
    with open_index(shelf.get_index().path) as index:
        assert found == {"index": "toy"} | list_suggestion_fields(index.suggest(ids))
    assert found["absent"] == ["nope"] and set(found["searches"][0]["lines"]) == {"PubMed", "Ovid", "Embase"}
    assert ok(shelf, "suggest", known=ids[:3], index="old")["index"] == "old"
    assert "1 known record in the index, expected 2 to 200" in refused(shelf, "suggest", known="toy-01")
    assert "known has 201 values, expected 200 at most" in refused(shelf, "suggest", known=list(map(str, range(201))))
    assert "known is missing" in refused(shelf, "suggest")
