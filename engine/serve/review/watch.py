"""Saving, changing and removing of saved questions, by reviewers."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from http import HTTPStatus

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from engine.errors import ConfigError, LockedError, NotSavedError, UnknownWatchError
from engine.index.generations.folder import IndexFolder
from engine.reindex.news.savedwatches import build_entry, delete_watch, keep_watch
from engine.serve.http.access import REVIEW
from engine.serve.pages.links import State
from engine.serve.pages.watch import KEPT
from engine.serve.request.operations import Audience, Operation
from engine.serve.request.parameters import SEARCH, Parameter
from engine.serve.request.queries import read_query
from engine.serve.request.site import HTML, get_site
from engine.serve.review.forms import TOKEN, read_form

_NAME = Parameter("name", "Name of the saved question.", required=True)
_SAVE = (_NAME, *(each for each in SEARCH if each.name in KEPT), TOKEN)
_REMOVE = (_NAME, TOKEN)


async def _keep_question(request: Request) -> Response:
    """Save a question, or change the one of this name, and go back to the saved questions."""
    values = await read_form(request, _SAVE)
    index, name = get_site(request).shelf.get_index(), values.get_text("name").strip()
    entry = build_entry(name, read_query(values))

    def work() -> bool:
        with _explain_unsaved():
            return keep_watch(IndexFolder(index.path), index, entry)

    return _respond_with("saved" if await get_site(request).desk.run(work) else "changed")


async def _remove_question(request: Request) -> Response:
    """Remove a saved question, and go back to the others; its news is kept."""
    values = await read_form(request, _REMOVE)
    index, name = get_site(request).shelf.get_index(), values.get_text("name")

    def work() -> None:
        with _explain_unsaved():
            delete_watch(IndexFolder(index.path), name)

    await get_site(request).desk.run(work)
    return _respond_with("removed")


@contextmanager
def _explain_unsaved() -> Iterator[None]:
    """Turn an error of the lock or of index.toml into one that tells clients no file of the server.

    Raises:
        NotSavedError: there was such an error inside the block.
        UnknownWatchError: as it was raised.
    """
    try:
        yield
    except UnknownWatchError:
        raise
    except (LockedError, ConfigError) as err:
        raise NotSavedError(str(err)) from err


def _respond_with(done: str) -> Response:
    """Return a redirection to the saved questions, which says what was done."""
    return RedirectResponse(State((("done", done),)).build_address("/watch"), HTTPStatus.SEE_OTHER)


OPERATIONS = tuple(
    Operation(f"{REVIEW}/watch/{name}", handler, (), (HTML,), Audience.REVIEWERS, fields, redirects=True)
    for name, handler, fields in (("save", _keep_question, _SAVE), ("remove", _remove_question, _REMOVE))
)
