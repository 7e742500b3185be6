"""Ranking of the unread records of a review, by a model of words trained on the labels and by the criteria.

The model of words ranks better with every label. The cosine of a record with the criteria of the review needs no label.
So the cosine is a prior: it weighs less as records are included, and less where it tells them from the others badly.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from engine.corpus.selection.filters import Qualified
from engine.corpus.storage.store import Corpus
from engine.encode.models.recipe import clean_text, prepare_text
from engine.errors import UsageError
from engine.options import Filters, Query
from engine.phrases import pluralize
from engine.query.answers.answer import fetch_hits
from engine.query.opening.generation import OpenGeneration
from engine.query.question.plan import encode_texts, note_cut, note_unknown
from engine.query.ranks.ranking import Candidate
from engine.records.answer import Answer
from engine.records.generation import DocIds
from engine.relevance.screening.labels import Labels
from engine.relevance.screening.wordmodel import Features, Scores, Terms, WordModel, compute_features, learn_words

Rows = NDArray[np.int64]
# Weight of the criteria; chosen with scripts/bench_screen.py.
_AMOUNT = 8.0  # over the number of included records and a half, times how well the cosine tells included records
_EXPECTED = {"title": 0.7, "criteria": 0.8}  # share of pairs of an included and another record that the cosine orders …
_EXPECTED_WEIGHT = 4  # … well, before any label, and the included records that this counts as much as
_TITLE = 25  # words; longer texts are criteria, which tell records apart better than a title does
MOST = 100_000  # records in the model of words; word pairs take about 20 kB per record
_AT_ONCE = 1000  # records fetched at once


@dataclass(frozen=True, slots=True)
class Pool:
    """The records of a review, labelled or not. A row is the position of a record."""

    doc_ids: DocIds  # (n,) ascending
    has_text: NDArray[np.bool_]  # (n,)
    features: Features | None  # (n, terms); None if nothing is learned from labels
    cosines: Scores | None  # (n,) cosine of each record with the criteria; None without criteria
    expected: float = _EXPECTED["criteria"]  # share of pairs that the cosine orders well, see estimate_share
    terms: Terms | None = None  # of the features


@dataclass(frozen=True, slots=True)
class Screening:
    """The next records to read."""

    answer: Answer  # the score of a hit ranks it; it is a cosine only if the criteria alone rank
    cosines: tuple[float | None, ...]  # cosine of each hit with the criteria
    n_included: int
    n_excluded: int
    n_unsure: int  # records that were read, but neither included nor excluded
    n_left: int  # unread records that pass the filters


def screen(
    snapshot: OpenGeneration, labels: Labels, criteria: str = "", filters: Filters | None = None, top_k: int = 10
) -> Screening:
    """Rank the records without a label, the most likely inclusions first; equal scores by age in the index.

    Filters restrict the hits, but not the labelled records that the model learns from. With labels of both kinds the
    score is that of `_score_unlabelled`, otherwise it is the cosine with the criteria.

    Raises:
        UsageError: there are neither labels of both kinds nor criteria.
    """
    text, filters = clean_text(criteria), filters or Filters()
    if not labels.has_both and not text:
        raise UsageError(
            f"{pluralize(len(labels.included), 'included record')} and "
            f"{pluralize(len(labels.excluded), 'excluded record')} of this index, and no criteria: nothing to rank by. "
            f"{''.join(f'{note}. ' for note in note_unknown(labels.unknown))}"
            "Give --criteria TEXT, or at least one record of each kind"
        )
    candidates = find_candidates(snapshot, filters)
    left = np.setdiff1d(candidates.doc_ids, np.union1d(labels.doc_ids, labels.unsure), assume_unique=True)
    pool, notes = load_pool(snapshot, np.union1d(candidates.doc_ids, labels.doc_ids), text, learning=labels.has_both)
    labelled = np.searchsorted(pool.doc_ids, labels.doc_ids)
    rows, scores = rank_unlabelled(pool, labelled, labels.mark_included(labels.doc_ids), np.isin(pool.doc_ids, left))
    best = [Candidate(int(pool.doc_ids[row]), float(scores[at])) for at, row in enumerate(rows[:top_k])]
    answer = Answer(
        query=Query(criteria, mode="semantic", filters=filters, top_k=top_k),
        generation=snapshot.manifest.generation,
        hits=tuple(fetch_hits(snapshot, best)),
        n_qualified=len(left),
        notes=(*candidates.notes, *note_unknown(tuple(dict.fromkeys((*labels.unknown, *candidates.unknown)))), *notes),
    )
    cosines = tuple(None if pool.cosines is None else float(pool.cosines[row]) for row in rows[:top_k])
    n_labelled = len(labels.included), len(labels.excluded)
    return Screening(answer, cosines, *n_labelled, len(labels.unsure), len(left))


def find_candidates(snapshot: OpenGeneration, filters: Filters) -> Qualified:
    """Find the records that pass the filters; all records without filters."""
    return snapshot.find_qualified(filters) if filters.any else Qualified(snapshot.corpus.read_ids(), ())


def load_pool(
    snapshot: OpenGeneration, doc_ids: DocIds, criteria: str, *, learning: bool = True
) -> tuple[Pool, tuple[str, ...]]:
    """Load records of an index (ids ascending) into a pool; return it with notes on the criteria ("": no criteria).

    Raises:
        UsageError: there are too many records.
    """
    cosines, notes = None, tuple[str, ...]()
    if criteria:
        vectors, too_long = encode_texts(snapshot, [criteria])
        cosines = snapshot.vectors.score_ids(vectors[0], doc_ids).astype(np.float64)
        notes = note_cut("criteria are", too_long[0])
    if not learning:
        return Pool(doc_ids, np.ones(len(doc_ids), bool), None, cosines, estimate_share(criteria)), notes
    return build_pool(doc_ids, _read_record_texts(snapshot.corpus, doc_ids), cosines, estimate_share(criteria)), notes


def load_words(corpus: Corpus) -> Pool:
    """Load all records of a generation into a pool without criteria, which takes a while.

    Raises:
        UsageError: there are too many records.
        MissingExtraError: scikit-learn is not installed.
    """
    doc_ids = corpus.read_ids()
    return build_pool(doc_ids, _read_record_texts(corpus, doc_ids), None)


def build_pool(
    doc_ids: DocIds, texts: Sequence[str], cosines: Scores | None, expected: float = _EXPECTED["criteria"]
) -> Pool:
    """Build a pool from records (ids ascending), their texts and their cosines with the criteria, all (n,)."""
    has_text = np.array([bool(text) for text in texts], bool)
    features, terms = compute_features(texts)
    return Pool(doc_ids, has_text, features, cosines, expected, terms)


def _read_record_texts(corpus: Corpus, doc_ids: DocIds) -> list[str]:
    """Read title and abstract of each record as one text, in the order of the records.

    Raises:
        UsageError: there are too many records.
    """
    if len(doc_ids) > MOST:
        raise UsageError(
            f"{pluralize(len(doc_ids), 'record')} to learn from and to rank, expected {MOST:,} at most. "
            "Restrict them to those of the review: --ids FILE, --year or another filter"
        )
    texts: list[str] = []
    for start in range(0, len(doc_ids), _AT_ONCE):
        part = doc_ids[start : start + _AT_ONCE].tolist()
        rows = corpus.fetch(part)
        texts += [prepare_text(rows[doc_id].title, rows[doc_id].abstract) for doc_id in part]
    return texts


def rank_unlabelled(
    pool: Pool, labelled: Rows, included: NDArray[np.bool_], left: NDArray[np.bool_]
) -> tuple[Rows, Scores]:
    """Rank the unread rows, best first, and return them with their scores; equal scores by doc id.

    labelled (m,) are the labelled rows, included (m,) their labels, and left (n,) marks the rows to rank. Records
    without a text come last, one point below the others.
    """
    rows, blank = np.flatnonzero(left & pool.has_text), np.flatnonzero(left & ~pool.has_text)
    scores = _score_unlabelled(pool, labelled, included, rows)
    order = np.lexsort((rows, -scores))
    last = np.full(len(blank), (scores.min() if len(scores) else 0.0) - 1)
    return np.concatenate([rows[order], blank]), np.concatenate([scores[order], last])


@dataclass(frozen=True, slots=True, eq=False)
class Learned:
    """What was learned from labels of both kinds."""

    rows: Rows  # (n,) all rows of the pool; the unread ones are in the order of `rank_unlabelled`
    words: Scores  # (n,) score of each row by its words, above 0 if more likely than the mean of the unread rows
    criteria: Scores  # (n,) the same by the criteria, times their weight; zeros without criteria
    model: WordModel


def learn_order(pool: Pool, labelled: Rows, included: NDArray[np.bool_], left: NDArray[np.bool_]) -> Learned:
    """Rank all rows of a pool with features, those that are labelled or read, too, by what the labels teach.

    labelled (m,) are the labelled rows, included (m,) their labels, of both kinds, and left (n,) marks the unread rows.
    Records without a text come last.
    """
    unread = np.flatnonzero(left & pool.has_text)
    model = learn_words(pool.features, labelled, included)
    words = model.score_rows(pool.features)
    criteria = np.zeros(len(words))
    if pool.cosines is not None:
        words, weight = _standardise(words, unread), _weigh_cosines(pool, pool.cosines, labelled, included, unread)
        criteria = weight * _standardise(pool.cosines, unread)
    order = np.lexsort((np.arange(len(words)), -(words + criteria), ~pool.has_text))
    return Learned(order, words, criteria, model)


def _score_unlabelled(pool: Pool, labelled: Rows, included: NDArray[np.bool_], rows: Rows) -> Scores:
    """Score rows (k,) by labels and criteria: z(words) + weight of the criteria * z(cosine), (k,).

    z subtracts the mean over the rows and divides by the standard deviation. Without labels of both kinds the score
    is the cosine; without criteria it is that of the words.

    Raises:
        ValueError: there are neither labels of both kinds nor criteria.
    """
    has_both = bool(included.any() and not included.all())
    if pool.features is None or not has_both:
        if pool.cosines is None:
            raise ValueError("neither labels of both kinds nor criteria")
        return pool.cosines[rows]
    words = learn_words(pool.features, labelled, included).score_rows(pool.features)
    if pool.cosines is None:
        return words[rows]
    weight = _weigh_cosines(pool, pool.cosines, labelled, included, rows)
    return _standardise(words, rows)[rows] + weight * _standardise(pool.cosines, rows)[rows]


def _weigh_cosines(pool: Pool, cosines: Scores, labelled: Rows, included: NDArray[np.bool_], unread: Rows) -> float:
    """Return the weight of the cosines (n,) of a pool by its labelled rows (m,), their labels and the unread rows."""
    others = np.concatenate([cosines[labelled[~included]], cosines[unread]])
    return _weigh_criteria(cosines[labelled[included]], others, pool.expected)


def estimate_share(criteria: str) -> float:
    """Return which share of pairs of an included and another record the cosine with a text should order well.

    In the ten reviews of docs/quality.md it is .72 on average for the title alone and .78 for title and criteria.
    """
    return _EXPECTED["title" if len(criteria.split()) <= _TITLE else "criteria"]


def _weigh_criteria(included: Scores, others: Scores, expected: float) -> float:
    """Return the weight of the criteria from the cosines of included records (k,) and of all others (m,), k and m > 0.

    The others are excluded or unread: few of the unread ones belong in a review, and the excluded ones alone were read
    because they ranked high. The weight falls with every included record. It is 0 where the cosine orders half of the
    pairs of an included and another record well, or fewer; equal cosines count half. That share of pairs is drawn
    towards the expected one while few records are included.
    """
    ordered, n = np.sort(others), len(included)
    below = (np.searchsorted(ordered, included, "left") + np.searchsorted(ordered, included, "right")) / 2
    share = float(below.mean() / len(others))
    share = (_EXPECTED_WEIGHT * expected + n * share) / (_EXPECTED_WEIGHT + n)
    return _AMOUNT * max(0.0, 2 * share - 1) / (n + 0.5)


def _standardise(scores: Scores, rows: Rows | None = None) -> Scores:
    """Scale scores (n,) so that those of some rows, or all, have mean 0 and deviation 1; zeros if they are equal."""
    chosen = scores if rows is None else scores[rows]
    if not len(chosen):
        return np.zeros(len(scores))
    sd = float(chosen.std())
    centred: Scores = scores - chosen.mean()
    return centred / sd if sd > 1e-12 else np.zeros(len(scores))
