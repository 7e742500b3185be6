"""A LlamaIndex retriever. Needs the extra [llamaindex]."""

from __future__ import annotations

import asyncio

from llama_index.core.base.base_retriever import BaseRetriever
from llama_index.core.schema import NodeWithScore, QueryBundle, TextNode

from engine.options import DEFAULT_MODE, Filters, Mode
from engine.query.index import Index
from engine.records.answer import Hit
from engine.retrievers.documents import build_metadata, build_text, check_index

_FOR_PROGRAMS = ("rank", "title", "score", "fused", "bm25", "semantic_rank", "keyword_rank", "rerank_score")


class LlamaIndexRetriever(BaseRetriever):
    """Finds the abstracts of an open index that answer a text, best first.

    A node has title and abstract as its text, the record id as its id, and the other fields of the hit as metadata. Its
    score is the one that ranks, which depends on the mode; the cosine is in the metadata, as score. A language model is
    given the text with id, year, journal, authors, pmid, doi and retracted, an encoder or reranker the text alone.
    """

    def __init__(
        self, index: Index, *, top_k: int = 10, mode: Mode = DEFAULT_MODE, filters: Filters | None = None
    ) -> None:
        """Keep an open index and how it is searched.

        Raises:
            UsageError: no open index.
        """
        super().__init__()
        self._index, self._top_k, self._mode, self._filters = check_index(index), top_k, mode, filters

    def _retrieve(self, query_bundle: QueryBundle) -> list[NodeWithScore]:
        """Return the nodes of a query; fewer than top_k only if fewer records qualify. Fails as Index.search."""
        hits = self._index.search(query_bundle.query_str, top_k=self._top_k, mode=self._mode, filters=self._filters)
        return [NodeWithScore(node=_build_node(hit), score=hit.ranking_score) for hit in hits]

    async def _aretrieve(self, query_bundle: QueryBundle) -> list[NodeWithScore]:
        """Do the same in a thread, so that the event loop goes on."""
        return await asyncio.to_thread(self._retrieve, query_bundle)


def _build_node(hit: Hit) -> TextNode:
    """Return the node of a hit."""
    found = build_metadata(hit)
    return TextNode(
        id_=hit.id,
        text=build_text(hit),
        metadata=found,
        excluded_embed_metadata_keys=list(found),
        excluded_llm_metadata_keys=[name for name in _FOR_PROGRAMS if name in found],
    )
