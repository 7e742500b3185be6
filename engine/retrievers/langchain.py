"""A LangChain retriever. Needs the extra [langchain]."""

from __future__ import annotations

from typing import Any

from langchain_core.callbacks import AsyncCallbackManagerForRetrieverRun, CallbackManagerForRetrieverRun
from langchain_core.documents import Document
from langchain_core.retrievers import BaseRetriever
from langchain_core.runnables.config import run_in_executor
from pydantic import ConfigDict, field_validator

from engine.errors import UsageError
from engine.options import DEFAULT_MODE
from engine.query.index import Index
from engine.retrievers.documents import build_metadata, build_text, check_index

_OPTIONS = ("top_k", "mode", "filters")


class LangChainRetriever(BaseRetriever):
    """Finds the abstracts of an open index that answer a text, best first.

    A document has title and abstract as its text, the record id as its id, and the other fields of the hit as metadata.
    `invoke`, `batch`, `ainvoke` and `abatch` work as in any retriever of LangChain; they and `bind` take top_k, mode
    and filters, too.
    """

    model_config = ConfigDict(arbitrary_types_allowed=True, extra="forbid")

    index: Any  # engine.Index
    top_k: int = 10
    mode: str = DEFAULT_MODE
    filters: Any = None  # engine.Filters

    @field_validator("index")
    @classmethod
    def _check_index(cls, value: object) -> Index:
        """Return the open index; fails as check_index."""
        return check_index(value)

    def _get_relevant_documents(
        self, query: str, *, run_manager: CallbackManagerForRetrieverRun, **options: Any
    ) -> list[Document]:
        """Return the documents of a query; fewer than top_k only if fewer records qualify. Fails as Index.search.

        options: top_k, mode and filters of this query, in place of those of the retriever.

        Raises:
            UsageError: another option.
        """
        if unknown := options.keys() - set(_OPTIONS):
            raise UsageError(f"{min(unknown)} was given, expected {', '.join(_OPTIONS[:-1])} or {_OPTIONS[-1]}")
        asked = {name: getattr(self, name) for name in _OPTIONS} | options
        hits = self.index.search(query, **asked)
        return [Document(build_text(hit), id=hit.id, metadata=build_metadata(hit)) for hit in hits]

    async def _aget_relevant_documents(
        self, query: str, *, run_manager: AsyncCallbackManagerForRetrieverRun, **options: Any
    ) -> list[Document]:
        """Do the same in a thread, so that the event loop goes on."""
        plain = run_manager.get_sync()
        found: list[Document] = await run_in_executor(
            None, self._get_relevant_documents, query, run_manager=plain, **options
        )
        return found
