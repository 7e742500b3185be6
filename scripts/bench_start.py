"""Measure how long cold commands take, where a cold search spends its time, and a peer that does the same.

    python scripts/bench_start.py [CORPUS] [--rounds 7]

CORPUS is any source file, the bundled sample by default; it is indexed in a temporary folder. Whole processes are
timed with a warm disk cache, all of them in turns. Prints one line of JSON, then tables.
"""

import json
import statistics
import subprocess
import sys
import tempfile
from functools import partial
from pathlib import Path
from typing import Any

import bench_machine as bench
import numpy as np

from engine import open_index
from engine.encode.models.model import locate
from engine.options import DEFAULT_MODEL
from engine.query.index import get_generation
from engine.records.encoder import Vectors

QUERY = "switching back from a biosimilar to the originator after loss of effect"
LIBRARIES = ("numpy", "faiss", "tokenizers", "onnxruntime")
GOALS = {"engine --help": "≤ 0.25 s", "engine search": "≤ 0.5 s", "engine similar": "no encoder loaded"}
PEER = "sentence-transformers script"
# Prints the seconds that importing argv[1] takes in a fresh process.
IMPORT = "import sys, time; t = time.perf_counter(); __import__(sys.argv[1]); print(time.perf_counter() - t)"
# A cold search, stage by stage: argv holds the folder of the index and the query.
STAGES = """
import json, sys, time
times, last = {}, time.perf_counter()
def done(stage):
    global last
    now = time.perf_counter()
    times[stage], last = now - last, now
import numpy
done("import numpy")
import faiss
done("import faiss")
from engine import open_index
from engine.query.index import get_generation
done("import engine")
index = open_index(sys.argv[1], follow=False)
done("open, with check")
import tokenizers, engine.encode.models.folder
done("import tokenizers")
import onnxruntime, engine.encode.execution.onnx
done("import onnxruntime")
get_generation(index).get_encoder()
done("session, with check")
vectors = index.encode([sys.argv[2]])
done("encode")
get_generation(index).vectors.search(vectors, 10)
done("search vectors")
index.nearest(sys.argv[2])
done("encode and search again, with texts")
print(json.dumps(times))
"""
# What a script does without the engine: argv holds the model's folder, the vectors and the query.
PEER_SCRIPT = """
import sys
import numpy as np
import torch
from sentence_transformers import SentenceTransformer, util
model = SentenceTransformer(sys.argv[1], device="cpu")
query = model.encode([sys.argv[3]], convert_to_tensor=True, show_progress_bar=False)
found = util.semantic_search(query, torch.from_numpy(np.load(sys.argv[2])), top_k=10)
print([hit["corpus_id"] for hit in found[0]])
"""
# Opens one index: seconds to open it and to its first answer, and KiB of anonymous memory that 100 searches leave.
FRESH = """
import json, sys, time
import faiss
import numpy as np
from pathlib import Path
from engine.index.search.flat import FlatIndex
from engine.index.search.ivf import IvfIndex
from engine.records.generation import AnnSettings
faiss.omp_set_num_threads(1)
def anonymous():
    return int(next(line.split()[1] for line in open("/proc/self/status") if line.startswith("RssAnon")))
vectors, codes, queries = sys.argv[1:4]
setting, queries = json.loads(sys.argv[4]), np.load(queries)
before, started = anonymous(), time.perf_counter()
if codes:
    settings = AnnSettings(**setting, recall=0.0, n_queries=0, target=0.0, n_trained=0)
    index = IvfIndex(Path(vectors), Path(codes), queries.shape[1], settings)
else:
    index = FlatIndex(Path(vectors), queries.shape[1])
seconds = time.perf_counter() - started
index.search(queries[:1], 10)
answered = time.perf_counter() - started
for query in queries[:100]:
    index.search(query[None], 10)
print(seconds, answered, anonymous() - before)
"""


def fresh(vectors: Path, codes: Path | None, setting: dict[str, int], queries: Vectors) -> dict[str, float]:
    """Return opening time and memory beside mapped files, medians of five processes; setting: n_probe, n_rerank."""
    with tempfile.NamedTemporaryFile(suffix=".npy") as file:
        np.save(file.name, queries[:100])
        command = [sys.executable, "-c", FRESH, str(vectors), str(codes or ""), file.name, json.dumps(setting)]
        found = [subprocess.check_output(command, text=True).split() for _ in range(5)]
    seconds, answered, kib = (statistics.median(map(float, column)) for column in zip(*found, strict=True))
    times = {"open_ms": round(1000 * seconds, 2), "first_answer_ms": round(1000 * answered, 2)}
    return {**times, "anonymous_mb": round(kib * 1024 / 1e6, 2)}


def run(command: list[str]) -> str:
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True).stdout


def python(code: str, *args: str) -> list[str]:
    return [sys.executable, "-c", code, *args]


def commands(corpus: Path, scratch: Path) -> tuple[dict[str, list[str]], Path]:
    """Return the whole processes to be timed, and the index they ask."""
    folder = bench.indexed(corpus, scratch, "bench")
    here = ("-i", "bench", "--indexes", str(scratch))
    record_id = json.loads(run(bench.command("search", QUERY, "-n", "1", *here)))["id"]
    with open_index(folder, follow=False) as index:
        ids, vectors = bench.read_all_vectors(index)
        np.save(scratch / "vectors.npy", vectors)
        place = ids.tolist().index(get_generation(index).corpus.find_doc_id(record_id))
    peer = python(PEER_SCRIPT, str(locate(DEFAULT_MODEL)), str(scratch / "vectors.npy"), QUERY)
    if json.loads(run(peer))[0] != place:
        raise SystemExit("the peer finds another abstract first: they don't do the same work")
    return {
        "python -c pass": python("pass"),
        "engine --help": bench.command("--help"),
        "engine search": bench.command("search", QUERY, *here),
        "engine similar": bench.command("similar", record_id, *here),
        "engine status": bench.command("status", *here),
        PEER: peer,
    }, folder


def where(folder: Path, rounds: int) -> dict[str, Any]:
    """Medians of the stages of a cold search, and of imports each in a process of its own."""
    stages = [json.loads(run(python(STAGES, str(folder), QUERY))) for _ in range(rounds)]
    imports = {name: [float(run(python(IMPORT, name))) for _ in range(rounds)] for name in LIBRARIES}
    return {
        "stages_s": {name: round(statistics.median(one[name] for one in stages), 4) for name in stages[0]},
        "imports_alone_s": {name: round(statistics.median(found), 4) for name, found in imports.items()},
    }


def main() -> None:
    parser = bench.options(__doc__, rounds=7)
    parser.add_argument("corpus", type=Path, nargs="?", default=bench.SAMPLE)
    given = parser.parse_args()
    machine = bench.machine()
    with tempfile.TemporaryDirectory() as scratch:
        timed, folder = commands(given.corpus, Path(scratch))
        with open_index(folder, follow=False) as index:
            n = len(index)
        for command in timed.values():
            run(command)  # warms the disk cache
        spent = bench.in_turns({name: partial(run, command) for name, command in timed.items()}, given.rounds)
        found = where(folder, given.rounds)
    ratio = bench.times_as_fast(spent["engine search"], spent[PEER])
    cold = {name: bench.spread(seconds) for name, seconds in spent.items()}
    figures = {"machine": machine, "corpus": given.corpus.name, "abstracts": n, "cold": cold}
    rows = [[name, *times.values(), GOALS.get(name)] for name, times in cold.items()]
    rows.append([f"engine search is as many times as fast as the {PEER}", ratio, None, None, None])
    total = round(sum(found["stages_s"].values()), 4)
    stages = [*found["stages_s"].items(), ("together, beside starting Python", total)]
    bench.report(
        {**figures, "search_times_peer": ratio, **found},
        bench.table(("process", "median s", "best", "worst", "goal"), rows),
        bench.table(("stage of a cold search", "median s"), stages),
        bench.table(("import, alone", "median s"), list(found["imports_alone_s"].items())),
    )


if __name__ == "__main__":
    main()
