"""The page on where the records of an index come from, with its diagram."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response

from engine.query.flows import read_flow
from engine.query.index import Index, get_generation
from engine.query.prisma import describe_sources
from engine.query.searchlog import count_removed, list_sources
from engine.review.flow import RULES, describe_flow, draw_flow
from engine.serve.api.bodies import dump_bytes
from engine.serve.pages.downloads import name_attachment
from engine.serve.pages.links import State
from engine.serve.pages.templates import render_page
from engine.serve.request.parameters import INDEX, RequestValues
from engine.serve.request.site import HTML, JSON, get_site, read_values, respond

_SVG = "image/svg+xml"


async def show_flow_page(request: Request) -> Response:
    """Send the flow of records as a diagram and as tables."""
    values = read_values(request, (INDEX,))
    shelf = get_site(request).shelf
    index = shelf.get_index(values.get_text("i"))
    return await respond(request, [index], HTML, lambda: _render_flow_page(index, shelf.names, values))


def _render_flow_page(index: Index, names: list[str], values: RequestValues) -> bytes:
    """Render the page."""
    where = State(tuple(("i", name) for name in values.get_texts("i"))).build_address("")
    flow = read_flow(get_generation(index))
    return render_page(
        "flow",
        title="Flow",
        here="flow",
        index=index,
        names=names,
        where=where,
        flow=flow,
        duplicates=[(RULES[rule], n) for rule, n in flow.duplicates.items()],
        paragraph=" ".join(describe_sources(list_sources(flow), count_removed(flow))),
        n_duplicates=sum(flow.duplicates.values()),
    )


async def send_diagram(request: Request) -> Response:
    """Send the diagram as SVG."""
    index = _get_index(request)
    response = await respond(
        request, [index], _SVG, lambda: draw_flow(read_flow(get_generation(index)), None).encode("utf-8", "replace")
    )
    return name_attachment(response, f"{index.name}-{index.generation:06d}-flow.svg")


async def send_numbers(request: Request) -> Response:
    """Send every number of the diagram as JSON."""
    index = _get_index(request)
    response = await respond(
        request, [index], JSON, lambda: dump_bytes(describe_flow(index.name, read_flow(get_generation(index)), None))
    )
    return name_attachment(response, f"{index.name}-{index.generation:06d}-flow.json")


def _get_index(request: Request) -> Index:
    """Return the index that a request names."""
    return get_site(request).shelf.get_index(read_values(request, (INDEX,)).get_text("i"))
