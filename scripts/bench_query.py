"""Measure the query layer: quality of each mode, time of each kind of question, filters against brute force, batches.

    python scripts/bench_query.py INDEX_FOLDER COLLECTION [COLLECTION …] [--rounds 5] [--queries 200] [--quality]

A COLLECTION is a folder with queries.jsonl.gz (id, text), qrels.tsv.gz (query_id, doc_id, relevance), corpus.jsonl.gz.
Where INDEX_FOLDER holds its records (by id or PMID) it is searched there, among all others; otherwise it gets an index
of its own, beside which sentence-transformers encodes and compares everything, as a check of the cosine. Gains are over
the ranking by meaning, with 95 % intervals (paired bootstrap over the questions). Times are of INDEX_FOLDER with the
questions of the last collection, warm, query encoding included; --quality leaves them out. Prints JSON and tables.
"""

import argparse
import gzip
import json
import math
import random
import statistics
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import bench_machine as bench
import numpy as np

from engine import Filters, Index, Query, open_index
from engine.errors import AbstractNotFoundError
from engine.query.index import get_generation
from engine.relevance.scoring.significance import estimate_mean

DEPTH = 100  # hits a query
FILTERS = 1000  # compared with brute force
BATCH = 1000  # questions
WAYS = {
    "semantic": Query(mode="semantic"),
    "keyword": Query(mode="keyword"),
    "hybrid": Query(mode="hybrid"),
    "hybrid, rrf": Query(mode="hybrid", fusion="rrf"),
}
COLUMNS = ("collection", "searched among", "queries", "mode", "nDCG@10", "gain", "recall@100", "gain")


def lines(path: Path) -> Iterator[str]:
    with gzip.open(path, "rt", encoding="utf-8") as file:
        yield from file


def questions(folder: Path) -> list[tuple[str, str]]:
    rows = map(json.loads, lines(folder / "queries.jsonl.gz"))
    return [(str(row["id"]), str(row["text"])) for row in rows]


def judgments(folder: Path, index: Index) -> dict[str, dict[str, int]]:
    """Query -> record id in the index -> relevance above 0."""
    found: dict[str, dict[str, int]] = {}
    for line in list(lines(folder / "qrels.tsv.gz"))[1:]:
        query_id, doc_id, relevance = line.rstrip("\n").split("\t")
        if int(relevance) > 0:
            found.setdefault(query_id, {})[index.get(doc_id).record_id] = int(relevance)
    return found


def ndcg(ranking: Sequence[str], relevant: dict[str, int], k: int = 10) -> float:
    """nDCG@k with linear gain, as trec_eval counts it."""
    gained = sum(relevant.get(doc_id, 0) / math.log2(rank + 1) for rank, doc_id in enumerate(ranking[:k], 1))
    ideal = sum(gain / math.log2(rank + 1) for rank, gain in enumerate(sorted(relevant.values(), reverse=True)[:k], 1))
    return gained / ideal


def recall(ranking: Sequence[str], relevant: dict[str, int]) -> float:
    return len(set(ranking[:DEPTH]) & relevant.keys()) / len(relevant)


def quality(
    folder: Path, index: Index, references: dict[str, Callable[[list[str]], list[list[str]]]]
) -> list[list[Any]]:
    """Return a row for each mode, then for each reference: means over the judged queries, and gains over the first."""
    qrels = judgments(folder, index)
    asked = [(query_id, text) for query_id, text in questions(folder) if query_id in qrels]
    texts = [text for _, text in asked]
    rankings: dict[str, list[list[str]]] = {}
    for name, way in WAYS.items():
        answers = index.ask_batch([replace(way, text=text, top_k=DEPTH) for text in texts])
        rankings[name] = [[hit.id for hit in answer.hits] for answer in answers]
    rankings |= {name: rank(texts) for name, rank in references.items()}
    rows, base = [], np.empty((0, 2))
    for name, found in rankings.items():
        pairs = [(ranking, qrels[query_id]) for ranking, (query_id, _) in zip(found, asked, strict=True)]
        values = np.array([[measure(*pair) for measure in (ndcg, recall)] for pair in pairs])
        base = base if len(base) else values
        row = [folder.name, f"{len(index):,}", len(asked), name]
        for column in (0, 1):
            more = estimate_mean(values[:, column] - base[:, column])
            row += [f"{values[:, column].mean():.4f}", f"{more.mean:+.4f} [{more.low:+.4f}, {more.high:+.4f}]"]
        rows.append(row)
    return rows


def by_sentence_transformers(corpus: Path) -> Callable[[list[str]], list[list[str]]]:
    """Return a search by sentence-transformers alone: every text encoded, every vector compared."""
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.util import semantic_search

    from engine.encode.models.model import locate
    from engine.encode.models.recipe import prepare_text
    from engine.options import DEFAULT_MODEL

    model = SentenceTransformer(str(locate(DEFAULT_MODEL)), device="cpu")
    records = [json.loads(line) for line in lines(corpus)]
    texts = [prepare_text(str(record.get("title") or ""), str(record.get("abstract") or "")) for record in records]
    vectors = model.encode(texts, convert_to_tensor=True, show_progress_bar=False)

    def rank(queries: list[str]) -> list[list[str]]:
        encoded = model.encode(queries, convert_to_tensor=True, show_progress_bar=False)
        found = semantic_search(encoded, vectors, top_k=DEPTH)
        return [[str(records[int(hit["corpus_id"])]["id"]) for hit in hits] for hits in found]

    return rank


def collection_rows(folder: Path, large: Index) -> list[list[Any]]:
    """Quality on one collection, in the large index or, where that lacks it, in one of its own."""
    try:
        judgments(folder, large)
    except AbstractNotFoundError:
        with tempfile.TemporaryDirectory() as scratch:
            corpus = folder / "corpus.jsonl.gz"
            path = bench.indexed(corpus, Path(scratch), "collection")
            with open_index(path) as index:
                return quality(folder, index, {"sentence-transformers": by_sentence_transformers(corpus)})
    return quality(folder, large, {})


def some_filters(index: Index, n: int, seed: int) -> list[Filters]:
    """Random filters of years, journals and expressions, of every size; no two alike."""
    rng = random.Random(seed)
    corpus = get_generation(index).corpus
    years = [row[0] for row in corpus.read_rows("SELECT year FROM abstracts WHERE year IS NOT NULL")]
    journals = [row[0] for row in corpus.read_rows("SELECT DISTINCT journal FROM abstracts WHERE journal <> ''")]
    found: dict[Filters, None] = {}
    while len(found) < n:
        low, high = sorted(rng.sample(years, 2))
        chosen = [Filters(years=((low, high),)), Filters(years=((low, None),)), Filters(years=((None, high),))]
        if journals:
            some = tuple(rng.sample(journals, min(len(journals), rng.randint(1, 40))))
            chosen += [Filters(journals=some), Filters(years=((low, None),), journals=some)]
        chosen += [Filters(where=f"year < {low} or year >= {high}"), Filters(where=f"not year in ({low}, {high})")]
        found[replace(rng.choice(chosen), hide=(str(rng.randint(1, 10**7)),))] = None
    return list(found)


def by_brute_force(index: Index, filters: Filters, records: dict[int, tuple[int | None, str]]) -> list[int]:
    """Doc ids that pass a filter of some_filters, found by looking at every record."""

    def passes(year: int | None, journal: str) -> bool:
        for low, high in (years for years in filters.years if not isinstance(years, str)):
            if year is None or (low is not None and year < low) or (high is not None and year > high):
                return False
        if filters.journals and journal.lower() not in {name.lower() for name in filters.journals}:
            return False
        if filters.where.startswith("year <"):
            low, high = (int(word) for word in filters.where.split() if word.isdecimal())
            return year is not None and (year < low or year >= high)
        if filters.where.startswith("not"):
            return year is None or str(year) not in filters.where
        return True

    left_out = {i for text in filters.hide if (i := known(index, text)) is not None}
    return [i for i, (year, journal) in records.items() if i not in left_out and passes(year, journal)]


def known(index: Index, record_id: str) -> int | None:
    try:
        return get_generation(index).corpus.find_doc_id(record_id)
    except AbstractNotFoundError:
        return None


def filters_checked(index: Index, texts: list[str]) -> dict[str, Any]:
    """How many filtered answers are those of brute force, by ids, or by scores where records tie."""
    snapshot = get_generation(index)
    rows = snapshot.corpus.read_rows("SELECT id, year, journal FROM abstracts")
    records = {row[0]: (row[1], row[2]) for row in rows}
    vectors = index.encode(texts)
    ids, stored = bench.read_all_vectors(index)
    order, matrix = np.argsort(ids), stored.astype(np.float64)
    same = short = 0
    for i, filters in enumerate(some_filters(index, FILTERS, seed=1)):
        at = i % len(texts)
        answer = index.ask(Query(texts[at], mode="semantic", filters=filters))
        allowed = np.array(by_brute_force(index, filters, records), np.int64)
        places = order[np.searchsorted(ids, allowed, sorter=order)]
        scores = matrix[places] @ vectors[at].astype(np.float64)
        best = np.lexsort((allowed, -scores))[:10]
        found = [snapshot.corpus.find_doc_id(hit.id) for hit in answer.hits]
        ties = (
            np.allclose([hit.score for hit in answer.hits], scores[best], atol=2e-6)
            if len(found) == len(best)
            else False
        )
        same += answer.n_qualified == len(allowed) and (found == allowed[best].tolist() or ties)
        short += len(answer.hits) < min(10, len(allowed))
    return {"filters": FILTERS, "identical": same, "short": short}


def times(index: Index, texts: list[str]) -> list[list[Any]]:
    """Milliseconds of single questions of each kind, in turns; every filter is met for the first time."""
    filters = some_filters(index, len(texts), seed=2)
    kinds = {name: [replace(way, text=text) for text in texts] for name, way in WAYS.items()}
    plain = kinds["semantic"]
    kinds["semantic, filtered"] = [replace(q, filters=f) for q, f in zip(plain, filters, strict=True)]
    kinds["hybrid, filtered"] = [replace(q, mode="hybrid", filters=f) for q, f in zip(plain, filters, strict=True)]
    kinds["semantic, explained"] = [replace(q, explain=True) for q in plain]
    spent: dict[str, list[float]] = {name: [] for name in kinds}
    for asked in zip(*kinds.values(), strict=True):
        for name, query in zip(kinds, asked, strict=True):
            get_generation(index).filtered.clear()
            spent[name].append(1000 * bench.timed(partial(index.ask, query)))
    base = statistics.median(spent["semantic"])
    return [
        [
            name,
            round(statistics.median(ms), 2),
            round(sorted(ms)[int(0.95 * len(ms))], 2),
            round(statistics.median(ms) / base, 2),
        ]
        for name, ms in spent.items()
    ]


def batches(index: Index, texts: list[str], rounds: int) -> dict[str, Any]:
    """Seconds for all texts one by one and together."""
    texts = [texts[i % len(texts)] for i in range(BATCH)]
    spent = bench.in_turns(
        {
            "single": lambda: [index.nearest(text) for text in texts],
            "batch": lambda: index.search_batch(texts, mode="semantic"),
        },
        rounds,
    )
    return {
        "queries": BATCH,
        **{f"{name}_s": round(statistics.median(seconds), 3) for name, seconds in spent.items()},
        "times": bench.times_as_fast(spent["batch"], spent["single"]),
    }


def main() -> None:
    parser = bench.options(__doc__ or "", rounds=3)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("index", type=Path)
    parser.add_argument("collections", type=Path, nargs="+")
    parser.add_argument("--queries", type=int, default=200)
    parser.add_argument("--quality", action="store_true", help="Leave the times out.")
    given = parser.parse_args()
    facts = bench.machine()
    with open_index(given.index) as index:
        rows = [row for folder in given.collections for row in collection_rows(folder, index)]
        table = bench.table(COLUMNS, rows)
        if given.quality:
            bench.report({"machine": facts, "quality": rows}, table)
            return
        texts = [text for _, text in questions(given.collections[-1])]
        some = bench.spread_over(texts, given.queries)
        index.search_batch(some[:20])
        measured = times(index, some)
        checked, together = filters_checked(index, some), batches(index, texts, given.rounds)
    bench.report(
        {"machine": facts, "quality": rows, "ms": measured, "filters": checked, "batch": together},
        table,
        bench.table(("question", "median ms", "p95 ms", "times semantic"), measured),
        bench.table(list(checked), [list(checked.values())]),
        bench.table(list(together), [list(together.values())]),
    )


if __name__ == "__main__":
    main()
