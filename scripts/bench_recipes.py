"""Measure what to do with abstracts that are longer than the encoder reads: cut them, read on, or make passages.

    nice -n 19 python scripts/bench_recipes.py SHARED_DATA [--pool-size 15000] [--bodies 10000] [--cache FOLDER]

SHARED_DATA is the folder with med/, pubmedqa/, pool/ and synergy/. The recipes, all with all-MiniLM-L6-v2: title and
abstract cut at 256 or 512 tokens; passages of 128 or 256 tokens, each led by the title, of which the best one counts,
or whose mean is the one vector of the record. Differences are to the cut at 256, with 95 % bootstrap intervals (paired,
over the queries). --cache keeps encoders and vectors for the next time. Seconds are the
processor's, for --texts records of the pool, in turns, at fp32. Prints one line of JSON, then tables.

    med       30 queries with judgments, untitled abstracts, fp32
    pubmedqa  1,000 questions, each to find its own untitled abstract, beside --pool-size others; int8 from here on
    ends      1,000 last sentences of records of more than 300 tokens, each to find its record in the same set
    titles    1,000 titles, each to find its body in --bodies without title
    reviews   10 titles of reviews, each to find what it included in all that was screened for it
"""

import gzip
import hashlib
import json
import re
import statistics
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import bench_machine as bench
import numpy as np
from numpy.typing import NDArray

from engine.encode.execution.encoder import encode_checked
from engine.encode.execution.onnx import OnnxEncoder
from engine.encode.models.model import identify, locate
from engine.encode.models.recipe import clean_text, prepare_text
from engine.encode.original.export import export_encoder
from engine.encode.texts.passages import cut_passages
from engine.encode.texts.sentences import split_sentences
from engine.options import DEFAULT_MODEL
from engine.records.abstract import Abstract
from engine.records.encoder import Vectors

LENGTHS, SIZES = (256, 512), (128, 256)  # tokens of texts that are cut, of passages
BASE = "256"
N_KNOWN, LONG = 1_000, 300  # queries; tokens of a record whose last sentence is looked for
BOILERPLATE = re.compile(r"copyright|\u00a9|\(c\)|rights reserved|regist|NCT\d|ISRCTN|PsycINFO", re.IGNORECASE)
PAGE = 2048  # texts encoded at once
Rows = NDArray[np.int64]


@dataclass(frozen=True)
class Task:
    """Queries to be answered from a set of records; relevant and among are rows of it."""

    name: str
    records: list[Abstract]
    queries: list[str]
    relevant: list[Rows]
    among: list[Rows] | None = None  # what each query is asked of; None: all


def rows_of(path: Path) -> list[Any]:
    """Objects of JSON lines; lists of columns of a table."""
    with gzip.open(path, "rt", encoding="utf-8") as file:
        lines = [line.rstrip("\n") for line in file]
    return [line.split("\t") for line in lines[1:]] if ".tsv" in path.name else [json.loads(line) for line in lines]


def records_of(folder: Path) -> list[Abstract]:
    """Return the records of a set that have any text."""
    rows = rows_of(folder / "corpus.jsonl.gz")
    found = (Abstract(row["id"], row["title"], row["abstract"], pmid=row.get("pmid")) for row in rows)
    return [record for record in found if prepare_text(record.title, record.abstract)]


def some(items: Sequence[Any], n: int) -> list[Any]:
    """At most n of the items, in their order."""
    return [items[i] for i in sorted(np.random.default_rng(7).permutation(len(items))[:n])]


def whole(records: list[Abstract]) -> list[str]:
    return [prepare_text(r.title, r.abstract) for r in records]


class Encoders:
    """Encoders of one precision, by the tokens they read, and all vectors that they gave."""

    def __init__(self, cache: Path, precision: str) -> None:
        self.cache, self.precision = cache, precision
        self.by_length = {length: OnnxEncoder(self._exported(length)) for length in LENGTHS}
        self.known: dict[bytes, NDArray[np.float32]] = {}
        for path in cache.glob(f"{precision}-*.npz"):
            with np.load(path) as saved:
                self.known.update(zip(map(bytes, saved["keys"]), saved["vectors"], strict=True))

    def _exported(self, length: int) -> Path:
        target = self.cache / f"encoder-{self.precision}-{length}"
        if not (target / "encoder.json").exists():
            target.mkdir(parents=True)
            model = locate(DEFAULT_MODEL)
            export_encoder(model, replace(identify(model, DEFAULT_MODEL, self.precision), max_length=length), target)
        return target

    def count(self, texts: Sequence[str]) -> Rows:
        """Tokens of texts."""
        return self.by_length[LENGTHS[0]].batch_tokenizer.tokenise(texts).n_tokens

    def vectors(self, name: str, texts: list[str], length: int = LENGTHS[0]) -> Vectors:
        """Vectors of texts; what was encoded before, whole or cut at the same length, is not encoded again."""
        marks = ["" if n <= length else str(length) for n in self.count(texts)]
        keys = [hashlib.sha256(f"{mark} {text}".encode()).digest() for mark, text in zip(marks, texts, strict=True)]
        new = list({key: text for key, text in zip(keys, texts, strict=True) if key not in self.known}.items())
        started = time.perf_counter()
        for page in (new[start : start + PAGE] for start in range(0, len(new), PAGE)):
            checked = encode_checked(self.by_length[length], [text for _, text in page])
            self.known.update(dict.fromkeys((key for key, _ in page), np.zeros(384, np.float32)))  # without a word
            self.known.update((page[at][0], row) for at, row in zip(checked.kept, checked.vectors, strict=True))
            path = self.cache / f"{self.precision}-{name}-{page[0][0].hex()[:12]}.npz"
            np.savez(path, keys=[np.void(key) for key, _ in page], vectors=[self.known[key] for key, _ in page])
        print(f"{name}: {len(new)} of {len(texts)} texts, {time.perf_counter() - started:.0f} s", file=sys.stderr)
        return np.array([self.known[key] for key in keys])

    def parts(self, records: list[Abstract], size: int) -> list[list[str]]:
        """Return the passages of every record."""
        return [[part.text for part in cut_passages(r.title, r.abstract, self.count, size)] for r in records]


Score = Callable[[Vectors], NDArray[np.float32]]  # of queries: (queries, records)


def _multiply(vectors: Vectors, queries: Vectors) -> NDArray[np.float32]:
    return np.asarray(queries @ vectors.T)


def _take_best(vectors: Vectors, starts: NDArray[np.int64], queries: Vectors) -> NDArray[np.float32]:
    return np.asarray(np.maximum.reduceat(queries @ vectors.T, starts, axis=1))


def _average(one: Score, other: Score, queries: Vectors) -> NDArray[np.float32]:
    return np.asarray((one(queries) + other(queries)) / 2)


def recipes(task: Task, encoders: Encoders) -> dict[str, tuple[float, Score]]:
    """Every recipe: vectors a record, and how it scores."""
    made: dict[str, tuple[float, Score]] = {}
    for length in LENGTHS:
        cut = encoders.vectors(f"{length}-{task.name}", whole(task.records), length)
        made[str(length)] = 1, partial(_multiply, cut)
    for size in SIZES:
        parts = encoders.parts(task.records, size)
        starts = np.cumsum([0, *map(len, parts[:-1])])
        vectors = encoders.vectors(f"p{size}-{task.name}", [text for texts in parts for text in texts])
        mean = np.add.reduceat(vectors, starts)
        mean /= np.maximum(np.linalg.norm(mean, axis=1, keepdims=True), 1e-9)
        made[f"passages {size} max"] = (
            len(vectors) / len(parts),
            partial(_take_best, vectors, starts),
        )
        made[f"passages {size} mean"] = 1, partial(_multiply, mean)
    for best in [f"passages {size} max" for size in SIZES]:
        n_vectors, (one, two) = made[best][0], (made[BASE][1], made[best][1])
        made[f"{BASE} + {best}"] = 1 + n_vectors, partial(_average, one, two)
    return made


def measured(scores: NDArray[np.float32], relevant: Rows) -> tuple[float, float]:
    """NDCG@10 as trec_eval has it, of one level of relevance, and recall@100."""
    ranks = np.flatnonzero(np.isin(np.argsort(-scores, kind="stable")[:100], relevant)) + 1
    gains = 1 / np.log2(np.arange(1, 11) + 1)
    return float(gains[ranks[ranks <= 10] - 1].sum() / gains[: len(relevant)].sum()), len(ranks) / len(relevant)


def figures_of(task: Task, made: dict[str, tuple[float, Score]], queries: Vectors) -> dict[str, NDArray[np.float64]]:
    """Of every recipe nDCG@10 and recall@100 of every query, (queries, 2)."""
    found: dict[str, list[tuple[float, float]]] = {recipe: [] for recipe in made}
    for start in range(0, len(queries), 100):
        for recipe, (_, score) in made.items():
            for at, scores in enumerate(score(queries[start : start + 100]), start):
                rows = task.among[at] if task.among else np.arange(len(scores))
                found[recipe].append(measured(scores[rows], np.searchsorted(rows, task.relevant[at])))
    return {recipe: np.array(values) for recipe, values in found.items()}


def answered(task: Task, encoders: Encoders, **facts: object) -> dict[str, Any]:
    """Means over the queries, and the differences to the base with 95 % intervals of 10,000 resamples."""
    made = recipes(task, encoders)
    figures = figures_of(task, made, encoders.vectors(f"q-{task.name}", [clean_text(text) for text in task.queries]))
    n = len(task.queries)
    weights = np.random.default_rng(0).multinomial(n, np.full(n, 1 / n), size=10_000) / n
    rows: dict[str, dict[str, Any]] = {}
    for recipe, values in figures.items():
        more = values - figures[BASE]
        low, high = np.percentile(weights @ more, (2.5, 97.5), axis=0)
        rows[recipe] = {"vectors": round(made[recipe][0], 2), "bytes": round(made[recipe][0] * 384 * 4)}
        for column, measure in enumerate(("ndcg10", "recall100")):
            difference = (float(x[column]) for x in (more.mean(axis=0), low, high))
            rows[recipe] |= {measure: round(float(values[:, column].mean()), 4)}
            rows[recipe] |= {f"{measure}_difference": "{:+.4f} [{:+.4f}, {:+.4f}]".format(*difference)}
    facts |= {"queries": n, "records": len(task.records), "precision": encoders.precision}
    return {**facts, "recipes": rows}


def judged(name: str, folder: Path, records: list[Abstract]) -> Task:
    """Return the queries of a set with its judgments."""
    records = sorted(records, key=lambda record: record.record_id)  # as equal scores are ranked
    rows = {record.record_id: row for row, record in enumerate(records)}
    relevant: dict[str, list[int]] = {}
    for query, doc, relevance in rows_of(folder / "qrels.tsv.gz"):
        if int(relevance) > 0 and doc in rows:
            relevant.setdefault(query, []).append(rows[doc])
    queries = rows_of(folder / "queries.jsonl.gz")
    found = [np.unique(relevant[query["id"]]) for query in queries]
    return Task(name, records, [query["text"] for query in queries], found)


def pubmedqa(folder: Path, pool: list[Abstract], size: int) -> tuple[Task, int]:
    """PubMedQA's records among some of the pool; and how many the pool had too, which are left out of it."""
    own = records_of(folder)
    ids = {record.record_id for record in own}
    others = [record for record in pool if record.pmid not in ids]
    return judged("pubmedqa", folder, [*own, *some(others, size)]), len(pool) - len(others)


def ends(records: list[Abstract], encoders: Encoders) -> tuple[Task, float]:
    """Last sentences of long records, and the share of them that begin beyond the cut at 256 tokens."""
    last = [r.abstract[slice(*split_sentences(r.abstract)[-1])] if r.abstract.strip() else "" for r in records]
    often, sizes = Counter(last), encoders.count(whole(records))
    useful = {text for text, n in often.items() if n == 1 and len(text.split()) >= 8 and not BOILERPLATE.search(text)}
    asked = some([i for i, text in enumerate(last) if sizes[i] > LONG and text in useful], N_KNOWN)
    before = [prepare_text(records[i].title, records[i].abstract.rstrip().removesuffix(last[i])) for i in asked]
    task = Task("ends", records, [last[i] for i in asked], [np.array([i]) for i in asked])
    return task, float((encoders.count(before) >= LENGTHS[0]).mean())


def reviews(folder: Path) -> Task:
    """Titles of ten reviews, each asked of the works that were screened for it."""
    task = judged("reviews", folder, records_of(folder))
    place = {record.record_id: row for row, record in enumerate(task.records)}
    screened: dict[str, list[int]] = {}
    for review, doc, _ in rows_of(folder / "labels.tsv.gz"):
        if doc in place:
            screened.setdefault(review, []).append(place[doc])
    among = [np.unique(screened[query["id"]]) for query in rows_of(folder / "queries.jsonl.gz")]
    return replace(task, among=among)


def titles(pool: list[Abstract], n: int) -> Task:
    """Titles, to find bodies without them."""
    chosen = some([r for r in pool if clean_text(r.title) and clean_text(r.abstract)], n)
    asked = some(range(len(chosen)), N_KNOWN)
    bodies = [Abstract(record.record_id, "", record.abstract) for record in chosen]
    return Task("titles", bodies, [chosen[i].title for i in asked], [np.array([i]) for i in asked])


def costs(records: list[Abstract], encoders: Encoders, rounds: int) -> dict[str, dict[str, float]]:
    """Processor seconds to encode 1,000 records, and how many times those of the base; the recipes take turns."""
    short = encoders.by_length[LENGTHS[0]]

    def cut_up(size: int) -> None:
        encode_checked(short, [text for parts in encoders.parts(records, size) for text in parts])

    ways: dict[str, Callable[[], object]] = {
        **{str(n): partial(encode_checked, encoder, whole(records)) for n, encoder in encoders.by_length.items()},
        **{f"passages {size}": partial(cut_up, size) for size in SIZES},
    }
    spent: dict[str, list[float]] = {name: [] for name in ways}
    for name, way in [*ways.items()] * rounds:
        started = time.process_time()
        way()
        spent[name].append(time.process_time() - started)
    seconds = {name: round(1000 / len(records) * statistics.median(times), 1) for name, times in spent.items()}
    return {name: {"s": seconds[name], "times": bench.times_as_fast(spent[BASE], spent[name])} for name in spent}


def tables(figures: dict[str, Any]) -> Iterator[str]:
    head = ("recipe", "vectors a record", "bytes", "nDCG@10", "difference", "recall@100", "difference")
    for name, found in figures["tasks"].items():
        facts = ", ".join(f"{value} {key}" for key, value in found.items() if key != "recipes")
        rows = [[recipe, *row.values()] for recipe, row in found["recipes"].items()]
        yield f"**{name}** ({facts})\n\n{bench.table(head, rows)}"
    rows = [[name, *row.values()] for name, row in figures["costs"].items()]
    yield bench.table(("recipe", "processor seconds for 1,000 records", f"times {BASE}"), rows)


def main() -> None:
    parser = bench.options(__doc__, rounds=3)
    parser.add_argument("data", type=Path)
    parser.add_argument("--pool-size", type=int, default=15_000)
    parser.add_argument("--bodies", type=int, default=10_000)
    parser.add_argument("--texts", type=int, default=500)
    parser.add_argument("--cache", type=Path)
    given = parser.parse_args()
    machine, data = bench.machine(), given.data
    with tempfile.TemporaryDirectory() as scratch:
        fp32, int8 = (Encoders(given.cache or Path(scratch), precision) for precision in ("fp32", "int8"))
        pool = records_of(data / "pool")
        tasks = {"med": answered(judged("med", data / "med", records_of(data / "med")), fp32)}
        questions, n_same = pubmedqa(data / "pubmedqa", pool, given.pool_size)
        tasks["pubmedqa"] = answered(questions, int8, also_in_pool=n_same)
        last, share = ends(questions.records, int8)
        tasks["ends"] = answered(last, int8, share_beyond_the_cut=round(share, 3))
        tasks["titles"] = answered(titles(pool, given.bodies), int8)
        tasks["reviews"] = answered(reviews(data / "synergy"), int8)
        spent = costs(some(pool, given.texts), fp32, given.rounds)
    figures = {"machine": machine, "tasks": tasks, "costs": spent}
    bench.report(figures, *tables(figures))


if __name__ == "__main__":
    main()
