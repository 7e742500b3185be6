"""Pairs made from a corpus: title and body, conclusion and objective, and records that share MeSH headings."""

from __future__ import annotations

import math
import random
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from engine.encode.models.recipe import clean_text
from engine.records.abstract import Abstract
from engine.relevance.sets.holdout import DEV, TEST, hash_position, list_publication_keys
from engine.relevance.sets.sections import extract_body, find_objective_and_conclusion
from engine.train.pairs.pairtable import PairTable

TextPair = tuple[str, str]
_MIN_HEADINGS = 3  # fewer describe a record too poorly
_MIN_BODY = 100  # characters; shorter bodies are too alike


@dataclass(frozen=True, slots=True)
class _GradedPair:
    """Two texts, and how similar they are, in [0, 1]."""

    one: str
    other: str
    grade: float


@dataclass(frozen=True, slots=True)
class CorpusPairs:
    """The pairs of a corpus, in the order of the corpus."""

    titles: tuple[TextPair, ...]  # (title, body)
    conclusions: tuple[TextPair, ...]  # (conclusion, objective)
    mesh: tuple[_GradedPair, ...]
    dev: tuple[TextPair, ...]  # (title, body) of records held out for choosing settings
    n_records: int
    n_held_out: int  # records at test or dev positions, and copies of records that must not be trained on


def build_pairs(records: Iterable[Abstract], kept_out: Iterable[Abstract] = (), seed: int = 42) -> CorpusPairs:
    """Make pairs from all records except those held out by position and copies of the records in kept_out.

    Each body is used once. A record makes no pair if its title is in the body, or its body is shorter than 100
    characters.
    """
    everything = list(records)
    keys, positions = (
        [list_publication_keys(record) for record in everything],
        [hash_position(record) for record in everything],
    )
    closed = {key for record in kept_out for key in list_publication_keys(record)}
    placed = list(zip(everything, keys, positions, strict=True))
    dev = _deduplicate(record for record, known, place in placed if TEST <= place < DEV and not closed & known)
    closed |= {key for _, known, place in placed if place < DEV for key in known}
    train = _deduplicate(record for record, known, _ in placed if not closed & known)
    conclusions = [parts[::-1] for record in train if (parts := find_objective_and_conclusion(record.abstract))]
    return CorpusPairs(
        titles=_pair_titles(train),
        conclusions=tuple((conclusion, objective) for conclusion, objective in conclusions),
        mesh=tuple(_grade_pairs(train, seed)),
        dev=_pair_titles(dev),
        n_records=len(everything),
        n_held_out=sum(bool(closed & known) for known in keys),
    )


def select_pairs(table: PairTable) -> CorpusPairs:
    """Take the pairs of a file, anchor and positive, and hold out by a hash of the anchor, as if it were a title.

    Titles and their bodies are therefore held out as in build_pairs: a tenth for tests, which is not returned at all,
    and a twentieth as dev. Pairs with a text without words are left out, and so are those with a label below 1, which
    are no positives. Repeated pairs are used once.
    """
    labels = [1.0] * table.n_rows if table.labels is None else table.labels.tolist()
    rows = zip(*table.texts[:2], labels, strict=True)
    usable = [
        (anchor, other) for anchor, other, label in rows if label == 1 and clean_text(anchor) and clean_text(other)
    ]
    pairs = list(dict.fromkeys((clean_text(anchor), clean_text(other)) for anchor, other in usable))
    places = [hash_position(Abstract("", *pair)) for pair in pairs]
    out = [pair for pair, place in zip(pairs, places, strict=True) if place < DEV]
    dev = tuple(pair for pair, place in zip(pairs, places, strict=True) if TEST <= place < DEV)
    anchors, positives = {anchor for anchor, _ in out}, {other for _, other in out}
    train = tuple(pair for pair in pairs if pair[0] not in anchors and pair[1] not in positives)
    return CorpusPairs(train, (), (), dev, len(pairs), len(pairs) - len(train))


def _pair_titles(records: Iterable[Abstract]) -> tuple[TextPair, ...]:
    """Return (title, body) of the records that make a pair."""
    return tuple((clean_text(record.title), extract_body(record)) for record in records if _is_pair(record))


def _deduplicate(records: Iterable[Abstract]) -> list[Abstract]:
    """Keep the first record of every publication."""
    seen: set[str] = set()
    kept = []
    for record in records:
        keys = list_publication_keys(record)
        if not seen & keys:
            kept.append(record)
        seen |= keys
    return kept


def _is_pair(record: Abstract) -> bool:
    """Return whether title and body are long enough, and the title is not in the body."""
    title, text = clean_text(record.title), extract_body(record)
    return len(title.split()) >= 3 and len(text) >= _MIN_BODY and title.casefold() not in text.casefold()


def _grade_pairs(records: Sequence[Abstract], seed: int) -> list[_GradedPair]:
    """Pair every record with MeSH headings twice: with a record that shares a rare heading, and with a random one.

    The grade is the Jaccard index of the headings, each weighted by log(n / records that have it), so that headings of
    nearly all records, like Humans, hardly count.
    """
    headed = [
        (record, _parse_headings(record))
        for record in records
        if len(_parse_headings(record)) >= _MIN_HEADINGS and extract_body(record)
    ]
    weights = _compute_rarities([terms for _, terms in headed])
    holders: dict[str, list[int]] = defaultdict(list)
    for place, (_, terms) in enumerate(headed):
        for term in terms:
            holders[term].append(place)
    chance = random.Random(seed)
    pairs = []
    for place, (record, terms) in enumerate(headed):
        rare = max(sorted(terms), key=lambda term: weights[term] if len(holders[term]) > 1 else -1.0)
        for other in (chance.choice(holders[rare]), chance.randrange(len(headed))):
            if other != place:
                grade = _compute_overlap(terms, headed[other][1], weights)
                pairs.append(_GradedPair(extract_body(record), extract_body(headed[other][0]), grade))
    return pairs


def _parse_headings(record: Abstract) -> frozenset[str]:
    """Return the MeSH descriptors of a record, without qualifiers and without the mark of a major topic."""
    return frozenset(heading.split("/")[0].strip("* ").lower() for heading in record.mesh) - {""}


def _compute_rarities(records: Sequence[frozenset[str]]) -> dict[str, float]:
    """Compute log(n / records that have it) of every heading."""
    counts = Counter(heading for terms in records for heading in terms)
    return {heading: math.log(len(records) / count) for heading, count in counts.items()}


def _compute_overlap(one: frozenset[str], other: frozenset[str], weights: dict[str, float]) -> float:
    """Compute the weighted Jaccard index in [0, 1]; 0 if no heading has a weight."""
    either = math.fsum(weights[heading] for heading in one | other)  # exact, so the same in whatever order a set has
    return math.fsum(weights[heading] for heading in one & other) / either if either else 0.0
