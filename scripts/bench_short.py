"""Measure whether records without an abstract crowd the first ten hits, and what a correction by length would change.

    python scripts/bench_short.py INDEX_FOLDER [COLLECTION …] [--bare 0.03] [--topics FILE] [--size 300] [--seed 0]

Questions and collections are those of bench_fusion.py. --bare takes the abstract from a share of the records, by
chance, so that they are about the same things as the others. Further questions:

    own titles    the titles of records without an abstract, each to find its record (left out of the share)
    own keywords  the two or three rarest words of such a title
    headings      the MeSH headings of the records
    topics        the lines of FILE

Prints the share of records without an abstract among the first ten hits of each mode, beside their share of the corpus,
and nDCG@10 of each mode; then the same with each correction, its gain with a 95 % interval (paired bootstrap).
"""

import argparse
import tempfile
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import bench_fusion as fusion
import bench_machine as bench
import numpy as np
from bench_query import ndcg

from engine import open_index
from engine.query.ranks.ranking import _fuse_rankings, _order_scores
from engine.records.abstract import Abstract

TOP = 10  # hits that are looked at
MODES = ("semantic", "keyword", "hybrid")
CHANGED = {"": MODES, "meaning": ("semantic", "hybrid"), "words": ("keyword", "hybrid"), "fused": ("hybrid",)}


@dataclass(frozen=True)
class Correction:
    """A change of the scores of one leg, or of the fused ones, by the length and the lack of an abstract."""

    leg: str = ""
    change: Callable[[Any, Any, Any], Any] = lambda scores, n_words, is_bare: scores

    def apply(self, ranking: fusion.Ranking, n_words: Any, is_bare: Any) -> fusion.Ranking:
        """Return a ranking with changed scores, best first."""
        places = np.array([place for place, _ in ranking], np.int64)
        scores = np.array([score for _, score in ranking])
        changed = self.change(scores, n_words[places], is_bare[places])
        return _order_scores(zip(places.tolist(), changed.tolist(), strict=True))


CORRECTIONS = {
    "none": Correction(),
    "cosine - 0.05 without an abstract": Correction("meaning", lambda scores, n, bare: scores - 0.05 * bare),
    "cosine x n / (n + 1)": Correction("meaning", lambda scores, n, bare: scores * n / (n + 1)),
    "cosine x n / (n + 4)": Correction("meaning", lambda scores, n, bare: scores * n / (n + 4)),
    "BM25 x n / (n + 4)": Correction("words", lambda scores, n, bare: scores * n / (n + 4)),
    "fused x n / (n + 1)": Correction("fused", lambda scores, n, bare: scores * n / (n + 1)),
    "fused x n / (n + 4)": Correction("fused", lambda scores, n, bare: scores * n / (n + 4)),
}


def rank(legs: tuple[fusion.Ranking, fusion.Ranking, float], mode: str, by: Correction, facts: Any) -> list[int]:
    """Return the places that a mode ranks, best first."""
    semantic, keyword, weight = legs
    semantic = by.apply(semantic, *facts) if by.leg == "meaning" else semantic
    keyword = by.apply(keyword, *facts) if by.leg == "words" else keyword
    ranking = {"semantic": semantic, "keyword": keyword}.get(mode)
    if ranking is None:
        ranking = _fuse_rankings(semantic, keyword, "convex", weight)
        ranking = by.apply(ranking, *facts) if by.leg == "fused" else ranking
    return [place for place, _ in ranking]


def measure(asked: fusion.QuestionSet, searched: fusion.Searched, facts: Any) -> dict[tuple[str, str], Any]:
    """Of each correction and mode, the share and the nDCG@10 (NaN without judgments) of every question: (n, 2)."""
    found: dict[tuple[str, str], list[tuple[float, float]]] = {
        (name, mode): [] for name, by in CORRECTIONS.items() for mode in MODES if mode in CHANGED[by.leg]
    }
    for query_id, point in zip(asked.texts, searched.encode(list(asked.texts.values())), strict=True):
        legs = searched.rank_legs(asked.texts[query_id], point)
        relevant = asked.relevant.get(query_id, {})
        for (name, mode), values in found.items():
            places = rank(legs, mode, CORRECTIONS[name], facts)
            own = {place for place in relevant if facts[1][place]}
            first = [place for place in places[: TOP + len(own)] if place not in own][:TOP]
            grades = {str(place): grade for place, grade in relevant.items()}
            quality = ndcg([str(place) for place in places[:TOP]], grades) if grades else np.nan
            values.append((float(facts[1][first].mean()) if first else 0.0, quality))
    return {key: np.array(values) for key, values in found.items()}


def take_abstracts(records: list[Abstract], share: float, kept: set[int]) -> dict[int, Abstract]:
    """Return records of a share, none of those to be kept, without their abstracts, by place."""
    return {
        place: Abstract(record.record_id, record.title, "")
        for place, record in enumerate(records)
        if place not in kept and record.title.strip() and fusion.draw(record.record_id, 7) < share
    }


def make_own(records: list[Abstract], bare: list[int], size: int, seed: int) -> dict[str, fusion.QuestionSet]:
    """Return the questions that ask for records without an abstract."""
    often = Counter(
        word
        for record in records
        for word in {found.lower() for found in fusion.WORDS.findall(f"{record.title} {record.abstract}")}
    )
    titles, keywords = fusion.QuestionSet(), fusion.QuestionSet()
    for place in bare[:size]:
        record = records[place]
        for asked, text in ((titles, record.title), (keywords, fusion.make_keywords(record, often, seed))):
            if text:
                asked.texts[record.record_id] = text
                asked.relevant[record.record_id] = {place: 1}
    return {"own titles": titles, "own keywords": keywords}


def name_headings(records: list[Abstract], size: int, seed: int) -> fusion.QuestionSet:
    """Return the MeSH headings of records as questions."""
    headings = {term.split("/")[0].strip("* ") for record in records for term in record.mesh}
    chosen = sorted(headings, key=lambda heading: fusion.draw(heading, seed))[:size]
    return fusion.QuestionSet({heading: heading for heading in chosen})


def main() -> None:
    parser = bench.options(__doc__ or "", rounds=1)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("index", type=Path)
    parser.add_argument("collections", type=Path, nargs="*")
    parser.add_argument("--bare", type=float, default=0.0)
    parser.add_argument("--topics", type=Path)
    parser.add_argument("--size", type=int, default=300)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    with open_index(given.index) as index, tempfile.TemporaryDirectory() as folder:
        records = list(index.abstracts())
        sets, changed = fusion.make_sets(records, given.size, given.seed)
        sets |= {one.name: fusion.read_collection(one, index, records) for one in given.collections}
        answers = {place for one in sets.values() for relevant in one.relevant.values() for place in relevant}
        changed |= take_abstracts(records, given.bare, answers)
        searched = fusion.open_records(index, records, changed, Path(folder))
        is_bare = np.array([not record.abstract.strip() for record in searched.records])
        n_words = np.array([len(f"{record.title} {record.abstract}".split()) for record in searched.records])
        sets |= make_own(list(searched.records), np.flatnonzero(is_bare).tolist(), given.size, given.seed)
        sets["headings"] = name_headings(records, given.size, given.seed)
        if given.topics:
            lines = given.topics.read_text(encoding="utf-8").splitlines()
            sets["topics"] = fusion.QuestionSet({line: line for line in lines if line.strip()})
        found = {name: measure(one, searched, (n_words, is_bare)) for name, one in sets.items() if one.texts}
    rows = [row for name, values in found.items() for row in describe(name, values)]
    facts = {"machine": bench.machine(), "records": len(records), "without_abstract": int(is_bare.sum())}
    columns = ("questions", "n", "correction", *(f"{mode}: {what}" for mode in MODES for what in ("share", "nDCG@10")))
    bench.report(facts | {"rows": rows}, bench.table(columns, rows))


def describe(name: str, found: dict[tuple[str, str], Any]) -> list[list[Any]]:
    """Return a row of each correction: of every mode the share, and nDCG@10 or its gain."""
    rows = []
    for correction in CORRECTIONS:
        row: list[Any] = [name, len(found["none", MODES[0]]), correction]
        for mode in MODES:
            before = found["none", mode]
            values = found.get((correction, mode))
            if values is None:
                row += ["", ""]
                continue
            quality = "" if np.isnan(values).any() else f"{values[:, 1].mean():.4f}"
            if quality and correction != "none":
                quality = fusion.gain((values - before)[:, 1])
            row += [f"{values[:, 0].mean():.3f}", quality]
        rows.append(row)
    return rows


if __name__ == "__main__":
    main()
