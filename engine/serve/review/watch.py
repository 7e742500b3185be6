"""Saving, changing and removing of saved questions, by reviewers."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from http import HTTPStatus

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from engine.errors import ConfigError, DiskFullError, LockedError, NotSavedError, UnknownWatchError, UsageError
from engine.index.generations.folder import IndexFolder
from engine.platform import is_disk_full
from engine.query.index import Index
from engine.reindex.news.savedwatches import build_entry, delete_watch, keep_watch
from engine.serve.api.bodies import dump_bytes
from engine.serve.api.handlers import list_pairs
from engine.serve.http.access import API_REVIEW, REVIEW
from engine.serve.http.failures import BodyError, Failure
from engine.serve.pages.links import State
from engine.serve.pages.watch import KEPT
from engine.serve.request.operations import Audience, Operation
from engine.serve.request.parameters import FILTERS, SEARCH, Parameter, RequestValues, check_kind
from engine.serve.request.queries import read_query
from engine.serve.request.site import HTML, JSON, get_site, read_values
from engine.serve.review.forms import TOKEN, read_form

_NAME = Parameter("name", "Name of the saved question.", required=True)
_SAVE = (_NAME, *(each for each in SEARCH if each.name in KEPT), TOKEN)
_REMOVE = (_NAME, TOKEN)
_QUESTION = next(each for each in SEARCH if each.name == "q")
_SAVED = (  # by programs, with lists of records too
    _NAME,
    replace(_QUESTION, required=True),
    *(each for each in SEARCH if each.name in ("mode", "min_score")),
    *FILTERS,
)


async def _keep_question(request: Request) -> Response:
    """Save a question, or change the one of this name, and go back to the saved questions."""
    values = await read_form(request, _SAVE)
    index, name = get_site(request).shelf.get_index(), values.get_text("name").strip()
    return _respond_with(await _run_keeping(request, index, build_entry(name, read_query(values))))


async def _run_keeping(request: Request, index: Index, entry: dict[str, object]) -> str:
    """Save or change a question in a worker; return which of the two was done."""

    def work() -> bool:
        with _explain_unsaved():
            return keep_watch(IndexFolder(index.path), index, entry)

    return "saved" if await get_site(request).desk.run(work) else "changed"


async def _remove_question(request: Request) -> Response:
    """Remove a saved question, and go back to the others; its news is kept."""
    values = await read_form(request, _REMOVE)
    await _run_removing(request, get_site(request).shelf.get_index(), values.get_text("name"))
    return _respond_with("removed")


async def _run_removing(request: Request, index: Index, name: str) -> None:
    """Remove a question in a worker."""

    def work() -> None:
        with _explain_unsaved():
            delete_watch(IndexFolder(index.path), name)

    await get_site(request).desk.run(work)


@contextmanager
def _explain_unsaved() -> Iterator[None]:
    """Turn an error of the lock, of index.toml or of the disk into one that tells clients no file of the server.

    Raises:
        NotSavedError: there was such an error inside the block; a DiskFullError where the disk is full.
        UnknownWatchError: as it was raised.
    """
    try:
        yield
    except UnknownWatchError:
        raise
    except (LockedError, ConfigError) as err:
        raise NotSavedError(str(err)) from err
    except OSError as err:
        raise (DiskFullError if is_disk_full(err) else NotSavedError)(str(err)) from err


def _respond_with(done: str) -> Response:
    """Return a redirection to the saved questions, which says what was done."""
    return RedirectResponse(State((("done", done),)).build_address("/watch"), HTTPStatus.SEE_OTHER)


async def _keep_question_of_program(request: Request) -> Response:
    """Save a question, or change the one of this name, which continues where it was."""
    index, values = get_site(request).shelf.get_index(), await _read_object(request, _SAVED)
    name = values.get_text("name").strip()
    done = await _run_keeping(request, index, build_entry(name, read_query(values)))
    return _respond_to_program(index, name, done)


async def _remove_question_of_program(request: Request) -> Response:
    """Remove a saved question; its news is kept."""
    index, name = get_site(request).shelf.get_index(), read_values(request, (_NAME,)).get_text("name")
    await _run_removing(request, index, name)
    return _respond_to_program(index, name, "removed")


async def _read_object(request: Request, allowed: tuple[Parameter, ...]) -> RequestValues:
    """Return the checked values of a JSON object, each of the kind of its parameter.

    A page of another site can't send such a body without being allowed to, so no token of a form is needed.

    Raises:
        BodyError: the body is not JSON.
        UsageError: it is no object, or has an invalid value.
    """
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != JSON:
        message = f"The body is {kind[:80] or 'of no type'}, expected {JSON}."
        raise BodyError(Failure(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "not_json", message))
    try:
        content = json.loads(await request.body())
    except (ValueError, RecursionError):
        content = None
    if not isinstance(content, dict):
        raise UsageError('the body is not a JSON object, expected {"name": "gout", "q": "gout in adults"}')
    for parameter in allowed:
        if parameter.name in content:
            check_kind(parameter, content[parameter.name])
    return RequestValues(list_pairs(content), allowed)


def _respond_to_program(index: Index, name: str, done: str) -> Response:
    """Return what was done as JSON."""
    return Response(dump_bytes({"index": index.name, "name": name, "done": done}), media_type=JSON)


_PROGRAM = f"{API_REVIEW}/watch"
OPERATIONS = (
    Operation(f"{REVIEW}/watch/save", _keep_question, (), (HTML,), Audience.REVIEWERS, _SAVE, redirects=True),
    Operation(f"{REVIEW}/watch/remove", _remove_question, (), (HTML,), Audience.REVIEWERS, _REMOVE, redirects=True),
    Operation(_PROGRAM, _keep_question_of_program, (), ("Saved",), Audience.PROGRAMS, _SAVED),
    Operation(_PROGRAM, _remove_question_of_program, (_NAME,), ("Saved",), Audience.PROGRAMS, removes=True),
)
