"""The map with the decisions of a review, as far as a reviewer may see them."""

from __future__ import annotations

import numpy as np
from starlette.requests import Request
from starlette.responses import Response

from engine.corpus.storage.journal import DecisionKind
from engine.query.index import get_generation
from engine.serve.http.access import REVIEW
from engine.serve.pages.form import PAGE
from engine.serve.pages.map import BINARY, POINTS, read_drawing_request, read_map_request, render_map
from engine.serve.request.operations import Audience, Operation
from engine.serve.request.site import HTML, get_review, get_site
from engine.serve.review.forms import find_who

_NUMBERS = {DecisionKind.INCLUDE: 1, DecisionKind.EXCLUDE: 2, DecisionKind.MAYBE: 3, None: 4}  # None: in conflict


async def _show_map_page(request: Request) -> Response:
    """Send the map, whose points can be coloured by decision."""
    rules, who = get_review(request).rules, find_who(request)
    index, state, query = read_map_request(request)
    values = {
        "here": "review",
        "page": "map",
        "path": f"{REVIEW}/map",
        "review": rules.name,
        "who": who,
        "is_blind": rules.is_blind,
    }
    body = await get_site(request).desk.run(lambda: render_map(index, state, query, **values))
    return Response(body, media_type=HTML)


async def _send_decisions(request: Request) -> Response:
    """Send a byte for each point of the map.

    1 is include, 2 exclude, 3 maybe, 4 a conflict, and 0 no decision, or none that the reviewer may see.
    """
    index, drawing, _ = read_drawing_request(request, POINTS)
    review, who = get_review(request), find_who(request)

    def work() -> bytes:
        numbers = np.zeros(len(drawing.map.doc_ids), np.uint8)
        for each in review.read_visible(get_generation(index), who).records:
            if each.doc_id is not None:
                numbers[drawing.find_rows([each.doc_id])] = _NUMBERS.get(each.kind, 0)
        return numbers.tobytes()

    return Response(await get_site(request).desk.run(work), media_type=BINARY)


OPERATIONS = (
    Operation(f"{REVIEW}/map", _show_map_page, PAGE, (HTML,), Audience.REVIEWERS),
    Operation(f"{REVIEW}/map/decisions", _send_decisions, POINTS, (BINARY,), Audience.REVIEWERS),
)
