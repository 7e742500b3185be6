"""Measure how often the verdict on an answer is right: with the answer in the index, without it, and for other fields.

    python scripts/bench_verdict.py INDEX DATA... [--mode hybrid] [--most 300]

INDEX is the folder of an index that holds the records of every DATA. DATA is a folder with corpus.jsonl.gz and, if
there are any, queries.jsonl.gz and qrels.tsv.gz. Each question is asked twice: as it is, and with its answers left out
by a filter, so that no index is built. Questions come from the queries of DATA, and by rule from records drawn from its
corpus: the last sentence of an abstract, three rare words of it, one word, and a misspelt, a Boolean and a translated
form. Questions of other fields are made from templates.
"""

from __future__ import annotations

import argparse
import gzip
import json
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, get_args

import numpy as np

from engine import Filters, Index, Query, open_index
from engine.corpus.words.folding import get_stemmer, split_words
from engine.encode.texts.sentences import split_sentences
from engine.options import MODES, Mode
from engine.query.answers.verdict import Support, has_standards, judge_answer, measure_answer, weigh_evidence
from engine.query.index import get_generation
from engine.query.question.plan import encode_question, read_question
from engine.query.ranks.ranking import rank_question
from engine.records.answer import Level
from engine.records.generation import Calibration

TOPICS = {
    "law": "breach of a commercial lease|trademark infringement between two breweries|libel and limitation periods|"
    "eviction of a tenant without notice|copyright in photographs|fiduciary duty of directors|inheritance of a house|"
    "extradition treaties|arbitration in shipping contracts|jury selection",
    "cooking": "a crispy crust on sourdough|caramelised onions|a creamy mushroom risotto|tempering chocolate|"
    "a marinade for grilled chicken|puff pastry that rises evenly|pickled cucumbers with dill|homemade ravioli|"
    "a hollandaise sauce that does not split|roasting a whole pumpkin",
    "astronomy": "the redshift of distant galaxies|the rings of Saturn|black hole mergers|exoplanets found by transits|"
    "the age of globular clusters|sunspot cycles|the orbit of Halley's comet|dark matter in spiral galaxies|"
    "neutron star glitches|the cosmic microwave background",
    "software": "a race condition in a message queue|merging branches in git|memory leaks in C++ programs|"
    "indexing a PostgreSQL table|garbage collection in Java|unit tests for a REST API|compiler optimisation of loops|"
    "deploying containers with Kubernetes|parsing JSON in a browser|password hashing in web applications",
    "sports": "the offside rule in football|a better backhand in tennis|marathon pacing|penalty shootouts|"
    "the salary cap in basketball|chess openings for beginners|lap times in Formula One|a golf swing with a driver|"
    "batting averages in cricket|transfer fees of football clubs",
    "economics": "tariffs on steel imports|central bank interest rates|stock market volatility before elections|"
    "the yield curve and recessions|minimum wages in fast food|currency pegs|auctions of radio spectrum|"
    "antitrust policy for online platforms|house prices in suburbs|income taxation",
    "history": "the fall of the Roman republic|trade routes of the Hanseatic league|castles of medieval Wales|"
    "the treaty of Versailles|navigation by Polynesian sailors|the printing press and the Reformation|"
    "silver mines of Potosi|railway building in the nineteenth century|the court of Louis XIV|burial mounds",
    "engineering": "cracks in steel bridges|wind turbine blades|concrete that sets under water|noise of diesel engines|"
    "the range of electric cars|soil settlement under skyscrapers|lubrication of gearboxes|welding of ship hulls|"
    "the drag of high-speed trains|control of traffic lights",
    "arts": "sonata form in Beethoven's quartets|restoring oil paintings|the tuning of a violin|jazz over modal chords|"
    "Japanese woodblock prints|perspective in Renaissance frescoes|microphones for a choir|glazes for stoneware|"
    "the libretto of Mozart's operas|street photography with a wide lens",
    "geography": "the formation of fjords|desert dunes|volcanic islands in the Pacific|urban sprawl around Mexico City|"
    "river deltas and sediment|monsoon rainfall over India|glacier retreat in the Alps|map projections|"
    "tectonic plates under Iceland|ports on the Black Sea",
}
TEMPLATES = (
    "What is known about {}?",
    "How does one deal with {}?",
    "{}",
    "Is there evidence on {} from recent studies?",
    "Which factors influence {}?",
)
GERMAN = "Gibt es Belege für {}?"  # around words of the record, as people who think in another language type


@dataclass(frozen=True, slots=True)
class Case:
    """A question, and the ids of the records that answer it; none for another field."""

    kind: str
    text: str
    answers: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What speaks for the answer to one question, with its answers in the index or left out."""

    case: Case
    has_answer: bool
    support: Support
    level: Level | None  # of the verdict that users get


def main() -> None:
    """Print the table of levels and the curve."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("index", type=Path)
    parser.add_argument("data", type=Path, nargs="*")
    parser.add_argument("--mode", choices=MODES, default="hybrid")
    parser.add_argument("--most", type=int, default=300, help="questions of a kind")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    with open_index(args.index, follow=False) as index:
        cases = [case for folder in args.data for case in read_cases(folder, index, args.most, args.seed)]
        cases += make_unrelated(args.most, args.seed)
        calibration = read_calibration(index)
        outcomes = [one for case in cases for one in judge_case(index, case, args.mode, calibration)]
        print_levels(outcomes)
        print_curve(outcomes, "clear")
        print_curve(outcomes, "related")


def read_calibration(index: Index) -> Calibration:
    """Return the calibration of an index, with its standards.

    Raises:
        SystemExit: an engine made it that gave no verdicts, or other ones.
    """
    calibration = index.manifest.calibration
    if calibration is None or not has_standards(index.manifest):
        raise SystemExit("nothing was measured on this index to compare with. Run: engine compact")
    return calibration


def read_cases(folder: Path, index: Index, most: int, seed: int) -> Iterator[Case]:
    """Yield the queries of a collection, then questions made from its records."""
    chance = random.Random(seed)
    if (folder / "queries.jsonl.gz").is_file():
        answers = read_qrels(folder / "qrels.tsv.gz")
        queries = [row for row in read_rows(folder / "queries.jsonl.gz") if row["id"] in answers]
        for row in chance.sample(queries, min(most, len(queries))):
            yield Case(f"{folder.name}: queries", row["text"], answers[row["id"]])
    rows = list(read_rows(folder / "corpus.jsonl.gz"))
    words = get_generation(index).get_words()
    for row in chance.sample(rows, min(most, len(rows))):
        for kind, text in make_questions(row, words.weigh_stem, chance):
            yield Case(f"{folder.name}: {kind}", text, (row["id"],))


def read_rows(path: Path) -> Iterator[dict[str, Any]]:
    """Yield the objects of a gzipped file of JSON lines."""
    with gzip.open(path, "rt", encoding="utf-8") as lines:
        yield from map(json.loads, lines)


def read_qrels(path: Path) -> dict[str, tuple[str, ...]]:
    """Return the ids of the relevant records of each query."""
    found: dict[str, list[str]] = {}
    with gzip.open(path, "rt", encoding="utf-8") as lines:
        next(lines)
        for line in lines:
            query, record, relevance = line.split("\t")
            if float(relevance) > 0:
                found.setdefault(query, []).append(record)
    return {query: tuple(records) for query, records in found.items()}


def make_questions(row: dict[str, Any], weigh: Any, chance: random.Random) -> Iterator[tuple[str, str]]:
    """Yield (kind, text) of the questions made from a record."""
    abstract = row.get("abstract") or ""
    spans = split_sentences(abstract)
    if len(spans) < 3:
        return
    last = abstract[spans[-1][0] : spans[-1][1]].partition(": ")[2] or abstract[slice(*spans[-1])]
    yield "last sentence", last
    source = row.get("title") or abstract[slice(*spans[0])]
    rare = sorted({w for w in split_words(source) if len(w) > 3}, key=lambda w: (-weigh(get_stemmer().stem_word(w)), w))
    if len(rare) < 4:
        return
    yield "three words", " ".join(rare[:3])
    yield "one word", rare[1]
    yield "misspelt", " ".join([misspell(rare[0], chance), misspell(rare[1], chance), *rare[2:4]])
    yield "Boolean", f"({rare[0]} OR {rare[1]}) AND {rare[2]}"
    yield "German", GERMAN.format(" und ".join(rare[:3]))


def misspell(word: str, chance: random.Random) -> str:
    """Swap two neighbouring letters inside a word."""
    at = chance.randrange(1, len(word) - 2)
    return word[:at] + word[at + 1] + word[at] + word[at + 2 :]


def make_unrelated(most: int, seed: int) -> list[Case]:
    """Return questions of other fields."""
    cases = [
        Case("other fields", template.format(topic), ())
        for topics in TOPICS.values()
        for topic in topics.split("|")
        for template in TEMPLATES
    ]
    return random.Random(seed).sample(cases, min(most, len(cases)))


def judge_case(index: Index, case: Case, mode: Mode, calibration: Calibration) -> Iterator[Outcome]:
    """Yield the outcome with the answers in the index and, if there are any, with them left out."""
    snapshot = get_generation(index)
    for left_out in [(), case.answers] if case.answers else [()]:
        question = read_question(snapshot, Query(case.text, mode=mode, filters=Filters(hide=left_out)))
        vector = encode_question(snapshot, question)[0]
        found = rank_question(snapshot, question, partial(np.asarray, vector))
        support = weigh_evidence(measure_answer(snapshot, question, found.best)[0], calibration, mode)
        verdict = judge_answer(snapshot, question, found.best)
        assert support is not None and verdict is not None
        yield Outcome(case, bool(case.answers) and not left_out, support, verdict.level)


def print_levels(outcomes: Sequence[Outcome]) -> None:
    """Print the share of each level for each kind of question, with and without answers."""
    levels: tuple[Level | None, ...] = (*get_args(Level), None)
    print("| questions | n | clear, with | related | nothing | none | clear, without | related | nothing | none |")
    print("|---" * 10 + "|")
    for kind in dict.fromkeys(one.case.kind for one in outcomes):
        cells = []
        for has_answer in (True, False):
            found = [one.level for one in outcomes if one.case.kind == kind and one.has_answer == has_answer]
            cells += [f"{found.count(level) / len(found):.3f}" if found else "" for level in levels]
        n = len({one.case.text for one in outcomes if one.case.kind == kind})
        print(f"| {kind} | {n} | {' | '.join(cells)} |")


def print_curve(outcomes: Sequence[Outcome], what: str) -> None:
    """Print the share of questions with each share of what they need to be clear, or related."""
    kinds = list(dict.fromkeys((one.case.kind, one.has_answer) for one in outcomes))
    named = [f"{kind}, {'with' if has else 'without'}" for kind, has in kinds]
    print(f"\n| {what} from 1 | {' | '.join(named)} |")
    print("|---" * (len(kinds) + 1) + "|")
    groups = [[getattr(o.support, what) for o in outcomes if (o.case.kind, o.has_answer) == key] for key in kinds]
    for least in (*np.arange(0, 1.96, 0.1), *range(2, 5)):
        print(f"| {least:.1f} | " + " | ".join(f"{np.mean(np.array(g) >= least):.3f}" for g in groups) + " |")


if __name__ == "__main__":
    main()
