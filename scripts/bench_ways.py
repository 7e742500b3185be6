"""Compare the results of every way to encode on this CPU with those of fp32: nDCG@10 and the hits themselves.

    python scripts/bench_ways.py FOLDER [--records 6000] [--queries 200]

FOLDER holds corpus.jsonl.gz and, for nDCG@10, queries.jsonl.gz and qrels.tsv.gz. At most --records of its records,
spread over it, are encoded in each way; records that are judged relevant are always among them. Queries are encoded in
fp32, as the engine does; without queries, the titles of some records take their place, and each finds others than its
own record. Prints one line of JSON, then a table.
"""

import gzip
import json
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import bench_machine as bench
import numpy as np
from bench_encode import CORES, exported, locate_default
from numpy.typing import NDArray

from engine.encode.cpu.contestants import Contestant, list_half
from engine.encode.execution.onnx import OnnxEncoder
from engine.encode.models.recipe import prepare_text
from engine.encode.texts.tokens import Tokens

DEPTH = 10  # hits
PAGE = 256  # texts encoded at once


def read_rows(path: Path) -> list[Any]:
    """Return the objects of JSON lines, or the lists of columns of a table below its header."""
    if not path.exists():
        return []
    with gzip.open(path, "rt", encoding="utf-8") as file:
        lines = [line.rstrip("\n") for line in file]
    return [line.split("\t") for line in lines[1:]] if ".tsv" in path.name else [json.loads(line) for line in lines]


def encode(run: Callable[[Tokens], NDArray[np.float32]], own: OnnxEncoder, texts: list[str]) -> NDArray[np.float32]:
    """Encode texts page by page."""
    pages = (texts[start : start + PAGE] for start in range(0, len(texts), PAGE))
    return np.concatenate([run(own.batch_tokenizer.tokenise(page)) for page in pages])


def encode_in(way: Contestant, own: OnnxEncoder, texts: list[str]) -> NDArray[np.float32]:
    """Encode texts in one way."""
    runner = way.open()
    vectors = encode(runner.encode, own, texts)
    runner.close()
    return vectors


def rank(queries: NDArray[np.float32], vectors: NDArray[np.float32], own_rows: list[int]) -> NDArray[np.int64]:
    """Return the rows of the best hits of each query, without the record that the query is the title of."""
    scores = queries @ vectors.T
    for query, row in enumerate(own_rows):
        scores[query, row] = -1
    return np.argsort(-scores, axis=1, kind="stable")[:, :DEPTH]


def ndcg(hits: NDArray[np.int64], ids: list[str], grades: list[dict[str, int]]) -> float:
    """Return the mean nDCG@10 with linear gains."""
    discounts = 1 / np.log2(np.arange(2, DEPTH + 2))
    values = []
    for rows, judged in zip(hits, grades, strict=True):
        gains = np.array([judged.get(ids[row], 0) for row in rows])
        ideal = np.array(sorted(judged.values(), reverse=True)[:DEPTH])
        values.append(float((gains * discounts).sum() / (ideal * discounts[: len(ideal)]).sum()))
    return float(np.mean(values))


def choose(folder: Path, n_records: int, n_queries: int) -> tuple[list[Any], list[str], list[dict[str, int]]]:
    """Return the records, the texts of the queries, and the grades of each query; no grades without judgments."""
    grades: dict[str, dict[str, int]] = {}
    for query, record, grade in (row[:3] for row in read_rows(folder / "qrels.tsv.gz")):
        if int(grade) > 0:
            grades.setdefault(query, {})[record] = int(grade)
    queries = [row for row in read_rows(folder / "queries.jsonl.gz") if row["id"] in grades]
    needed = {record for judged in grades.values() for record in judged}
    rows = [row for row in read_rows(folder / "corpus.jsonl.gz") if prepare_text(row["title"], row["abstract"])]
    others = bench.spread_over([row for row in rows if row["id"] not in needed], max(0, n_records - len(needed)))
    chosen = [*(row for row in rows if row["id"] in needed), *others]
    if queries:
        return chosen, [row.get("text") or row["query"] for row in queries], [grades[row["id"]] for row in queries]
    return chosen, [row["title"] for row in bench.spread_over(chosen, n_queries)], []


def main() -> None:
    parser = bench.options(__doc__, rounds=1)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--records", type=int, default=6000)
    parser.add_argument("--queries", type=int, default=200)
    given = parser.parse_args()
    machine = bench.machine()
    records, questions, grades = choose(given.folder, given.records, given.queries)
    texts, ids = [prepare_text(row["title"], row["abstract"]) for row in records], [row["id"] for row in records]
    titles = {row["title"]: place for place, row in enumerate(records)}
    own_rows = [] if grades else [titles[question] for question in questions]
    found: dict[str, dict[str, float]] = {}
    with tempfile.TemporaryDirectory() as scratch:
        own = OnnxEncoder(exported(Path(scratch), "fp32"))
        asked = encode(own.run, own, questions)
        exact = encode(own.run, own, texts)
        expected = rank(asked, exact, own_rows)
        ways: dict[str, Callable[[], NDArray[np.float32]]] = {"fp32": lambda: exact}
        for one in list_half(own.folder, own.identity, locate_default, CORES):
            ways[one.name] = partial(encode_in, one, own, texts)
        for name, make in ways.items():
            vectors = make()
            hits, cosines = rank(asked, vectors, own_rows), bench.cosine(vectors, exact)
            shared = [len({*a} & {*b}) / DEPTH for a, b in zip(hits.tolist(), expected.tolist(), strict=True)]
            found[name] = {
                "ndcg@10": round(ndcg(hits, ids, grades), 4) if grades else float("nan"),
                "top10_overlap": round(float(np.mean(shared)), 4),
                "min_cosine": round(float(cosines.min()), 6),
                "mean_cosine": round(float(cosines.mean()), 6),
            }
    head = ("way", "nDCG@10", "top-10 overlap with fp32", "min cosine", "mean cosine")
    content = {"corpus": given.folder.name, "records": len(records), "queries": len(questions), "ways": found}
    bench.report(
        {"machine": machine, **content}, bench.table(head, [[name, *row.values()] for name, row in found.items()])
    )


if __name__ == "__main__":
    main()
