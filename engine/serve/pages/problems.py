"""Error pages: what went wrong, what helps, and where to go on."""

from __future__ import annotations

from difflib import get_close_matches
from http import HTTPStatus

from starlette.requests import Request
from starlette.responses import Response

from engine.serve.http.failures import Failure
from engine.serve.http.prefix import link
from engine.serve.pages.links import State
from engine.serve.pages.templates import render_page
from engine.serve.request.site import HTML, read_pairs

_PAGES = {"/": "Search", "/map": "Map", "/flow": "Flow", "/status": "Status", "/api": "API"}
_HELP = {
    "record_not_found": "A record is found by its PMID, its DOI or its id here. It may not be in this index, or no "
    "longer; you can search for its title instead.",
    "unknown_index": "The status page lists the indexes of this server.",
    "not_found": "There is no such page here. It may have been mistyped, or the link is old.",
    "busy": "Many people search at this moment. Try again in a few seconds.",
}
_OTHERWISE = "Go back, change what you asked for, and try again."
_ASKED = 200  # characters of an id that is searched for instead


def show_failure(request: Request, failure: Failure) -> Response:
    """Return the page of an error."""
    text = _HELP.get(failure.code, _OTHERWISE if failure.status < HTTPStatus.INTERNAL_SERVER_ERROR else "")
    body = render_page(
        "error", title="Error", here="error", failure=failure, help=text, ways=_list_ways(request, failure)
    )
    return Response(body, status_code=failure.status, media_type=HTML, headers=dict(failure.headers))


def _list_ways(request: Request, failure: Failure) -> list[tuple[str, str]]:
    """Return what may help, as names and addresses of pages."""
    ways = [("New search", link("/"))]
    if failure.status == HTTPStatus.SERVICE_UNAVAILABLE:
        ways.insert(0, ("Try again", State(read_pairs(request)).build_address(request.url.path)))
    elif failure.code == "record_not_found":
        given = next((value for name, value in read_pairs(request) if name == "id"), "")
        ways.append(
            ("Search for this text", State((("q", given[:_ASKED]),)).build_address("/") if given else link("/"))
        )
    elif failure.status == HTTPStatus.NOT_FOUND:
        near = get_close_matches(request.url.path[:_ASKED], [path for path in _PAGES if path != "/"], 1, 0.5)
        ways += [(_PAGES[path], link(path)) for path in near or ["/status"]]
    return ways
