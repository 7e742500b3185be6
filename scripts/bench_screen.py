"""Simulate the screening of labelled reviews without criteria and with criteria of several kinds, side by side.

scripts/bench_screen.py DATA --criteria title.json full.json [--model FOLDER] [--reviews NAME ...] [--priors 10]
                        [--step N] [--mesh] [--vectors FOLDER]

DATA has one or more sets with corpus.jsonl.gz and labels.tsv.gz (review, doc_id, included). A file of criteria is a
JSON object: the name of a review, and a text of what is to be included; its own name is the kind. A review in several
sets is measured once. --mesh adds the MeSH headings of a record to its words. --vectors keeps the vectors in a folder.
Prints a Markdown table of means over the priors. Brackets are 95 % intervals (Student's t) over the priors; the
difference is that of the loss to the loss without criteria, from the same priors.
"""

from __future__ import annotations

import argparse
import csv
import gzip
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.stats import t

from engine.collect.source import read_source
from engine.encode.execution.encoder import Encoder, encode_checked
from engine.encode.models.recipe import clean_text, prepare_text
from engine.options import DEFAULT_MODEL
from engine.records.abstract import Abstract
from engine.reindex.encoding.encoders import open_model_encoder
from engine.relevance.screening.ranking import build_pool, estimate_share
from engine.relevance.screening.screenmeasures import NAMES, average_measures, measure_screening
from engine.relevance.screening.simulation import simulate_orders

NO_CRITERIA = "none"


@dataclass(frozen=True, slots=True)
class Review:
    """The records of a review, and which of them were included."""

    name: str
    texts: list[str]
    headings: list[str]  # MeSH of each record, "" without
    included: NDArray[np.bool_]


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("data", type=Path)
    options.add_argument("--criteria", type=Path, nargs="*", default=[])
    options.add_argument("--model", default=DEFAULT_MODEL)
    options.add_argument("--reviews", nargs="*", default=[])
    options.add_argument("--priors", type=int, default=10)
    options.add_argument("--step", type=int)
    options.add_argument("--mesh", action="store_true")
    options.add_argument("--vectors", type=Path)
    given = options.parse_args()
    kinds = {path.stem: json.loads(path.read_text(encoding="utf-8")) for path in given.criteria}
    print(f"| review | criteria | loss | difference | {' | '.join(NAMES[1:])} |\n|---|---|{'---|' * (len(NAMES) + 1)}")
    with open_model_encoder(given.model, lambda *phase: None) as encoder:
        for review in reviews(given.data):
            if not given.reviews or review.name in given.reviews:
                criteria = {kind: texts[review.name] for kind, texts in kinds.items() if review.name in texts}
                vectors = load_vectors(review, encoder, given.vectors) if criteria else None
                measure(review, criteria, vectors, encoder, given)


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
            headings = ["; ".join(records[one].mesh) for one in labels]
            yield Review(name, texts, headings, np.array(list(labels.values()), bool))


def measure(
    review: Review,
    criteria: Mapping[str, str],
    vectors: NDArray[np.float32] | None,
    encoder: Encoder,
    given: argparse.Namespace,
) -> None:
    """Print a line for each kind of criteria."""
    texts = review.texts
    if given.mesh:
        texts = [f"{text} {more}".strip() for text, more in zip(texts, review.headings, strict=True)]
    pool = build_pool(np.arange(len(texts)), texts, None)
    without = np.zeros(given.priors)
    for kind in (NO_CRITERIA, *criteria):
        cosines, expected = None, estimate_share(criteria.get(kind, ""))
        if vectors is not None and kind != NO_CRITERIA:
            wanted = encode_checked(encoder, [clean_text(criteria[kind])], as_query=True).vectors[0]
            cosines = vectors.astype(np.float64) @ wanted.astype(np.float64)
        asked = replace(pool, cosines=cosines, expected=expected)
        orders = simulate_orders(asked, review.included, given.priors, step=given.step)
        runs = [measure_screening(order) for order in orders]
        losses = np.array([run.loss for run in runs])
        if kind == NO_CRITERIA:
            without = losses
        others = " | ".join(f"{mean:.4f}" for mean in average_measures(runs).values[1:])
        size = f"{review.name} ({review.included.sum():,} of {len(texts):,})"
        print(f"| {size} | {kind} | {interval(losses)} | {interval(losses - without)} | {others} |", flush=True)


def interval(values: NDArray[np.float64]) -> str:
    """Return the mean of values (n,) and its 95 % interval; "" where all are 0, the mean alone of a single value."""
    if not values.any():
        return ""
    mean, n = float(values.mean()), len(values)
    if n < 2:
        return f"{mean:.4f}"
    half = float(t.ppf(0.975, n - 1) * values.std(ddof=1) / n**0.5)
    return f"{mean:.4f} [{mean - half:.4f}, {mean + half:.4f}]"


def load_vectors(review: Review, encoder: Encoder, folder: Path | None) -> NDArray[np.float32]:
    """Return the vectors (n, dim) of the records, from the folder if they are there; zeros for an unreadable text."""
    kept = folder and folder / f"{review.name}-{encoder.identity.fingerprint[:12]}.npy"
    if kept and kept.exists():
        found: NDArray[np.float32] = np.load(kept)
        return found
    found = np.zeros((len(review.texts), encoder.identity.dim), np.float32)
    for start in range(0, len(review.texts), encoder.page):
        encoded = encode_checked(encoder, [text or "." for text in review.texts[start : start + encoder.page]])
        found[start + np.asarray(encoded.kept)] = encoded.vectors
    if kept:
        kept.parent.mkdir(parents=True, exist_ok=True)
        np.save(kept, found)
    return found


if __name__ == "__main__":
    main()
