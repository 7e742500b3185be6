"""Measure what `engine scale encode` costs beside the encoder alone: a node of one core, a process of one core.

    python scripts/bench_cluster_encode.py INDEX_FOLDER [--texts 500] [--rounds 3]

Both encode the texts of the first records of an index, in turns. A second run of the job, for which nothing is left
to encode, is subtracted from the first: the start of the worker. Prints one line of JSON, then a table. Needs the
extra [ray].
"""

import json
import shutil
import statistics
import tempfile
from collections.abc import Callable
from itertools import islice
from pathlib import Path
from typing import Any

import bench_machine as bench
from cluster_nodes import start_nodes

from engine.config import Settings
from engine.encode.execution.encoder import encode_checked
from engine.encode.models.folder import read_identity
from engine.encode.texts.passages import load_recipe
from engine.index.generations.folder import IndexFolder
from engine.progress import Progress
from engine.query.index import open_index
from engine.records.abstract import Abstract
from engine.reindex.intake.sources import Source
from engine.scale.encoding.job import encode_sources
from engine.scale.encoding.nodeencoder import NodeSetup, open_node_encoder


def silent(*_: Any) -> None:
    """Report no progress."""


def write_records(records: list[Abstract], path: Path) -> None:
    """Write the texts of records as JSON lines."""
    lines = [json.dumps({"id": one.record_id, "title": one.title, "abstract": one.abstract}) for one in records]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


def time_job(folder: IndexFolder, file: Path, progress: Progress) -> float:
    """Return the seconds that a job takes, less those of the same job with nothing left to encode."""
    shutil.rmtree(folder.shards, ignore_errors=True)
    settings = Settings.load(folder.path)

    def run() -> None:
        encode_sources(folder, settings, [Source(file, None)], progress)

    return bench.timed(run) - bench.timed(run)


def time_bare(setup: NodeSetup, records: list[Abstract]) -> float:
    """Return the seconds that the encoder of a node takes for the same texts in this process."""
    encoder, recipe = open_node_encoder(setup), load_recipe(setup.identity, Path(setup.folder))

    def run() -> None:
        texts = [text for one in records for text in recipe(one.title, one.abstract)]
        for at in range(0, len(texts), encoder.page):
            encode_checked(encoder, texts[at : at + encoder.page])

    seconds = bench.timed(run)
    encoder.close()
    return seconds


def main() -> None:
    parser = bench.options(__doc__, rounds=3)
    parser.add_argument("index", type=Path)
    parser.add_argument("--texts", type=int, default=500)
    given = parser.parse_args()
    figures: dict[str, Any] = {"machine": bench.machine(), "records": given.texts}
    with open_index(given.index) as index:
        records = list(islice(index.abstracts(), given.texts))
        fingerprint = index.manifest.encoder.fingerprint
    with tempfile.TemporaryDirectory() as scratch, start_nodes(1) as cluster:
        folder, file = IndexFolder(Path(scratch, "indexes", "copy")), Path(scratch, "records.jsonl")
        write_records(records, file)
        shutil.copytree(IndexFolder(given.index).get_encoder_path(fingerprint), folder.get_encoder_path(fingerprint))
        (folder.path / "index.toml").write_text(f'backend = "ray"\n[ray]\naddress = "{cluster.address}"\n')
        exported = folder.get_encoder_path(fingerprint)
        setup = NodeSetup(str(exported), read_identity(exported))
        ways: dict[str, Callable[[], float]] = {
            "bare": lambda: time_bare(setup, records),
            "job": lambda: time_job(folder, file, silent),
        }
        seconds: dict[str, list[float]] = {name: [] for name in ways}
        for _ in range(given.rounds):
            for name, way in ways.items():
                seconds[name].append(way())
    medians = {name: statistics.median(found) for name, found in seconds.items()}
    figures |= {"seconds": seconds, "ratio": medians["job"] / medians["bare"]}
    rows = [["encoding, s, median", medians["bare"], medians["job"], "1.1 times at most"]]
    bench.report(figures, bench.table(["", "the encoder alone", "engine scale encode", "goal"], rows))


if __name__ == "__main__":
    main()
