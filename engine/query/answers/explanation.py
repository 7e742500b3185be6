"""Explanations of hits: nearest sentences, words shared with the query, and percentile of the score."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

import numpy as np

from engine.corpus.words.keywords import Occurrences, find_occurrences
from engine.deadline import CURRENT
from engine.encode.models.recipe import clean_text
from engine.encode.texts.sentences import MOST_READ, split_beginning
from engine.phrases import pluralize
from engine.query.opening.generation import EncodedSentences, OpenGeneration
from engine.query.question.plan import Question
from engine.query.ranks.ranking import Candidate
from engine.records.answer import SCORE_DECIMALS, Hit, Sentence, Span, Why
from engine.records.encoder import Vectors
from engine.records.generation import Calibration

_SENTENCES_PER_HIT = 3  # sentences of a hit
_TOGETHER = 512  # sentences that are encoded together; a page of hits has some 100


def explain_hits(
    snapshot: OpenGeneration, question: Question, vector: Vectors, chosen: Sequence[Candidate], hits: Sequence[Hit]
) -> list[Hit]:
    """Return the hits, each with its Why; vector (dim,) is the vector they were compared with."""
    doc_ids = [candidate.doc_id for candidate in chosen]
    found = _find_nearest_sentences(snapshot, vector, doc_ids, [hit.abstract for hit in hits])
    words: dict[int, Occurrences] = {}
    if question.wording.has_words:
        texts = {doc_id: (hit.title, hit.abstract) for doc_id, hit in zip(doc_ids, hits, strict=True)}
        words = find_occurrences(question.wording, texts)
    calibration, of_records = snapshot.manifest.calibration, not question.text
    why = []
    for candidate, hit, near in zip(chosen, hits, found, strict=True):
        there = words.get(candidate.doc_id, Occurrences((), (), ()))
        share = find_percentile(calibration, hit.score, of_records=of_records)
        why.append(Why(share, near, there.words, there.title, there.abstract))
    return [replace(hit, why=one) for hit, one in zip(hits, why, strict=True)]


def note_long_abstracts(hits: Iterable[Hit]) -> Iterator[str]:
    """Yield a note on explained hits whose abstract is so long that only sentences of its beginning are compared."""
    n_long = sum(hit.why is not None and len(hit.abstract) > MOST_READ for hit in hits)
    if n_long:
        yield f"the nearest sentences of {pluralize(n_long, 'abstract')} are of the first {MOST_READ:,} characters only"


def _find_nearest_sentences(
    snapshot: OpenGeneration, vector: Vectors, doc_ids: Sequence[int], abstracts: Sequence[str]
) -> list[tuple[Sentence, ...]]:
    """Return the few sentences of each abstract that are nearest to a vector (dim,), best first, ties in text order."""
    found = []
    for sentences in encode_sentences(snapshot, doc_ids, abstracts):
        scores = (sentences.vectors.astype(np.float64) @ vector.astype(np.float64)).clip(-1, 1)
        pairs = zip(sentences.spans, (round(float(score), SCORE_DECIMALS) for score in scores), strict=True)
        found.append(tuple(sorted((Sentence(*pair) for pair in pairs), key=lambda s: -s.score)[:_SENTENCES_PER_HIT]))
    return found


def encode_sentences(
    snapshot: OpenGeneration, doc_ids: Sequence[int], abstracts: Sequence[str]
) -> list[EncodedSentences]:
    """Return the encoded sentences of each abstract; those of records explained lately are not encoded again.

    Of a very long abstract, only those of its beginning are encoded. Sentences are encoded in batches, as records are;
    a sentence that the encoder can't read is left out.
    """
    known = {doc_id: kept for doc_id in doc_ids if (kept := snapshot.sentences.get(doc_id)) is not None}
    new = {doc_id: text for doc_id, text in zip(doc_ids, abstracts, strict=True) if doc_id not in known}
    spans = [(doc_id, span) for doc_id, text in new.items() for span in split_beginning(text)]
    texts = [clean_text(new[doc_id][start:end]) for doc_id, (start, end) in spans]
    encoder = snapshot.get_encoder()
    from engine.encode.execution.encoder import encode_checked

    rows_of: dict[int, list[tuple[Span, Vectors]]] = {doc_id: [] for doc_id in new}
    for start in range(0, len(texts), _TOGETHER):
        CURRENT.get().check()
        checked = encode_checked(encoder, texts[start : start + _TOGETHER])
        for position, row in zip(checked.kept, checked.vectors, strict=True):
            doc_id, span = spans[start + position]
            rows_of[doc_id].append((span, row))
    width = snapshot.manifest.encoder.dim
    fresh = {
        doc_id: EncodedSentences(
            tuple(span for span, _ in rows), np.array([row for _, row in rows], np.float32).reshape(-1, width)
        )
        for doc_id, rows in rows_of.items()
    }
    snapshot.keep_sentences(fresh)
    return [(known | fresh)[doc_id] for doc_id in doc_ids]


def find_percentile(calibration: Calibration | None, score: float, *, of_records: bool) -> float | None:
    """Return the percentage of random pairs with a lower cosine, to two decimals; None if not measured.

    of_records: the score is that of two whole records; otherwise of a text and a record. Between two quantiles the
    share grows linearly. Nothing is claimed beyond what was measured: a score above the highest quantile has the
    highest share, 99.99, to be read as "at least"; one not above the lowest quantile has 0.0, although up to the lowest
    share, 1 percent, may lie below it. A higher score never has a lower share.
    """
    if calibration is None:
        return None
    quantiles, shares = calibration.records if of_records else calibration.texts, calibration.shares
    score = round(score, SCORE_DECIMALS)  # as the quantiles are, so that the last bits of equal cosines decide nothing
    place = bisect_left(quantiles, score)  # the first that is not lower
    if place == 0:
        return 0.0
    if place == len(quantiles):
        return round(100 * shares[-1], 2)
    low, high = quantiles[place - 1], quantiles[place]
    more = (score - low) / (high - low) * (shares[place] - shares[place - 1])
    return round(100 * min(shares[place - 1] + more, shares[place]), 2)
