"""Exhaustive search of a test set with an encoder: every query is compared with every document."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from engine.encode.execution.encoder import Encoder, encode_checked
from engine.encode.models.recipe import clean_text, fill_template
from engine.errors import UsageError
from engine.progress import Progress
from engine.records.encoder import EncoderIdentity, Vectors
from engine.relevance.scoring.measures import Place, place_judged
from engine.relevance.sets.runs import Ranked, Run
from engine.relevance.sets.testset import SetText, TestSet

QUERIES = 128  # queries compared at once
_DOCUMENTS = 4096  # documents converted to float64 at once


@dataclass(frozen=True, slots=True)
class _Read:
    """Encoded texts."""

    vectors: Vectors  # (m, dim) of the distinct texts that have a vector
    rows: NDArray[np.int64]  # (n,) row of each text in vectors; -1 without a vector
    n_truncated: int  # texts longer than the encoder reads


@dataclass(frozen=True, slots=True)
class _Searched:
    """A run with its places and counts."""

    run: Run
    places: Mapping[str, list[Place]]  # by query id: rank and grade of all its judged documents
    n_unread: int  # documents without a word that the encoder knows; never ranked
    n_unread_queries: int  # queries without such a word; their rankings are empty
    n_truncated: int  # documents longer than the encoder reads


def search_documents(
    encoder: Encoder, test_set: TestSet, top_k: int = 1000, name: str = "", progress: Progress | None = None
) -> _Searched:
    """Rank the documents for every query: by cosine, summed in float64 and rounded to float32, then by id.

    Each ranking has top_k documents, or fewer if fewer have a vector. Equal texts are encoded once, so their scores are
    equal. A document that is blank, or has no word that the encoder knows, is not ranked; such a query has no hits.

    Raises:
        UsageError: top_k is below 1.
    """
    if top_k < 1:
        raise UsageError(f"top_k is {top_k}, expected 1 or more")
    documents = read(encoder, test_set.documents, "encoding documents", progress)
    queries = read(encoder, test_set.queries, "encoding queries", progress, as_query=True)
    ids = np.array([document.id for document in test_set.documents], dtype=object)
    encoded = np.flatnonzero(documents.rows >= 0)
    by_id = encoded[np.argsort(ids[encoded], kind="stable")]  # a stable sort by score then keeps ties in order of id
    ids, rows = ids[by_id], documents.rows[by_id]
    rankings, places = dict[str, tuple[Ranked, ...]](), dict[str, list[Place]]()
    for query, scores in zip(test_set.queries, _score_documents(queries, documents), strict=True):
        order = np.argsort(-scores[rows], kind="stable") if scores is not None else by_id[:0]
        best = scores[rows[order[:top_k]]].tolist() if scores is not None else []
        rankings[query.id] = tuple(Ranked(ids[i], score) for i, score in zip(order, best, strict=False))
        places[query.id] = place_judged(ids[order], test_set.judgments.grades.get(query.id, {}))
    return _Searched(
        run=Run(name or encoder.identity.model, rankings),
        places=places,
        n_unread=len(documents.rows) - len(encoded),
        n_unread_queries=int((queries.rows < 0).sum()),
        n_truncated=documents.n_truncated,
    )


def read(
    encoder: Encoder, texts: Sequence[SetText], phase: str, progress: Progress | None, *, as_query: bool = False
) -> _Read:
    """Encode texts, each distinct text once, longest first so that the texts of a batch have similar lengths.

    Documents are put into the template of the encoder, if it has one.
    """
    limit = encoder.identity.query_length if as_query else encoder.identity.max_length
    prepared = [clean_text(text.text) if as_query else prepare_document(encoder.identity, text) for text in texts]
    distinct = sorted({text for text in prepared if text}, key=lambda text: (-len(text), text))
    vectors, kept, long = list[Vectors](), list[str](), set[str]()
    for start in range(0, len(distinct), encoder.page):
        page = distinct[start : start + encoder.page]
        encoding = encode_checked(encoder, page, as_query=as_query)
        vectors.append(encoding.vectors)
        kept += [page[i] for i in encoding.kept]
        long.update(page[i] for i in encoding.kept[encoding.n_tokens > limit])
        if progress:
            progress(phase, start + len(page), len(distinct))
    row = {text: n for n, text in enumerate(kept)}
    return _Read(
        vectors=np.concatenate(vectors) if vectors else np.empty((0, encoder.identity.dim), np.float32),
        rows=np.array([row.get(text, -1) for text in prepared], np.int64),
        n_truncated=sum(text in long for text in prepared),
    )


def prepare_document(identity: EncoderIdentity, document: SetText) -> str:
    """Return a document as the encoder gets a record: by its template, if it has one."""
    if identity.template:
        return fill_template(identity.template, document.title, document.body)
    return clean_text(document.text)


def _score_documents(queries: _Read, documents: _Read) -> Iterator[NDArray[np.float32] | None]:
    """Yield for each query its cosines (m,) with the distinct texts of the documents; None without a vector."""
    for start in range(0, len(queries.rows), QUERIES):
        rows = queries.rows[start : start + QUERIES]
        block = queries.vectors[rows[rows >= 0]].astype(np.float64)
        scores = np.empty((len(block), len(documents.vectors)), np.float32)
        for first in range(0, len(documents.vectors), _DOCUMENTS):
            part = documents.vectors[first : first + _DOCUMENTS].astype(np.float64)
            scores[:, first : first + _DOCUMENTS] = (block @ part.T).clip(-1.0, 1.0)
        remaining = iter(scores)
        yield from (next(remaining) if row >= 0 else None for row in rows)
