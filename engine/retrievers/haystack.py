"""A Haystack component. Needs the extra [haystack].

Haystack reports pipelines to its makers, unless HAYSTACK_TELEMETRY_ENABLED is False when it is imported. This module
sets that, and turns the reports off where Haystack was imported before.
"""

import asyncio
from os import PathLike
from typing import Any

from engine.config import forbid_telemetry
from engine.options import DEFAULT_MODE, Filters, Mode
from engine.query.index import Index, open_index
from engine.retrievers.documents import build_metadata, build_text

forbid_telemetry()

from haystack import Document, component  # noqa: E402
from haystack.telemetry import _telemetry  # noqa: E402

_telemetry.telemetry = None


@component
class HaystackRetriever:
    """Finds the abstracts of an index that answer a query, best first.

    A document has title and abstract as its content, and the other fields of the hit, the record id among them, as
    meta. Its score is the one that ranks, which depends on the mode; the cosine is in meta, as score.
    """

    def __init__(self, path: str | PathLike[str], top_k: int = 10, mode: Mode = DEFAULT_MODE) -> None:
        """Keep the folder of an index, such as "indexes/rheumatology", which is opened by the first query."""
        self.path = str(path) if isinstance(path, PathLike) else path  # a saved pipeline holds texts
        self.top_k, self.mode = top_k, mode
        self._index: Index | None = None

    def warm_up(self) -> None:
        """Open the index.

        Raises:
            GenerationError: there is none, or it is damaged.
        """
        self._open()

    def _open(self) -> Index:
        """Return the index, opened on first use."""
        if self._index is None:
            self._index = open_index(self.path)
        return self._index

    @component.output_types(documents=list[Document])
    def run(
        self, query: str, top_k: int | None = None, years: list[str] | None = None, where: str | None = None
    ) -> dict[str, Any]:
        """Return the documents of a query; fewer than top_k only if fewer records qualify. Fails as Index.search.

        years: ranges of years, such as "2015-", to keep only records published then. where: an expression on any field,
        as for `engine search --where`.
        """
        filters = Filters(years=years or (), where=where or "")
        hits = self._open().search(query, top_k=self.top_k if top_k is None else top_k, mode=self.mode, filters=filters)
        return {
            "documents": [
                Document(id=hit.id, content=build_text(hit), meta=build_metadata(hit), score=hit.ranking_score)
                for hit in hits
            ]
        }

    @component.output_types(documents=list[Document])
    async def run_async(
        self, query: str, top_k: int | None = None, years: list[str] | None = None, where: str | None = None
    ) -> dict[str, Any]:
        """Do the same in a thread, so that the event loop goes on."""
        return await asyncio.to_thread(self.run, query, top_k, years, where)
