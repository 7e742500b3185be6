"""Compare an index of one segment with the same index after many small updates.

    python scripts/bench_segments.py INDEX_FOLDER [--updates N] [--records N] [--merge] [--rounds N]

Copies the index, then adds records N times, and all generations are kept. Without --merge, no segment is merged with
others. Prints one line of JSON, then tables: the CPU time of a cold `engine search` in both, taking turns, that of a
question to an open index, and how much disk the kept generations take.
"""

import argparse
import json
import os
import re
import shutil
import statistics
import sys
import tempfile
from pathlib import Path
from typing import Any

import bench_machine as bench
from bench_scale import draw_questions
from scale_usage import measure

NAME, AFTER = "index", "after"  # folders
WARM, ASKED, N_WORDS = 3, 20, 8
NEVER_MERGE = """
import engine.reindex.generation.merges
engine.reindex.generation.merges._FANOUT = 10**6
"""
UPDATE = """
import sys
from engine.cli import main
for path in sys.argv[2:]:
    try:
        main(["index", path, "-i", "after", "--indexes", sys.argv[1]], prog_name="engine")
    except SystemExit as end:
        if end.code:
            raise
"""


def copy_index(source: Path, target: Path) -> None:
    """Copy an index as one that keeps all generations and writes a segment for each update."""
    shutil.copytree(source, target)
    path = target / "index.toml"
    kept = path.read_text(encoding="utf-8") if path.exists() else ""
    kept = re.sub(r"^(one_segment_below|keep_generations)\b.*$", "", kept, flags=re.MULTILINE)
    path.write_text(f"one_segment_below = 1\nkeep_generations = 1000\n{kept}", encoding="utf-8")


def make_records(update: int, n: int) -> list[dict[str, str]]:
    """Return n records that no other update adds."""
    return [
        {
            "record_id": f"segment:{update}:{i}",
            "title": f"Added record {i} of update {update}",
            "abstract": "It has a short abstract.",
        }
        for i in range(n)
    ]


def update(indexes: Path, n: int, n_records: int, *, merge: bool) -> None:
    """Add records n times.

    Raises:
        SystemExit: an update failed.
    """
    files = [indexes / f"{i}.jsonl" for i in range(n)]
    for i, file in enumerate(files):
        lines = (json.dumps(record) + "\n" for record in make_records(i, n_records))
        file.write_text("".join(lines), encoding="utf-8")
    program = UPDATE if merge else NEVER_MERGE + UPDATE
    command = [sys.executable, "-c", program, str(indexes), *map(str, files)]
    if os.spawnv(os.P_WAIT, sys.executable, command):
        raise SystemExit("an update failed")


def count_bytes(folders: list[Path]) -> int:
    """Return the bytes of all files below some folders, those with several names once."""
    found = {}
    for folder in folders:
        for path in folder.rglob("*"):
            if path.is_file():
                status = path.stat()
                found[status.st_ino] = status.st_size
    return sum(found.values())


def compare(indexes: Path, rounds: int) -> dict[str, Any]:
    """Measure both indexes, taking turns."""
    texts = draw_questions(["loss of effect after switching biologic treatment in arthritis patients"], N_WORDS, 1)
    cold: dict[str, list[float]] = {NAME: [], AFTER: []}
    asked: dict[str, dict[str, list[float]]] = {
        mode: {NAME: [], AFTER: []} for mode in ("semantic", "keyword", "hybrid")
    }
    environment = {"PYTHONPATH": str(Path(__file__).parents[1])}
    for round_ in range(rounds + 1):  # the first one is left out: it hashes all files
        for name in (NAME, AFTER):
            usage = measure(["search", texts[0], "-i", name, "--indexes", str(indexes)], environment)
            cold[name] += [usage.cpu_s] if round_ else []
            for mode, found in asked.items():
                question = {"index": str(indexes / name), "method": "search", "options": {"mode": mode}, "warm": WARM}
                path = indexes / "asked.json"
                path.write_text(json.dumps({**question, "questions": [[texts[0], {}]] * (WARM + ASKED)}))
                found[name].append(measure([str(path)], environment, "ask").question["cpu_ms"])
    return {
        "cold search, CPU s": {name: statistics.median(values) for name, values in cold.items()},
        **{
            f"{mode} question, CPU ms": {name: statistics.median(values) for name, values in found.items()}
            for mode, found in asked.items()
        },
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("index", type=Path)
    parser.add_argument("--updates", type=int, default=29)
    parser.add_argument("--records", type=int, default=1)
    parser.add_argument("--merge", action="store_true")
    parser.add_argument("--rounds", type=int, default=7)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        indexes = Path(scratch)
        copy_index(given.index, indexes / NAME)
        copy_index(given.index, indexes / AFTER)
        update(indexes, given.updates, given.records, merge=given.merge)
        sizes = {
            name: count_bytes([indexes / name / "segments", indexes / name / "generations"]) for name in (NAME, AFTER)
        }
        n_segments = {name: len(list((indexes / name / "segments").iterdir())) for name in (NAME, AFTER)}
        figures = {"machine": bench.machine(), "segments": n_segments, "bytes": sizes, **compare(indexes, given.rounds)}
    rows = [
        [title, found[NAME], found[AFTER], round(found[AFTER] / found[NAME], 2)]
        for title, found in figures.items()
        if title != "machine"
    ]
    bench.report(figures, bench.table(["", "Before", f"After {given.updates} updates", "Ratio"], rows))


if __name__ == "__main__":
    main()
