"""The status page: what is in each index, for reviewers; how it was made, in its details."""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass
from weakref import WeakKeyDictionary

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from engine.corpus.facets import Counted, count_values, count_years
from engine.corpus.flow import Flow
from engine.corpus.selection.languages import list_spellings
from engine.query.index import Index, get_generation
from engine.query.opening.flows import read_flow
from engine.query.opening.generation import OpenGeneration
from engine.serve.api.bodies import build_status_body
from engine.serve.pages.templates import render_page
from engine.serve.request.operations import Operation
from engine.serve.request.site import HTML, get_site, read_values

_NAMED = 8  # languages


@dataclass(frozen=True, slots=True)
class _Contents:
    """What is in a generation."""

    flow: Flow
    n_duplicates: int
    years: tuple[int, int] | None  # the first and the last
    n_without_year: int
    languages: Counted  # in English, most frequent first; "" for records without one
    n_other_languages: int  # that are not among them


_counted: WeakKeyDictionary[OpenGeneration, _Contents] = WeakKeyDictionary()


async def _show_status_page(request: Request) -> Response:
    """Send the status page."""
    read_values(request, ())
    shelf = get_site(request).shelf
    indexes = [shelf.get_index(name) for name in shelf.names]

    def work() -> bytes:
        bodies = [(build_status_body(index, shelf.problems), _read_contents(index)) for index in indexes]
        return render_page("status", title="Status", here="status", indexes=bodies)

    return Response(await run_in_threadpool(work), media_type=HTML)


def _read_contents(index: Index) -> _Contents:
    """Return what is in the open generation of an index, counted once."""
    snapshot = get_generation(index)
    if (found := _counted.get(snapshot)) is None:
        found = _counted[snapshot] = _count_contents(snapshot)
    return found


def _count_contents(snapshot: OpenGeneration) -> _Contents:
    """Count what is in a generation."""
    flow = read_flow(snapshot)
    with closing(snapshot.corpus.open_again()) as corpus:  # own connection: counting must not block answers
        years, languages = count_years(corpus), count_values(corpus, "language")
    counts: dict[str, int] = {}
    for language, n in languages:
        name = (*list_spellings(language), language, language)[2] if language else ""
        counts[name] = counts.get(name, 0) + n
    ordered = tuple(sorted(counts.items(), key=lambda pair: (pair[0] == "", -pair[1], pair[0])))
    return _Contents(
        flow=flow,
        n_duplicates=sum(flow.duplicates.values()),
        years=(years[0][0], years[-1][0]) if years else None,
        n_without_year=snapshot.manifest.counts.abstracts - sum(n for _, n in years),
        languages=ordered[:_NAMED],
        n_other_languages=len(ordered[_NAMED:]),
    )


OPERATIONS = (Operation("/status", _show_status_page, (), (HTML,)),)
