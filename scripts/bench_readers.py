"""Measure reading of every format: records a second on one core, beside another version of the engine if one is named.

    python scripts/bench_readers.py FOLDER [--rounds 5] [--against TREE]

FOLDER holds source files of any formats, also in subfolders; the engine detects them, and files that it refuses are
left out. The files of a format are read again and again for --seconds of processor time, in a process of its own. With
--against, a checkout of another version takes turns with this one, and the ratio is the median of the rounds' ratios.
Prints one line of JSON, then a table.
"""

import os
import statistics
import subprocess
import sys
from collections import defaultdict
from pathlib import Path
from typing import Any

import bench_machine as bench

from engine.collect.source import check_source
from engine.errors import EngineError

ROOT = Path(__file__).parents[1]
# Reads the files in argv[2:] for argv[1] seconds and prints records and seconds of processor time; first once without
# counting, to warm up.
READER = """
import sys, time
from pathlib import Path
from engine.collect.source import read_source
from engine.records.abstract import Abstract
paths = [Path(path) for path in sys.argv[2:]]
read = lambda: sum(isinstance(entry, Abstract) for path in paths for entry in read_source(path))
read()
n, started = 0, time.process_time()
while time.process_time() - started < float(sys.argv[1]):
    n += read()
print(n, time.process_time() - started)
"""


def group_files(folder: Path) -> dict[str, list[Path]]:
    """Return the readable files of a folder by format."""
    files: dict[str, list[Path]] = defaultdict(list)
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        try:
            files[check_source(path).name].append(path)
        except EngineError:
            continue
    return files


def rate(tree: Path, paths: list[Path], seconds: float) -> float | None:
    """Return the records a second of one version of the engine; None if it can't read a file."""
    done = subprocess.run(
        [sys.executable, "-c", READER, str(seconds), *map(str, paths)],
        capture_output=True,
        text=True,
        check=False,
        cwd=tree,
        env={**os.environ, "PYTHONPATH": str(tree)},
    )
    if done.returncode:
        return None
    n, spent = map(float, done.stdout.split())
    return n / spent


def measure(paths: list[Path], trees: list[Path], rounds: int, seconds: float) -> dict[str, Any]:
    """Return the median rates of all versions for the files of one format."""
    good = [path for path in paths if rate(ROOT, [path], 0.0) is not None]
    rates = [[rate(tree, good, seconds) for tree in trees] for _ in range(rounds)]
    medians = [None if None in each else round(statistics.median(each)) for each in zip(*rates, strict=True)]
    found: dict[str, Any] = {"files": len(good), "records_per_s": medians[0]}
    if len(trees) > 1:
        ratios = [ours / theirs for ours, theirs in rates if ours and theirs]
        found |= {"against_per_s": medians[1], "ratio": round(statistics.median(ratios), 2) if ratios else None}
    return found


def main() -> None:
    parser = bench.options(__doc__, rounds=5)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--seconds", type=float, default=1.0)
    parser.add_argument("--against", type=Path, metavar="TREE", help="a checkout of another version")
    given = parser.parse_args()
    machine, trees = bench.machine(), [ROOT, *([given.against.resolve()] if given.against else [])]
    files = group_files(given.folder.resolve())
    found = {name: measure(paths, trees, given.rounds, given.seconds) for name, paths in sorted(files.items())}
    head = ("format", *next(iter(found.values()), {}))
    bench.report(
        {"machine": machine, "readers": found}, bench.table(head, [[n, *r.values()] for n, r in found.items()])
    )


if __name__ == "__main__":
    main()
