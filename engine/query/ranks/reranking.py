"""The second stage of a search: a cross-encoder orders the first hits anew."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from engine.config import Settings
from engine.encode.models.recipe import prepare_text
from engine.errors import ConfigError, UnknownRerankerError, UsageError
from engine.options import NO_RERANKER, RELEVANCE, Query
from engine.query.opening.generation import OpenGeneration
from engine.query.question.plan import Question
from engine.query.ranks.ranking import Candidate, Ranking, rank_question
from engine.records.encoder import Vectors

_Encode = Callable[[], Vectors]  # the vector (dim,) of the question


def complete_reranking(query: Query, settings: Settings) -> Query:
    """Return a checked query with the second stage that index.toml names, if the query leaves it open.

    Without a second stage, all its fields are None. One that only index.toml names is left out where it can't be used.

    Raises:
        UsageError: the query names a reranker, but has no text to compare, or is to be diversified or sorted.
    """
    model = settings.rerank_model if query.rerank is None else query.rerank
    problem = ""
    if not query.text.strip():
        problem = "a reranker compares a text with records, and the query has none. Add a text"
    elif query.diversify:
        problem = "diversify and rerank each put the hits in an order of their own. Leave one of them out"
    elif query.sort != RELEVANCE:
        problem = "sort and rerank each put the hits in an order of their own. Leave one of them out"
    if problem and query.rerank not in (None, NO_RERANKER):
        raise UsageError(problem)
    if problem or model in (None, NO_RERANKER):
        return replace(query, rerank=None, rerank_depth=None, rerank_precision=None)
    return replace(
        query,
        rerank=model,
        rerank_depth=query.rerank_depth or settings.rerank_depth,
        rerank_precision=query.rerank_precision or settings.rerank_precision,
    )


def rank_in_stages(snapshot: OpenGeneration, question: Question, encode: _Encode) -> Ranking:
    """Rank what qualifies, then order the first rerank_depth candidates anew, if the query names a reranker.

    Best first: the reranked ones by their new score, of equal ones the lower id; then the others in their old order. So
    the order does not depend on top_k or offset.
    """
    query = question.query
    if query.rerank is None:
        return rank_question(snapshot, question, encode)
    wanted = max(query.offset + query.top_k, query.rerank_depth or 0)
    found = rank_question(snapshot, replace(question, query=replace(query, offset=0, top_k=wanted)), encode)
    return rerank_candidates(snapshot, question, found)


def rerank_candidates(snapshot: OpenGeneration, question: Question, found: Ranking) -> Ranking:
    """Order the first rerank_depth candidates of a ranking anew, as rank_in_stages does.

    Raises:
        BusyError: the deadline of the answer has passed.
        EncoderError: the reranker is missing, or can't be used.
        UnknownRerankerError: the index does not hold it, and may not get it.
        ConfigError: the same of the one that index.toml names.
    """
    query = question.query
    if query.rerank is None:
        return found
    if not question.text:
        return replace(found, notes=("the hits were not reranked, since the query has no words to compare",))
    try:
        reranker, notes = snapshot.get_reranker(query.rerank, str(query.rerank_precision))
    except UnknownRerankerError as err:
        settings = Settings.load(snapshot.folder.path)
        if settings.rerank_model == query.rerank:
            raise ConfigError(f"{settings.file} names a reranker that can't be used: {err}") from err
        raise
    head, rest = found.candidates[: query.rerank_depth], found.candidates[query.rerank_depth :]
    rows = snapshot.corpus.fetch([one.doc_id for one in head])
    texts = [prepare_text(rows[one.doc_id].title, rows[one.doc_id].abstract) for one in head if one.doc_id in rows]
    if len(texts) < len(head):
        return found  # a row is missing, which fetch_hits reports
    scores, n_cut = reranker.score(question.text, texts)
    scored = [replace(one, rerank_score=float(score)) for one, score in zip(head, scores, strict=True)]
    scored.sort(key=lambda one: (-(one.rerank_score or 0.0), one.doc_id))
    return replace(
        found,
        candidates=scored + rest,
        reranker=reranker.identity,
        notes=(*notes, *_note_long_pairs(n_cut, len(head), reranker.identity.max_length)),
    )


def rank_head(snapshot: OpenGeneration, question: Question, encode: _Encode) -> Sequence[Candidate]:
    """Return the candidates that are reranked, in their new order; none without a reranker."""
    query = question.query
    if query.rerank is None:
        return ()
    whole = replace(question, query=replace(query, offset=0, top_k=query.rerank_depth or 1))
    return rank_in_stages(snapshot, whole, encode).candidates[: query.rerank_depth]


def _note_long_pairs(n_cut: int, n: int, limit: int) -> tuple[str, ...]:
    """Return the note on pairs that the reranker does not read to their end, if any."""
    if not n_cut:
        return ()
    return (f"the reranker reads {limit:,} tokens of query and record: {n_cut:,} of {n:,} records were cut for it",)
