"""The map with the decisions of a review, as far as a reviewer may see them."""

from __future__ import annotations

import secrets
from http import HTTPStatus
from typing import Any

import numpy as np
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from engine.corpus.storage.journal import Decision, DecisionKind
from engine.corpus.storage.resolution import resolve_ids
from engine.errors import UsageError
from engine.options import ValueKind
from engine.phrases import pluralize
from engine.query.index import Index, get_generation
from engine.serve.api.bodies import dump_bytes
from engine.serve.http.access import REVIEW
from engine.serve.http.limits import MAX_IDS
from engine.serve.pages.form import PAGE
from engine.serve.pages.links import State
from engine.serve.pages.map import BINARY, POINTS, read_drawing_request, read_map_request, render_map
from engine.serve.pages.maplist import CHOICE, LIST, find_chosen, render_list
from engine.serve.request.operations import Audience, Operation
from engine.serve.request.parameters import Parameter, RequestValues
from engine.serve.request.site import HTML, JSON, get_review, get_site, is_json_wanted, read_pairs, read_values
from engine.serve.review.forms import KEY, TOKEN, find_who, read_form
from engine.serve.work.openreview import OpenReview

_NUMBERS = {DecisionKind.INCLUDE: 1, DecisionKind.EXCLUDE: 2, DecisionKind.MAYBE: 3, None: 4}  # None: in conflict
_COUNTS = ("labelled", "unchanged", "refused")  # records: what came of labelling
_LIST = (
    *LIST,
    *(
        Parameter(name, "Records, as the page that labels them says.", ValueKind.INTEGER, low=0, high=MAX_IDS)
        for name in _COUNTS
    ),
)
_LABEL = (
    *CHOICE,
    Parameter("tick", "Label only the records with these ids.", most=MAX_IDS),
    Parameter("label", "Label to add; several with commas between them.", required=True),
    TOKEN,
    KEY,
)


async def _show_map_page(request: Request) -> Response:
    """Send the map, whose points can be coloured by decision."""
    index, state, query = read_map_request(request)
    values = _list_common(request)
    body = await get_site(request).desk.run(lambda: render_map(index, state, query, **values))
    return Response(body, media_type=HTML)


def _list_common(request: Request) -> dict[str, Any]:
    """Return the template values of the map of a review and of its lists."""
    rules = get_review(request).rules
    return {
        "here": "review",
        "page": "map",
        "path": f"{REVIEW}/map",
        "review": rules.name,
        "who": find_who(request),
        "is_blind": rules.is_blind,
    }


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


async def _show_map_list(request: Request) -> Response:
    """Send the list of the records that were chosen on the map, with a form to label them."""
    values, common = read_values(request, _LIST), _list_common(request)
    index = get_site(request).shelf.get_index(values.get_text("i"))
    state = State(tuple(pair for pair in read_pairs(request) if pair[1].strip() and pair[0] not in _COUNTS))
    token = get_review(request).make_form_token(find_who(request))
    form = {"token": token, "key": secrets.token_urlsafe(12), "said": _describe_labelled(values)}
    body = await get_site(request).desk.run(lambda: render_list(index, values, state, **common, **form))
    return Response(body, media_type=HTML)


def _describe_labelled(values: RequestValues) -> str:
    """Return what came of labelling, as its address has it; "" without it."""
    labelled, unchanged, refused = (values.get_whole(name) for name in _COUNTS)
    said = [f"{pluralize(labelled, 'record')} labelled"] if labelled or unchanged or refused else []
    said += [f"{unchanged:,} had the label before"] if unchanged else []
    said += [f"{refused:,} not labelled, since they are not among the chosen records"] if refused else []
    return "; ".join(said)


async def _label_chosen(request: Request) -> Response:
    """Add labels to the chosen records, to the ticked ones if some are ticked, and go back to their list."""
    values = await read_form(request, _LABEL)
    index, review, who = get_site(request).shelf.get_index(), get_review(request), find_who(request)
    events, counts = await get_site(request).desk.run(lambda: _label_once(index, review, who, values))
    if is_json_wanted(request):
        return Response(dump_bytes({"numbers": [event.number for event in events]}), media_type=JSON)
    kept = [(each.name, values.get_text(each.name)) for each in CHOICE if values.get_text(each.name)]
    state = State((*kept, *((name, str(n)) for name, n in zip(_COUNTS, counts, strict=True) if n)))
    return RedirectResponse(state.build_address(f"{REVIEW}/map/list"), HTTPStatus.SEE_OTHER)


def _label_once(
    index: Index, review: OpenReview, who: str, values: RequestValues
) -> tuple[list[Decision], tuple[int, int, int]]:
    """Label the chosen records; return the events, and how many were labelled, had the labels, and were not chosen.

    Raises:
        UsageError: no label, too many records, or a choice that can't be read.
        AbstractNotFoundError: there is no such region, or the map has been drawn anew.
        NotSavedError: they can't be written.
    """
    labels = [label for text in values.get_text("label").split(",") if (label := text.strip())]
    if not labels:
        raise UsageError("label has no word, expected one label or several with commas between them")
    snapshot, chosen = get_generation(index), find_chosen(index, values).doc_ids
    refused = 0
    if ticks := values.get_texts("tick"):
        wanted = resolve_ids(snapshot.corpus, ticks)
        kept = set(chosen) & set(wanted)
        refused = sum(doc_id not in kept for doc_id in wanted)
        chosen = [doc_id for doc_id in chosen if doc_id in kept]
    if len(chosen) > MAX_IDS:
        raise UsageError(
            f"{len(chosen):,} records are chosen, {MAX_IDS:,} can be labelled at once. Tick some, or choose fewer"
        )
    events = review.add_labels(snapshot, who, chosen, labels, values.get_text("key"))
    return events, (len(events), len(chosen) - len(events), refused)


OPERATIONS = (
    Operation(f"{REVIEW}/map", _show_map_page, PAGE, (HTML,), Audience.REVIEWERS),
    Operation(f"{REVIEW}/map/decisions", _send_decisions, POINTS, (BINARY,), Audience.REVIEWERS),
    Operation(f"{REVIEW}/map/list", _show_map_list, _LIST, (HTML,), Audience.REVIEWERS),
    Operation(f"{REVIEW}/map/label", _label_chosen, (), ("Numbers",), Audience.REVIEWERS, _LABEL, redirects=True),
)
