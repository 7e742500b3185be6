"""The engine for assistants: search, similar and record as tools of the Model Context Protocol.

The arguments of a tool are the parameters of the API, with the same checks and limits.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import anyio
from mcp.server.context import ServerRequestContext
from mcp.server.lowlevel import Server
from mcp.server.stdio import stdio_server
from mcp.shared.message import SessionMessage
from mcp_types import (
    INVALID_REQUEST,
    CallToolRequestParams,
    CallToolResult,
    ErrorData,
    JSONRPCError,
    ListToolsResult,
    PaginatedRequestParams,
    TextContent,
    Tool,
)
from starlette.concurrency import run_in_threadpool

from engine import __version__
from engine.errors import EngineError, UsageError
from engine.options import Query
from engine.query.index import Index
from engine.serve.api.bodies import build_answer_body, record_object
from engine.serve.api.handlers import SIMILAR, list_pairs
from engine.serve.api.schemas import Schema, build_argument_schema
from engine.serve.request.parameters import FILTERS, QUESTION, RANKING, RECORD, SEARCH, Parameter, RequestValues
from engine.serve.request.queries import read_query
from engine.serve.work.shelf import Shelf

Answer = dict[str, Any]
NAMES = {"q": "query", "i": "index"}  # parameter -> argument, where a longer name says more
ABOUT = (
    "Semantic search over an index of biomedical abstracts. Scores are cosines, at most 1. Every answer names the "
    "generation of the index that it is from. Retracted records are flagged; cite records by PMID or DOI."
)
_MALFORMED = "malformed request: method must be text, and params, if given, an object"


@dataclass(frozen=True, slots=True)
class _ToolCall:
    """A tool: what it is for, what it takes, and what answers it."""

    about: str
    names: Mapping[str, str]  # argument -> parameter of the API
    taken: tuple[Parameter, ...]  # by the names of the arguments
    known: tuple[Parameter, ...]  # the parameters of the API
    answer: Callable[[Shelf, RequestValues], Answer]

    @property
    def schema(self) -> Schema:
        """Return the JSON Schema of the arguments."""
        return {
            "type": "object",
            "properties": {one.name: build_argument_schema(one) for one in self.taken},
            "required": [one.name for one in self.taken if one.required],
            "additionalProperties": False,
        }

    def read(self, arguments: Mapping[str, Any]) -> RequestValues:
        """Return the arguments as the parameters of the API; null counts as not given.

        Raises:
            UsageError: an unknown argument, or a value that makes no sense.
        """
        pairs = list_pairs(arguments)
        unknown = [(name, "") for name in arguments if name not in self.names]
        RequestValues([*unknown, *pairs], self.taken)  # refuses under the names that the assistant knows
        return RequestValues([(self.names[name], value) for name, value in pairs], self.known)


def _build_tool(
    about: str, known: tuple[Parameter, ...], answer: Callable[[Shelf, RequestValues], Answer], **other_names: str
) -> _ToolCall:
    """Return the tool that takes the parameters of the API, some by other names."""
    names = {one.name: other_names.get(one.name) or NAMES.get(one.name, one.name) for one in known}
    taken = tuple(replace(one, name=names[one.name]) for one in known)
    return _ToolCall(about, {name: parameter for parameter, name in names.items()}, taken, known, answer)


def _answer_search(shelf: Shelf, given: RequestValues) -> Answer:
    """Answer a search."""
    return answer_query(shelf.index(given.get_text("i")), read_query(given))


def _answer_similar(shelf: Shelf, given: RequestValues) -> Answer:
    """Answer a search by examples."""
    return answer_query(shelf.index(given.get_text("i")), read_query(given, like=given.get_texts("id")))


def _answer_record(shelf: Shelf, given: RequestValues) -> Answer:
    """Return one record whole."""
    index = shelf.index(given.get_text("i"))
    return record_object(index, index.get(given.get_text("id")))


def answer_query(index: Index, query: Query) -> Answer:
    """Answer a query, without repeating it; with groups where they were asked for."""
    found = build_answer_body(index, index.ask(query))
    del found["query"]
    if not query.group_by:
        del found["groups"]
    return found


_TOOLS = {
    "search": _build_tool(
        "Find the abstracts nearest to a question or a description in plain words, best first. Give a query, or "
        "records in like, or both.",
        (*QUESTION, *RANKING, *FILTERS, SEARCH[0]),
        _answer_search,
    ),
    "similar": _build_tool(
        "Find the abstracts nearest to stored records, by their ids, PMIDs or DOIs; away from those in unlike.",
        tuple(one for one in SIMILAR if one.name != "ids"),  # the examples have that name
        _answer_similar,
        id="ids",
    ),
    "record": _build_tool("Return everything stored about one record, by its id, PMID or DOI.", RECORD, _answer_record),
}


def serve_tools(folders: Sequence[Path]) -> None:
    """Answer on standard input and output until the input ends.

    Raises:
        EngineError: an index can't be opened.
    """
    shelf = Shelf(folders)
    with shelf.follow_in_thread():
        anyio.run(_run_on_streams, _build_tools(shelf))


async def _run_on_streams(server: Server[Any]) -> None:
    """Serve one client on standard input and output."""
    async with stdio_server() as (messages, replies):
        forward, readable = anyio.create_memory_object_stream[SessionMessage | Exception](0)

        async def refuse_malformed() -> None:
            async with forward:
                async for message in messages:
                    if (refusal := _build_refusal(message)) is None:
                        await forward.send(message)
                    else:
                        await replies.send(SessionMessage(refusal))

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(refuse_malformed)
            await server.run(readable, replies, server.create_initialization_options())


def _build_refusal(message: SessionMessage | Exception) -> JSONRPCError | None:
    """Return the reply to a message that is malformed but has an id, which the SDK would leave without one."""
    details = getattr(message, "errors", None)
    for error in details() if details else ():
        given = error.get("input")
        request_id = given.get("id") if isinstance(given, dict) else None
        if isinstance(request_id, int | str) and not isinstance(request_id, bool):
            return JSONRPCError(jsonrpc="2.0", id=request_id, error=ErrorData(code=INVALID_REQUEST, message=_MALFORMED))
    return None


def _build_tools(shelf: Shelf) -> Server[Any]:
    """Return a server of the tools over open indexes."""

    async def list_tools(_: ServerRequestContext[Any], params: PaginatedRequestParams | None) -> ListToolsResult:
        listed = [Tool(name=name, description=one.about, input_schema=one.schema) for name, one in _TOOLS.items()]
        return ListToolsResult(tools=listed)

    async def call_tool(_: ServerRequestContext[Any], params: CallToolRequestParams) -> CallToolResult:
        return await run_in_threadpool(partial(_call, shelf, params.name, params.arguments or {}))

    return Server(
        "abstract-engine",
        version=__version__,
        instructions=describe(shelf),
        on_list_tools=list_tools,
        on_call_tool=call_tool,
    )


def _find_tool(name: str) -> _ToolCall:
    """Return a tool by its name.

    Raises:
        UsageError: there is none.
    """
    if name not in _TOOLS:
        raise UsageError(f"no tool named {name[:80]!r}. Known tools: {', '.join(_TOOLS)}")
    return _TOOLS[name]


def _call(shelf: Shelf, name: str, arguments: Mapping[str, Any]) -> CallToolResult:
    """Call a tool; what the engine refuses is an error that the assistant can read."""
    try:
        tool = _find_tool(name)
        answer = tool.answer(shelf, tool.read(arguments))
    except EngineError as err:
        return CallToolResult(content=[TextContent(type="text", text=str(err))], is_error=True)
    text = json.dumps(answer, ensure_ascii=False, allow_nan=False)
    return CallToolResult(content=[TextContent(type="text", text=text)], structured_content=answer)


def describe(shelf: Shelf) -> str:
    """Return what an assistant is told about the indexes."""
    held = [f"{name} ({shelf.index(name).manifest.counts.abstracts:,} abstracts)" for name in shelf.names]
    return f"{ABOUT} Indexes: {', '.join(held)}."
