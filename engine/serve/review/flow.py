"""The flow of records with the decisions of a review, as far as a reviewer may see them."""

from __future__ import annotations

from collections.abc import Callable

from starlette.requests import Request
from starlette.responses import Response

from engine.query.index import Index, get_generation
from engine.review.report.flow import ScreeningCounts, count_review
from engine.serve.http.access import REVIEW
from engine.serve.pages.flow import SVG, name_diagram, render_diagram, render_flow, render_numbers
from engine.serve.request.operations import Audience, Operation
from engine.serve.request.site import HTML, JSON, get_review, get_site, read_values
from engine.serve.review.forms import find_who


async def _show_flow_page(request: Request) -> Response:
    """Send the flow of records as a diagram and as tables."""
    rules, who = get_review(request).rules, find_who(request)
    values = {
        "here": "review",
        "page": "flow",
        "path": f"{REVIEW}/flow",
        "review": rules.name,
        "who": who,
        "is_blind": rules.is_blind,
    }
    body, _ = await _render(request, lambda index, counts: render_flow(index, counts, **values))
    return Response(body, media_type=HTML)


async def _send_diagram(request: Request) -> Response:
    """Send the diagram as SVG."""
    body, index = await _render(request, render_diagram)
    return name_diagram(Response(body, media_type=SVG), index)


async def _send_numbers(request: Request) -> Response:
    """Send every number of the diagram as JSON."""
    name = get_review(request).rules.name
    body, index = await _render(request, lambda index, counts: render_numbers(index, counts, name))
    return name_diagram(Response(body, media_type=JSON), index, ".json")


async def _render(request: Request, render: Callable[[Index, ScreeningCounts], bytes]) -> tuple[bytes, Index]:
    """Return what a worker renders from the index and the decisions that the reviewer may see, and the index."""
    read_values(request, ())
    site, review, who = get_site(request), get_review(request), find_who(request)
    index = site.shelf.get_index()

    def work() -> bytes:
        return render(index, count_review(review.read_visible(get_generation(index), who)))

    return await site.desk.run(work), index


OPERATIONS = (
    Operation(f"{REVIEW}/flow", _show_flow_page, (), (HTML,), Audience.REVIEWERS),
    Operation(f"{REVIEW}/flow.svg", _send_diagram, (), (SVG,), Audience.REVIEWERS),
    Operation(f"{REVIEW}/flow.json", _send_numbers, (), ("Flow",), Audience.REVIEWERS),
)
