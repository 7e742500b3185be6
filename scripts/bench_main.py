"""Measure what a user waits for: cold commands, indexing with its peak memory, encoding beside sentence-transformers.

    python scripts/bench_main.py CORPUS [--rounds 7] [--texts 300]

CORPUS is any source file; its whole content is indexed, twice: with the export of the model, then with the encoder at
hand. Prints one JSON object. Cold commands and encoding rates are medians, indexing is one run each; the encoders
take turns in one process, so that a busy machine slows both.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from bench_machine import machine

from engine.collect.source import read_source
from engine.encode.execution.onnx import OnnxEncoder
from engine.encode.models.model import locate
from engine.encode.models.recipe import prepare_text
from engine.options import DEFAULT_MODEL
from engine.records.abstract import Abstract

QUERY = "switching back from a biosimilar to the originator after loss of effect"


def engine(*args: str) -> list[str]:
    return [str(Path(sys.executable).with_name("engine")), *args]


def seconds(command: list[str]) -> float:
    started = time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return time.perf_counter() - started


def cold(command: list[str], rounds: int) -> dict[str, float]:
    """Whole-process seconds of a command, after one run that warms the disk cache."""
    seconds(command)
    found = sorted(seconds(command) for _ in range(rounds))
    return {
        "median_s": round(statistics.median(found), 3),
        "best_s": round(found[0], 3),
        "worst_s": round(found[-1], 3),
    }


def indexing(corpus: str, indexes: str, name: str) -> dict[str, object]:
    """Index the corpus in a process of its own: seconds, peak memory, what it said."""
    started = time.perf_counter()
    command = engine("index", corpus, "-i", name, "--indexes", indexes, "--device", "cpu")
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as running:
        assert running.stdout is not None
        said = running.stdout.read().splitlines()
        _, running.returncode, usage = os.wait4(running.pid, 0)
    if running.returncode:
        raise SystemExit(f"{' '.join(command)} failed")
    return {
        "seconds": round(time.perf_counter() - started, 1),
        "peak_mib": round(usage.ru_maxrss / 1024),
        "said": said[0],
    }


def encoding(corpus: str, encoder: OnnxEncoder, n_texts: int) -> dict[str, object]:
    """Documents a second of the engine's CPU encoder and of sentence-transformers' own encode, taking turns."""
    from sentence_transformers import SentenceTransformer

    records = (entry for entry in read_source(Path(corpus)) if isinstance(entry, Abstract))
    texts = [prepare_text(record.title, record.abstract) for record, _ in zip(records, range(n_texts), strict=False)]
    reference = SentenceTransformer(str(locate(DEFAULT_MODEL)), device="cpu")
    ways: dict[str, Callable[[], np.ndarray]] = {
        "engine": lambda: encoder.encode(texts).vectors,
        "sentence_transformers": lambda: reference.encode(texts, show_progress_bar=False),
    }
    vectors = {name: way() for name, way in ways.items()}
    spent: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(3):
        for name, way in ways.items():
            started = time.perf_counter()
            way()
            spent[name].append(time.perf_counter() - started)
    rates = {name: round(len(texts) / statistics.median(times), 1) for name, times in spent.items()}
    ratios = [theirs / ours for ours, theirs in zip(spent["engine"], spent["sentence_transformers"], strict=True)]
    return {
        "texts": len(texts),
        "mean_tokens": round(float(np.minimum(encoder.tokenizer.tokenise(texts).n_tokens, 256).mean()), 1),
        "docs_per_s": rates,
        "ratio_median": round(statistics.median(ratios), 2),
        "min_cosine": round(float((vectors["engine"] * vectors["sentence_transformers"]).sum(axis=1).min()), 6),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("corpus")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--texts", type=int, default=300)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as indexes:
        figures: dict[str, object] = {"machine": machine(), "corpus": Path(given.corpus).name}
        figures["index_with_export"] = indexing(given.corpus, indexes, "bench")
        figures["index_again_beside_it"] = indexing(given.corpus, indexes, "again")
        here = ("-i", "bench", "--indexes", indexes)
        record_id = json.loads(subprocess.check_output(engine("search", QUERY, "-n", "1", *here)))["id"]
        figures["cold_help"] = cold(engine("--help"), given.rounds)
        figures["cold_search"] = cold(engine("search", QUERY, *here), given.rounds)
        figures["cold_similar"] = cold(engine("similar", record_id, *here), given.rounds)
        (folder,) = Path(indexes, "bench", "encoders").iterdir()
        figures["encoding"] = encoding(given.corpus, OnnxEncoder(folder), given.texts)
    print(json.dumps(figures, indent=1))


if __name__ == "__main__":
    main()
