"""What cosines random pairs of records have: measured once for a generation, so that a score can be compared."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from engine.encode.encoder import Encoder
from engine.index.flat import FlatIndex
from engine.index.folder import DATABASE, VECTORS
from engine.query.explanation import DECIMALS
from engine.records.generation import Calibration, Manifest
from engine.reindex.order import Build
from engine.reindex.tune import encode_titles

QUERIES = 256  # records asked about
_OTHERS = 128  # records that each of them is compared with: 32,768 pairs, of which three lie above the highest share
_FEWEST = 20  # records; with fewer, each is in more than a tenth of the pairs, so that one odd record moves every share
_DRIFT = 0.1  # of the number of records; one that changed by less keeps its calibration
_SEED = 1  # of the draw: the same generation gives the same numbers
_SHARES = (
    *(i / 100 for i in range(1, 100)),
    *(i / 1000 for i in range(991, 1000)),  # hits lie at the upper end, so it is told more finely
    *(i / 10_000 for i in range(9991, 10_000)),
)


def calibrate_generation(build: Build, encoder: Encoder, n: int) -> Calibration | None:
    """The calibration of the n records in ``building``: the current one where that still holds, else a new one."""
    held = build.current.manifest if build.current else None
    if held is not None and _is_current(held, encoder.identity.fingerprint, n):
        return held.calibration
    building = build.folder.building
    return _measure_calibration(building / DATABASE, FlatIndex(building / VECTORS, encoder.identity.dim), encoder)


def _is_current(held: Manifest, fingerprint: str, n: int) -> bool:
    """Whether a generation has a calibration by this encoder, measured on about n records."""
    if held.calibration is None or held.encoder.fingerprint != fingerprint:
        return False
    return abs(n - held.calibration.n_records) < _DRIFT * held.calibration.n_records


def _measure_calibration(database: Path, vectors: FlatIndex, encoder: Encoder) -> Calibration | None:
    """Quantiles of the cosines of records spread over the corpus with others drawn at random, never themselves.

    Each record is compared twice with the same others: by its title, encoded as queries are, and by its stored vector.
    Scores are those that hits have. None where fewer than FEWEST records can be asked about.
    """
    if vectors.size < _FEWEST:
        return None
    doc_ids = np.unique(vectors.doc_ids)  # a record may have several vectors
    places, asked = encode_titles(database, doc_ids, encoder, QUERIES)
    if len(places) < _FEWEST:  # titles that the encoder can't read
        return None
    generator = np.random.default_rng(_SEED)
    texts, records = [], []
    for place, query, own in zip(places, asked, vectors.get_points(doc_ids[places]), strict=True):
        others = doc_ids[_draw_others(generator, int(place), len(doc_ids))]
        texts.append(vectors.score_ids(query, others))
        records.append(vectors.score_ids(own, others))
    return Calibration(
        _SHARES, _compute_quantiles(texts), _compute_quantiles(records), sum(map(len, texts)), len(doc_ids)
    )


def _draw_others(generator: np.random.Generator, place: int, n: int) -> NDArray[np.int64]:
    """At most OTHERS of n places without this one, each at most once, ascending."""
    found = np.sort(generator.choice(n - 1, min(_OTHERS, n - 1), replace=False, shuffle=False))
    others: NDArray[np.int64] = found + (found >= place)
    return others


def _compute_quantiles(scores: list[NDArray[np.float32]]) -> tuple[float, ...]:
    """The cosines below which the SHARES of these scores lie, ascending."""
    found = np.quantile(np.concatenate(scores).astype(np.float64), _SHARES).round(DECIMALS)
    return tuple(found.tolist())
