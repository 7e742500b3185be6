"""Pairs to train on, made from a corpus: title and body, conclusion and objective, and what shares MeSH headings."""

from __future__ import annotations

import math
import random
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from engine.encode.recipe import cleaned
from engine.records import Abstract
from engine.relevance.holdout import DEV, TEST, position, publication_keys
from engine.relevance.sections import body, objective_and_conclusion
from engine.train.pairs import PairTable

Pair = tuple[str, str]
FEW_HEADINGS = 3  # a record with fewer says too little of itself
BODY = 100  # characters; a shorter body can't be told from others


@dataclass(frozen=True, slots=True)
class Graded:
    """Two texts and how much they have in common, in [0, 1]."""

    one: str
    other: str
    grade: float


@dataclass(frozen=True, slots=True)
class CorpusPairs:
    """What a corpus has to train on, in the order of the corpus."""

    titles: tuple[Pair, ...]  # (title, body)
    conclusions: tuple[Pair, ...]  # (conclusion, objective)
    mesh: tuple[Graded, ...]
    dev: tuple[Pair, ...]  # (title, body) of records held out for choosing settings
    n_records: int
    n_held_out: int  # records at test or dev positions, and copies of records that must not be trained on


def pairs_of(records: Iterable[Abstract], kept_out: Iterable[Abstract] = (), seed: int = 42) -> CorpusPairs:
    """Make pairs from every record but those held out by position and those that are a copy of one kept out.

    Each body is used once. A title that is in the body, or a body of fewer than 100 characters, makes no pair.
    """
    everything = list(records)
    keys, positions = [publication_keys(one) for one in everything], [position(one) for one in everything]
    closed = {key for record in kept_out for key in publication_keys(record)}
    placed = list(zip(everything, keys, positions, strict=True))
    dev = unique(one for one, known, place in placed if TEST <= place < DEV and not closed & known)
    closed |= {key for _, known, place in placed if place < DEV for key in known}
    train = unique(one for one, known, _ in placed if not closed & known)
    conclusions = [parts[::-1] for record in train if (parts := objective_and_conclusion(record.abstract))]
    return CorpusPairs(
        titles=titles_of(train),
        conclusions=tuple((conclusion, objective) for conclusion, objective in conclusions),
        mesh=tuple(graded(train, seed)),
        dev=titles_of(dev),
        n_records=len(everything),
        n_held_out=sum(bool(closed & known) for known in keys),
    )


def pairs_in(table: PairTable) -> CorpusPairs:
    """Take pairs as a file has them, anchor and positive; a hash of the anchor, as if it were a title, holds out.

    So titles and their bodies are held out as pairs_of does: a tenth for tests, in no part of what comes out, and a
    twentieth as dev.
    Pairs with a text that says nothing are left out, and so are those with a label below 1: they are no positives. A
    pair that is there several times is used once.
    """
    labels = [1.0] * table.n_rows if table.labels is None else table.labels.tolist()
    rows = zip(*table.texts[:2], labels, strict=True)
    said = [(one, other) for one, other, label in rows if label == 1 and cleaned(one) and cleaned(other)]
    pairs = list(dict.fromkeys((cleaned(one), cleaned(other)) for one, other in said))
    places = [position(Abstract("", *pair)) for pair in pairs]
    out = [pair for pair, place in zip(pairs, places, strict=True) if place < DEV]
    dev = tuple(pair for pair, place in zip(pairs, places, strict=True) if TEST <= place < DEV)
    anchors, positives = {one for one, _ in out}, {other for _, other in out}
    train = tuple(pair for pair in pairs if pair[0] not in anchors and pair[1] not in positives)
    return CorpusPairs(train, (), (), dev, len(pairs), len(pairs) - len(train))


def titles_of(records: Iterable[Abstract]) -> tuple[Pair, ...]:
    """(title, body) of the records where both say something."""
    return tuple((cleaned(record.title), body(record)) for record in records if is_pair(record))


def unique(records: Iterable[Abstract]) -> list[Abstract]:
    """The first of every publication that is there several times."""
    seen: set[str] = set()
    kept = []
    for record in records:
        keys = publication_keys(record)
        if not seen & keys:
            kept.append(record)
        seen |= keys
    return kept


def is_pair(record: Abstract) -> bool:
    """Whether title and body say something, and the one is not in the other."""
    title, text = cleaned(record.title), body(record)
    return len(title.split()) >= 3 and len(text) >= BODY and title.casefold() not in text.casefold()


def graded(records: Sequence[Abstract], seed: int) -> list[Graded]:
    """Two pairs of every record with MeSH headings: one with a record that shares a rare heading, one at random.

    The grade is the Jaccard index of the headings, each weighted by log(n / records that have it): what everything has,
    like Humans, counts next to nothing.
    """
    headed = [
        (record, headings(record)) for record in records if len(headings(record)) >= FEW_HEADINGS and body(record)
    ]
    weights = rarities([found for _, found in headed])
    holders: dict[str, list[int]] = defaultdict(list)
    for place, (_, found) in enumerate(headed):
        for heading in found:
            holders[heading].append(place)
    chance = random.Random(seed)
    made = []
    for place, (record, found) in enumerate(headed):
        rare = max(sorted(found), key=lambda heading: weights[heading] if len(holders[heading]) > 1 else -1.0)
        for other in (chance.choice(holders[rare]), chance.randrange(len(headed))):
            if other != place:
                grade = overlap(found, headed[other][1], weights)
                made.append(Graded(body(record), body(headed[other][0]), grade))
    return made


def headings(record: Abstract) -> frozenset[str]:
    """MeSH descriptors without qualifiers and without the mark of a major topic."""
    return frozenset(heading.split("/")[0].strip("* ").lower() for heading in record.mesh) - {""}


def rarities(found: Sequence[frozenset[str]]) -> dict[str, float]:
    """log(n / records with it) of every heading."""
    counts = Counter(heading for one in found for heading in one)
    return {heading: math.log(len(found) / count) for heading, count in counts.items()}


def overlap(one: frozenset[str], other: frozenset[str], weights: dict[str, float]) -> float:
    """Weighted Jaccard index in [0, 1]; 0 where all headings weigh nothing."""
    either = math.fsum(weights[heading] for heading in one | other)  # exact, so the same in whatever order a set has
    return math.fsum(weights[heading] for heading in one & other) / either if either else 0.0
