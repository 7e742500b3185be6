"""The engine for assistants: search, similar and record as tools of the Model Context Protocol.

What a tool is given passes the same checks as a request of the API, and has the same limits.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import wraps
from pathlib import Path
from typing import Any, ParamSpec

from mcp.server.mcpserver import MCPServer
from mcp.server.mcpserver.exceptions import ToolError

from engine import __version__
from engine.errors import EngineError
from engine.queries import Query
from engine.query.index import Index
from engine.serve.api import SIMILAR
from engine.serve.asked import query_of
from engine.serve.bodies import answered, record_object
from engine.serve.parameters import SEARCH, Given
from engine.serve.shelf import Shelf

P = ParamSpec("P")
Answer = dict[str, Any]
ABOUT = (
    "Semantic search over an index of biomedical abstracts. Scores are cosines, at most 1. Every answer names the "
    "generation of the index that it is of. Retracted records are flagged; cite records by PMID or DOI."
)


def serve_tools(folders: Sequence[Path]) -> None:
    """Answer on standard input and output until the input ends.

    Raises:
        EngineError: an index can't be opened.
    """
    shelf = Shelf(folders)
    with shelf.following():
        tools(shelf).run("stdio")


def tools(shelf: Shelf) -> MCPServer:
    """The tools over open indexes."""
    server: MCPServer = MCPServer(
        "abstract-engine", instructions=about(shelf), version=__version__, log_level="WARNING"
    )

    @server.tool()
    @telling_errors
    def search(
        query: str,
        n: int = 10,
        offset: int = 0,
        mode: str = "semantic",
        year: str = "",
        journal: str = "",
        mesh: str = "",
        publication_type: str = "",
        author: str = "",
        where: str = "",
        hide_retracted: bool = False,
        index: str = "",
    ) -> Answer:
        """Find the abstracts nearest to a question or a description in plain words, best first.

        mode: semantic, keyword or hybrid. year: 2015, 1998-2003, 2015- or -1990. journal, mesh and publication_type are
        whole names, * stands for any characters. where: an expression like year >= 2015 and not mesh = "Animals".
        """
        pairs = [("q", query), ("n", str(n)), ("offset", str(offset)), ("mode", mode), ("year", year)]
        pairs += [("journal", journal), ("mesh", mesh), ("type", publication_type), ("author", author)]
        pairs += [("where", where), ("retracted", "false" if hide_retracted else "")]
        return asked(shelf.index(index), query_of(Given(pairs, SEARCH)))

    @server.tool()
    @telling_errors
    def similar(ids: list[str], n: int = 10, unlike: list[str] | None = None, index: str = "") -> Answer:
        """Find the abstracts nearest to stored records, by their ids, PMIDs or DOIs; away from those in unlike."""
        pairs = [("id", one) for one in ids] + [("unlike", one) for one in unlike or ()] + [("n", str(n))]
        given = Given(pairs, SIMILAR)
        return asked(shelf.index(index), query_of(given, like=given.texts("id")))

    @server.tool()
    @telling_errors
    def record(id: str, index: str = "") -> Answer:
        """All that is stored of one record, by its id, PMID or DOI."""
        found = shelf.index(index)
        return record_object(found, found.get(id))

    return server


def about(shelf: Shelf) -> str:
    """What an assistant is told of the indexes."""
    held = [f"{name} ({shelf.index(name).manifest.counts.abstracts:,} abstracts)" for name in shelf.names]
    return f"{ABOUT} Indexes: {', '.join(held)}."


def asked(index: Index, query: Query) -> Answer:
    """An answer without the query, which the assistant has."""
    found = answered(index, index.ask(query))
    del found["query"], found["groups"]
    return found


def telling_errors(work: Callable[P, Answer]) -> Callable[P, Answer]:
    """The same tool, with its errors as the assistant may read them."""

    @wraps(work)
    def run(*args: P.args, **given: P.kwargs) -> Answer:
        """Run the tool.

        Raises:
            ToolError: the engine refused.
        """
        try:
            return work(*args, **given)
        except EngineError as err:
            raise ToolError(str(err)) from err

    return run
