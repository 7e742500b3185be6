"""Calibration: the distribution of cosines of random pairs of records, which puts scores in context."""

from __future__ import annotations

from contextlib import closing
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from engine.corpus.storage.store import Corpus
from engine.corpus.words.wordindex import WordIndex
from engine.encode.execution.encoder import Encoder
from engine.index.generations.folder import WORDS
from engine.index.search.parts import SegmentedIndex
from engine.query.answers.verdict import has_standards
from engine.records.answer import SCORE_DECIMALS
from engine.records.generation import Calibration, Manifest
from engine.reindex.generation.generationfiles import open_next_corpus, open_next_vectors
from engine.reindex.generation.order import Build
from engine.reindex.measures.standards import SearchedParts, measure_standards
from engine.reindex.measures.tune import encode_titles

if TYPE_CHECKING:
    from engine.reindex.generation.seal import Filled

_QUERIES = 256  # records that are compared with others
_OTHERS = 128  # records that each is compared with: 32,768 pairs, three of them above the highest share
_FEWEST = 20  # records; with fewer, each is in over a tenth of the pairs, so one odd record moves every share
_DRIFT = 0.1  # share of the records; after a smaller change of their number the calibration is kept
_SEED = 1  # fixed, so that the same generation gives the same numbers
_SHARES = (
    *(i / 100 for i in range(1, 100)),
    *(i / 1000 for i in range(991, 1000)),  # finer at the upper end, where hits are
    *(i / 10_000 for i in range(9991, 10_000)),
)


def calibrate_generation(build: Build, encoder: Encoder, filled: Filled) -> Calibration | None:
    """Return the calibration of the next generation: the current one if it is still valid, else a new one."""
    current = build.current.manifest if build.current else None
    if current is not None and _is_current(current, encoder.identity.fingerprint, filled.counts.abstracts):
        return current.calibration
    vectors = open_next_vectors(build, filled.parts, encoder.identity.dim)
    with closing(open_next_corpus(build, filled.parts)) as corpus:
        calibration = _measure_calibration(corpus, vectors, encoder)
        if calibration is None:
            return None
        parts = SearchedParts(corpus, vectors, WordIndex(build.folder.building_generation / WORDS))
        return replace(calibration, standards=measure_standards(parts, vectors.doc_ids, encoder))


def _is_current(manifest: Manifest, fingerprint: str, n: int) -> bool:
    """Return whether a generation has a calibration of this encoder, measured on about n records."""
    if manifest.calibration is None or manifest.encoder.fingerprint != fingerprint:
        return False
    n_then = manifest.calibration.n_records
    return has_standards(manifest) and abs(n - n_then) < _DRIFT * n_then


def _measure_calibration(corpus: Corpus, vectors: SegmentedIndex, encoder: Encoder) -> Calibration | None:
    """Measure quantiles of the cosines between records spread over the corpus and other records drawn at random.

    Each record is compared twice with the same others: by its title, encoded as a query, and by its stored vector. The
    cosines are the scores that hits would have. None if fewer than _FEWEST records can be compared.
    """
    if vectors.size < _FEWEST:
        return None
    doc_ids = vectors.doc_ids
    places, queries = encode_titles(corpus, doc_ids, encoder, _QUERIES)
    if len(places) < _FEWEST:  # titles that the encoder can't read
        return None
    generator = np.random.default_rng(_SEED)
    texts, records = [], []
    for place, query, own in zip(places, queries, vectors.get_points(doc_ids[places]), strict=True):
        others = doc_ids[_draw_others(generator, int(place), len(doc_ids))]
        texts.append(vectors.score_ids(query, others))
        records.append(vectors.score_ids(own, others))
    return Calibration(
        _SHARES, _compute_quantiles(texts), _compute_quantiles(records), sum(map(len, texts)), len(doc_ids)
    )


def _draw_others(generator: np.random.Generator, place: int, n: int) -> NDArray[np.int64]:
    """Draw at most _OTHERS distinct places below n, without `place`; ascending."""
    drawn = np.sort(generator.choice(n - 1, min(_OTHERS, n - 1), replace=False, shuffle=False))
    others: NDArray[np.int64] = drawn + (drawn >= place)
    return others


def _compute_quantiles(scores: list[NDArray[np.float32]]) -> tuple[float, ...]:
    """Compute the cosines below which the _SHARES of the scores lie, ascending."""
    quantiles = np.quantile(np.concatenate(scores).astype(np.float64), _SHARES).round(SCORE_DECIMALS)
    return tuple(quantiles.tolist())
