"""Measure what fetching records, answering saved questions and backing up an index cost.

    python scripts/bench_upkeep.py INDEX_FOLDER [--questions 100] [--records 25000] [--rounds 3]

Works on a copy of the index. Records are fetched from a small PubMed on this machine, which refuses more requests a
second than PubMed allows. Prints one line of JSON, then tables.
"""

import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any

import bench_machine as bench

from engine import open_index
from engine.records.abstract import Abstract

ROOT = Path(__file__).resolve().parent.parent
N_NEW = 100  # records that are new for the questions in each round
RATES = {"": 3, "0" * 36: 10}  # API key -> requests a second that PubMed allows
LEAST_SHARE, MOST_SECONDS, MOST_RATIO = 0.9, 5.0, 1.4
# What a user would type: the copy is on the disk, and can be checked.
COPY = 'cp -r "$0" "$1" && sync && find "$1" -type f -exec sha256sum {} + > "$1.sums"'


def run(*words: str) -> None:
    """Run an engine command; RuntimeError with what it said if it fails."""
    done = subprocess.run(bench.command(*words), capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(done.stderr.strip().splitlines()[-1])


def measure_fetch(n: int, key: str, folder: Path) -> dict[str, Any]:
    """Fetch n records, and return what it took, beside the rate that is allowed."""
    service, rate = import_module("tests.collect.fetch.literature"), RATES[key]
    with service.serve_library(service.Library(rate=rate)) as library:
        library.add(*(service.Paper(pmid, title="Gout in adults") for pmid in range(1, n + 1)))
        target = folder / f"{rate}.xml.gz"
        words = bench.command("fetch", "pubmed", "gout", "-o", str(target), "--base-url", library.url)
        environment, quiet = os.environ | {"NCBI_API_KEY": key}, subprocess.DEVNULL
        with subprocess.Popen(words, env=environment, stdout=quiet, stderr=quiet) as process:
            _, status, usage = os.wait4(process.pid, 0)
            process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            raise RuntimeError(f"engine fetch ended with {process.returncode}")
        seconds = library.times[-1] - library.times[0]
        share = (len(library.times) - 1) / seconds / rate
    return {
        "allowed_per_s": rate,
        "records": n,
        "requests": len(library.times),
        "seconds": round(seconds, 1),
        "share": round(share, 3),
        "peak_mib": round(usage.ru_maxrss / 1024),
    }


def save_questions(records: list[Abstract], folder: Path) -> None:
    """Save a question for each record: its title, or two words of it as a Boolean search, in turn."""
    lines = []
    for number, record in enumerate(records):
        words = sorted({word for word in record.title.split() if word.isalpha()}, key=len)[-2:]
        text = record.title if number % 2 or len(words) < 2 else f"{words[0]}[tiab] AND {words[1]}[tiab]"
        lines.append(f'\n[[watch]]\nname = "q{number}"\nquestion = {json.dumps(text)}\n')
    with (folder / "index.toml").open("a", encoding="utf-8") as file:
        file.write("".join(lines))


def add_records(records: list[Abstract], turn: int, here: tuple[str, ...], scratch: Path) -> None:
    """Add copies of the records, under ids and titles that are new."""
    source = scratch / f"new-{turn}.jsonl"
    rows = (
        {"id": f"new-{turn}-{number}", "title": f"{record.title} ({turn})", "abstract": record.abstract}
        for number, record in enumerate(records)
    )
    source.write_text("".join(f"{json.dumps(row)}\n" for row in rows), encoding="utf-8")
    run("index", str(source), *here)


def measure_watch(folder: Path, n: int, rounds: int, scratch: Path) -> dict[str, Any]:
    """Answer n saved questions on new records, round by round, and once more with nothing new."""
    indexes = scratch / "indexes"
    copy = Path(shutil.copytree(folder, indexes / "bench"))
    here = ("-i", "bench", "--indexes", str(indexes))
    with open_index(copy, follow=False) as index:
        total = len(index)
        records = bench.spread_over([record for record in index.abstracts() if record.title], max(n, N_NEW))
    save_questions(records[:n], copy)
    run("watch", "run", *here)
    spent: dict[str, list[float]] = {"new": [], "idle": [], "start": []}
    for turn in range(rounds):
        add_records(records[:N_NEW], turn, here, scratch)
        spent["new"].append(bench.timed(partial(run, "watch", "run", *here)))
        spent["idle"].append(bench.timed(partial(run, "watch", "run", *here)))
        spent["start"].append(bench.timed(partial(run, "watch", "list", *here)))
    beside = [new - start for new, start in zip(spent["new"], spent["start"], strict=True)]
    times = {name: bench.spread(seconds) for name, seconds in spent.items()}
    return {"abstracts": total, "questions": n, **times, "beside_start_s": round(statistics.median(beside), 2)}


def measure_backup(folder: Path, rounds: int, scratch: Path) -> dict[str, Any]:
    """Back the index up to a folder and to a tar file, and copy it by hand, in turns."""
    here = ("-i", folder.name, "--indexes", str(folder.parent))
    target = scratch / "copy"

    def back_up(path: Path) -> None:
        run("backup", *here, "-o", str(path))
        path.unlink() if path.suffix else shutil.rmtree(path)

    def copy() -> None:
        subprocess.run(["sh", "-c", COPY, str(folder), str(target)], check=True)
        shutil.rmtree(target)

    ways: dict[str, Callable[[], object]] = {
        "folder": partial(back_up, target),
        "tar": partial(back_up, scratch / "copy.tar"),
        "by hand": copy,
    }
    spent = bench.in_turns(ways, rounds)
    size = sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())
    ratios = {name: round(1 / bench.times_as_fast(spent[name], spent["by hand"]), 2) for name in ("folder", "tar")}
    return {"mb": round(size / 1e6), **{name: bench.spread(each) for name, each in spent.items()}, "ratios": ratios}


def list_rows(figures: dict[str, Any]) -> list[list[object]]:
    """Return the rows of the table."""
    rows: list[list[object]] = [
        [
            f"fetch: {each['records']:,} records, {each['allowed_per_s']} requests a second allowed",
            f"{each['seconds']} s, {each['share']:.0%} of the rate, {each['peak_mib']} MiB",
            f"≥ {LEAST_SHARE:.0%} of the rate",
        ]
        for each in figures["fetch"]
    ]
    watch, backup = figures["watch"], figures["backup"]
    rows.append(
        [
            f"watch: {watch['questions']} questions, {N_NEW} new of {watch['abstracts']:,} records",
            f"{watch['beside_start_s']} s beside the start; {watch['idle']['median_s']:.2f} s in all with nothing new",
            f"≤ {MOST_SECONDS:g} s",
        ]
    )
    for name, ratio in backup["ratios"].items():
        seconds, by_hand = backup[name]["median_s"], backup["by hand"]["median_s"]
        rows.append(
            [
                f"backup to a {name}, {backup['mb']} MB",
                f"{seconds:.2f} s, {ratio} × cp, sync and sha256sum ({by_hand:.2f} s)",
                f"≤ {MOST_RATIO} ×",
            ]
        )
    return rows


def main() -> None:
    parser = bench.options(__doc__, rounds=3)
    parser.add_argument("folder", type=Path, help="folder of an index")
    parser.add_argument("--questions", type=int, default=100, help="number of saved questions")
    parser.add_argument("--records", type=int, default=25_000, help="number of records to fetch")
    given = parser.parse_args()
    sys.path.insert(0, str(ROOT))
    machine, folder = bench.machine(), given.folder.resolve()
    with tempfile.TemporaryDirectory(dir=folder.parent.parent) as name:
        scratch = Path(name)
        figures = {
            "machine": machine,
            "fetch": [measure_fetch(given.records, key, scratch) for key in RATES],
            "watch": measure_watch(folder, given.questions, given.rounds, scratch),
            "backup": measure_backup(folder, given.rounds, scratch),
        }
    bench.report(figures, bench.table(("what", "measured", "goal"), list_rows(figures)))


if __name__ == "__main__":
    main()
