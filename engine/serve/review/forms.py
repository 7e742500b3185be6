"""What the forms of a review send: checked values, from a reviewer who is known, on a page that this server made."""

from __future__ import annotations

import time
from collections.abc import Sequence
from http import HTTPStatus
from urllib.parse import parse_qsl

from starlette.requests import Request

from engine.corpus.storage.journal import DecisionKind
from engine.errors import UsageError
from engine.options import ValueKind
from engine.review.decisions.reviews import NewLabel
from engine.review.decisions.state import RecordDecision
from engine.serve.http.failures import BodyError, Failure
from engine.serve.http.limits import MAX_DECISION_TEXT
from engine.serve.request.operations import FORM, FORM_TOKEN
from engine.serve.request.parameters import Parameter, RequestValues
from engine.serve.request.site import get_review
from engine.serve.work.openreview import ORDERS

_KEEP = "note"  # the choice that saves note and labels, and leaves the decision as it is
_CHOICES = ("include", "exclude", "maybe", "undecided", _KEEP)
_LONGEST_SECONDS = 3600.0  # on one record; longer, and the reviewer was away
TOKEN = Parameter("token", "What the page holds to prove that this server made it.")
KEY = Parameter("key", "A name of your choice for this command: sent again, it is not written again.", length=64)
ORDER = Parameter("order", "Order in which the records come.", choices=tuple(ORDERS))
BACK = Parameter("back", "Page to go to after the decision.", choices=("records", "conflicts"))
_TEXTS = (
    Parameter("reason", "Why it is excluded.", length=MAX_DECISION_TEXT),
    Parameter("other_reason", "Why it is excluded, in other words.", length=MAX_DECISION_TEXT),
    Parameter("note", "Note on the record.", length=MAX_DECISION_TEXT),
)
_ID = Parameter("id", "Id of the record.", required=True)
DECIDE = (
    _ID,
    Parameter("decision", "What is decided; by default exclude, if there is a reason.", choices=_CHOICES),
    *_TEXTS,
    Parameter("labels", "Labels of the record, with commas between them.", length=MAX_DECISION_TEXT),
    Parameter("seen", "Number of your decision that the page shows; 0 for none.", ValueKind.INTEGER, low=0),
    Parameter("seconds", "Seconds that you looked at the record.", ValueKind.NUMBER, low=0, high=1e9),
    Parameter("shown", "When the page was made, in seconds since 1970.", ValueKind.INTEGER, low=0),
    TOKEN,
    KEY,
    ORDER,
    BACK,
)
UNDO = (
    Parameter("number", "Number of the decision; by default your last one.", ValueKind.INTEGER, low=1),
    Parameter("of", "Key of the decision, in place of its number.", length=64),
    TOKEN,
    KEY,
    ORDER,
    BACK,
)
SETTLE = (_ID, Parameter("decision", "What is decided for all.", choices=_CHOICES[:3]), *_TEXTS, TOKEN, KEY)


def find_who(request: Request) -> str:
    """Return the reviewer who sends a request: whose token it has, or else who the server was started for."""
    access = request.app.state.access
    return access.find_reviewer(request.headers.get("authorization", "")) or get_review(request).rules.who


async def read_form(request: Request, allowed: Sequence[Parameter]) -> RequestValues:
    """Return the checked values of a form.

    Raises:
        BodyError: it is no form, or not one that this server made for this reviewer.
        UsageError: an invalid value.
    """
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != FORM:
        message = f"The body is {kind[:80] or 'of no type'}, expected {FORM}."
        raise BodyError(Failure(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "not_a_form", message))
    pairs = parse_qsl((await request.body()).decode("utf-8", "replace"), keep_blank_values=True)
    given = request.headers.get(FORM_TOKEN) or next((value for name, value in pairs if name == "token"), "")
    if not get_review(request).is_form_token(given, find_who(request)):
        message = (
            "Nothing was saved: the page is from before the server was started, or for another reviewer. Load it again."
        )
        raise BodyError(Failure(HTTPStatus.FORBIDDEN, "form_token", message))
    return RequestValues([pair for pair in pairs if pair[0] != "token"], allowed)


def read_label(values: RequestValues, before: RecordDecision | None = None, *, for_all: bool = False) -> NewLabel:
    """Return the decision in a form; before is the one in force, if any.

    Raises:
        UsageError: there is none, or a reason for something else than an exclusion.
    """
    reason = (values.get_text("reason") or values.get_text("other_reason")).strip()
    choice = values.get_text("decision") or ("exclude" if reason else "")
    if not choice:
        raise UsageError("nothing was decided. Choose include, exclude or maybe")
    kind = DecisionKind.UNDECIDED if choice == _KEEP else DecisionKind(choice)
    if choice == _KEEP and before is not None:
        kind, reason = before.kind, before.reason
    labels = dict.fromkeys(filter(None, (label.strip() for label in values.get_text("labels").split(","))))
    seconds = values.get_number("seconds")
    if seconds is None and values.get_text("shown"):
        seconds = max(0.0, time.time() - values.get_whole("shown"))
    return NewLabel(
        kind,
        reason,
        values.get_text("note").strip(),
        tuple(labels),
        seconds if seconds is not None and seconds <= _LONGEST_SECONDS else None,
        for_all,
    )
