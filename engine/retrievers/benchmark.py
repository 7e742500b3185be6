"""What mteb measures: the encoder of an index, and its whole search. Needs the extra [mteb]."""

from __future__ import annotations

import json
import logging
import shutil
import tempfile
import weakref
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from mteb.models import ModelMeta
from mteb.models.model_meta import ScoringFunction
from mteb.types import PromptType
from numpy.typing import NDArray

from engine import __version__
from engine.arguments import check_whole
from engine.encode.execution.encoder import encode_checked
from engine.encode.models.recipe import prepare_text
from engine.errors import UsageError
from engine.files import write_text
from engine.index.generations.folder import IndexFolder
from engine.options import DEFAULT_MODE, Filters, IndexSettings, Mode, Query
from engine.query.batches import answer_each, split_pages
from engine.query.index import Index, open_index
from engine.query.question.validation import check_query
from engine.records.answer import Answer
from engine.records.encoder import EncoderIdentity, Vectors
from engine.reindex.encoding.encoders import choose
from engine.reindex.generation.order import Order
from engine.reindex.runs.run import index_sources
from engine.retrievers.documents import check_index

_Rows = Iterable[Mapping[str, Any]]
_Scores = dict[str, dict[str, float]]  # query id -> document id -> score
_log = logging.getLogger(__name__)


def _describe(identity: EncoderIdentity, kind: str, revision: str) -> ModelMeta:
    """Return what mteb writes into its results, and finds them by: name and revision."""
    facts = {
        "name": f"abstract-engine/{identity.short_name.replace('/', '-')}-{kind}",
        "revision": revision,
        "embed_dim": identity.dim,
        "max_tokens": identity.max_length,
        "similarity_fn_name": ScoringFunction.COSINE,
        "use_instructions": bool(identity.query_prompt or identity.document_prompt),
    }
    return ModelMeta.create_empty(overwrites=facts)


class MtebEncoder:
    """The encoder of an open index as a model of mteb, with its own prompts and its own text of title and abstract.

    Give it to `mteb.evaluate`. Texts beyond what the encoder reads are cut, and a text without a word gets a vector of
    zeros.
    """

    def __init__(self, index: Index) -> None:
        """Load the encoder.

        Raises:
            UsageError: no open index.
            EngineError: it is missing, damaged or can't be used.
        """
        self._encoder = check_index(index).load_encoder()
        identity = self._encoder.identity
        self.mteb_model_meta = _describe(identity, "encoder", identity.fingerprint)

    def encode(self, inputs: _Rows, *, prompt_type: PromptType | None = None, **_: Any) -> Vectors:
        """Encode the batches of mteb: float32 (n, dim), in order; queries as queries, all else as texts of records."""
        parts = [np.empty((0, self._encoder.identity.dim), np.float32)]
        for batch in inputs:
            texts = _list_texts(batch)
            found = encode_checked(self._encoder, texts, as_query=prompt_type == PromptType.query)
            vectors = np.zeros((len(texts), self._encoder.identity.dim), np.float32)
            vectors[found.kept] = found.vectors
            parts.append(vectors)
        return np.concatenate(parts)

    def similarity(self, embeddings1: Any, embeddings2: Any) -> NDArray[np.float32]:
        """Return the cosine of each vector with each other one, (n, m)."""
        one, other = (np.atleast_2d(np.asarray(each, np.float32)) for each in (embeddings1, embeddings2))
        return one @ other.T

    def similarity_pairwise(self, embeddings1: Any, embeddings2: Any) -> NDArray[np.float32]:
        """Return the cosine of each vector with the one in the same place, (n,)."""
        one, other = (np.asarray(each, np.float32) for each in (embeddings1, embeddings2))
        found: NDArray[np.float32] = np.einsum("ij,ij->i", one, other)
        return found


def _list_texts(batch: Mapping[str, Any]) -> list[str]:
    """Return the prepared texts of a batch: of documents title and body, joined as those of records are."""
    if "body" in batch:
        titles = batch.get("title") or [""] * len(batch["body"])
        return [prepare_text(title or "", body or "") for title, body in zip(titles, batch["body"], strict=True)]
    return [prepare_text("", text or "") for text in batch["text"]]


class MtebSearch:
    """The whole search of the engine as a model of mteb: each corpus is indexed in a temporary folder.

    model: the encoder, as for `engine index -m`; None: the default. mode: "hybrid", "semantic" or "keyword". The folder
    lasts as long as this, or until another corpus is indexed. Results are kept by mode, encoder and version of the
    engine.
    """

    def __init__(self, model: str | None = None, mode: Mode = DEFAULT_MODE) -> None:
        """Keep how a corpus is indexed and searched.

        Raises:
            UsageError: an unknown mode.
            EncoderError: no usable model with this name.
        """
        self._query = check_query(Query("any", mode=mode))
        self._settings = IndexSettings(model=model, device="cpu")
        identity = choose(None, self._settings, re_encode=False).identity
        self.mteb_model_meta = _describe(identity, f"search-{mode}", f"{__version__}-{identity.fingerprint}")
        self._folder = Path(tempfile.mkdtemp(prefix="engine-mteb-"))
        self.closing = weakref.finalize(self, shutil.rmtree, self._folder, ignore_errors=True)
        self._index: Index | None = None
        self._ids: list[str] = []  # of the documents, in the order of the corpus
        self._n_indexed = 0

    def index(self, corpus: _Rows, **_: Any) -> None:
        """Index a corpus: rows with id, title and text. It takes the place of the one before.

        Raises:
            EngineError: nothing can be indexed, or the model can't be used.
        """
        if self._index is not None:
            self._index.close()
            shutil.rmtree(self._index.path, ignore_errors=True)
        self._index, self._ids = None, []
        self._n_indexed += 1
        folder = Path(self._folder, f"corpus-{self._n_indexed}")
        source = folder.with_suffix(".jsonl")
        write_text(source, _dump_documents(corpus, self._ids), overwrite=False)
        try:
            index_sources(IndexFolder(folder), Order((source,), self._settings), lambda *_: None)
        finally:
            source.unlink()
        self._index = open_index(folder)

    def search(
        self, queries: _Rows, *, top_k: int, top_ranked: Mapping[str, list[str]] | None = None, **_: Any
    ) -> _Scores:
        """Return the top_k documents of each query with the scores that rank them; none for one that can't be answered.

        How many can't be answered, and why the first one, is logged as a warning.
        top_ranked: the documents to rank for each query, for a task of reranking.

        Raises:
            UsageError: no corpus was indexed, or top_k below 1.
            EngineError: as Index.ask_batch, where it is not the fault of a query.
        """
        if self._index is None:
            raise UsageError("no corpus was indexed, expected one: call index(corpus) first")
        base, found, failed = replace(self._query, top_k=check_whole("top_k", top_k, 1)), _Scores(), list[str]()
        rows = ((str(row["id"]), str(row.get("text") or row.get("query") or "")) for row in queries)
        numbers = {name: f"d{at}" for at, name in enumerate(self._ids)} if top_ranked is not None else {}
        for page in split_pages(rows, base.top_k):
            asked = [
                replace(base, text=text, filters=_restrict(query_id, top_ranked, numbers)) for query_id, text in page
            ]
            for (query_id, _text), answer in zip(page, answer_each(self._index, asked), strict=True):
                if isinstance(answer, Answer):
                    found[query_id] = {self._ids[int(hit.id[1:])]: hit.ranking_score for hit in answer.hits}
                else:
                    found[query_id] = {}
                    failed.append(f"{query_id}: {answer}")
        if failed:
            _log.warning("%d of %d queries can't be answered. The first is %s", len(failed), len(found), failed[0])
        return found


def _restrict(query_id: str, top_ranked: Mapping[str, list[str]] | None, numbers: Mapping[str, str]) -> Filters:
    """Return the filter on the documents that a query may find; numbers: their record ids."""
    if top_ranked is None:
        return Filters()
    return Filters(ids=tuple(numbers[name] for name in map(str, top_ranked.get(query_id, ())) if name in numbers))


def _dump_documents(corpus: _Rows, ids: list[str]) -> Iterator[str]:
    """Yield the rows of a corpus as lines of JSON, and add their ids to a list.

    The records are named by their place in the list: as an id, a name can be blank, too long, a PMID or a DOI.
    """
    for row in corpus:
        text = row.get("body") or row.get("text") or ""
        yield json.dumps({"id": f"d{len(ids)}", "title": row.get("title") or "", "abstract": text}) + "\n"
        ids.append(str(row["id"]))
