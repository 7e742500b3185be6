"""Measure what a night moves to the nodes of a cluster, and the memory of `engine scale encode` where all is encoded.

    python scripts/bench_cluster_limits.py CORPUS.jsonl.gz [--texts 1000000] [--changed 200]

The encoder is made up (see scale_encoder). For the night, the corpus is indexed with a folder as object store, then 200
records of it are changed; what was copied into the store, and by the nodes into their cache, is counted. All nodes of
this machine share one cache, so a byte counts once. For the memory, made-up texts are written with a shard for each
500, as an earlier job leaves them, and the job goes on. Prints one line of JSON. Needs the extra [ray].
"""

import argparse
import gzip
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from math import inf
from pathlib import Path
from typing import Any

import numpy as np
import scale_encoder
from cluster_nodes import start_nodes

from engine.encode.models.folder import read_identity
from engine.encode.models.recipe import hash_text
from engine.encode.texts.passages import load_recipe
from engine.index.generations.folder import IndexFolder
from engine.reindex.encoding.shards import Shards

NODES = 3
PER_FILE, PER_SHARD = 100_000, 500
ROW = 4 * scale_encoder.DIM + 8  # bytes of a vector with its id


def run_engine(root: Path, *arguments: str) -> tuple[str, float, int]:
    """Run a command; return what it printed, its seconds, and the most memory that its process had, in MB."""
    begin, memory = time.monotonic(), 0
    given = {**os.environ, "ENGINE_INDEXES": str(root / "indexes")}
    with (root / "output").open("w+") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "engine", *arguments], stdout=output, stderr=output, env=given
        )
        while process.poll() is None:
            memory = max(memory, read_memory(Path("/proc", str(process.pid))))
            time.sleep(0.1)
        output.seek(0)
        printed = output.read()
    if process.returncode:
        raise SystemExit(printed)
    return printed, round(time.monotonic() - begin, 1), memory


def read_memory(process: Path, name: str = "") -> int:
    """Return the most memory that a process had so far, in MB; 0 for one that has ended, or has another name.

    What wait4 tells would be at least the memory of this process, from which the other one begins.
    """
    try:
        lines = dict(line.split(":", 1) for line in (process / "status").read_text().splitlines())
    except OSError:
        return 0
    is_named = lines["Name"].strip().startswith(name)
    return int(lines["VmHWM"].split()[0]) // 1000 if is_named and "VmHWM" in lines else 0


def write_rows(path: Path, rows: list[dict[str, Any]]) -> Path:
    """Write records as JSON lines."""
    path.write_text("".join(f"{json.dumps(row)}\n" for row in rows), encoding="utf-8")
    return path


def write_settings(folder: Path, model: Path, address: str, more: str = "", first: str = "") -> Path:
    """Make the folder of an index on the cluster."""
    folder.mkdir(parents=True)
    (folder / "index.toml").write_text(
        f'model = "{model}"\ndevice = "cpu"\nbackend = "ray"\n{first}[ray]\naddress = "{address}"\n{more}'
    )
    return folder


def list_files(folder: Path) -> dict[Path, tuple[int, int]]:
    """Return size and time of each file below a folder."""
    return {path: (path.stat().st_size, path.stat().st_mtime_ns) for path in folder.rglob("*") if path.is_file()}


def measure_night(
    root: Path, rows: list[dict[str, Any]], changed: int, settings: tuple[Path, str, str]
) -> dict[str, Any]:
    """Index a corpus, then change some of its records; return the bytes that the night moved."""
    model, address, first = settings
    store = root / "store"
    write_settings(root / "indexes" / "night", model, address, f'storage = "file://{store}"\n', first)
    run_engine(root, "index", str(write_rows(root / "all.jsonl", rows)), "-i", "night")
    cache = Path(os.environ["ENGINE_CACHE"], "cluster")
    before = list_files(store), list_files(cache)
    step = len(rows) // changed
    new = [{**row, "title": f"{row['title']} (revised)"} for row in rows[::step][:changed]]
    _, seconds, _ = run_engine(root, "index", str(write_rows(root / "new.jsonl", new)), "-i", "night")
    moved = [
        sum(size for path, (size, at) in list_files(place).items() if known.get(path) != (size, at))
        for place, known in zip((store, cache), before, strict=True)
    ]
    delta = len(new) * ROW
    return {"records": len(rows), "changed": len(new), "delta": delta, "to_store": moved[0], "to_cache": moved[1],
            "times": [round(one / delta, 2) for one in moved], "seconds": seconds}  # fmt: skip


def yield_files(root: Path, n_texts: int) -> Iterator[tuple[Path, list[dict[str, Any]]]]:
    """Yield files of made-up records."""
    for start in range(0, n_texts, PER_FILE):
        rows = [
            {"id": f"m-{n}", "title": f"Text number {n}", "abstract": f"It is about {n % 977} and {n % 331}."}
            for n in range(start, min(start + PER_FILE, n_texts))
        ]
        yield root / f"part-{start:08}.jsonl", rows


def write_shards(folder: IndexFolder, root: Path, n_texts: int) -> list[Path]:
    """Write files of made-up records and the shards that a job leaves of them; return the files."""
    fingerprints = [path.name for path in folder.shards.iterdir() if path.is_dir()]
    exported = next(path for path in folder.path.glob(f"encoders/{fingerprints[0]}*"))
    identity, written = read_identity(exported), []
    recipe = load_recipe(identity, exported)
    shards = Shards(folder.shards / fingerprints[0], identity.dim, inf)
    vectors = np.zeros((PER_SHARD, identity.dim), np.float32)
    vectors[:, 0] = 1.0
    for path, rows in yield_files(root, n_texts):
        written.append(write_rows(path, rows))
        for at in range(0, len(rows), PER_SHARD):
            texts = [text for row in rows[at : at + PER_SHARD] for text in recipe(row["title"], row["abstract"])]
            shards.add([hash_text(text) for text in texts], vectors[: len(texts)], np.full(len(texts), 12), "made up")
            shards.flush()
    return written


def watch_workers(most: list[int], ended: threading.Event) -> None:
    """Note the most memory that a worker has."""
    while not ended.wait(0.5):
        most.extend(read_memory(process, "ray::UnitWorker") for process in Path("/proc").glob("[0-9]*"))


def measure_resume(root: Path, n_texts: int, model: Path, address: str) -> dict[str, Any]:
    """Let a job go on for which nothing is left to encode; return the memory of its process and of its workers."""
    folder = IndexFolder(write_settings(root / "indexes" / "million", model, address))
    one = write_rows(root / "one.jsonl", [{"id": "one", "title": "One text"}])
    _, _, empty = run_engine(root, "scale", "encode", str(one), "-i", "million")
    files = write_shards(folder, root, n_texts)
    most, ended = [0], threading.Event()
    watcher = threading.Thread(target=watch_workers, args=(most, ended))
    watcher.start()
    printed, seconds, memory = run_engine(root, "scale", "encode", *map(str, files), "-i", "million")
    ended.set()
    watcher.join()
    return {"texts": n_texts, "driver_mb": memory, "driver_of_one_text_mb": empty, "worker_mb": max(most),
            "seconds": seconds, "printed": printed.strip().splitlines()[-1:]}  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("corpus", type=Path)
    parser.add_argument("--texts", type=int, default=1_000_000)
    parser.add_argument("--changed", type=int, default=200)
    given = parser.parse_args()
    with gzip.open(given.corpus, "rt", encoding="utf-8") as file:
        rows = [{key: one[key] for key in ("id", "title", "abstract")} for one in map(json.loads, file)]
    figures: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as scratch:
        root = Path(scratch)
        os.environ["ENGINE_CACHE"] = str(root / "cache")
        model = scale_encoder.write_encoder(
            root / "model", scale_encoder.choose_vocabulary(row["abstract"] for row in rows)
        )
        with start_nodes(NODES) as cluster:
            for kind, first in ("night", ""), ("night_as_one_segment", "one_segment_below = 50000\n"):
                place = root / kind
                place.mkdir()
                if given.changed:
                    figures[kind] = measure_night(place, rows, given.changed, (model, cluster.address, first))
                    print(json.dumps(figures), flush=True)
            figures["resume"] = measure_resume(root, given.texts, model, cluster.address)
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
