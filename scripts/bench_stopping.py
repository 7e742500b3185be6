"""Count how often the tests for stopping keep their promise, over labelled reviews and many simulations of each.

scripts/bench_stopping.py DATA FOLDER [--criteria full.json] [--vectors FOLDER] [--reviews NAME ...] [--seeds 100]
                          [--report]

DATA has sets with labels, see bench_screen.py. FOLDER keeps each simulated order, so that a run that was stopped goes
on where it was; simulations already there are not made again. --criteria is a JSON object: the name of a review, and a
text of what is to be included; without it, words alone rank. The records are ranked again as often as `engine simulate`
does it. --report makes no simulation and prints what is there.

Prints a Markdown table for each review and one for all: of each rule how many simulations stop before everything is
read and before 90 % is, in how many the recall is below 95 % then (with a 95 % interval, Clopper and Pearson), the
median share of the records read at the stop, the mean share found, and the mean share of the reading saved.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from bench_screen import Review, load_vectors, reviews
from numpy.typing import NDArray
from scipy.stats import beta

from engine.encode.execution.encoder import encode_checked
from engine.encode.models.recipe import clean_text
from engine.options import DEFAULT_MODEL
from engine.reindex.encoding.encoders import open_model_encoder
from engine.relevance.screening.randomtail import estimate_left
from engine.relevance.screening.ranking import Pool, build_pool, estimate_share
from engine.relevance.screening.simulation import simulate_orders
from engine.relevance.screening.stopping import ERROR, RECALL, count_too_many, find_stop, list_rules

MANY = 30  # inclusions from which on the test is expected to stop before EARLY of the records is read
EARLY = 0.9


@dataclass(frozen=True, slots=True)
class Stop:
    """Where a rule stops in one simulation."""

    read: float  # share of the records; 1 if it never stops
    recall: float  # share of the inclusions found


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("data", type=Path)
    options.add_argument("folder", type=Path)
    options.add_argument("--criteria", type=Path)
    options.add_argument("--model", default=DEFAULT_MODEL)
    options.add_argument("--reviews", nargs="*", default=[])
    options.add_argument("--seeds", type=int, default=100)
    options.add_argument("--vectors", type=Path)
    options.add_argument("--report", action="store_true")
    given = options.parse_args()
    chosen = [each for each in reviews(given.data) if not given.reviews or each.name in given.reviews]
    if not given.report:
        simulate_all(chosen, given)
    report(chosen, given.folder, given.seeds)


def simulate_all(chosen: list[Review], given: argparse.Namespace) -> None:
    """Make the orders that are not in the folder yet, one seed of every review after the other."""
    given.folder.mkdir(parents=True, exist_ok=True)
    pools = load_pools(chosen, given)
    for seed in range(given.seeds):
        for review in chosen:
            path = name_order(given.folder, review, seed)
            if not path.exists():
                order = next(simulate_orders(pools[review.name], review.included, 1, seed))
                part = path.with_suffix(".part")
                with part.open("wb") as file:
                    np.save(file, order)
                part.rename(path)


def load_pools(chosen: list[Review], given: argparse.Namespace) -> dict[str, Pool]:
    """Return the records of each review, with their cosines if there are criteria."""
    pools = {each.name: build_pool(np.arange(len(each.texts)), each.texts, None) for each in chosen}
    if given.criteria:
        criteria = json.loads(given.criteria.read_text(encoding="utf-8"))
        with open_model_encoder(given.model, lambda *phase: None) as encoder:
            for review in chosen:
                text = criteria[review.name]
                wanted = encode_checked(encoder, [clean_text(text)], as_query=True).vectors[0].astype(np.float64)
                cosines = load_vectors(review, encoder, given.vectors).astype(np.float64) @ wanted
                pools[review.name] = replace(pools[review.name], cosines=cosines, expected=estimate_share(text))
    return pools


def name_order(folder: Path, review: Review, seed: int) -> Path:
    """Return the file of the labels of a simulation, in the order of reading."""
    return folder / f"{review.name}-{seed:03d}.npy"


def report(chosen: Sequence[Review], folder: Path, seeds: int) -> None:
    """Print the tables."""
    together: dict[str, list[Stop]] = {}
    many: dict[str, list[Stop]] = {}
    for review in chosen:
        paths = [path for seed in range(seeds) if (path := name_order(folder, review, seed)).exists()]
        runs = [stop_each(np.load(path), seed) for seed, path in enumerate(paths)]
        if not runs:
            continue
        stops = {name: [run[name] for run in runs] for name in runs[0]}
        n_included = int(review.included.sum())
        print_table(f"{review.name} ({n_included:,} of {len(review.texts):,})", stops)
        for kind in (together, many) if n_included >= MANY else (together,):
            for name, found in stops.items():
                kind.setdefault(name, []).extend(found)
    print_table("all reviews", together)
    print_table(f"reviews with {MANY} inclusions or more", many)


def stop_each(labels: NDArray[np.bool_], seed: int) -> dict[str, Stop]:
    """Return where each rule stops in one simulation, by its name."""
    stops = {name: measure(labels, rule(labels, len(labels))) for name, rule in list_rules().items()}
    shuffled = np.random.default_rng([seed, 1]).permutation(labels)
    stops["the test, order of reading by chance"] = measure(shuffled, find_stop(shuffled, len(shuffled)))
    tail, end = draw_tail(labels, seed)
    return stops | {"random draws after 50 excluded in a row": measure(tail, end)}


def measure(labels: NDArray[np.bool_], end: int | None) -> Stop:
    """Return a stop after so many records."""
    end = len(labels) if end is None else end
    return Stop(end / len(labels), float(labels[:end].sum() / labels.sum()))


def draw_tail(labels: NDArray[np.bool_], seed: int) -> tuple[NDArray[np.bool_], int]:
    """Read until 50 are excluded in a row, then at random until the bound of the draws allows to stop.

    Return the labels in that order and the number read.
    """
    start = list_rules()["50 excluded in a row"](labels, len(labels)) or len(labels)
    drawn = np.random.default_rng([seed, 2]).permutation(labels[start:])
    for n in range(0, len(drawn), max(1, len(labels) // 100)):
        n_found = int(drawn[:n].sum())
        too_many = count_too_many(int(labels[:start].sum()) + n_found, RECALL)
        if estimate_left(len(drawn), n, n_found, ERROR)[1] < too_many:
            return np.concatenate([labels[:start], drawn]), start + n
    return labels, len(labels)


def print_table(title: str, stops: Mapping[str, Sequence[Stop]]) -> None:
    """Print what the rules do."""
    print(f"\n### {title}, {len(next(iter(stops.values()), ()))} simulations\n")
    print(
        f"| rule | stops | before {100 * EARLY:g} % | below {100 * RECALL:g} % | read | recall | saved |\n|{'---|' * 7}"
    )
    for name, found in stops.items():
        print(f"| {name} | {' | '.join(describe(found))} |", flush=True)


def describe(found: Sequence[Stop]) -> Iterator[str]:
    """Yield the cells of a line."""
    ended = [one for one in found if one.read < 1]
    broken = sum(one.recall < RECALL for one in ended)
    yield str(len(ended))
    yield str(sum(one.read < EARLY for one in found))
    yield f"{broken} [{' to '.join(f'{100 * each:.1f}' for each in interval(broken, len(ended)))} %]" if ended else ""
    yield f"{np.median([one.read for one in ended]):.3f}" if ended else ""
    yield f"{np.mean([one.recall for one in found]):.3f}"
    yield f"{np.mean([1 - one.read for one in found]):.3f}"


def interval(n: int, of: int) -> tuple[float, float]:
    """Return the 95 % interval of a share (Clopper and Pearson)."""
    low = float(beta.ppf(0.025, n, of - n + 1)) if n else 0.0
    high = float(beta.ppf(0.975, n + 1, of - n)) if n < of else 1.0
    return low, high


if __name__ == "__main__":
    main()
