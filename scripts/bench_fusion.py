"""Measure the three modes on kinds of questions that no collection has, made by rule from the records of an index.

    python scripts/bench_fusion.py INDEX_FOLDER [COLLECTION …] [--size 300] [--seed 0] [--against INDEX_FOLDER]

Each question is made from a part of one record that is then taken out of that record, and asks for it among all records
of the index:

    titles     the title
    claims     the last sentence of an abstract that opens as a conclusion ("We conclude that …"), without the opening
    verbose    10 to 25 words that ask about a title such as "Effect of A on B in patients with C"
    keywords   the two or three rarest words of a title
    ends       the last sentence of an abstract of more than 300 words, which stays in the record

A COLLECTION is as bench_query.py takes it; its documents must be in the index. Only the changed records are encoded;
the other vectors are those of the index. Rankings are those of the engine: its words, its fusion, its weights. Prints
nDCG@10 of each mode, and the gain of the default over the others with 95 % intervals (paired bootstrap).
"""

import argparse
import hashlib
import re
import tempfile
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import bench_machine as bench
import numpy as np
from bench_query import judgments, ndcg, questions

from engine import Index, open_index
from engine.corpus.words.wordindex import WordIndex
from engine.corpus.words.wording import parse_wording
from engine.corpus.words.wordwriter import write_words
from engine.encode.texts.passages import load_recipe
from engine.query.index import get_generation
from engine.query.ranks.ranking import DEPTH, _choose_weight, _fuse_rankings
from engine.records.abstract import Abstract
from engine.relevance.scoring.significance import estimate_mean

Ranking = list[tuple[int, float]]
WORDS = re.compile(r"[A-Za-z][A-Za-z0-9-]+")
SENTENCE = re.compile(r"(?<=[.!?])\s+(?=[A-Z])")
CONCLUDING = re.compile(
    r"(?:in )?(?:conclusions?|summary)\s*[:,.]?\s*"
    r"|(?:we|the authors?) (?:therefore |thus )?(?:conclude|suggest|found|show|showed|propose|demonstrate) that\s+"
    r"|(?:these|our|the|this) (?:present )?(?:results?|findings?|data|study|observations?|evidence) (?:also |clearly )?"
    r"(?:suggests?|indicates?|shows?|showed|demonstrates?|supports?|confirms?|implies|imply) that\s+"
    r"|(?:thus|therefore|hence),?\s+|it is concluded that\s+",
    re.IGNORECASE,
)
EFFECT = re.compile(
    r"(?:the )?(?:effects?|influence|impact|role|efficacy|effectiveness|safety|use|association)\s+of\s+(?P<one>.+?)\s+"
    r"(?:on|in|for|with|and|between)\s+(?P<other>[^:.?]+?)(?:\s*[:.?].*)?",
    re.IGNORECASE,
)
ASKING = (
    "What is known about how {one} affects {other}?",
    "Is there any evidence from studies on whether {one} has an effect on {other}, and how large is it?",
    "I would like to know what has been published about the way in which {one} may change {other}",
)
OTHER = re.compile(r"copyright|\u00a9|rights reserved|regist|NCT\d|ISRCTN", re.IGNORECASE)
LONG = 300  # words of an abstract whose last sentence is asked for
FREQUENT = 4  # records that a keyword is in, at least


@dataclass
class QuestionSet:
    """Questions with the places of the records that answer them, and the records as they are searched."""

    texts: dict[str, str] = field(default_factory=dict)
    relevant: dict[str, dict[int, int]] = field(default_factory=dict)


def draw(text: str, seed: int) -> float:
    """Return a number from 0 to 1 that depends on nothing but a text and the seed."""
    return int(hashlib.sha256(f"{seed} {text}".encode()).hexdigest()[:8], 16) / 2**32


def make_claim(record: Abstract) -> tuple[str, Abstract] | None:
    """Return the concluding sentence as a claim, and the record without it."""
    *before, last = SENTENCE.split(record.abstract.strip())
    claim = last
    while opening := CONCLUDING.match(claim):
        claim = claim[opening.end() :]
    if claim == last or len(before) < 3 or not 8 <= len(claim.split()) <= 30:
        return None
    return claim[:1].upper() + claim[1:], Abstract(record.record_id, record.title, " ".join(before))


def make_verbose(record: Abstract, seed: int) -> str | None:
    """Return a whole question about the effect that a title names."""
    found = EFFECT.fullmatch(record.title.strip())
    if not found:
        return None
    text = ASKING[int(draw(record.title, seed) * len(ASKING))]
    text = text.format(one=lower(found["one"]), other=lower(found["other"]))
    return text if 10 <= len(text.split()) <= 25 else None


def lower(text: str) -> str:
    """Return a text in lower case, abbreviations and names with figures aside."""
    return " ".join(word.lower() if word[1:].islower() else word for word in text.split())


def make_keywords(record: Abstract, often: Counter[str], seed: int) -> str | None:
    """Return the two or three rarest words of a title that other records have too, in their order."""
    known = [word.lower() for word in WORDS.findall(record.title)]
    known = [word for word in dict.fromkeys(known) if len(word) > 2 and often[word] >= FREQUENT]
    n = 2 + int(draw(record.title, seed) * 2)
    rarest = sorted(known, key=lambda word: (often[word], word))[:n]
    return " ".join(word for word in known if word in rarest) if len(known) >= 3 else None


def make_end(record: Abstract) -> str | None:
    """Return the last sentence of a long abstract, unless it is short or about rights or registration."""
    last = SENTENCE.split(record.abstract.strip())[-1]
    is_useful = len(last.split()) >= 8 and not OTHER.search(last)
    return last if is_useful and len(record.abstract.split()) > LONG else None


def make_sets(records: Sequence[Abstract], size: int, seed: int) -> tuple[dict[str, QuestionSet], dict[int, Abstract]]:
    """Make the five sets; return them with the records that are changed, by place."""
    often = Counter(
        word for record in records for word in {w.lower() for w in WORDS.findall(f"{record.title} {record.abstract}")}
    )
    sets = {name: QuestionSet() for name in ("titles", "claims", "verbose", "keywords", "ends")}
    changed: dict[int, Abstract] = {}
    for place in sorted(range(len(records)), key=lambda place: draw(records[place].record_id, seed)):
        record = records[place]
        untitled = Abstract(record.record_id, "", record.abstract)
        if len(record.abstract.split()) < 80 or len(record.title.split()) < 5:
            continue
        claim, verbose = make_claim(record), make_verbose(record, seed)
        made: tuple[tuple[str, str | None, Abstract], ...] = (
            ("verbose", verbose, untitled),
            ("claims", *(claim or (None, record))),
            ("keywords", make_keywords(record, often, seed), untitled),
            ("titles", record.title, untitled),
            ("ends", make_end(record), record),
        )
        for name, text, left in made:
            if text and len(sets[name].texts) < size:
                sets[name].texts[record.record_id] = text
                sets[name].relevant[record.record_id] = {place: 1}
                changed[place] = left
                break
    return sets, changed


@dataclass(frozen=True)
class Searched:
    """Records as they are searched: the vectors (rows, dim) with their places, ascending, and the words."""

    records: Sequence[Abstract]
    vectors: Any
    places: Any
    words: WordIndex
    encode: Callable[[Sequence[str]], Any]

    def rank_by_meaning(self, question: Any) -> Ranking:
        """Return the DEPTH nearest places with the cosines of their best vectors, ties by place."""
        known, starts = np.unique(self.places, return_index=True)
        scores = np.maximum.reduceat(self.vectors @ question, starts)
        best = np.argsort(-scores, kind="stable")[:DEPTH]
        return list(zip(known[best].tolist(), scores[best].astype(float).tolist(), strict=True))

    def rank_legs(self, text: str, question: Any) -> tuple[Ranking, Ranking, float]:
        """Return the ranking by meaning, that by words, and the weight of meaning."""
        wording = parse_wording(text, prefer_phrases=True)
        semantic = self.rank_by_meaning(question)
        keyword, _ = self.words.rank(wording, DEPTH, count=False)
        snapshot: Any = SimpleNamespace(get_words=lambda: self.words)
        asked: Any = SimpleNamespace(wording=wording)
        return semantic, keyword, _choose_weight(snapshot, asked, keyword)


def measure(asked: QuestionSet, searched: Searched) -> dict[str, Any]:
    """nDCG@10 of every question in each mode."""
    found: dict[str, list[float]] = {"hybrid": [], "semantic": [], "keyword": []}
    for query_id, point in zip(asked.texts, searched.encode(list(asked.texts.values())), strict=True):
        semantic, keyword, weight = searched.rank_legs(asked.texts[query_id], point)
        legs = {"semantic": semantic, "keyword": keyword, "hybrid": _fuse_rankings(semantic, keyword, "convex", weight)}
        for mode, ranking in legs.items():
            relevant = {str(place): grade for place, grade in asked.relevant[query_id].items()}
            found[mode].append(ndcg([str(place) for place, _ in ranking], relevant))
    return {mode: np.array(values) for mode, values in found.items()}


def open_records(index: Index, records: list[Abstract], changed: dict[int, Abstract], folder: Path) -> Searched:
    """Return the records of an index, some of them changed, with their words in a new folder."""
    snapshot = get_generation(index)
    ids, vectors = bench.read_all_vectors(index)
    order = np.array([snapshot.corpus.find_doc_id(record.record_id) for record in records])
    ascending = np.argsort(order)
    places = ascending[np.searchsorted(order, ids, sorter=ascending)]
    kept = ~np.isin(places, list(changed))
    records = [changed.get(at, record) for at, record in enumerate(records)]
    identity = snapshot.manifest.encoder
    cut_texts = load_recipe(identity, snapshot.folder.get_encoder_path(identity.fingerprint))
    parts = [(at, text) for at, record in changed.items() for text in cut_texts(record.title, record.abstract)]
    encode = batched(index.encode)
    vectors = np.concatenate([vectors[kept], encode([text for _, text in parts])])
    places = np.concatenate([places[kept], np.array([at for at, _ in parts], np.int64)])
    rows = np.argsort(places, kind="stable")
    texts = ((place, record.title, record.abstract) for place, record in enumerate(records))
    write_words(folder / "words", None, np.empty(0, np.int64), texts, lambda one, other: False)
    return Searched(records, vectors[rows], places[rows], WordIndex(folder / "words"), encode)


def read_collection(folder: Path, index: Index, records: Sequence[Abstract]) -> QuestionSet:
    """Return the judged questions of a collection whose records are in an index."""
    place_of = {record.record_id: place for place, record in enumerate(records)}
    judged = judgments(folder, index)
    asked = {query_id: text for query_id, text in questions(folder) if query_id in judged}
    return QuestionSet(asked, {i: {place_of[one]: grade for one, grade in judged[i].items()} for i in asked})


def main() -> None:
    parser = bench.options(__doc__ or "", rounds=1)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("index", type=Path)
    parser.add_argument("collections", type=Path, nargs="*")
    parser.add_argument("--size", type=int, default=300, help="Questions of each kind.")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--against", type=Path, help="Another index of the same records.")
    given = parser.parse_args()
    found, n_records = measure_index(given.index, given)
    columns = ["questions", "n", "hybrid", "semantic", "keyword", "over semantic", "over keyword"]
    rows = [describe(name, values) for name, values in found.items()]
    if given.against:
        other, _ = measure_index(given.against, given)
        columns += ["hybrid over the other", "semantic over the other"]
        for row in rows:
            row += [gain(found[row[0]][mode] - other[row[0]][mode]) for mode in ("hybrid", "semantic")]
    bench.report({"machine": bench.machine(), "records": n_records, "rows": rows}, bench.table(columns, rows))


def measure_index(path: Path, given: argparse.Namespace) -> tuple[dict[str, dict[str, Any]], int]:
    """NDCG@10 of every set, question and mode; and the number of records."""
    with open_index(path) as index, tempfile.TemporaryDirectory() as folder:
        records = list(index.abstracts())
        sets, changed = make_sets(records, given.size, given.seed)
        sets |= {collection.name: read_collection(collection, index, records) for collection in given.collections}
        searched = open_records(index, records, changed, Path(folder))
        return {name: measure(each, searched) for name, each in sets.items() if each.texts}, len(records)


def batched(encode: Callable[[list[str]], Any]) -> Callable[[Sequence[str]], Any]:
    """Return an encoder that takes any number of texts."""
    return lambda texts: np.concatenate([encode(list(texts[at : at + 256])) for at in range(0, len(texts) or 1, 256)])


def describe(name: str, found: dict[str, Any]) -> list[Any]:
    """Return one row of the table: means, and the gain of the default over the other modes."""
    means = [round(float(values.mean()), 4) for values in found.values()]
    gains = [gain(found["hybrid"] - found[mode]) for mode in ("semantic", "keyword")]
    return [name, len(found["hybrid"]), *means, *gains]


def gain(differences: Any) -> str:
    """Return a mean difference with its interval."""
    found = estimate_mean(differences)
    return f"{found.mean:+.4f} [{found.low:+.4f}, {found.high:+.4f}]"


if __name__ == "__main__":
    main()
