"""Which records of a review to read next: the words of those labelled so far, and the meaning of the criteria.

Words decide best once there are labels; before, the cosine of a record with the criteria of the review knows more. So
the cosine counts as what is believed beforehand, and fades as included records come in.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from engine.encode.recipe import clean_text, prepare_text
from engine.errors import UsageError
from engine.options import Filters, Query
from engine.phrases import pluralize
from engine.query.answer import fetch_hits
from engine.query.generation import OpenGeneration
from engine.query.plan import encode_texts, note_cut, note_unknown
from engine.query.ranking import Candidate
from engine.records.answer import Answer
from engine.records.generation import DocIds
from engine.relevance.screening.labels import Labels
from engine.relevance.screening.wordmodel import Features, Scores, compute_features, score_by_words

Rows = NDArray[np.int64]
_FADING = 5.0  # weight of the criteria beside the words = FADING / included records: scripts/bench_screen.py
MOST = 100_000  # records whose words are compared; pairs of words take some 20 kB a record
_AT_ONCE = 1000  # records fetched


@dataclass(frozen=True, slots=True)
class Pool:
    """The records of a review, labelled or not. A row is a position in them."""

    doc_ids: DocIds  # (n,) ascending
    has_text: NDArray[np.bool_]  # (n,)
    features: Features | None  # (n, terms); None where no labels are to be learned from
    cosines: Scores | None  # (n,) of each record with the criteria; None without criteria


@dataclass(frozen=True, slots=True)
class Screening:
    """What to read next."""

    answer: Answer  # whose hits have as their score what ranks them: no cosine, unless the criteria alone rank
    cosines: tuple[float | None, ...]  # of each hit with the criteria
    n_included: int
    n_excluded: int
    n_left: int  # records that are not labelled, among those that pass the filters


def screen(
    snapshot: OpenGeneration, labels: Labels, criteria: str = "", filters: Filters | None = None, top_k: int = 10
) -> Screening:
    """Rank the records that are not labelled, the likeliest to be included first; equal ones by age in the index.

    Filters say which records may be hits; labelled ones teach whatever they are. With labels of both kinds the score is
    that of `score_unlabelled`, otherwise it is the cosine with the criteria.

    Raises:
        UsageError: there is nothing to rank by.
    """
    text, filters = clean_text(criteria), filters or Filters()
    if not labels.has_both and not text:
        raise UsageError(
            f"{pluralize(len(labels.included), 'included record')} and {pluralize(len(labels.excluded), 'excluded one')} of this "
            "index, and no criteria: nothing to rank by. Give --criteria TEXT, or one or more records of each kind"
        )
    every, unlisted = find_candidates(snapshot, filters)
    left = np.setdiff1d(every, labels.doc_ids, assume_unique=True)
    pool, notes = pool_of(snapshot, np.union1d(left, labels.doc_ids), text, learning=labels.has_both)
    labelled = np.searchsorted(pool.doc_ids, labels.doc_ids)
    rows, scores = rank_unlabelled(pool, labelled, labels.mark_included(labels.doc_ids), np.isin(pool.doc_ids, left))
    best = [Candidate(int(pool.doc_ids[row]), float(scores[at])) for at, row in enumerate(rows[:top_k])]
    answer = Answer(
        query=Query(criteria, filters=filters, top_k=top_k),
        generation=snapshot.manifest.generation,
        hits=tuple(fetch_hits(snapshot, best)),
        n_qualified=len(left),
        notes=(*note_unknown(tuple(dict.fromkeys((*labels.unknown, *unlisted)))), *notes),
    )
    cosines = tuple(None if pool.cosines is None else float(pool.cosines[row]) for row in rows[:top_k])
    return Screening(answer, cosines, len(labels.included), len(labels.excluded), len(left))


def find_candidates(snapshot: OpenGeneration, filters: Filters) -> tuple[DocIds, tuple[str, ...]]:
    """The records that pass filters, ascending, and listed ids that are not there; without filters, all records."""
    if not filters.any:
        return snapshot.corpus.read_ids(), ()
    found = snapshot.find_qualified(filters)
    return found.doc_ids, found.unknown


def pool_of(
    snapshot: OpenGeneration, doc_ids: DocIds, criteria: str, *, learning: bool = True
) -> tuple[Pool, tuple[str, ...]]:
    """Some records of an index (ids ascending) as a pool, with what there is to say of the criteria ("": none).

    Raises:
        UsageError: too many records to learn from.
    """
    cosines, notes = None, tuple[str, ...]()
    if criteria:
        vectors, too_long = encode_texts(snapshot, [criteria])
        cosines = snapshot.vectors.score_ids(vectors[0], doc_ids).astype(np.float64)
        notes = note_cut("criteria are", too_long[0])
    if not learning:
        return Pool(doc_ids, np.ones(len(doc_ids), bool), None, cosines), notes
    if len(doc_ids) > MOST:
        raise UsageError(
            f"{pluralize(len(doc_ids), 'record')} to learn from and to rank, expected {MOST:,} at most. "
            "Name those of the review: --ids FILE, --year or another filter"
        )
    return pool_from(doc_ids, _read_record_texts(snapshot, doc_ids), cosines), notes


def pool_from(doc_ids: DocIds, texts: Sequence[str], cosines: Scores | None) -> Pool:
    """A pool of records with their texts and, where there are criteria, cosines, all (n,), doc ids ascending."""
    return Pool(doc_ids, np.array([bool(text) for text in texts], bool), compute_features(texts), cosines)


def _read_record_texts(snapshot: OpenGeneration, doc_ids: DocIds) -> list[str]:
    """Title and abstract of records as one text each, in their order."""
    texts: list[str] = []
    for start in range(0, len(doc_ids), _AT_ONCE):
        part = doc_ids[start : start + _AT_ONCE].tolist()
        rows = snapshot.corpus.fetch(part)
        texts += [prepare_text(rows[doc_id].title, rows[doc_id].abstract) for doc_id in part]
    return texts


def rank_unlabelled(
    pool: Pool, labelled: Rows, included: NDArray[np.bool_], left: NDArray[np.bool_]
) -> tuple[Rows, Scores]:
    """The rows that are left, best first, and their scores; equal scores by doc id.

    labelled (m,) are rows, included (m,) says which way; left (n,) marks the rows to be ranked. A record without any
    text comes last, one point below the others.
    """
    rows, blank = np.flatnonzero(left & pool.has_text), np.flatnonzero(left & ~pool.has_text)
    scores = _score_unlabelled(pool, labelled, included, rows)
    order = np.lexsort((rows, -scores))
    last = np.full(len(blank), (scores.min() if len(scores) else 0.0) - 1)
    return np.concatenate([rows[order], blank]), np.concatenate([scores[order], last])


def _score_unlabelled(pool: Pool, labelled: Rows, included: NDArray[np.bool_], rows: Rows) -> Scores:
    """Scores (k,) of rows (k,) by labels and criteria: z(words) + FADING / included * z(cosine).

    z takes the mean of the rows and divides by their standard deviation. Without labels of both kinds the score is the
    cosine, without criteria that of the words.

    Raises:
        ValueError: there is neither.
    """
    learns = bool(included.any() and not included.all())
    if pool.features is None or not learns:
        if pool.cosines is None:
            raise ValueError("neither labels of both kinds nor criteria")
        return pool.cosines[rows]
    words = score_by_words(pool.features, labelled, included)[rows]
    if pool.cosines is None:
        return words
    return _standardise(words) + _FADING / int(included.sum()) * _standardise(pool.cosines[rows])


def _standardise(scores: Scores) -> Scores:
    """Scores with mean 0 and standard deviation 1; zeros where all are the same."""
    if not len(scores):
        return scores
    sd = float(scores.std())
    centred: Scores = scores - scores.mean()
    return centred / sd if sd > 1e-12 else np.zeros(len(scores))
