"""Measure what a night costs: reruns, plans, and a reindex of a few changed records in a large index.

    python scripts/bench_reindex.py CORPUS [--index FOLDER] [--changed 200] [--rounds 5]

CORPUS is a JSONL file, plain or gzip. FOLDER is an index made from it alone by `engine reindex`; it is copied, never
written to. Without it one is made first, which takes as long as encoding the corpus. Prints one JSON object. Whole
processes are timed; encoding and copying are timed in the same round as the reindex they are compared with, so that a
busy machine slows all of them.
"""

import argparse
import gzip
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from bench_machine import machine

from engine.encode.execution.encoder import encode_checked
from engine.encode.execution.onnx import OnnxEncoder
from engine.encode.models.recipe import prepare_text
from engine.index.generations.folder import IndexFolder

ENGINE = str(Path(sys.executable).with_name("engine"))


def timed(work: Callable[[], object]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def middle(seconds: list[float]) -> dict[str, float]:
    return {
        "median_s": round(statistics.median(seconds), 2),
        "best_s": round(min(seconds), 2),
        "worst_s": round(max(seconds), 2),
    }


def reindex(indexes: Path, *args: str) -> dict[str, object]:
    """Run `engine reindex bench` in a process of its own; what it reports."""
    command = [ENGINE, "reindex", "bench", "--indexes", str(indexes), "--device", "cpu", "--json", *args]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    found: dict[str, object] = json.loads(done.stdout)
    return found


def rows(corpus: Path) -> Iterator[dict[str, object]]:
    with gzip.open(corpus, "rb") if corpus.suffix == ".gz" else corpus.open("rb") as file:
        yield from map(json.loads, file)


def revised(corpus: Path, changed: int) -> list[dict[str, object]]:
    """All rows, a spread of them with another text."""
    found = list(rows(corpus))
    step = max(1, len(found) // changed)
    for row in found[: step * changed : step]:
        row["abstract"] = f"{row.get('abstract') or ''} Revised {time.time_ns()}."
        row["revised"] = True
    return found


def write(path: Path, content: list[dict[str, object]]) -> None:
    with gzip.open(path, "wt", encoding="utf-8", compresslevel=1) as file:
        for row in content:
            file.write(json.dumps({k: v for k, v in row.items() if k != "revised"}, ensure_ascii=False) + "\n")


def plain_copy(folder: IndexFolder, scratch: Path) -> None:
    """Copy the files of the current generation and wait for the disk, as any run must."""
    generation = folder.open_current()
    for path in (path for segment in generation.segments for path in (segment.files.database, segment.files.vectors)):
        with path.open("rb") as old, (scratch / path.name).open("wb") as new:
            shutil.copyfileobj(old, new, 1 << 20)
            new.flush()
            os.fsync(new.fileno())


class Bench:
    """An index in a scratch folder, its one source beside it."""

    def __init__(self, scratch: Path, corpus: Path, index: Path | None) -> None:
        self.corpus = corpus
        self.scratch = scratch
        self.indexes = scratch / "indexes"
        self.inbox = scratch / "inbox"
        self.inbox.mkdir()
        shutil.copy(corpus, self.inbox / "corpus.jsonl.gz" if corpus.suffix == ".gz" else self.inbox / "corpus.jsonl")
        self.folder = IndexFolder(self.indexes / "bench")
        if index:
            shutil.copytree(index, self.folder.path)
            (self.folder.path / "index.toml").unlink(missing_ok=True)
        command = [ENGINE, "init", "bench", str(self.inbox), "--indexes", str(self.indexes)]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        self.first = timed(lambda: reindex(self.indexes))

    def changed_round(self, changed: int, whole: bool) -> dict[str, float]:
        """One reindex of a few changed records, in a file of their own or inside the whole corpus."""
        content = revised(self.corpus, changed)
        fresh = [row for row in content if row.pop("revised", False)]
        write(self.inbox / f"update-{time.time_ns()}.jsonl.gz", content if whole else fresh)
        plan = timed(lambda: reindex(self.indexes, "--dry-run"))
        encoder = OnnxEncoder(next((self.folder.path / "encoders").iterdir()))
        texts = [prepare_text(str(row.get("title") or ""), str(row.get("abstract") or "")) for row in fresh]
        encoding = timed(lambda: encode_checked(encoder, texts))
        copying = timed(lambda: plain_copy(self.folder, self.scratch))
        report: dict[str, object] = {}
        seconds = timed(lambda: report.update(reindex(self.indexes, "--allow-mass-change")))
        counts = report["counts"]
        assert isinstance(counts, dict)
        if (counts["text_changed"], counts["encoded"]) != (changed, changed):
            raise SystemExit(f"expected {changed} changed texts, found {counts}")
        return {
            "reindex_s": round(seconds, 2),
            "encode_s": round(encoding, 2),
            "copy_s": round(copying, 2),
            "ratio": round((seconds - copying) / encoding, 2),
            "dry_run_s": round(plan, 2),
        }


def medians(found: list[dict[str, float]]) -> dict[str, float]:
    return {key: round(statistics.median(row[key] for row in found), 2) for key in found[0]}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("corpus", type=Path)
    parser.add_argument("--index", type=Path)
    parser.add_argument("--changed", type=int, default=200)
    parser.add_argument("--rounds", type=int, default=5)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        bench = Bench(Path(scratch), given.corpus, given.index)
        n = bench.folder.open_current().manifest.counts.abstracts
        unchanged = [timed(lambda: reindex(bench.indexes)) for _ in range(given.rounds)]
        same = [timed(lambda: reindex(bench.indexes, "--dry-run")) for _ in range(given.rounds)]
        empty = Path(scratch, "none")
        subprocess.run([ENGINE, "init", "bench", str(bench.inbox), "--indexes", str(empty)], check=True, stdout=-3)
        fresh = [timed(lambda: reindex(empty, "--dry-run")) for _ in range(given.rounds)]
        small = [bench.changed_round(given.changed, whole=False) for _ in range(given.rounds)]
        large = [bench.changed_round(given.changed, whole=True) for _ in range(given.rounds)]
    result = {
        "machine": machine(),
        "corpus": given.corpus.name,
        "abstracts": n,
        "first_run_s": None if given.index else round(bench.first, 1),
        "unchanged_rerun": middle(unchanged),
        "dry_run_unchanged": middle(same),
        "dry_run_of_a_new_index": middle(fresh),
        f"{given.changed}_changed_in_a_file_of_their_own": medians(small),
        f"{given.changed}_changed_inside_the_whole_corpus": medians(large),
    }
    print(json.dumps(result, indent=1))


if __name__ == "__main__":
    main()
