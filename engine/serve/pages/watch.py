"""The page of the saved questions: what is new for each, and how to save one."""

from __future__ import annotations

import shlex
from http import HTTPStatus
from typing import Any

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from engine.config import SavedQuestion
from engine.index.generations.folder import IndexFolder
from engine.options import BY_FIELD, FILTERS, QueryOption, ValueKind
from engine.phrases import pluralize
from engine.query.index import Index
from engine.reindex.news.newsfiles import find_feed
from engine.reindex.news.savedwatches import CHANGES, build_entry, list_unshown, list_watches
from engine.serve.pages.form import PAGE, canonicalise
from engine.serve.pages.links import State
from engine.serve.pages.templates import render_page
from engine.serve.request.decisions import find_reviewer
from engine.serve.request.operations import Operation
from engine.serve.request.parameters import INDEX, Parameter, RequestValues
from engine.serve.request.queries import read_query
from engine.serve.request.site import HTML, get_review, get_site, read_pairs, read_values, respond

_ATOM = "application/atom+xml"
_NAME = Parameter("name", "Name of the saved question to change.")
_DONE = Parameter("done", "What was done last, as the page that did it says.", choices=CHANGES)
_WATCHED = tuple(option for option in FILTERS if option.kind is not ValueKind.IDS)
# What a search may have and a saved question does not keep, in words; the others change only how hits are shown.
_UNKEPT = {
    "ids": "the list of records that the search is limited to",
    "hide": "the list of hidden records",
    "unlike": "the records that hits should be unlike",
    "weight": "the weight of meaning and words",
    "fusion": "how meaning and words are joined",
    "feedback": "the second look by the best hits",
    "diversify": "the variety of the hits",
    "rerank": "the second ranking",
}
_LEFT_OUT = Parameter(
    "left_out", "What the search has and the question would not keep.", most=len(_UNKEPT), choices=tuple(_UNKEPT)
)
# What a saved question has and the form does not show, in words.
_UNSHOWN = {"top_k": "at most {} at once", "ids": "limited to a list of {}", "hide": "without a list of {}"}
KEPT = ("q", "mode", "min_score", *(option.name for option in _WATCHED))  # parameters of a search that are saved


_OWN = (_NAME, _DONE, _LEFT_OUT)


def build_watch_address(state: State) -> str:
    """Return the URL of the page that saves a search."""
    names = {name for name, _ in state.pairs}
    left_out = tuple(("left_out", name) for name in _UNKEPT if name in names)
    return State((*state.keep_names(("i", *KEPT)).pairs, *left_out)).build_address("/watch")


async def _show_watch_page(request: Request) -> Response:
    """Send the saved questions with their news, and the form or the command to save a search."""
    own = {each.name for each in _OWN}
    extra = RequestValues([pair for pair in read_pairs(request) if pair[0] in own], _OWN)
    state = canonicalise(tuple(pair for pair in read_pairs(request) if pair[0] not in own), PAGE)
    values = RequestValues(state.pairs, PAGE)
    index = get_site(request).shelf.get_index(values.get_text("i"))
    kept = state.keep_names(KEPT)
    reviewer = find_reviewer(request)
    token = get_review(request).make_form_token(reviewer.who) if reviewer else ""
    chosen = extra.get_text("name")
    entry = build_entry(chosen or "NAME", read_query(RequestValues(kept.pairs, PAGE)))

    def work() -> bytes:
        where = state.keep_names(("i",))
        watches = list_watches(IndexFolder(index.path))
        views = [_build_view(watch, fields, where) for watch, fields in watches]
        return render_page(
            "watch",
            title="Watch",
            here="watch",
            index=index,
            names=get_site(request).shelf.names,
            where=where.build_address(""),
            views=views,
            kept=kept.drop_names(("q",)).pairs,
            question=values.get_text("q"),
            chosen=chosen,
            done=extra.get_text("done"),
            left_out=[_UNKEPT[name] for name in extra.get_texts("left_out")],
            has_lists=not {"ids", "hide"}.isdisjoint(extra.get_texts("left_out")),
            unshown=[text for watch, _ in watches if watch.name == chosen for text in _describe_unshown(watch)],
            token=token,
            command=_write_command(index, entry) if values.get_text("q") else "",
            feed=find_feed(index.path).is_file(),
        )

    return await respond(request, [index], HTML, work, is_lasting=False)


def _describe_unshown(watch: SavedQuestion) -> list[str]:
    """Return in words what a question has that the form does not show, and keeps."""
    return [
        _UNSHOWN[name].format(pluralize(value if isinstance(value, int) else len(value), "record"))
        for name, value in list_unshown(watch).items()
    ]


def _build_view(watch: SavedQuestion, fields: dict[str, Any], where: State) -> dict[str, Any]:
    """Return a saved question with its news, ready to display."""
    search = State((*where.pairs, *_list_pairs(watch)))
    reports = [
        report
        | {
            "records": [
                one | {"page": where.set_value("id", one["id"]).build_address("/record")} for one in report["records"]
            ],
            "search": State((*search.pairs, *(("ids", one["id"]) for one in report["records"]))).build_address("/"),
        }
        for report in fields["reports"]
    ]
    change = State((*search.pairs, ("name", watch.name)))
    return fields | {
        "reports": reports,
        "search": search.build_address("/"),
        "change": change.build_address("/watch"),
    }


def _list_pairs(watch: SavedQuestion) -> list[tuple[str, str]]:
    """Return a saved question as names and values of the URL of its search."""
    entry = build_entry(watch.name, watch.query)
    pairs = [("q", watch.query.text)]
    for name in KEPT[1:]:
        value = entry.get(name)
        values = value if isinstance(value, list | tuple) else [] if value is None else [value]
        pairs += [(name, str(one).lower() if isinstance(one, bool) else str(one)) for one in values]
    return pairs


def _write_command(index: Index, entry: dict[str, Any]) -> str:
    """Return the command that saves a question."""
    words = ["engine", "watch", "add", entry["name"], entry["question"], "-i", index.name]
    for option in (BY_FIELD["mode"], BY_FIELD["min_score"], *_WATCHED):
        if option.name in entry:
            words += _list_words(option, entry[option.name])
    return shlex.join(words)


def _list_words(option: QueryOption, value: object) -> list[str]:
    """Return an option of the command line with its value."""
    flag = next((one for one in option.flags if one.startswith("--")), f"--{option.name.replace('_', '-')}")
    if isinstance(value, bool):
        yes, _, no = flag.partition("/")
        return [yes if value else no or f"--no-{yes.removeprefix('--')}"]
    return [word for one in (value if isinstance(value, list | tuple) else [value]) for word in (flag, str(one))]


async def _send_feed(request: Request) -> Response:
    """Send the news as an Atom feed.

    Raises:
        HTTPException: nothing was reported yet.
    """
    index = get_site(request).shelf.get_index(read_values(request, (INDEX,)).get_text("i"))
    path = find_feed(index.path)
    if not path.is_file():
        raise HTTPException(HTTPStatus.NOT_FOUND)
    return await respond(request, [index], _ATOM, path.read_bytes, is_lasting=False)


OPERATIONS = (
    Operation("/watch", _show_watch_page, (*PAGE, *_OWN), (HTML,)),
    Operation("/watch/feed.atom", _send_feed, (INDEX,), (_ATOM,)),
)
