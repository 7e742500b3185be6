"""The page that explains the API, with examples that work on this server."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import urlencode

from starlette.requests import Request
from starlette.responses import Response

from engine.query.index import Index, get_generation
from engine.serve.api import openapi
from engine.serve.http.prefix import link
from engine.serve.pages.templates import render_page
from engine.serve.request.operations import Operation
from engine.serve.request.parameters import INDEX
from engine.serve.request.site import HTML, get_site, read_values, respond

_ASKED = 60  # characters of a title that the examples ask for


@dataclass(frozen=True, slots=True)
class _Example:
    """An example of a request: the command of a shell, and the same in Python."""

    title: str
    curl: str
    python: str
    href: str  # that the browser can open


async def _show_api_page(request: Request) -> Response:
    """Send the page that explains the API."""
    values = read_values(request, (INDEX,))
    index = get_site(request).shelf.get_index(values.get_text("i"))
    base = f"{request.url.scheme}://{request.url.netloc}"
    return await respond(request, [index], HTML, lambda: _render_api_page(index, base))


def _render_api_page(index: Index, base: str) -> bytes:
    """Render the page; base is the address of the server, without a path."""
    operations = [
        (operation.path, operation.summary, [(one.name, one.help) for one in operation.parameters])
        for operation in openapi.OPERATIONS
    ]
    return render_page(
        "api",
        title="API",
        here="api",
        index=index,
        about=openapi.ABOUT,
        examples=_build_examples(index, base),
        operations=operations,
        document=link(f"{openapi.ROOT}/openapi.json"),
        refusals=sorted(openapi.REFUSALS.items()),
    )


def _build_examples(index: Index, base: str) -> list[_Example]:
    """Return the examples, about a record of the index."""
    record_id = get_generation(index).corpus.find_example_id()
    record = index.get(record_id) if record_id else None
    text = " ".join(record.title.split()[:8])[:_ASKED] if record and record.title else "biosimilar switching"
    titles = 'for hit in answer["hits"]:\n    print(hit["id"], hit["title"])'
    found = [
        ("Search", "search", {"i": index.name, "q": text, "n": "3"}, titles),
        ("What is in the index", "status", {"i": index.name}, 'print(answer["indexes"][0]["abstracts"])'),
    ]
    if record_id:
        one = {"i": index.name, "id": record_id}
        found[1:1] = [
            ("One record, with its reference", "record", one | {"cite": "vancouver"}, 'print(answer["citation"])'),
            ("Records like it", "similar", one | {"n": "3"}, titles),
        ]
    return [_build_example(base, *each) for each in found]


def _build_example(base: str, title: str, name: str, pairs: dict[str, str], last: str) -> _Example:
    """Return one example."""
    href = f"{link(f'{openapi.ROOT}/{name}')}?{urlencode(pairs, errors='replace')}"
    python = (
        f'import json, urllib.request\n\nwith urllib.request.urlopen("{base}{href}") as reply:\n'
        f"    answer = json.load(reply)\n{last}"
    )
    return _Example(title, f"curl '{base}{href}'", python, href)


OPERATIONS = (Operation("/api", _show_api_page, (INDEX,), (HTML,)),)
