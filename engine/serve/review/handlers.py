"""Handlers of the pages of a review, which work without scripts. A script gets JSON from the same addresses."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, TypeVar
from urllib.parse import quote

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from engine.corpus.storage.journal import Decision
from engine.corpus.storage.resolution import resolve_ids
from engine.errors import AbstractNotFoundError, UsageError
from engine.options import ValueKind
from engine.query.opening.generation import OpenGeneration
from engine.references.formats import FORMATS, render_records
from engine.relevance.screening.chart import draw_chart
from engine.review.decisions.agreement import list_agreements
from engine.review.decisions.blinding import find_own, list_conflicts
from engine.review.decisions.exchange import cite_decisions
from engine.review.decisions.reviews import NewLabel
from engine.review.decisions.state import DecidedRecord, RecordDecision, ReviewState
from engine.review.desk.orders import OrderName
from engine.review.desk.queue import QueuedRecord
from engine.review.report.progress import build_progress_chart, compute_progress
from engine.serve.api.bodies import dump_bytes
from engine.serve.http.access import REVIEW
from engine.serve.http.failures import BodyError, Failure
from engine.serve.http.limits import MAX_IDS
from engine.serve.pages.links import State
from engine.serve.pages.templates import render_page
from engine.serve.request.operations import FILES, Audience, Operation
from engine.serve.request.parameters import Parameter, RequestValues
from engine.serve.request.site import HTML, JSON, get_review, get_site, is_json_wanted, read_values
from engine.serve.review import flow, map, watch
from engine.serve.review.cards import DONE, build_card, count_decisions, find_last
from engine.serve.review.forms import BACK, DECIDE, ORDER, SETTLE, UNDO, find_who, read_form, read_label
from engine.serve.work.openreview import ORDERS, OpenReview

T = TypeVar("T")
_SEE_OTHER = 303
_PER_PAGE = 50
_READY = 4  # records that a script has ready: the one that is shown, and the next ones
_PAGE = (Parameter("id", "Id of a record to show; by default the next one."), ORDER, BACK)
_NEXT = (
    ORDER,
    Parameter("skip", "Ids of records to leave out.", most=MAX_IDS),
    Parameter("have", "Ids of records that are not needed again.", most=MAX_IDS),
)
_FORMAT = Parameter("format", "Format of the file.", choices=tuple(suffix[1:] for suffix in FORMATS), required=True)
_RECORDS = (
    Parameter("decision", "Only records decided so.", choices=tuple(DONE)),
    Parameter("page", "Number of the page, from 1.", ValueKind.INTEGER, low=1, high=1e6),
)


@dataclass(frozen=True, slots=True)
class _Sitting:
    """One request of a reviewer: the review, the generation, and what they may see."""

    review: OpenReview
    index: str
    who: str

    @property
    def snapshot(self) -> OpenGeneration:
        """The generation in which the reviewer's queue is."""
        return self.review.get_queue().snapshot

    def read_visible(self) -> ReviewState:
        """Return what the reviewer may see."""
        return self.review.read_visible(self.snapshot, self.who)

    def read_own(self) -> ReviewState:
        """Return what counts as the reviewer's progress."""
        return self.review.read_own(self.snapshot, self.who)

    @property
    def common(self) -> dict[str, Any]:
        """The template values of all pages of a review."""
        return {
            "here": "review",
            "index": self.index,
            "review": self.review.rules.name,
            "who": self.who,
            "token": self.review.make_form_token(self.who),
            "is_blind": self.review.rules.is_blind,
            "done": DONE,
        }


def _begin(request: Request) -> _Sitting:
    """Return what a request of a reviewer is about."""
    return _Sitting(get_review(request), get_site(request).shelf.names[0], find_who(request))


async def _run_in_worker(request: Request, work: Callable[[], T]) -> T:
    """Return the result of some work, done by a worker. It is not cancelled if the client disconnects."""
    return await get_site(request).desk.run(work)


async def _show_review_page(request: Request) -> Response:
    """Send the next record to decide about, or the one that is asked for."""
    values, sitting = read_values(request, _PAGE), _begin(request)
    return Response(await _run_in_worker(request, lambda: _render_review_page(sitting, values)), media_type=HTML)


def _render_review_page(sitting: _Sitting, values: RequestValues) -> bytes:
    """Render the page of the next record, or of the one that is asked for."""
    order, asked = _read_order(values), values.get_text("id")
    note, queued = "", list[QueuedRecord]()
    if asked:
        doc_ids = [sitting.snapshot.corpus.find_doc_id(asked)]
    else:
        found = sitting.review.list_next(sitting.snapshot, sitting.who, order, 1)
        doc_ids, queued, note = [each.doc_id for each in found.records], list(found.records), found.note
    cards = _render_cards(sitting, doc_ids, queued, order, values.get_text("back"))
    return render_page(
        "review",
        title="Screening",
        page="screen",
        order=order,
        orders=ORDERS,
        note=note,
        card=cards[0]["html"] if cards else "",
        progress=_render_progress(sitting, order),
        is_asked=bool(asked),
        **sitting.common,
    )


def _read_order(values: RequestValues) -> OrderName:
    """Return the order in which a reviewer wants the records."""
    return OrderName(values.get_text("order") or OrderName.LEARNED)


def _render_cards(
    sitting: _Sitting, doc_ids: Sequence[int], queued: Sequence[QueuedRecord], order: OrderName, back: str = ""
) -> list[dict[str, Any]]:
    """Return records with the forms to decide about them, as HTML; queued are the places of some of them."""
    state, queue = sitting.read_visible(), sitting.review.get_queue()
    places = {each.doc_id: each for each in queued}
    common = sitting.common | {"order": order, "back": back, "reasons": state.settings.reasons}
    cards = [
        build_card(queue.read_record(doc_id), doc_id, state, sitting.who, places.get(doc_id)) for doc_id in doc_ids
    ]
    return [
        {"id": card.record.record_id, "html": render_page("card", card=card, **common).decode("utf-8")}
        for card in cards
    ]


def _render_progress(sitting: _Sitting, order: OrderName) -> str:
    """Return how far the reviewer is, and their last decision, as HTML."""
    own = sitting.read_own()
    last = find_last(own, sitting.who)
    body = render_page(
        "progress",
        counts=count_decisions(own),
        advice=compute_progress(own).advice,
        last=last,
        last_title=(last[0].record.title or "[no title]") if last else "",
        order=order,
        **sitting.common,
    )
    return body.decode("utf-8")


async def _show_progress_page(request: Request) -> Response:
    """Send how far the reviewer is: what was found, what may be left, and whether reading may stop."""
    read_values(request, ())
    sitting = _begin(request)
    return Response(await _run_in_worker(request, lambda: _render_progress_page(sitting)), media_type=HTML)


def _render_progress_page(sitting: _Sitting) -> bytes:
    """Render the page of progress."""
    progress = compute_progress(sitting.read_own())
    return render_page(
        "curve",
        title="Progress",
        page="progress",
        progress=progress,
        chart=draw_chart(build_progress_chart(progress), alone=False),
        minutes=None if (left := progress.estimate_seconds(progress.n_unread)) is None else round(left / 60),
        **sitting.common,
    )


async def _send_next(request: Request) -> Response:
    """Send the next records to a script, with the forms to decide about them."""
    values, sitting = read_values(request, _NEXT), _begin(request)
    return Response(await _run_in_worker(request, lambda: _dump_next(sitting, values)), media_type=JSON)


def _dump_next(sitting: _Sitting, values: RequestValues) -> bytes:
    """Return the next records as JSON: ids in order, and the HTML of those that the script does not have."""
    order, have = _read_order(values), set(values.get_texts("have"))
    skipped = resolve_ids(sitting.snapshot.corpus, values.get_texts("skip"))
    passed = {doc_id for doc_id in skipped if doc_id is not None}
    found = sitting.review.list_next(sitting.snapshot, sitting.who, order, _READY, passed)
    new = [each.doc_id for each in found.records if each.record_id not in have]
    return dump_bytes(
        {
            "next": [each.record_id for each in found.records],
            "records": _render_cards(sitting, new, found.records, order),
            "progress": _render_progress(sitting, order),
            "note": found.note,
            "token": sitting.common["token"],
        }
    )


async def _write_decision(request: Request) -> Response:
    """Write a decision, and go to the next record."""
    values, sitting = await read_form(request, DECIDE), _begin(request)
    made = await _run_in_worker(request, lambda: _decide_once(sitting, values))
    return _respond(request, values, [made])


def _decide_once(sitting: _Sitting, values: RequestValues) -> Decision:
    """Write a decision, once for each key.

    Raises:
        BodyError: the reviewer has decided meanwhile, and the page did not show it.
        UsageError: it says nothing that can be written.
        AbstractNotFoundError: there is no such record.
        NotSavedError: it can't be written.
    """
    key, name = values.get_text("key"), values.get_text("id")
    try:
        own = _find_own_decision(sitting, values)
    except (BodyError, AbstractNotFoundError):
        if before := sitting.review.review.journal.find_by_key(sitting.who, key):
            return before[0]
        raise
    return sitting.review.decide(sitting.who, name, read_label(values, own), key)


def _find_own_decision(sitting: _Sitting, values: RequestValues) -> RecordDecision | None:
    """Return the reviewer's own decision in force on the record of a form.

    Raises:
        BodyError: the page did not show it.
        AbstractNotFoundError: there is no such record.
    """
    doc_id = sitting.snapshot.corpus.find_doc_id(values.get_text("id"))
    own = find_own(sitting.review.follower.read_record(sitting.snapshot, doc_id), sitting.who)
    if values.get_text("seen") and values.get_whole("seen") != (own.number if own else 0):
        raise BodyError(_describe_clash(own.kind if own else "undecided"))
    return own


def _describe_clash(kind: str) -> Failure:
    """Return the failure of a decision on a record that the reviewer has decided otherwise meanwhile."""
    message = (
        f"Nothing was saved: you have decided about this record elsewhere meanwhile ({DONE[kind]}). "
        "Look at it again, then decide."
    )
    return Failure(HTTPStatus.CONFLICT, "decided_meanwhile", message)


async def _undo_decision(request: Request) -> Response:
    """Undo a decision, and go back to its record."""
    values, sitting = await read_form(request, UNDO), _begin(request)
    undone, name = await _run_in_worker(request, lambda: _undo_once(sitting, values))
    return _respond(request, values, undone, name)


def _undo_once(sitting: _Sitting, values: RequestValues) -> tuple[list[Decision], str]:
    """Undo the decision with a number, or of a key, or the last one, once for each key; return it and its record's id.

    Raises:
        UsageError: there is no such decision of this reviewer.
        NotSavedError: it can't be written.
    """
    numbers = [values.get_whole("number")]
    if of := values.get_text("of"):
        numbers = [event.number for event in sitting.review.review.journal.find_by_key(sitting.who, of)]
    elif not numbers[0] and (last := find_last(sitting.read_own(), sitting.who)):
        numbers = [last[1].number]
    if not any(numbers):
        raise UsageError("there is no decision of yours to undo")
    undone = sitting.review.undo(sitting.who, numbers[0], values.get_text("key"))
    return undone, _find_name(sitting, undone)


def _find_name(sitting: _Sitting, decisions: Sequence[Decision]) -> str:
    """Return the id of the record that was decided about; "" if it is not in this generation."""
    sitting.review.follower.read(sitting.snapshot)
    found = (sitting.review.follower.find_place(event) for event in decisions)
    there = [doc_id for doc_id in found if doc_id is not None]
    rows = sitting.snapshot.corpus.read_by_ids("record_id", there[:1])
    return str(rows[0]["record_id"]) if rows else ""


def _respond(request: Request, values: RequestValues, events: Sequence[Decision], name: str = "") -> Response:
    """Return the response to a form: the page to go to, or for a script, the numbers of the decisions."""
    if is_json_wanted(request):
        return Response(dump_bytes({"numbers": [event.number for event in events]}), media_type=JSON)
    back = values.get_text("back")
    pairs = (("order", values.get_text("order")), ("id", name))
    state = State(() if back else tuple(pair for pair in pairs if pair[1]))
    return RedirectResponse(state.build_address(f"{REVIEW}/{back}" if back else REVIEW), _SEE_OTHER)


async def _show_decided(request: Request) -> Response:
    """Send the list of the records that the reviewer has decided about."""
    values, sitting = read_values(request, _RECORDS), _begin(request)
    return Response(await _run_in_worker(request, lambda: _render_decided(sitting, values)), media_type=HTML)


def _render_decided(sitting: _Sitting, values: RequestValues) -> bytes:
    """Render the list of decided records, the last one first."""
    kind, page = values.get_text("decision"), max(1, values.get_whole("page"))
    state = sitting.read_own()
    pairs = [(each, own) for each in state.records if (own := find_own(each, sitting.who))]
    chosen = [(each, own) for each, own in pairs if not kind or own.kind == kind]
    chosen.sort(key=lambda pair: -pair[1].number)
    shown = chosen[(page - 1) * _PER_PAGE : page * _PER_PAGE]
    where = State((("decision", kind),) if kind else ())
    later = page * _PER_PAGE < len(chosen)
    return render_page(
        "decided",
        title="Decided records",
        page="records",
        rows=_list_rows(sitting, [each for each, _ in shown]),
        owns=[own for _, own in shown],
        kind=kind,
        n=len(chosen),
        counts=Counter(str(own.kind) for _, own in pairs),
        before=where.set_value("page", page - 1).build_address(f"{REVIEW}/records") if page > 1 else "",
        after=where.set_value("page", page + 1).build_address(f"{REVIEW}/records") if later else "",
        **sitting.common,
    )


def _list_rows(sitting: _Sitting, records: Sequence[DecidedRecord]) -> list[dict[str, Any]]:
    """Return id, title and year of decided records; the id is "" if a record is not in this generation."""
    doc_ids = [each.doc_id for each in records if each.doc_id is not None]
    found = {row["id"]: row for row in sitting.snapshot.corpus.read_by_ids("record_id, title, year", doc_ids)}
    rows = []
    for each in records:
        row = found.get(each.doc_id)
        year, title = (row["year"], row["title"]) if row else (each.record.year, each.record.title)
        rows.append(
            {"id": row["record_id"] if row else "", "title": title or "[no title]", "year": year, "record": each}
        )
    return rows


async def _show_conflicts(request: Request) -> Response:
    """Send the records about which reviewers differ, as far as this reviewer may know, and how they agree."""
    read_values(request, ())
    sitting = _begin(request)
    return Response(await _run_in_worker(request, lambda: _render_conflicts(sitting)), media_type=HTML)


def _render_conflicts(sitting: _Sitting) -> bytes:
    """Render the page of conflicts."""
    state = sitting.read_visible()
    agreements = list_agreements(state)
    if sitting.review.rules.is_blind:
        agreements = [each for each in agreements if sitting.who in each.reviewers]
    return render_page(
        "conflicts",
        title="Conflicts",
        page="conflicts",
        rows=_list_rows(sitting, list_conflicts(state)),
        agreements=[each for each in agreements if each.n_both],
        reasons=state.settings.reasons,
        **sitting.common,
    )


async def _settle_conflict(request: Request) -> Response:
    """Write a decision for all reviewers, and go back to the conflicts."""
    values, sitting = await read_form(request, SETTLE), _begin(request)
    name, label, key = values.get_text("id"), read_label(values, for_all=True), values.get_text("key")
    made = await _run_in_worker(request, lambda: _settle_once(sitting, name, label, key))
    if is_json_wanted(request):
        return _respond(request, values, [made])
    return RedirectResponse(State(()).build_address(f"{REVIEW}/conflicts"), _SEE_OTHER)


def _settle_once(sitting: _Sitting, name: str, label: NewLabel, key: str) -> Decision:
    """Write a decision for all on a record in conflict that this reviewer may see.

    Raises:
        UsageError: the record is not in conflict, as far as this reviewer may know.
        AbstractNotFoundError: there is no such record.
        NotSavedError: it can't be written.
    """
    if before := sitting.review.review.journal.find_by_key(sitting.who, key):
        return before[0]
    doc_id = sitting.snapshot.corpus.find_doc_id(name)
    if doc_id not in [each.doc_id for each in list_conflicts(sitting.read_visible())]:
        raise UsageError("this record is not in conflict, or you have not decided about it yourself")
    return sitting.review.decide(sitting.who, name, label, key)


async def _export_decisions(request: Request) -> Response:
    """Send the decisions that the reviewer may see as a file."""
    values, sitting = read_values(request, (_FORMAT,)), _begin(request)
    suffix = f".{values.get_text('format')}"

    def work() -> bytes:
        corpus = sitting.snapshot.corpus
        cited = cite_decisions(sitting.read_visible(), corpus, as_columns=FORMATS[suffix].has_columns)
        return b"".join(render_records(suffix, list(cited), f"review {sitting.review.rules.name} of {sitting.index}"))

    body = await _run_in_worker(request, work)
    name = f'attachment; filename="{quote(f"{sitting.index}-{sitting.review.rules.name}{suffix}")}"'
    return Response(body, media_type=FORMATS[suffix].media_type, headers={"Content-Disposition": name})


OPERATIONS = (
    Operation(REVIEW, _show_review_page, _PAGE, (HTML,), Audience.REVIEWERS),
    Operation(f"{REVIEW}/next", _send_next, _NEXT, ("Next",), Audience.REVIEWERS),
    *(
        Operation(f"{REVIEW}/{name}", handler, (), ("Numbers",), Audience.REVIEWERS, fields, redirects=True)
        for name, handler, fields in (
            ("decide", _write_decision, DECIDE),
            ("undo", _undo_decision, UNDO),
            ("settle", _settle_conflict, SETTLE),
        )
    ),
    Operation(f"{REVIEW}/records", _show_decided, _RECORDS, (HTML,), Audience.REVIEWERS),
    Operation(f"{REVIEW}/progress", _show_progress_page, (), (HTML,), Audience.REVIEWERS),
    Operation(f"{REVIEW}/conflicts", _show_conflicts, (), (HTML,), Audience.REVIEWERS),
    Operation(f"{REVIEW}/export", _export_decisions, (_FORMAT,), FILES, Audience.REVIEWERS),
    *flow.OPERATIONS,
    *map.OPERATIONS,
    *watch.OPERATIONS,
)
