"""The Model Context Protocol (MCP) server for assistants, with the tools search, similar, record and suggest.

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
    JSONRPCRequest,
    ListToolsResult,
    PaginatedRequestParams,
    TextContent,
    Tool,
)
from starlette.concurrency import run_in_threadpool

from engine import __version__
from engine.errors import EngineError, UsageError
from engine.options import Query
from engine.phrases import pluralize
from engine.query.index import Index
from engine.serve.api.bodies import build_answer_body, build_record_body, build_suggestion_body
from engine.serve.api.handlers import SIMILAR, SUGGEST, list_pairs
from engine.serve.api.schemas import Schema, build_argument_schema
from engine.serve.request.parameters import CITED_RECORD, INDEX, QUERY, Parameter, RequestValues
from engine.serve.request.queries import read_query
from engine.serve.work.shelf import Shelf

Answer = dict[str, Any]
NAMES = {"q": "query", "i": "index"}  # parameter -> argument, where a longer name is clearer
ABOUT = (
    "Semantic search over an index of biomedical abstracts. Scores are cosines, at most 1. Every answer names the "
    "generation of the index that it comes from. Retracted records are flagged. Cite records by PMID or DOI."
)
_LAST_REPLIES = 60  # seconds for what a client asked before its input ended
_MALFORMED = "malformed request, expected a text as method and, if present, an object as params"


@dataclass(frozen=True, slots=True)
class _ToolCall:
    """A tool: its description, its arguments, and the function that answers a call."""

    about: str
    names: Mapping[str, str]  # argument -> parameter of the API
    arguments: tuple[Parameter, ...]  # the parameters under the names of the arguments
    parameters: tuple[Parameter, ...]  # the parameters of the API
    answer: Callable[[Shelf, RequestValues], Answer]

    @property
    def schema(self) -> Schema:
        """The JSON Schema of the arguments."""
        return {
            "type": "object",
            "properties": {argument.name: build_argument_schema(argument) for argument in self.arguments},
            "required": [argument.name for argument in self.arguments if argument.required],
            "additionalProperties": False,
        }

    def read(self, values: Mapping[str, Any]) -> RequestValues:
        """Return the arguments of a call as parameters of the API; null is ignored.

        Raises:
            UsageError: an unknown argument, or an invalid value.
        """
        pairs = list_pairs(values)
        unknown = [(name, "") for name in values if name not in self.names]
        RequestValues([*unknown, *pairs], self.arguments)  # so that errors use the names of the arguments
        return RequestValues([(self.names[name], value) for name, value in pairs], self.parameters)


def _build_tool(
    about: str, parameters: tuple[Parameter, ...], answer: Callable[[Shelf, RequestValues], Answer], **renames: str
) -> _ToolCall:
    """Return a tool that takes parameters of the API; renames maps a parameter to the name of its argument."""
    names = {p.name: renames.get(p.name) or NAMES.get(p.name, p.name) for p in parameters}
    arguments = tuple(replace(parameter, name=names[parameter.name]) for parameter in parameters)
    return _ToolCall(about, {name: parameter for parameter, name in names.items()}, arguments, parameters, answer)


def _answer_search(shelf: Shelf, values: RequestValues) -> Answer:
    """Answer a search."""
    return answer_query(shelf.get_index(values.get_text("i")), read_query(values))


def _answer_similar(shelf: Shelf, values: RequestValues) -> Answer:
    """Answer a search by examples."""
    return answer_query(shelf.get_index(values.get_text("i")), read_query(values, like=values.get_texts("id")))


def _answer_record(shelf: Shelf, values: RequestValues) -> Answer:
    """Return one record with all its fields."""
    index = shelf.get_index(values.get_text("i"))
    return build_record_body(index, index.get(values.get_text("id")), values.get_text("cite"))


def _answer_suggest(shelf: Shelf, values: RequestValues) -> Answer:
    """Return searches from known records."""
    return build_suggestion_body(shelf.get_index(values.get_text("i")), values.get_texts("known"))


def answer_query(index: Index, query: Query) -> Answer:
    """Return the answer to a query, without the query itself, and with groups only if requested."""
    body = build_answer_body(index, index.ask(query))
    del body["query"]
    if not query.group_by:
        del body["groups"]
    return body


_TOOLS = {
    "search": _build_tool(
        "Find the abstracts nearest to a question or a description in plain words, best first. Pass a query, "
        "example records in like, or both.",
        (*QUERY, INDEX),
        _answer_search,
    ),
    "similar": _build_tool(
        "Find the abstracts nearest to stored records, given by their ids, PMIDs or DOIs. Records in unlike push "
        "similar abstracts down.",
        tuple(parameter for parameter in SIMILAR if parameter.name != "ids"),  # the argument ids has the examples
        _answer_similar,
        id="ids",
    ),
    "record": _build_tool(
        "Return everything stored about one record, by its id, PMID or DOI.", CITED_RECORD, _answer_record
    ),
    "suggest": _build_tool(
        "Write Boolean searches for PubMed, Ovid and Embase that find known records and little else, from the words "
        "and MeSH headings that these have more often than others. Says what each search would miss, and why.",
        SUGGEST,
        _answer_suggest,
    ),
}


def serve_tools(folders: Sequence[Path]) -> None:
    """Serve the tools on standard input and output until the input ends.

    Raises:
        EngineError: an index can't be opened.
    """
    shelf = Shelf(folders)
    with shelf.follow_in_thread():
        anyio.run(_run_on_streams, _build_tools(shelf))


async def _run_on_streams(server: Server[Any]) -> None:
    """Serve one client on standard input and output. What it asked before its input ended is answered."""
    async with stdio_server() as (messages, replies):
        forward, readable = anyio.create_memory_object_stream[SessionMessage | Exception](0)
        writable, answered = anyio.create_memory_object_stream[SessionMessage](0)
        pending: set[object] = set()  # ids of requests without a reply

        async def pass_messages() -> None:
            async with forward:
                async for message in messages:
                    if (refusal := _build_refusal(message)) is not None:
                        await replies.send(SessionMessage(refusal))
                        continue
                    if isinstance(message, SessionMessage) and isinstance(message.message, JSONRPCRequest):
                        pending.add(message.message.id)
                    await forward.send(message)
                with anyio.move_on_after(_LAST_REPLIES):  # the server drops its requests when its input ends
                    while pending:
                        await anyio.sleep(0.01)

        async def pass_replies() -> None:
            async with replies:
                async for reply in answered:
                    await replies.send(reply)
                    pending.discard(getattr(reply.message, "id", None))

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(pass_messages)
            tasks.start_soon(pass_replies)
            async with writable:
                await server.run(readable, writable, server.create_initialization_options())


def _build_refusal(message: SessionMessage | Exception) -> JSONRPCError | None:
    """Return the error reply to a malformed message with an id, which the SDK would not answer; else None."""
    details = getattr(message, "errors", None)
    for error in details() if details else ():
        content = error.get("input")
        request_id = content.get("id") if isinstance(content, dict) else None
        if isinstance(request_id, int | str) and not isinstance(request_id, bool):
            return JSONRPCError(jsonrpc="2.0", id=request_id, error=ErrorData(code=INVALID_REQUEST, message=_MALFORMED))
    return None


def _build_tools(shelf: Shelf) -> Server[Any]:
    """Return an MCP server with the tools over the open indexes."""

    async def list_tools(_: ServerRequestContext[Any], params: PaginatedRequestParams | None) -> ListToolsResult:
        tools = [Tool(name=name, description=tool.about, input_schema=tool.schema) for name, tool in _TOOLS.items()]
        return ListToolsResult(tools=tools)

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
        UsageError: there is no tool of that name.
    """
    if name not in _TOOLS:
        raise UsageError(f"no tool named {name[:80]!r}. Known tools: {', '.join(_TOOLS)}")
    return _TOOLS[name]


def _call(shelf: Shelf, name: str, arguments: Mapping[str, Any]) -> CallToolResult:
    """Call a tool; an error of the engine becomes an error result with its message."""
    try:
        tool = _find_tool(name)
        answer = tool.answer(shelf, tool.read(arguments))
    except EngineError as err:
        return CallToolResult(content=[TextContent(type="text", text=str(err))], is_error=True)
    text = json.dumps(answer, ensure_ascii=False, allow_nan=False)
    return CallToolResult(content=[TextContent(type="text", text=text)], structured_content=answer)


def describe(shelf: Shelf) -> str:
    """Return the instructions for assistants, with the names and sizes of the indexes."""
    sizes = [
        f"{name} ({pluralize(shelf.get_index(name).manifest.counts.abstracts, 'abstract')})" for name in shelf.names
    ]
    return f"{ABOUT} Indexes: {', '.join(sizes)}."
