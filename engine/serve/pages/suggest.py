"""The page that writes Boolean searches from known records."""

from __future__ import annotations

import re
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from engine.errors import AbstractNotFoundError, UsageError
from engine.query.index import Index
from engine.query.seeds.suggestion import Suggestion
from engine.serve.http.failures import Failure, classify_error
from engine.serve.http.limits import MAX_TEXT
from engine.serve.pages.links import State
from engine.serve.pages.templates import render_page
from engine.serve.request.operations import Operation
from engine.serve.request.parameters import INDEX, Parameter
from engine.serve.request.site import HTML, get_site, read_values, respond

_KNOWN = Parameter("known", "PMIDs, DOIs or ids of known records, with blanks or line ends between.", length=MAX_TEXT)
_PAGE = (INDEX, _KNOWN)
_SHOWN = 20  # terms


async def _show_suggest_page(request: Request) -> Response:
    """Send the form for known records, with the searches that find them, if there are any."""
    values = read_values(request, _PAGE)
    shelf = get_site(request).shelf
    index = shelf.get_index(values.get_text("i"))
    text = values.get_text("known")
    where = State(tuple(("i", name) for name in values.get_texts("i")))
    fields = {"index": index, "names": shelf.names, "text": text, "where": where}
    ids = _split_ids(text)
    try:
        return await respond(request, [index], HTML, lambda: _render(index.suggest(ids) if ids else None, fields))
    except (UsageError, AbstractNotFoundError) as err:
        failure = classify_error(err)
        body = _render(None, fields, failure)
        return Response(body, status_code=failure.status, media_type=HTML, headers=dict(failure.headers))


def _split_ids(text: str) -> tuple[str, ...]:
    r"""Return the ids in a text, each once.

    >>> _split_ids(" 31793330, 10.1000/x(1);2\nPMID:7,")
    ('31793330', '10.1000/x(1);2', 'PMID:7')
    """
    return tuple(dict.fromkeys(word for piece in re.split(r"\s+", text) if (word := piece.strip(",;"))))


def _render(found: Suggestion | None, fields: dict[str, Any], failure: Failure | None = None) -> bytes:
    """Render the page."""
    index: Index = fields["index"]
    where: State = fields["where"]
    searches = [
        (one, where.set_value("q", one.lines["PubMed"]).build_address("/")) for one in (found.searches if found else ())
    ]
    return render_page(
        "suggest",
        title="Search from known papers",
        here="suggest",
        index=index,
        names=fields["names"],
        text=fields["text"],
        where=where.build_address(""),
        max_length=_KNOWN.length,
        found=found,
        problem=failure.message if failure else "",
        terms=[
            (one, where.set_value("q", one.term.written).build_address("/"))
            for one in (found.terms[:_SHOWN] if found else ())
        ],
        searches=searches,
        missed=[
            (one, where.set_value("id", one.id).build_address("/record"))
            for one in (found.known if found else ())
            if one.reason
        ],
    )


OPERATIONS = (Operation("/suggest", _show_suggest_page, _PAGE, (HTML,)),)
