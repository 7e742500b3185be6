"""Compare an index on nodes of Ray on this machine with the same index in one process.

    python scripts/bench_cluster.py INDEX_FOLDER [--nodes 3] [--large INDEX_FOLDER] [--against TREE] [--rounds 5]

The index is copied; both sides answer from the same generation and take turns. Single questions are titles of its
records; a batch has 200 of them. While 20 questions a second are asked, the node that is asked first
for the first segment is killed; a time counts from when a question was due. With --large, a node opens an index that
it has not seen, and its first answer is awaited: the start of its process is included. With --against, a cold `engine
search` of this machine alone takes turns with that of another checkout. A cold `engine search` is also timed three ways
in turns: this machine alone, connected to the nodes, and through `engine serve`. On a busy machine, set
OMP_NUM_THREADS=1, as it is for each node, or the threads of one process wait for each other. Prints one line of JSON,
then a table. Needs the extra [ray].
"""

import os
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import bench_machine as bench
import numpy as np
from cluster_nodes import ROOT, choose_node, kill_node, start_nodes

from engine import Index, Query, open_index
from engine.errors import EngineError
from engine.index.generations.folder import IndexFolder
from engine.options import Mode
from engine.query.index import get_generation
from engine.query.index import open_index as open_locally

SINGLE, BATCH, RATE, SECONDS = 100, 200, 20, 20  # questions; those of a batch; a second; of them
KILLED_AFTER = 0.4  # of the questions
MODES: tuple[Mode, ...] = ("semantic", "hybrid")
GOALS = {
    "semantic question, p50 ms": "local + 10",
    "hybrid question, p50 ms": "local + 30",
    "200 questions at once, times the rate of local": "0.8 at least",
    "node killed: wrong answers": "0",
    "node killed: errors": "0",
    "node killed: slowest answer, s": "3 at most",
    "cold start of a node with the large index, s": "5 at most",
    "cold search of this machine alone, times the other version": "1.03 at most",
    "modules of a cluster that it imports": "none",
    "cold search of the nodes, connected, s": "",
    "cold search of the nodes through a server, s": "",
}
# Runs a search and names the modules of a cluster that it imported: argv holds the arguments.
IMPORTED = """
import sys
from engine.cli import main
try:
    main(sys.argv[1:], prog_name="engine")
except SystemExit:
    pass
print([name for name in ("ray", "fsspec") if name in sys.modules], file=sys.stderr)
"""


@dataclass(slots=True)
class Load:
    """What questions saw while a node was killed."""

    seconds: list[float] = field(default_factory=list)
    wrong: int = 0
    errors: list[str] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)


def draw_titles(index: Index, n: int) -> list[str]:
    """Return titles of records spread over an index; only those of plain words, so that none is an operator."""
    rows = get_generation(index).corpus.read_live("SELECT id, title FROM abstracts ORDER BY id")
    titles = [title.lower() for _, title in rows]
    return bench.spread_over([title for title in titles if re.fullmatch(r"[a-z0-9 ,.]{20,}", title)], n)


def compare_questions(sides: Mapping[str, Index], titles: Sequence[str]) -> dict[str, dict[str, float]]:
    """Return the median ms of single questions of each mode; the sides take turns, another one first each time.

    Raises:
        SystemExit: an answer differs.
    """
    found: dict[str, dict[str, float]] = {}
    for mode in MODES:
        spent: dict[str, list[float]] = {name: [] for name in sides}
        for i, title in enumerate(titles):
            names = sorted(sides, reverse=bool(i % 2))
            answers = {}
            for name in names:
                started = time.perf_counter()
                answers[name] = sides[name].ask(Query(title, mode=mode))
                spent[name].append(1000 * (time.perf_counter() - started))
            if answers["local"] != answers["ray"]:
                raise SystemExit(f"{mode}: the answers to {title!r} differ")
        found[mode] = {name: round(statistics.median(ms), 2) for name, ms in spent.items()}
        found[mode]["added"] = round(
            statistics.median(b - a for a, b in zip(spent["local"], spent["ray"], strict=True)), 2
        )
    return found


def compare_batches(sides: Mapping[str, Index], titles: Sequence[str], rounds: int) -> dict[str, float]:
    """Return questions a second in batches, and the median of the ratios of the rounds."""
    queries = [Query(title, mode="semantic") for title in titles]
    ways: dict[str, Callable[[], object]] = {name: partial(side.ask_batch, queries) for name, side in sides.items()}
    spent = bench.in_turns(ways, rounds)
    rates = {f"{name}_per_s": round(len(queries) / statistics.median(times), 1) for name, times in spent.items()}
    ratio = statistics.median(a / b for a, b in zip(spent["local"], spent["ray"], strict=True))
    return {**rates, "ratio": round(ratio, 3)}


def ask_under_death(cluster: Any, folder: Path, titles: Sequence[str]) -> dict[str, Any]:
    """Ask at a fixed rate, kill the node that is asked first for the first segment, and report what was seen."""
    queries = [Query(title, mode="semantic") for title in titles]
    with open_locally(folder) as here:
        expected = [here.ask(query) for query in queries]
        segment = here.manifest.segments[0].name
    load, n = Load(), RATE * SECONDS
    with open_index(folder) as there, ThreadPoolExecutor(8) as pool:
        victim = choose_node(cluster, folder, segment)
        there.ask(queries[0])
        begun = time.perf_counter()
        for i in range(n):
            due = begun + i / RATE
            time.sleep(max(0.0, due - time.perf_counter()))
            pool.submit(ask_due, load, there, (queries[i % len(queries)], expected[i % len(queries)]), due)
            if i == int(KILLED_AFTER * n):
                threading.Thread(target=kill_node, args=(cluster, victim)).start()
    p50, p99 = (round(float(value), 3) for value in np.quantile(load.seconds, (0.5, 0.99)))
    slowest = round(max(load.seconds), 3)
    return {"asked": n, "wrong": load.wrong, "errors": load.errors, "p50_s": p50, "p99_s": p99, "slowest_s": slowest}


def ask_due(load: Load, index: Index, question: tuple[Query, Any], due: float) -> None:
    """Ask one question, and note its time since it was due, and whether its answer is the expected one."""
    query, expected = question
    try:
        is_right, problem = index.ask(query) == expected, None
    except EngineError as err:
        is_right, problem = True, str(err)
    with load.lock:
        load.seconds.append(time.perf_counter() - due)
        load.wrong += not is_right
        load.errors += [problem] if problem else []


def time_cold_start(cluster: Any, large: Path, rounds: int) -> dict[str, Any]:
    """Return the seconds from asking nodes that have not seen a large index to their first ranking.

    Between the rounds the processes that hold it are ended.
    """
    import ray

    from engine.scale.ranking.cluster import Cluster, ClusterSettings
    from engine.scale.ranking.remoteindex import RemoteIndex

    generation = IndexFolder(large).open_current(quick=True)
    settings = ClusterSettings(cluster.address, str(large))
    query = np.random.default_rng(1).standard_normal((1, generation.manifest.encoder.dim)).astype(np.float32)
    query /= np.linalg.norm(query)
    seconds = []
    for _ in range(rounds):
        started = time.perf_counter()
        there = Cluster(settings)
        index = RemoteIndex(generation, there)
        index.search(query, 10)
        seconds.append(round(time.perf_counter() - started, 2))
        for holder in there.list_holders().values():
            ray.kill(holder)
        time.sleep(1.0)
    return {"vectors": index.n_rows, "seconds": seconds, "median_s": statistics.median(seconds)}


def measure_search(tree: Path, folder: Path, title: str) -> float:
    """Return the CPU seconds of a cold search of this machine alone.

    Raises:
        SystemExit: it failed.
    """
    arguments = ["search", title, "-i", folder.name, "--indexes", str(folder.parent)]
    variables = {**os.environ, "PYTHONPATH": str(tree), "ENGINE_BACKEND": "local"}
    command = [sys.executable, "-m", "engine", *arguments]
    with subprocess.Popen(command, env=variables, stdout=subprocess.DEVNULL, cwd=folder) as child:
        _, status, usage = os.wait4(child.pid, 0)
        child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode:
        raise SystemExit(f"the search of {tree} ended with {child.returncode}")
    return usage.ru_utime + usage.ru_stime


def compare_versions(folder: Path, against: Path, title: str, rounds: int) -> dict[str, Any]:
    """Return the CPU seconds of cold searches of two checkouts, in turns; the first round is left out."""
    trees = {"this": ROOT, "other": against.resolve()}
    spent: dict[str, list[float]] = {name: [] for name in trees}
    for turn in range(rounds + 1):
        for name in sorted(trees, reverse=bool(turn % 2)):
            seconds = measure_search(trees[name], folder, title)
            spent[name] += [seconds] if turn else []
    medians = {f"{name}_cpu_s": round(statistics.median(found), 3) for name, found in spent.items()}
    least = {f"{name}_least_cpu_s": round(min(found), 3) for name, found in spent.items()}
    ratio = statistics.median(a / b for a, b in zip(spent["this"], spent["other"], strict=True))
    return {**medians, **least, "ratio": round(ratio, 3)}


@contextmanager
def start_server(folder: Path) -> Iterator[None]:
    """Run `engine serve` on an index until the block ends.

    Raises:
        SystemExit: it ended before it served.
    """
    command = [
        sys.executable,
        "-m",
        "engine",
        "serve",
        "-i",
        folder.name,
        "--indexes",
        str(folder.parent),
        "--port",
        "0",
    ]
    variables = {**os.environ, "PYTHONPATH": str(ROOT)}
    with subprocess.Popen(command, env=variables, stderr=subprocess.PIPE, text=True, cwd=folder) as server:
        try:
            if not any("http://" in line for line in server.stderr or ()):
                raise SystemExit("engine serve ended before it served")
            yield
        finally:
            server.terminate()


def compare_commands(folder: Path, title: str, rounds: int) -> dict[str, float]:
    """Return the median seconds of a cold `engine search` alone, connected to the nodes, and through a server.

    The first round is left out. The folder holds a cache of its own for the server's socket.
    """
    arguments = ["search", title, "-i", folder.name, "--indexes", str(folder.parent)]
    command = [sys.executable, "-m", "engine", *arguments]
    common = {**os.environ, "PYTHONPATH": str(ROOT)}

    def ask(**variables: str) -> None:
        subprocess.run(command, env={**common, **variables}, stdout=subprocess.DEVNULL, cwd=folder, check=True)

    with tempfile.TemporaryDirectory() as cache, start_server(folder):
        ways: dict[str, Callable[[], object]] = {
            "alone": partial(ask, ENGINE_BACKEND="local"),
            "connected": partial(ask, ENGINE_CACHE=cache),
            "through_server": ask,
        }
        spent = bench.in_turns(ways, rounds + 1)
    return {name: round(statistics.median(seconds[1:]), 2) for name, seconds in spent.items()}


def list_imported(folder: Path, title: str) -> str:
    """Return the modules of a cluster that a search of this machine alone imports."""
    arguments = ["search", title, "-i", folder.name, "--indexes", str(folder.parent)]
    variables = {**os.environ, "PYTHONPATH": str(ROOT), "ENGINE_BACKEND": "local"}
    command = [sys.executable, "-c", IMPORTED, *arguments]
    done = subprocess.run(command, env=variables, capture_output=True, text=True, check=True)
    return done.stderr.splitlines()[-1].strip("[]") or "none"


def copy_index(source: Path, target: Path, address: str) -> None:
    """Copy an index, and let the nodes search it."""
    shutil.copytree(source, target)
    (target / "index.toml").write_text(f'backend = "ray"\n[ray]\naddress = "{address}"\n', encoding="utf-8")


def measure_nodes(cluster: Any, folder: Path, large: Path | None, rounds: int) -> dict[str, Any]:
    """Measure everything that needs nodes; the last part kills one."""
    with open_locally(folder) as here, open_index(folder) as there:
        titles = draw_titles(here, max(SINGLE, BATCH))
        sides = {"local": here, "ray": there}
        for side in sides.values():
            side.ask_batch([Query(title, mode="semantic") for title in titles[:20]])
            side.ask(Query(titles[0]))
        figures: dict[str, Any] = {
            "segments": len(here.manifest.segments),
            "single": compare_questions(sides, titles[:SINGLE]),
            "batch": compare_batches(sides, titles[:BATCH], rounds),
        }
    if large:
        figures["cold_start"] = time_cold_start(cluster, large.resolve(), rounds)
    figures["commands"] = compare_commands(folder, titles[0], rounds)
    figures["killed"] = ask_under_death(cluster, folder, titles[:SINGLE])
    return figures


def list_rows(figures: Mapping[str, Any]) -> list[list[object]]:
    """Return the rows of the table: figure, local, nodes, goal."""
    single, killed, cold, versions = (figures.get(name, {}) for name in ("single", "killed", "cold_start", "versions"))
    commands = figures["commands"]
    values: dict[str, tuple[object, object]] = {
        **{f"{mode} question, p50 ms": (ms["local"], ms["ray"]) for mode, ms in single.items()},
        "200 questions at once, times the rate of local": (1.0, figures["batch"]["ratio"]),
        "node killed: wrong answers": (None, killed["wrong"]),
        "node killed: errors": (None, len(killed["errors"])),
        "node killed: slowest answer, s": (None, killed["slowest_s"]),
        "cold start of a node with the large index, s": (None, cold.get("median_s")),
        "cold search of this machine alone, times the other version": (versions.get("ratio"), None),
        "modules of a cluster that it imports": (figures["imported"], None),
        "cold search of the nodes, connected, s": (commands["alone"], commands["connected"]),
        "cold search of the nodes through a server, s": (commands["alone"], commands["through_server"]),
    }
    return [[name, *values[name], goal] for name, goal in GOALS.items() if any(v is not None for v in values[name])]


def main() -> None:
    parser = bench.options(__doc__, rounds=5)
    parser.add_argument("index", type=Path)
    parser.add_argument("--nodes", type=int, default=3)
    parser.add_argument("--large", type=Path, metavar="INDEX_FOLDER", help="an index that a node opens")
    parser.add_argument("--against", type=Path, metavar="TREE", help="a checkout of another version")
    given = parser.parse_args()
    figures: dict[str, Any] = {"machine": bench.machine(), "nodes": given.nodes}
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch, "index")
        with start_nodes(given.nodes) as cluster:
            copy_index(given.index, folder, cluster.address)
            figures |= measure_nodes(cluster, folder, given.large, given.rounds)
        title = "painful toe after beer and seafood"
        figures["imported"] = list_imported(folder, title)
        if given.against:
            figures["versions"] = compare_versions(folder, given.against, title, given.rounds)
    bench.report(figures, bench.table(["", "local", f"{given.nodes} nodes", "goal"], list_rows(figures)))


if __name__ == "__main__":
    main()
