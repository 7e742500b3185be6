"""Measure how the cost of everything an index does grows with the number of its records.

    python scripts/bench_scale.py N… [--source FILE…] [--nights K] [--engine TREE] [--keep DIR]
                                     [--with FILE…] [--plot FILE]

For each N, a corpus of N records is made of the sentences of the sources (by default the bundled sample) and indexed
with an encoder that has no layers, so that encoding costs next to nothing. Then a night comes: an update file of PubMed
with 100 changed records, 100 new ones and 20 deletions. Each operation runs in a process of its own. Prints one line of
JSON, then tables with the exponent of the growth between the sizes.

--engine measures another checkout. --keep keeps the corpus and the first index in DIR and uses them again. --with adds
the sizes that an earlier run printed, as long as it measured the same engine; runs of other engines are drawn by --plot
beside it.
"""

import argparse
import json
import random
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import bench_machine as bench
import scale_corpus
from scale_bytes import add_tables, count_by_kind, count_bytes, list_files
from scale_encoder import choose_vocabulary, write_encoder
from scale_usage import Usage, fit_exponent, measure

ROOT = Path(__file__).parents[1]
SAMPLE = (bench.SAMPLE, bench.SAMPLE.with_name("pubmed.xml"))
NAME = "scale"
SETTLED = 2.5  # seconds after which the engine trusts the time stamps of a file
WARM, ASKED = 3, 20  # questions before and while it is measured
COLD = 3  # processes of a cold search
_WORD = re.compile(r"[a-z]{3,}")
_OPERATORS = {"and", "not"}
COUNTERS = {  # of the tables of operations: title and divisor
    "cpu_s": ("CPU seconds", 1.0),
    "read": ("MB read", 1e6),
    "written": ("MB written", 1e6),
    "written_disk": ("MB of pages written", 1e6),
    "anonymous": ("MB of anonymous memory at the peak", 1e6),
}
QUESTIONS: dict[str, tuple[str, int, dict[str, Any]]] = {  # method, words, options
    "semantic, 8 words": ("search", 8, {"mode": "semantic"}),
    "keyword, 3 words": ("search", 3, {"mode": "keyword"}),
    "keyword, 8 words": ("search", 8, {"mode": "keyword"}),
    "keyword, 20 words": ("search", 20, {"mode": "keyword"}),
    "hybrid, 8 words": ("search", 8, {"mode": "hybrid"}),
    "new broad filter, year ≥ 2000": ("search", 8, {"mode": "semantic"}),
    "new since the last night": ("new", 8, {"since": "last night"}),
}
PLOTTED = (
    ("night: CPU s", "operations", "night", "cpu_s", 1.0),
    ("night: MB read", "operations", "night", "read", 1e6),
    ("night: MB written", "operations", "night", "written", 1e6),
    ("8 words: CPU ms", "questions", "keyword, 8 words", "cpu_ms", 1.0),
)
Figures = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Plan:
    """What is measured."""

    engine: Path
    pool: scale_corpus.Pool
    nights: int
    settings: tuple[str, ...]  # lines of index.toml
    keep: Path | None


@dataclass
class Scale:
    """One size: its files, and the operations on its index."""

    plan: Plan
    n: int
    work: Path
    inbox: Path = field(init=False)
    indexes: Path = field(init=False)
    built: Path = field(init=False)
    environment: dict[str, str] = field(init=False)

    def __post_init__(self) -> None:
        self.inbox, self.indexes = self.work / "inbox", self.work / "indexes"
        self.built = self.work / f"built-{name_engine(self.plan.engine)}"
        self.inbox.mkdir(parents=True, exist_ok=True)
        self.environment = {"PYTHONPATH": str(self.plan.engine), "ENGINE_CACHE": str(self.work / "cache")}

    @property
    def index(self) -> Path:
        """Folder of the index."""
        return self.indexes / NAME

    def make_corpus(self) -> None:
        """Write baseline files and encoder, unless they are there; remove update files of an earlier run."""
        baseline = {scale_corpus.name_file(i) for i in range(-(-self.n // scale_corpus.PER_FILE))}
        for path in self.inbox.iterdir():
            if path.name not in baseline:
                path.unlink()
        if {path.name for path in self.inbox.iterdir()} != baseline:
            for path in scale_corpus.write_baseline(self.inbox, self.plan.pool, self.n):
                tell(f"{path.name} written")
        if not (self.work / "model" / "modules.json").exists():
            write_encoder(self.work / "model", choose_vocabulary(self.plan.pool.sentences))

    def run(self, *arguments: str) -> Usage:
        """Run a command of the engine on the index."""
        return measure([*arguments, "--indexes", str(self.indexes)], self.environment)

    def reindex(self, *options: str) -> Usage:
        """Run `engine reindex`."""
        return self.run("reindex", NAME, *options)

    def first_build(self) -> Figures:
        """Make the first index, or take the one that an earlier run kept; return what it took."""
        shutil.rmtree(self.indexes, ignore_errors=True)
        note = self.built / "build.json"
        if not note.exists():
            self.run("init", NAME, str(self.inbox))
            configure(self.index / "index.toml", self.work / "model", self.plan.settings)
            usage = self.reindex().show()
            tell(f"{self.n:,}: first build, {usage['wall_s']:,.0f} s")
            if self.plan.keep:
                shutil.rmtree(self.built, ignore_errors=True)
                shutil.copytree(self.indexes, self.built / "indexes")
            self.built.mkdir(exist_ok=True)
            note.write_text(json.dumps(usage))
        else:
            shutil.copytree(self.built / "indexes", self.indexes)
        found: Figures = json.loads(note.read_text())
        return found

    def update(self, night: int) -> Path:
        """Put the update file of a night into the inbox."""
        return scale_corpus.write_update(self.inbox, self.plan.pool, self.n, night)

    def ask(
        self, method: str = "search", options: Mapping[str, Any] | None = None, questions: Sequence[Any] = ()
    ) -> Usage:
        """Open the index in a process of its own and ask the questions: (text, filters) each."""
        asked = {"index": str(self.index), "method": method, "options": options or {}, "warm": WARM}
        path = self.work / "asked.json"
        path.write_text(json.dumps({**asked, "questions": list(questions)}))
        return measure([str(path)], self.environment, "ask")

    def ask_named(self, name: str) -> Usage:
        """Ask the questions of QUESTIONS with this name."""
        method, n_words, options = QUESTIONS[name]
        texts = draw_questions(self.plan.pool.sentences, n_words, WARM + ASKED)
        # The same records each time, but a filter that the index has not seen before.
        filters: list[dict[str, Any]] = [
            {"years": [f"2000-{2100 + place}"]} if "filter" in name else {} for place in range(len(texts))
        ]
        return self.ask(method, options, list(zip(texts, filters, strict=True)))

    def cold_search(self) -> Usage:
        """Run `engine search` a few times; return the one of median CPU time. The first one hashes the encoder."""
        runs = [self.run("search", "loss of effect after switching", "-i", NAME) for _ in range(1 + COLD)]
        return sorted(runs[1:], key=lambda usage: usage.cpu_s)[COLD // 2]

    def measure(self) -> Figures:
        """Measure everything in order; the index ends one generation back."""
        scale_corpus.choose_met(self.n, self.plan.nights)  # refuses too many nights before the long work
        self.make_corpus()
        operations: Figures = {"first build": self.first_build()}
        files = list_files([self.index])
        sizes = {"folder": count_bytes(self.index), "kinds": count_by_kind(files), **add_tables(files)}
        self.settle()
        nights: list[Figures] = []
        questions: Figures = {}
        for name, operation in self.list_operations(nights):
            started = time.monotonic()
            operations[name] = operation().show()
            tell(f"{self.n:,}: {name}, {time.monotonic() - started:.1f} s")
        for name in QUESTIONS:
            questions[name] = self.ask_named(name).show()["question"]
            tell(f"{self.n:,}: {name}")
        sizes["folder_after_nights"] = count_bytes(self.index)
        operations["rollback"] = self.run("rollback", "-i", NAME).show()
        shutil.rmtree(self.indexes)
        return {"operations": operations, "nights": nights, "questions": questions, "bytes": sizes}

    def settle(self) -> Usage:
        """Wait until the files of the index are old enough, and open it: the first opening hashes them."""
        time.sleep(SETTLED)
        return self.ask()

    def list_operations(self, nights: list[Figures]) -> Iterator[tuple[str, Callable[[], Usage]]]:
        """Yield the operations between the first build and the questions; append what each night used."""
        yield "start of a process only", lambda: measure(["--version"], self.environment)
        self.update(0)
        yield "dry run", partial(self.reindex, "--dry-run", "--allow-mass-change")
        yield "night", partial(self.night, nights, 0)
        for night in range(1, self.plan.nights):
            yield f"night {night + 1}", partial(self.night, nights, night)
        path = self.update(self.plan.nights)
        yield "night by engine index", lambda: self.run("index", str(path), "-i", NAME)
        yield "open after publish", self.settle
        yield "unchanged run", self.reindex
        yield "verify", partial(self.run, "verify", "-i", NAME)
        yield "cold engine search", self.cold_search

    def night(self, nights: list[Figures], number: int) -> Usage:
        """Reindex with the update file of a night."""
        self.update(number)
        usage = self.reindex("--allow-mass-change")
        nights.append(usage.show())
        return usage


def tell(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def configure(path: Path, model: Path, settings: Sequence[str]) -> None:
    """Put settings at the top of an index.toml. At fp32 no other way to encode is tried, which would cost seconds."""
    lines = [f'model = "{model}"', 'device = "cpu"', 'precision = "fp32"', *settings]
    path.write_text("\n".join([*lines, path.read_text()]))


def draw_questions(sentences: Sequence[str], n_words: int, n: int) -> list[str]:
    """Return n questions of so many words that follow each other in the sentences; the same ones each time."""
    rng = random.Random(n_words)
    questions = []
    for _ in range(n):
        words: list[str] = []
        while len(words) < n_words:
            words += [word for word in _WORD.findall(rng.choice(sentences).lower()) if word not in _OPERATORS]
        questions.append(" ".join(words[:n_words]))
    return questions


def name_engine(tree: Path) -> str:
    """Return the commit of a checkout, with + where files were changed since; the name of the folder without Git."""
    ask = ["git", "-C", str(tree), "describe", "--always", "--exclude=*", "--dirty=+"]
    done = subprocess.run(ask, capture_output=True, text=True, check=False)
    return done.stdout.strip() or tree.name


def read_figures(path: Path) -> Figures:
    """Return the figures that an earlier run printed, from a file that begins with them."""
    found: Figures = json.JSONDecoder().raw_decode(path.read_text(encoding="utf-8"))[0]
    return found


def list_tables(sizes: Mapping[str, Figures]) -> list[str]:
    """Return the tables of all figures, each with the exponent of the growth."""
    tables = [
        f"{title}:\n\n{grow_table('Operation', sizes, partial(list_counter, counter=name), divisor)}"
        for name, (title, divisor) in COUNTERS.items()
    ]
    tables.append(f"Median CPU ms of a question:\n\n{grow_table('Question', sizes, list_questions)}")
    largest = max(sizes, key=int)
    tables += [
        f"Phases of the {name}, {int(largest):,} records:\n\n{phase_table(sizes, name)}"
        for name in ("first build", "night")
    ]
    tables.append(f"Bytes a record:\n\n{grow_table('Part', sizes, list_bytes)}")
    if any(len(found["nights"]) > 1 for found in sizes.values()):
        tables.append(f"All nights:\n\n{nights_table(sizes)}")
    return tables


def list_counter(n: int, found: Figures, counter: str) -> dict[str, float]:
    """Return one counter of every operation but later nights."""
    return {name: usage[counter] for name, usage in found["operations"].items() if not re.match(r"night \d", name)}


def list_questions(n: int, found: Figures) -> dict[str, float]:
    """Return the CPU ms of every question."""
    return {name: question["cpu_ms"] for name, question in found["questions"].items()}


def list_bytes(n: int, found: Figures) -> dict[str, float]:
    """Return bytes a record by table, of free pages, of other files by kind, and of the whole folder."""
    sizes = found["bytes"]
    parts = {f"table {name}": size for name, size in sizes["tables"].items()}
    parts |= {"free pages": sizes["free_pages"], "unused in pages": sizes["unused_in_pages"]}
    parts |= {name: size for name, size in sizes["kinds"].items() if size > 64 * 1024}
    parts |= {"whole folder": sizes["folder"], "whole folder after the nights": sizes["folder_after_nights"]}
    return {name: size / n for name, size in parts.items()}


def grow_table(
    head: str, sizes: Mapping[str, Figures], choose: Callable[[int, Figures], dict[str, float]], divisor: float = 1.0
) -> str:
    """Return a table with a column a size and the exponent of the growth; the rows are those of the largest size."""
    columns = {int(n): choose(int(n), found) for n, found in sorted(sizes.items(), key=lambda item: int(item[0]))}
    rows = []
    for name in columns[max(columns)]:
        points = [(n, found[name]) for n, found in columns.items() if name in found]
        values = {n: format_number(value / divisor) for n, value in points}
        rows.append([name, *(values.get(n) for n in columns), fit_exponent(points)])
    return bench.table([head, *(f"{n:,}" for n in columns), "exponent"], rows)


def phase_table(sizes: Mapping[str, Figures], operation: str) -> str:
    """Return each phase of an operation at the largest size: its counters, each with the exponent of its growth."""
    columns = {int(n): found["operations"][operation]["phases"] for n, found in sizes.items()}
    rows = []
    for phase, counters in columns[max(columns)].items():
        row: list[object] = [phase]
        for name, (_, divisor) in COUNTERS.items():
            points = [(n, phases[phase][name]) for n, phases in columns.items() if phase in phases]
            row += [format_number(counters[name] / divisor), fit_exponent(points)]
        rows.append(row)
    head = [title for name, _ in COUNTERS.values() for title in (name, "exponent")]
    return bench.table(["Phase", *head], rows)


def nights_table(sizes: Mapping[str, Figures]) -> str:
    """Return sums and medians over the nights of each size."""
    rows = []
    for n, found in sorted(sizes.items(), key=lambda item: int(item[0])):
        nights = found["nights"]
        row: list[object] = [f"{int(n):,}", len(nights)]
        for name in ("cpu_s", "read", "written"):
            values = [night[name] / COUNTERS[name][1] for night in nights]
            row += [format_number(sum(values)), format_number(statistics.median(values)), format_number(max(values))]
        rows.append(row)
    head = [
        f"{COUNTERS[name][0]}, {kind}" for name in ("cpu_s", "read", "written") for kind in ("sum", "median", "most")
    ]
    return bench.table(["Records", "Nights", *head], rows)


def format_number(value: float) -> str:
    """Return a number with three digits that count."""
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def draw(path: Path, runs: Sequence[Figures]) -> None:
    """Draw costs against size, a line an engine."""
    panels = {
        title: {
            run["engine"]: sorted((int(n), found[group][name][counter] / divisor) for n, found in run["sizes"].items())
            for run in runs
        }
        for title, group, name, counter, divisor in PLOTTED
    }
    bench.plot(path, panels, "records", "", log_x=10, share_y=False)


def parse(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sizes", type=int, nargs="*", metavar="N", help="records of an index")
    parser.add_argument("--source", type=Path, nargs="+", default=SAMPLE, metavar="FILE", help="any source files")
    parser.add_argument("--nights", type=int, default=1, metavar="K")
    parser.add_argument("--engine", type=Path, default=ROOT, metavar="TREE", help="a checkout of another version")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="a line of index.toml")
    parser.add_argument("--keep", type=Path, metavar="DIR")
    parser.add_argument("--with", type=Path, nargs="+", default=[], metavar="FILE", dest="others")
    parser.add_argument("--plot", type=Path, metavar="FILE")
    given = parser.parse_args(arguments)
    if not given.sizes and not given.others:
        parser.error("name at least one size N, or figures to show: --with FILE")
    return given


def run_sizes(given: argparse.Namespace) -> Figures:
    """Return the figures of all sizes, the smallest first."""
    figures: Figures = {"machine": bench.machine(), "engine": name_engine(given.engine.resolve()), "sizes": {}}
    pool = scale_corpus.read_pool(given.source)
    keep = given.keep.resolve() if given.keep else None
    plan = Plan(given.engine.resolve(), pool, given.nights, tuple(given.set), keep)
    for n in sorted(set(given.sizes)):
        with tempfile.TemporaryDirectory() as scratch:
            work = plan.keep / str(n) if plan.keep else Path(scratch)
            figures["sizes"][str(n)] = Scale(plan, n, work).measure()
    return figures


def main() -> None:
    given = parse()
    runs = [read_figures(path) for path in given.others]
    figures = run_sizes(given) if given.sizes else runs[0]
    same = [run for run in runs if run["engine"] == figures["engine"]]
    figures = {**figures, "sizes": {**{n: f for run in same for n, f in run["sizes"].items()}, **figures["sizes"]}}
    bench.report(figures, *list_tables(figures["sizes"]))
    if given.plot:
        draw(given.plot, [*(run for run in runs if run["engine"] != figures["engine"]), figures])


if __name__ == "__main__":
    main()
