"""A LangChain retriever. Needs the extra [langchain]."""

from __future__ import annotations

from typing import Any

from langchain_core.callbacks import CallbackManagerForRetrieverRun
from langchain_core.documents import Document
from langchain_core.retrievers import BaseRetriever

from engine.options import DEFAULT_MODE
from engine.retrievers.documents import build_metadata, build_text


class LangChainRetriever(BaseRetriever):
    """Finds the abstracts of an open index that answer a text, best first.

    A document has title and abstract as its text, the record id as its id, and the other fields of the hit as metadata.
    `invoke`, `batch`, `ainvoke` and `abatch` work as in any retriever of LangChain.
    """

    index: Any  # engine.Index
    top_k: int = 10
    mode: str = DEFAULT_MODE
    filters: Any = None  # engine.Filters

    def _get_relevant_documents(self, query: str, *, run_manager: CallbackManagerForRetrieverRun) -> list[Document]:
        """Return the documents of a query; fewer than top_k only if fewer records qualify. Fails as Index.search."""
        hits = self.index.search(query, top_k=self.top_k, mode=self.mode, filters=self.filters)
        return [Document(build_text(hit), id=hit.id, metadata=build_metadata(hit)) for hit in hits]
