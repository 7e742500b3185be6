"""The page on where the records of an index come from, with its diagram."""

from __future__ import annotations

from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from engine.query.index import Index, get_generation
from engine.query.opening.flows import read_flow
from engine.query.prisma import describe_sources
from engine.query.searchlog import count_removed, list_sources
from engine.review.report.flow import RULES, ScreeningCounts, describe_flow, draw_flow
from engine.serve.api.bodies import dump_bytes
from engine.serve.pages.downloads import name_attachment
from engine.serve.pages.links import State
from engine.serve.pages.templates import render_page
from engine.serve.request.operations import Operation
from engine.serve.request.parameters import INDEX
from engine.serve.request.site import HTML, JSON, get_site, read_values, respond

SVG = "image/svg+xml"


async def _show_flow_page(request: Request) -> Response:
    """Send the flow of records as a diagram and as tables."""
    values = read_values(request, (INDEX,))
    shelf = get_site(request).shelf
    index = shelf.get_index(values.get_text("i"))
    where = State(tuple(("i", name) for name in values.get_texts("i"))).build_address("")
    return await respond(request, [index], HTML, lambda: render_flow(index, names=shelf.names, where=where))


def render_flow(index: Index, counts: ScreeningCounts | None = None, **values: Any) -> bytes:
    """Render the page, with the decisions of a review if there are counts.

    values: template values; the names of the indexes to choose from, and those of the pages of a review.
    """
    flow = read_flow(get_generation(index))
    fields = {
        "here": "flow",
        "index": index,
        "names": (),
        "review": "",
        "path": "/flow",
        "flow": flow,
        "counts": counts,
        "duplicates": [(RULES[rule], n) for rule, n in flow.duplicates.items()],
        "n_duplicates": sum(flow.duplicates.values()),
        "paragraph": " ".join(describe_sources(list_sources(flow), count_removed(flow))),
    }
    return render_page("flow", title="Flow", **(fields | values))


async def _send_diagram(request: Request) -> Response:
    """Send the diagram as SVG."""
    index = _get_index(request)
    return name_diagram(await respond(request, [index], SVG, lambda: render_diagram(index)), index)


def render_diagram(index: Index, counts: ScreeningCounts | None = None) -> bytes:
    """Render the diagram, with the decisions of a review if there are counts."""
    return draw_flow(read_flow(get_generation(index)), counts).encode("utf-8", "replace")


def name_diagram(response: Response, index: Index, suffix: str = ".svg") -> Response:
    """Return the response after marking it as a download."""
    return name_attachment(response, f"{index.name}-{index.generation:06d}-flow{suffix}")


async def _send_numbers(request: Request) -> Response:
    """Send every number of the diagram as JSON."""
    index = _get_index(request)
    return name_diagram(await respond(request, [index], JSON, lambda: render_numbers(index)), index, ".json")


def render_numbers(index: Index, counts: ScreeningCounts | None = None, review: str = "") -> bytes:
    """Return every number of the diagram as JSON, with the decisions of a review if there are counts."""
    return dump_bytes(describe_flow(index.name, read_flow(get_generation(index)), counts, review))


def _get_index(request: Request) -> Index:
    """Return the index that a request names."""
    return get_site(request).shelf.get_index(read_values(request, (INDEX,)).get_text("i"))


OPERATIONS = (
    Operation("/flow", _show_flow_page, (INDEX,), (HTML,)),
    Operation("/flow.svg", _send_diagram, (INDEX,), (SVG,)),
    Operation("/flow.json", _send_numbers, (INDEX,), ("Flow",)),
)
