"""Tuning of an approximate index: the fastest setting that finds almost all hits of an exact search."""

from __future__ import annotations

import statistics
import time
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from engine.corpus.storage.store import Corpus
from engine.encode.execution.encoder import Encoder, encode_checked
from engine.encode.models.recipe import clean_text
from engine.index.search.ivf import TUNED_FOR, IvfIndex
from engine.records.encoder import Vectors
from engine.records.generation import AnnSettings, DocIds

QUERIES = 512  # titles used as queries; at recall 0.99 the standard error is below 0.002
_TIMED = 64  # queries that are timed, one by one
_DEPTHS = (25, 50, 100, 200, 400, 800)  # candidates scored exactly


@dataclass(frozen=True, slots=True)
class Trial:
    """One setting and its measured results."""

    n_probe: int
    n_rerank: int
    recall: float  # ANN recall@10
    ms: float | None  # median of single queries on this machine; None: not measured, the recall is too low


@dataclass(frozen=True, slots=True)
class _Tuned:
    """The chosen setting, and all that were tried."""

    settings: AnnSettings
    trials: tuple[Trial, ...]

    @property
    def reached(self) -> bool:
        """Whether the target is reached; otherwise the setting with the highest recall was chosen."""
        return self.settings.recall >= self.settings.target


def encode_titles(
    corpus: Corpus, doc_ids: DocIds, encoder: Encoder, n: int = QUERIES
) -> tuple[NDArray[np.int64], Vectors]:
    """Encode the titles of at most n records spread over the corpus as queries.

    Titles resemble real queries, and every corpus has them. A record without a title is represented by its abstract.
    Returns the positions in doc_ids of those that could be encoded, int64 (q,) ascending, and vectors float32 (q, dim).
    """
    spread = np.unique(np.linspace(0, len(doc_ids) - 1, min(n, len(doc_ids)), dtype=np.int64))
    records = corpus.fetch(doc_ids[spread].tolist())
    places = [i for i in spread.tolist() if int(doc_ids[i]) in records]
    rows = [records[int(doc_ids[i])] for i in places]
    checked = encode_checked(
        encoder, [clean_text(row.title) or clean_text(row.abstract) for row in rows], as_query=True
    )
    return np.array(places, np.int64)[checked.kept], checked.vectors


def tune_lists(index: IvfIndex, queries: Vectors, target: float, n_trained: int, previous: int = 0) -> _Tuned:
    """Find the fastest setting that reaches the target recall on these queries.

    previous is the number of lists that reached it before, or 0. With one, the trial starts at half of it.

    Candidates are scored exactly, so a setting finds a neighbour if and only if it is among the candidates. One search
    per number of lists therefore gives the recall at every depth. A candidate with the score of a true neighbour counts
    as one, since records with the same text are interchangeable.
    """
    measured: list[tuple[int, int, float]] = []
    k = min(TUNED_FOR, index.size)
    least = [ranking[-1][1] for ranking in index.search_exhaustively(queries, k)]
    for n_probe in (n for n in _list_probes(index.n_lists) if n >= previous // 2):
        near = np.array(
            [index.keep_good_candidates(q, n_probe, _DEPTHS[-1], low) for q, low in zip(queries, least, strict=True)]
        )
        recalls = [(depth, float(np.minimum(near[:, :depth].sum(axis=1), k).mean()) / k) for depth in _DEPTHS]
        enough = [pair for pair in recalls if pair[1] >= target]
        measured.append((n_probe, *(enough[0] if enough else recalls[-1])))
        if enough and n_probe > (1 if previous else 4) * next(n for n, _, recall in measured if recall >= target):
            break  # more lists only make it slower
    trials = [Trial(n, m, r, _time_search(index, queries, n, m) if r >= target else None) for n, m, r in measured]
    timed = [(trial.ms, trial) for trial in trials if trial.ms is not None]
    best = min(timed, key=lambda pair: pair[0])[1] if timed else max(trials, key=lambda trial: trial.recall)
    settings = AnnSettings(best.n_probe, best.n_rerank, round(best.recall, 4), len(queries), target, n_trained)
    return _Tuned(settings, tuple(trials))


def _list_probes(n_lists: int) -> list[int]:
    """List the numbers of lists to try: powers of two, then all lists."""
    powers = [1 << i for i in range(n_lists.bit_length()) if 1 << i < n_lists]
    return [*powers, n_lists]


def _time_search(index: IvfIndex, queries: Vectors, n_probe: int, depth: int) -> float:
    """Measure the median time of one query, in milliseconds."""
    spent = []
    for query in queries[:_TIMED]:
        started = time.perf_counter()
        index.probe(query[None], TUNED_FOR, n_probe, depth)
        spent.append(time.perf_counter() - started)
    return round(1000 * statistics.median(spent), 3)
