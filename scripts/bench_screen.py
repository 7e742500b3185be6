"""Simulate the screening of labelled reviews: words, words with the criteria, and the criteria alone, side by side.

scripts/bench_screen.py DATA --criteria FILE.json [--model FOLDER] [--reviews NAME ...] [--priors 10]

DATA has one or more sets with corpus.jsonl.gz and labels.tsv.gz (review, doc_id, included). The criteria are a JSON
object: the name of a review, and a text of what is to be included. A review in several sets is measured once.
Prints a Markdown table of means and standard deviations over the priors.
"""

from __future__ import annotations

import argparse
import csv
import gzip
import json
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from engine.collect.source import read_source
from engine.encode.encoder import Encoder, encode_checked
from engine.encode.recipe import clean_text, prepare_text
from engine.options import DEFAULT_MODEL
from engine.records.abstract import Abstract
from engine.reindex.encoders import open_model_encoder
from engine.relevance.screening.ranking import Pool, Rows, build_pool
from engine.relevance.screening.screenmeasures import NAMES, average_measures, compute_deviation
from engine.relevance.screening.simulation import order_by_screening, simulate_screening


@dataclass(frozen=True, slots=True)
class Review:
    """The records of a review, and which of them were included."""

    name: str
    texts: list[str]
    included: NDArray[np.bool_]


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("data", type=Path)
    options.add_argument("--criteria", type=Path, required=True)
    options.add_argument("--model", default=DEFAULT_MODEL)
    options.add_argument("--reviews", nargs="*", default=[])
    options.add_argument("--priors", type=int, default=10)
    given = options.parse_args()
    criteria = json.loads(given.criteria.read_text(encoding="utf-8"))
    print(f"| review | ranked by | {' | '.join(NAMES)} | s a simulation |\n|---|---|{'---|' * (len(NAMES) + 1)}")
    with open_model_encoder(given.model, lambda *phase: None) as encoder:
        for review in reviews(given.data):
            if review.name in criteria and (not given.reviews or review.name in given.reviews):
                measure(review, criteria[review.name], encoder, given.priors)


def reviews(data: Path) -> Iterator[Review]:
    """Yield the reviews of every set that has labels."""
    seen: set[str] = set()
    for path in sorted(data.glob("*/labels.tsv.gz")):
        entries = read_source(path.with_name("corpus.jsonl.gz"))
        records = {one.record_id: one for one in entries if isinstance(one, Abstract)}
        rows: dict[str, dict[str, bool]] = {}
        with gzip.open(path, "rt", encoding="utf-8") as file:
            for row in csv.DictReader(file, delimiter="\t"):
                if row["doc_id"] in records:
                    rows.setdefault(row["review"], {})[row["doc_id"]] = row["included"] == "1"
        for name, labels in sorted(item for item in rows.items() if item[0] not in seen):
            seen.add(name)
            texts = [prepare_text(records[one].title, records[one].abstract) for one in labels]
            yield Review(name, texts, np.array(list(labels.values()), bool))


def measure(review: Review, criteria: str, encoder: Encoder, n_priors: int) -> None:
    """Print a line for each way to rank."""
    cosines = cosines_of(encoder, criteria, review.texts)
    pool = build_pool(np.arange(len(review.texts)), review.texts, cosines)
    ways = (
        ("words", replace(pool, cosines=None), order_by_screening),
        ("words and criteria", pool, order_by_screening),
        ("criteria", pool, by_criteria),
    )
    for name, searched, ranker in ways:
        begun = time.perf_counter()
        runs = list(simulate_screening(searched, review.included, n_priors, ranker=ranker))
        seconds = (time.perf_counter() - begun) / n_priors
        cells = [
            f"{m:.4f} ({sd:.4f})"
            for m, sd in zip(average_measures(runs).values, compute_deviation(runs).values, strict=True)
        ]
        size = f"{review.name} ({review.included.sum():,} of {len(review.texts):,})"
        print(f"| {size} | {name} | {' | '.join(cells)} | {seconds:.2f} |", flush=True)


def by_criteria(pool: Pool, labelled: Rows, included: NDArray[np.bool_], left: NDArray[np.bool_]) -> Rows:
    """Return the rows that are left by cosine alone."""
    rows = np.flatnonzero(left)
    return rows[np.argsort(-np.asarray(pool.cosines)[rows], kind="stable")]


def cosines_of(encoder: Encoder, criteria: str, texts: Sequence[str]) -> NDArray[np.float64]:
    """Return the cosine of each text with the criteria; -1 for a text that can't be encoded."""
    wanted = encode_checked(encoder, [clean_text(criteria)], as_query=True).vectors[0].astype(np.float64)
    found = np.full(len(texts), -1.0)
    for start in range(0, len(texts), encoder.page):
        page = [text or "." for text in texts[start : start + encoder.page]]
        encoded = encode_checked(encoder, page)
        found[start + np.asarray(encoded.kept)] = encoded.vectors.astype(np.float64) @ wanted
    return found


if __name__ == "__main__":
    main()
