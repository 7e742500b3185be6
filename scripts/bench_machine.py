"""What the benchmarks share: facts about the machine, taking turns, tables and the look of plots."""

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache, partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import engine
from engine import Index
from engine.collect.source import read_source
from engine.encode.models.recipe import prepare_text
from engine.index.search.parts import SegmentedIndex
from engine.query.index import get_generation
from engine.records.abstract import Abstract
from engine.records.encoder import Vectors
from engine.records.generation import DocIds

LIBRARIES = (
    "numpy",
    "onnxruntime",
    "openvino",
    "tokenizers",
    "nanotoken",
    "faiss-cpu",
    "faiss-gpu",
    "torch",
    "transformers",
    "sentence-transformers",
    "fastembed",
    "hnswlib",
    "usearch",
    "starlette",
    "uvicorn",
)
PINNED = {"OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE"}  # not what this processor can do
TURN = 20  # queries a contestant answers before the next has its turn
NEAREST = 50  # neighbours of a vector that may be mixed with it
ROWS = 65_536  # vectors made at once
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#7f7f7f", "#000000")
MARKERS = "osD^vP*X"
SAMPLE = Path(engine.__file__).with_name("sample") / "abstracts.jsonl"


def machine() -> dict[str, object]:
    """Processor, GPUs, cores, load and versions. Ask before the benchmark, which is a load itself."""
    model = next((line for line in Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("model name")), "")
    versions = {}
    for library in LIBRARIES:
        try:
            versions[library] = version(library)
        except ImportError:
            continue
    gpus = [line for file in Path("/proc/driver/nvidia/gpus").glob("*/information") for line in file.open()]
    gpus = [line.partition(":")[2].strip() for line in gpus if line.startswith("Model")]
    return {
        "cpu": model.partition(":")[2].strip(),
        **({"gpus": gpus} if gpus else {}),
        "cores": len(os.sched_getaffinity(0)),
        "load_1min": round(os.getloadavg()[0], 2),
        "python": platform.python_version(),
        "versions": versions,
    }


@cache
def matmul_peak() -> float:
    """Operations a second of numpy's own matrix product on all cores, at its best: no encoder exceeds it by much."""
    a = np.ones((768, 768), np.float32)
    return 2 * 768**3 / min(timed(lambda: a @ a) for _ in range(300))


def limit(lengths: NDArray[np.int64]) -> dict[str, float]:
    """Mean length of texts, and how many of them a second numpy's matrix product allows on all cores."""
    needed = (lengths * (6 * 24 * 384**2 + 6 * 4 * 384 * lengths)).mean()  # 6 layers, width 384
    return {"tokens": round(float(lengths.mean()), 1), "limit": round(float(matmul_peak() / needed), 1)}


def command(*args: str) -> list[str]:
    """Return the engine's command line, of the environment that runs the benchmark."""
    return [str(Path(sys.executable).with_name("engine")), *args]


def indexed(corpus: Path, indexes: Path, name: str, *options: str) -> Path:
    """Return the folder of a new index of a corpus; RuntimeError with what the engine said when it can't be made."""
    whole = command("index", str(corpus), "--indexes", str(indexes), "-i", name, "--device", "cpu", *options)
    done = subprocess.run(whole, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(done.stderr.strip().splitlines()[-1])
    return indexes / name


def corpus_texts(corpus: Path) -> list[str]:
    """Title and abstract of every record of a source file, as they are encoded."""
    records = (entry for entry in read_source(corpus) if isinstance(entry, Abstract))
    return [text for record in records if (text := prepare_text(record.title, record.abstract))]


def read_all_vectors(index: Index) -> tuple[DocIds, Vectors]:
    """Return the doc ids (n,) and vectors (n, dim) of an open index."""
    ranker = get_generation(index).vectors
    assert isinstance(ranker, SegmentedIndex)  # of this machine
    return ranker.read_all_vectors()


def cosine(a: NDArray[np.float32], b: NDArray[np.float32]) -> NDArray[np.float64]:
    """Inner products, row by row."""
    products: NDArray[np.float64] = a.astype(np.float64) * b.astype(np.float64)
    return np.asarray(products.sum(axis=1))


def spread_over(items: Any, n: int) -> list[Any]:
    """At most n of the items, evenly spaced."""
    return [items[i] for i in np.linspace(0, len(items) - 1, min(n, len(items)), dtype=int)]


def timed(work: Callable[[], object]) -> float:
    """Seconds that work takes."""
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def in_turns(ways: Mapping[str, Callable[[], object]], rounds: int) -> dict[str, list[float]]:
    """Seconds of each way in each round. All run in every round, each time another one first."""
    names, spent = list(ways), {name: [0.0] * rounds for name in ways}
    for turn in range(rounds):
        first = turn % len(names)
        for name in names[first:] + names[:first]:
            spent[name][turn] = timed(ways[name])
    return spent


def best_of(encode: Callable[[list[str], int], object], texts: list[str], sizes: Sequence[int]) -> int:
    """Return the batch size that takes least time."""
    spent = in_turns({str(size): partial(encode, texts, size) for size in sizes}, 3)
    return min(sizes, key=lambda size: statistics.median(spent[str(size)]))


def first_and_again(
    makers: Mapping[str, Callable[[], Callable[[Any], object]]], given: object, rounds: int
) -> dict[str, tuple[list[float], list[float]]]:
    """Processor seconds of what each maker makes, in turns: given something the first time, and once more."""
    spent: dict[str, tuple[list[float], list[float]]] = {name: ([], []) for name in makers}
    for _ in range(rounds):
        for name, make in makers.items():
            work = make()
            for seconds in spent[name]:
                started = time.process_time()
                work(given)
                seconds.append(time.process_time() - started)
    return spent


def times_as_fast(ours: Sequence[float], theirs: Sequence[float]) -> float:
    """How many times as fast as the others we are: the median of the rounds' ratios."""
    return round(statistics.median(b / a for a, b in zip(ours, theirs, strict=True)), 3)


def spread(seconds: Sequence[float]) -> dict[str, float]:
    """Median, best and worst."""
    return {
        "median_s": round(statistics.median(seconds), 4),
        "best_s": round(min(seconds), 4),
        "worst_s": round(max(seconds), 4),
    }


def table(head: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """Return a Markdown table; None is an empty cell."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join('' if cell is None else str(cell) for cell in line)} |" for line in lines)


def report(figures: Mapping[str, Any], *tables: str) -> None:
    """Print one line of JSON, then the tables, and a warning where another program had the cores."""
    print(json.dumps(figures))
    if (load := figures["machine"]["load_1min"]) > 0.5:
        tables = (
            *tables,
            f"The machine was busy (load {load} at the start): worst for threads that wait for each other.",
        )
    for text in tables:
        print(f"\n{text}")


def options(description: str, rounds: int) -> argparse.ArgumentParser:
    """Return a parser with the options of every benchmark; restart the script if OpenBLAS is set to an older kernel."""
    if PINNED & os.environ.keys():
        kept = {name: value for name, value in os.environ.items() if name not in PINNED}
        os.execve(sys.executable, [sys.executable, *sys.argv], kept)
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=rounds, help="how often each contestant has its turn")
    return parser


@dataclass
class Way:
    """One contestant in one setting, and what was found."""

    name: str  # contestants of one name differ in their settings
    search: Callable[[Vectors, int], Any]
    rows: Callable[[Any], list[Any]]  # what search returns, as row numbers of each query
    facts: dict[str, Any]  # mb and build_s where known
    setting: dict[str, int] = field(default_factory=dict)
    prepare: Callable[[], object] = int  # puts the setting in force; int() does nothing
    ms: list[float] = field(default_factory=list)
    turns: list[float] = field(default_factory=list)  # median ms of each turn
    recall: float = 1.0

    def shown(self) -> dict[str, Any]:
        """Return what is reported of it."""
        ms = {"median_ms": round(statistics.median(self.ms), 4), "p95_ms": round(float(np.percentile(self.ms, 95)), 4)}
        facts = {"build_s": self.facts.get("build_s"), "mb": self.facts.get("mb")}
        return {"name": self.name, "setting": self.setting, **ms, "recall": self.recall, **facts}


def measure(ways: Sequence[Way], queries: Vectors, k: int, rare: bool = False) -> None:
    """Ask every way single queries, in turns; where that is rare, those without a setting get a fifth of the turns."""
    for turn, start in enumerate(range(0, len(queries), TURN)):
        part = queries[start : start + TURN]
        for way in [*ways[turn % len(ways) :], *ways[: turn % len(ways)]]:
            if way.setting or not rare or turn % 5 == 0:
                way.prepare()
                way.search(part[:1], k)  # what the one before left in the caches is not held against it
                ms = [1000 * timed(partial(way.search, query[None], k)) for query in part]
                way.ms += ms
                way.turns.append(statistics.median(ms))


def neighbours(real: Vectors) -> NDArray[np.int64]:
    """Return the nearest others of every vector, (n, NEAREST)."""
    import faiss

    index = faiss.IndexFlatIP(real.shape[1])
    index.add(real)
    faiss.omp_set_num_threads(len(os.sched_getaffinity(0)))
    rows = index.search(real, NEAREST + 1)[1][:, 1:]
    faiss.omp_set_num_threads(1)
    return rows


def mixtures(real: Vectors, n: int) -> Iterator[Vectors]:
    """Return unit vectors, each a random mixture of a real one and two of its neighbours, in chunks."""
    near = neighbours(real) if n else np.empty((0, 0), np.int64)
    for start in range(0, n, ROWS):
        random = np.random.default_rng((1, start))
        size = min(ROWS, n - start)
        first = random.integers(0, len(real), size)
        places = random.random((size, near.shape[1])).argpartition(2, axis=1)[:, :2]
        three = np.column_stack([first, np.take_along_axis(near[first], places, axis=1)])
        weights = random.dirichlet((1, 1, 1), size).astype(np.float32)
        mixed = np.einsum("ij,ijd->id", weights, real[three])
        yield mixed / np.linalg.norm(mixed, axis=1, keepdims=True)


def vectors_of(real: Vectors, n: int, work: Path) -> Any:
    """N vectors as the engine keeps them, real ones first: row i has the id i."""
    from engine.index.search.flat import FlatIndex
    from engine.index.search.layout import write_file

    path, n_real = work / f"vectors-{n}.faiss", min(n, len(real))
    if not path.exists():

        def chunks() -> Iterator[Vectors]:
            yield real[:n_real]
            yield from mixtures(real, n - n_real)

        part = path.with_suffix(".part")
        write_file(part, np.arange(n), real.shape[1], chunks())
        part.rename(path)
    return FlatIndex(path, real.shape[1])


def shorten(number: float) -> str:
    """Return a number in thousands or millions: 2k, 1.5M."""
    if number < 1000:
        return f"{number:g}"
    return f"{number / 1e6:g}M" if number >= 1e6 else f"{number / 1e3:g}k"


def plot(
    path: Path,
    panels: Mapping[str, Mapping[str, Sequence[tuple[float, float]]]],
    x: str,
    y: str,
    *,
    log_x: int,
    share_y: bool = True,
) -> None:
    """Draw 1200 by 800 points: one panel a title, a line a name through its points (x, y), y logarithmic.

    log_x: base of the x axis; 0 for a linear one. At base 10 each x of a point has a tick, in thousands or millions.
    """
    import matplotlib as mpl

    mpl.use("Agg")
    mpl.rcParams.update({"font.size": 13, "axes.spines.top": False, "axes.spines.right": False})
    from matplotlib import pyplot
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter, ScalarFormatter

    figure, axes = pyplot.subplots(
        1, len(panels), sharex=True, sharey=share_y, squeeze=False, figsize=(12, 8), dpi=100, layout="constrained"
    )
    names = list(dict.fromkeys(name for lines in panels.values() for name in lines))
    for axis, (title, lines) in zip(axes[0], panels.items(), strict=True):
        for name, points in lines.items():
            at = names.index(name)
            look = {"color": COLOURS[at % len(COLOURS)], "marker": MARKERS[at % len(MARKERS)]}
            axis.plot(*zip(*points, strict=True), **look, label=name, linewidth=2, markersize=8)
        axis.set_title(title, fontsize=15)
        axis.set_xlabel(x)
        axis.set_yscale("log")
        if log_x:
            axis.set_xscale("log", base=log_x)
            axis.xaxis.set_major_formatter(ScalarFormatter())
        if log_x == 10:
            axis.set_xticks(sorted({at for points in lines.values() for at, _ in points}))
            axis.xaxis.set_major_formatter(FuncFormatter(lambda value, _: shorten(value)))
            axis.xaxis.set_minor_formatter(NullFormatter())
        axis.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axis.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,g}"))
        axis.yaxis.set_minor_formatter(NullFormatter())
        axis.grid(visible=True, color="#e4e4e4", linewidth=0.8)
        axis.set_axisbelow(True)
    axes[0][0].set_ylabel(y)
    found = {label: handle for axis in axes[0] for handle, label in zip(*axis.get_legend_handles_labels(), strict=True)}
    figure.legend(found.values(), found.keys(), loc="outside lower center", ncols=3, frameon=False)
    figure.savefig(path)
