"""Measure a reranker: what it costs beside the bare model, and what it does to the ranking of judged questions.

    python scripts/bench_rerank.py INDEX_FOLDER MODEL [COLLECTION …] [--claims 300] [--queries 100] [--rounds 5]
        [--mode hybrid] [--mode semantic] [--depth 50]

MODEL is a cross-encoder's folder, or the name of one that was exported into the index. A COLLECTION is a folder as
bench_query.py takes it, whose records INDEX_FOLDER holds; its questions are asked in each mode without and with the
reranker. Those of pubmedqa are titles of its records: train with --hold-out on its corpus. With --claims, so many
abstracts that end with a conclusion are indexed without it in a folder of their own, and claims made of the first
sentences of the conclusions must find them; they are of the publications that training never uses. Costs are CPU
seconds of this process, taken in turns; --rounds 0 leaves them out. Prints JSON and tables.
"""

import argparse
import json
import re
import statistics
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import bench_machine as bench
import numpy as np
from bench_query import judgments, ndcg, questions
from tokenizers import Tokenizer

from engine import Index, Query, open_index
from engine.encode.execution.onnx import load_session
from engine.encode.models.folder import GRAPH, TOKENIZER
from engine.encode.models.recipe import prepare_text
from engine.encode.texts.sentences import split_sentences
from engine.index.generations.folder import IndexFolder
from engine.options import DEFAULT_MODE, MODES, IndexSettings, Mode
from engine.query.index import get_generation
from engine.query.opening.rerankers import provide_reranker
from engine.reindex.generation.order import Order
from engine.reindex.runs.run import index_sources
from engine.relevance.scoring.significance import compare_paired
from engine.relevance.sets.holdout import TEST, hash_position
from engine.relevance.sets.sections import find_objective_and_conclusion

DEPTH = 50
PRECISIONS = ("fp32", "int8")
OPENING = re.compile(
    r"^(?:(?:in )?(?:conclusions?|summary)|overall|thus|therefore|hence|taken together)[,:]? *|"
    r"^(?:our|these|the present|this|the) (?:\w+ ){0,2}(?:study|studies|results|findings|data|analysis) "
    r"(?:\w+ ){0,2}(?:suggests?|shows?|showed|indicates?|demonstrates?|demonstrated|confirms?|supports?) that |"
    r"^we (?:\w+ )?(?:conclude|found|show|suggest|demonstrate)d? that ",
    re.IGNORECASE,
)


def claim_of(conclusion: str) -> str:
    """Return the first sentence of a conclusion as a claim: without the words that only introduce it.

    >>> claim_of("In conclusion, our results suggest that colchicine helps. It is cheap.")
    'Colchicine helps.'
    """
    (start, end), *_ = split_sentences(conclusion)
    text, before = conclusion[start:end], ""
    while text != before:
        before, text = text, OPENING.sub("", text)
    return text[:1].upper() + text[1:]


def bare_seconds(folder: Path, longest: int, query: str, texts: Sequence[str]) -> float:
    """Return the CPU seconds to tokenise and run pairs one by one on a session of the same graph, and nothing else."""
    tokenizer = Tokenizer.from_str((folder / TOKENIZER).read_text(encoding="utf-8"))
    tokenizer.no_padding()
    tokenizer.enable_truncation(longest)
    session = load_session(folder / GRAPH, 1)
    names = {node.name for node in session.get_inputs()}
    began = time.process_time()
    for pair in tokenizer.encode_batch([(query, text) for text in texts]):
        feeds = {"input_ids": pair.ids, "attention_mask": pair.attention_mask, "token_type_ids": pair.type_ids}
        session.run(None, {name: np.array([feeds[name]], np.int64) for name in names})
    return time.process_time() - began


def cost(index: Index, model: str, precision: str, texts: Sequence[str], rounds: int) -> list[Any]:
    """Return precision, CPU ms of the second stage of one search and of the bare model, their ratio."""
    folder = provide_reranker(get_generation(index).folder, model, precision, may_export=True)
    plain = Query(rerank="none", top_k=DEPTH)
    staged = replace(plain, rerank=model, rerank_depth=DEPTH, rerank_precision=precision)
    index.ask(replace(staged, text=texts[0]))  # loads it
    longest = get_generation(index).get_reranker(model, precision)[0].identity.max_length
    stage, bare = list[float](), list[float]()
    for turn in range(rounds):
        text = texts[turn % len(texts)]
        times = []
        for query in (plain, staged):
            began = time.process_time()
            hits = index.ask(replace(query, text=text)).hits
            times.append(time.process_time() - began)
        stage.append(times[1] - times[0])
        bare.append(bare_seconds(folder, longest, text, [prepare_text(hit.title, hit.abstract) for hit in hits]))
    ours, theirs = statistics.median(stage), statistics.median(bare)
    return [precision, round(ours * 1e3), round(theirs * 1e3), round(ours / theirs, 3)]


@dataclass(frozen=True)
class Stage:
    """What is measured: a reranker at a depth, behind each of some modes."""

    model: str
    depth: int
    modes: Sequence[Mode]


def quality(
    name: str, index: Index, stage: Stage, asked: Sequence[tuple[str, str]], judged: dict[str, dict[str, int]]
) -> list[list[Any]]:
    """Return a row for each mode: nDCG@10 without and with the reranker, the difference and its 95 % interval."""
    rows: list[list[Any]] = []
    texts = [(query_id, text) for query_id, text in asked if query_id in judged]
    for mode in stage.modes:
        values = []
        for rerank in ("none", stage.model):
            one = Query(mode=mode, rerank=rerank, rerank_depth=stage.depth)
            answers = [index.ask(replace(one, text=text)) for _, text in texts]
            found = zip(texts, answers, strict=True)
            values.append(np.array([ndcg([hit.id for hit in a.hits], judged[query_id]) for (query_id, _), a in found]))
        change = compare_paired(values[0], values[1])
        rows.append(
            [name, mode, len(texts), *(round(float(v.mean()), 4) for v in values), round(change.mean, 4),
             f"{change.low:+.4f} to {change.high:+.4f}"]
        )  # fmt: skip
    return rows


def claims(index: Index, stage: Stage, folder: Path, n: int, n_queries: int) -> list[list[Any]]:
    """Return the quality on claims, whose abstracts are indexed without their conclusions."""
    rows, asked, judged = [], [], {}
    for record in index.abstracts():
        parts = find_objective_and_conclusion(record.abstract) if hash_position(record) < TEST else None
        at = record.abstract.find(parts[1]) if parts else -1
        if parts and at > 200:
            rows.append({"id": record.record_id, "title": record.title, "abstract": record.abstract[:at]})
            asked.append((record.record_id, claim_of(parts[1])))
            judged[record.record_id] = {record.record_id: 1}
        if len(rows) == n:
            break
    source = folder / "claims.jsonl"
    source.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    index_sources(IndexFolder(folder / "claims"), Order((source,), IndexSettings(device="cpu")), lambda *_: None)
    step = max(1, len(asked) // n_queries)
    with open_index(folder / "claims", follow=False) as own:
        return quality("claims", own, stage, asked[::step][:n_queries], judged)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("index", type=Path)
    parser.add_argument("model")
    parser.add_argument("collections", type=Path, nargs="*")
    parser.add_argument("--claims", type=int, default=0)
    parser.add_argument("--queries", type=int, default=100)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--mode", choices=MODES, action="append", default=[])
    parser.add_argument("--depth", type=int, default=DEPTH)
    args = parser.parse_args()
    stage = Stage(args.model, args.depth, args.mode or [DEFAULT_MODE])
    rows: list[list[Any]] = []
    with open_index(args.index, follow=False) as index, tempfile.TemporaryDirectory() as scratch:
        texts = [abstract.title or abstract.abstract[:80] for abstract in index.abstracts()][: args.rounds]
        costs = [cost(index, args.model, precision, texts, args.rounds) for precision in PRECISIONS if args.rounds]
        for folder in args.collections:
            asked = questions(folder)
            asked = asked[:: max(1, len(asked) // args.queries)][: args.queries]
            rows += quality(folder.name, index, stage, asked, judgments(folder, index))
        if args.claims:
            rows += claims(index, stage, Path(scratch), args.claims, args.queries)
        reranker = get_generation(index).get_reranker(args.model, "fp32")[0].identity
    print(
        json.dumps({"machine": bench.machine(), "reranker": str(reranker), "costs": costs, "quality": rows}, indent=1)
    )
    print("\n| precision | second stage, CPU ms | bare model, CPU ms | ratio |\n|---|---|---|---|")
    print("\n".join(f"| {' | '.join(map(str, row))} |" for row in costs))
    print("\n| set | mode | questions | nDCG@10 | reranked | difference | 95 % |\n|---|---|---|---|---|---|---|")
    print("\n".join(f"| {' | '.join(map(str, row))} |" for row in rows))


if __name__ == "__main__":
    main()
