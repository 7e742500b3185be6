"""Measure searches suggested from known papers: their recall on the other included papers of labelled reviews.

    python scripts/bench_suggest.py INDEX DATA... [--known 10] [--seeds 10]

INDEX is the folder of an index that holds the records of every DATA, best with others. DATA is a folder with
labels.tsv.gz. Of each review with enough inclusions, some are drawn as known papers. Prints a Markdown table: the mean
share of the other inclusions that the search finds, its mean hits, the mean share of known papers found unseen, which
should predict the recall, and the mean number of terms.
"""

from __future__ import annotations

import argparse
import gzip
import random
from collections import defaultdict
from pathlib import Path
from statistics import mean

from engine import Index, Query, open_index
from engine.corpus.storage.resolution import resolve_ids
from engine.query.index import get_generation

REST = 5  # inclusions that must be left to be found


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("index", type=Path)
    options.add_argument("data", type=Path, nargs="+")
    options.add_argument("--known", type=int, default=10)
    options.add_argument("--seeds", type=int, default=10)
    given = options.parse_args()
    rows: defaultdict[tuple[str, str], list[list[float]]] = defaultdict(list)
    with open_index(given.index, follow=False) as index:
        for review, included in sorted(read_inclusions(given.data).items()):
            ids = sorted(included)
            there = [
                one
                for one, doc_id in zip(ids, resolve_ids(get_generation(index).corpus, ids), strict=True)
                if doc_id is not None
            ]
            if len(there) < given.known + REST:
                continue
            for seed in range(given.seeds):
                known = random.Random(f"{review}{seed}").sample(there, given.known)
                for width, row in measure(index, known, set(there) - set(known)).items():
                    rows[review, width].append(row)
                    rows["all", width].append(row)
        print(f"{len(index):,} records, {given.known} known papers, {given.seeds} draws of each review\n")
    print("| Review | width | recall on the others | hits | found unseen | terms |\n|---|---|---|---|---|---|")
    for (review, width), found in sorted(rows.items()):
        recall, hits, unseen, terms = (mean(column) for column in zip(*found, strict=True))
        print(f"| {review} | {width} | {recall:.2f} | {hits:,.0f} | {unseen:.2f} | {terms:.1f} |")


def read_inclusions(folders: list[Path]) -> dict[str, set[str]]:
    """Return the ids of the included records of each review."""
    found: defaultdict[str, set[str]] = defaultdict(set)
    for folder in folders:
        with gzip.open(folder / "labels.tsv.gz", "rt", encoding="utf-8") as lines:
            for review, record_id, included in (line.rstrip("\n").split("\t") for line in lines):
                if included == "1":
                    found[review].add(record_id)
    return found


def measure(index: Index, known: list[str], others: set[str]) -> dict[str, list[float]]:
    """Return recall on the others, hits, the share found unseen and the terms, of each width and the suggested one."""
    found = index.suggest(known)
    rows = {}
    for one in found.searches:
        located = index.locate(Query(one.lines["PubMed"], mode="keyword"), sorted(others))
        n_missed = len(located.left_out) + len(located.absent)
        row = [1 - n_missed / len(others), one.n_records, one.n_found_unseen / len(known), sum(map(len, one.groups))]
        rows[one.width] = row
        if one is found.best:
            rows["suggested"] = row
    return rows


if __name__ == "__main__":
    main()
