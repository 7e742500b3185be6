"""Measure reading PubMed XML beside pubmed_parser: records a second and peak memory, on one core each.

    python scripts/bench_collect.py FOLDER [--records 30000] [--rounds 3]

FOLDER holds real PubMed XML, .xml or .xml.gz, in any of its DTDs. Its articles, repeated under new PMIDs, make one
large file in a temporary folder, read as it is and as .gz. Every run is a process of its own, pinned to one core, and
the readers take turns, so that a busy machine slows both. Prints one JSON object, then a table. pubmed_parser reads
only .gz; it is compared there, on the same file.
"""

import argparse
import gzip
import json
import os
import platform
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
from importlib.metadata import PackageNotFoundError, version
from itertools import cycle, islice
from pathlib import Path

from lxml import etree

HEAD = (
    '<?xml version="1.0" encoding="utf-8"?>\n'
    '<!DOCTYPE PubmedArticleSet PUBLIC "-//NLM//DTD PubMedArticle, 1st January 2025//EN" '
    '"https://dtd.nlm.nih.gov/ncbi/pubmed/out/pubmed_250101.dtd">\n<PubmedArticleSet>\n'
)
OWN_PMID = re.compile(r"(<PMID[^>]*>)[0-9]+")
COMPARED = "pubmed_parser"
GET_COMPARED = f"{COMPARED} is not installed, so there is nothing to compare with: pip install pubmed_parser"
# Each reads argv[1] on the core argv[2] and prints: records, seconds, seconds of processor time, peak memory in KiB
# before and after. VmHWM is that of this program; ru_maxrss would begin with what the benchmark itself had in use.
FRAME = """
import os, sys, time
os.sched_setaffinity(0, {{int(sys.argv[2])}})
peak = lambda: next(line.split()[1] for line in open("/proc/self/status") if line.startswith("VmHWM"))
{imports}
before, started, processor = peak(), time.perf_counter(), time.process_time()
n = {count}
print(n, time.perf_counter() - started, time.process_time() - processor, before, peak())
"""
READERS = {
    "engine": FRAME.format(
        imports="from pathlib import Path\nfrom engine.collect.text.stream import open_source\n"
        "from engine.collect.xmlfiles.pubmed import read\nfrom engine.records.abstract import Abstract",
        count="sum(isinstance(e, Abstract) for e in read(open_source(Path(sys.argv[1])), 'bench'))",
    ),
    COMPARED: FRAME.format(
        imports=f"from {COMPARED} import parse_medline_xml", count="sum(1 for _ in parse_medline_xml(sys.argv[1]))"
    ),
}


def articles(folder: Path) -> tuple[list[str], int]:
    """Every article of the folder as XML, and how many were left out: without a Journal, pubmed_parser stops."""
    found, left_out = [], 0
    for path in sorted(folder.glob("*.xml*")):
        raw = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
        root = etree.fromstring(raw, etree.XMLParser(resolve_entities=False, load_dtd=False, no_network=True))
        for citation in root.iter("MedlineCitation"):
            if citation.find("Article/Journal") is None:
                left_out += 1
                continue
            parent = citation.getparent()
            bare = parent is None or parent.tag != "PubmedArticle"
            xml = etree.tostring(citation if bare else parent, encoding="unicode", with_tail=False)
            found.append(f"<PubmedArticle>{xml}</PubmedArticle>" if bare else xml)
    if not found:
        raise SystemExit(f"{folder} holds no PubMed XML: name a folder with .xml or .xml.gz files of PubMed")
    return found, left_out


def write_big(path: Path, pieces: list[str], n_records: int) -> None:
    with path.open("w", encoding="utf-8") as file:
        file.write(HEAD)
        for pmid, piece in enumerate(islice(cycle(pieces), n_records), 1):
            file.write(OWN_PMID.sub(rf"\g<1>{pmid}", piece, count=1) + "\n")
        file.write("</PubmedArticleSet>\n")
    with path.open("rb") as plain, gzip.open(f"{path}.gz", "wb", compresslevel=6) as packed:
        shutil.copyfileobj(plain, packed, 1 << 20)


def run(reader: str, path: Path, core: int) -> dict[str, float]:
    """One reader over one file in a process of its own."""
    done = subprocess.run(
        [sys.executable, "-c", READERS[reader], path, str(core)],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parent.parent)},
    )
    if done.returncode:
        raise SystemExit(f"{reader} failed on {path.name}:\n{done.stderr}")
    n, seconds, processor, before, after = map(float, done.stdout.split())
    rates = {"records": n, "per_s": n / seconds, "per_cpu_s": n / processor}
    return {**rates, "peak_mib": after / 1024, "growth_mib": (after - before) / 1024}


def figures(found: list[dict[str, float]]) -> dict[str, object]:
    """Medians of the rates, the worst of the memory."""
    return {
        "records": int(found[0]["records"]),
        "records_per_s": round(statistics.median(one["per_s"] for one in found)),
        "records_per_s_each": [round(one["per_s"]) for one in found],
        "records_per_cpu_s": round(statistics.median(one["per_cpu_s"] for one in found)),
        "peak_rss_mib": round(max(one["peak_mib"] for one in found), 1),
        "rss_growth_mib": round(max(one["growth_mib"] for one in found), 1),
    }


def installed(library: str) -> str | None:
    try:
        return version(library)
    except PackageNotFoundError:
        return None


def machine() -> dict[str, object]:
    model = next((line for line in Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("model name")), "")
    return {
        "cpu": model.partition(":")[2].strip(),
        "cores": len(os.sched_getaffinity(0)),
        "load_1min": round(os.getloadavg()[0], 2),
        "python": platform.python_version(),
        "versions": {library: installed(library) for library in ("lxml", COMPARED)},
        "libxml2": ".".join(map(str, etree.LIBXML_VERSION)),
    }


def measure(big: Path, rounds: int) -> dict[str, object]:
    """Every reader over every form of the file that it reads, in turns."""
    packed, core = big.with_name(f"{big.name}.gz"), max(os.sched_getaffinity(0))
    turns = {"engine .xml": ("engine", big), "engine .xml.gz": ("engine", packed)}
    if installed(COMPARED):
        turns[f"{COMPARED} .xml.gz"] = (COMPARED, packed)
    spent: dict[str, list[dict[str, float]]] = {name: [] for name in turns}
    for _ in range(rounds):
        for name, (reader, path) in turns.items():
            spent[name].append(run(reader, path, core))
    results: dict[str, object] = {"runs": {name: figures(found) for name, found in spent.items()}}
    if installed(COMPARED):
        pairs = zip(spent["engine .xml.gz"], spent[f"{COMPARED} .xml.gz"], strict=True)
        results["times_as_fast_median"] = round(statistics.median(a["per_s"] / b["per_s"] for a, b in pairs), 2)
    else:
        results["missing"] = GET_COMPARED
    return results


def table(runs: dict[str, dict[str, object]]) -> str:
    columns = ("records", "records_per_s", "records_per_cpu_s", "peak_rss_mib", "rss_growth_mib")
    lines = [f"{'':24}" + "".join(f"{column:>19}" for column in columns)]
    lines += [f"{name:24}" + "".join(f"{run[column]:>19,}" for column in columns) for name, run in runs.items()]
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--records", type=int, default=30_000)
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args()
    pieces, left_out = articles(given.folder)
    with tempfile.TemporaryDirectory() as folder:
        big = Path(folder, "big.xml")
        write_big(big, pieces, given.records)
        content = {
            "different_articles": len(pieces),
            "left_out_without_journal": left_out,
            "mib": round(big.stat().st_size / 2**20),
            "gz_mib": round(big.with_name("big.xml.gz").stat().st_size / 2**20),
        }
        results = measure(big, given.rounds)
    print(json.dumps({"machine": machine(), "file": content, **results}, indent=1))
    print(table(results["runs"]))  # type: ignore[arg-type]
    print(results.get("missing") or f"{results['times_as_fast_median']} times as fast as {COMPARED} on the .gz")


if __name__ == "__main__":
    main()
