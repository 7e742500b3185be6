"""Evidence that records are about a question: how near they are, and how much of its words they hold."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

from engine.corpus.words.folding import get_stemmer, split_words
from engine.corpus.words.wordindex import WordIndex
from engine.corpus.words.wording import Wording
from engine.encode.texts.sentences import MOST_READ, split_sentences

BEST = 10  # hits that are looked at
_SHORTEST = 5  # letters of a word that may be misspelt
_LONG = 9  # letters of a word that may have two letters wrong


@dataclass(frozen=True, slots=True)
class WordWeights:
    """The words of a question by their stems, each with its weight: the rarer, the heavier."""

    weights: Mapping[str, float]  # stem -> inverse document frequency
    unknown: Mapping[str, str]  # stem that no record holds -> the word as written
    prefixes: frozenset[str]  # those of the stems that are beginnings of words, as written

    @property
    def stems(self) -> list[str]:
        """The stems of the words that are written whole."""
        return [stem for stem in self.weights if stem not in self.prefixes]

    @property
    def missing(self) -> tuple[str, ...]:
        """The words that no record holds, as written."""
        return tuple(self.unknown.values())

    @property
    def total(self) -> float:
        """The sum of the weights."""
        return sum(self.weights.values())


@dataclass(frozen=True, slots=True)
class HitEvidence:
    """How near a hit is, and the share of the question's words that it holds, by weight, from 0 to 1."""

    cosine: float
    share: float  # in title or abstract
    title_share: float
    sentence_share: float  # in the title or in one sentence, the highest


@dataclass(frozen=True, slots=True)
class Evidence:
    """The evidence of the best hits, and the number of words that it is about."""

    hits: tuple[HitEvidence, ...]
    n_words: int
    is_search: bool = False  # a Boolean search, of which each hit holds the words that it needs

    @property
    def cosine(self) -> float:
        """The highest cosine; 0 without hits."""
        return max((hit.cosine for hit in self.hits), default=0.0)

    @property
    def share(self) -> float:
        """The highest share of the words that one hit holds; 0 without hits."""
        return max((hit.share for hit in self.hits), default=0.0)


def weigh_words(words: WordIndex, wording: Wording) -> WordWeights:
    """Return the words of a wording with their weights in a corpus.

    A beginning of words, such as arthrit*, weighs as much as a word that no record holds.
    """
    heaviest = words.weigh_stem("")
    weights: dict[str, float] = {}
    unknown: dict[str, str] = {}
    prefixes = set()
    for term in wording.wanted:
        parts = split_words(term.text)
        if term.prefix and parts:
            prefixes.add(parts.pop())
        for word in parts:
            stem = get_stemmer().stem_word(word)
            weights[stem] = words.weigh_stem(stem)
            if weights[stem] == heaviest:
                unknown[stem] = word
    weights |= dict.fromkeys(sorted(prefixes), heaviest)
    return WordWeights(weights, unknown, frozenset(prefixes))


def measure_evidence(words: WordWeights, hits: Iterable[tuple[float, str, str]]) -> Evidence:
    """Measure the evidence of hits (cosine, title, abstract); of a very long text, only the beginning is read."""
    long: dict[str, list[str]] = {}  # unknown stems that may be misspelt, by their first letters
    for one in words.unknown:
        if len(one) >= _SHORTEST:
            long.setdefault(one[0], []).append(one)
    return Evidence(tuple(_measure_hit(words, long, *hit) for hit in hits), len(words.weights))


def _measure_hit(
    words: WordWeights, long: Mapping[str, Sequence[str]], cosine: float, title: str, abstract: str
) -> HitEvidence:
    """Measure the evidence of one hit."""
    parts, stems = _split_record(title[:MOST_READ], abstract[:MOST_READ])
    forms, total = _find_forms(words, long, stems), words.total
    shares = [_sum_held(words, total, forms, part) for part in parts]
    return HitEvidence(cosine, _sum_held(words, total, forms, stems), shares[0], max(shares))


@lru_cache(maxsize=128)  # the texts that one question finds are often found by the next
def _split_record(title: str, abstract: str) -> tuple[tuple[frozenset[str], ...], Mapping[str, str]]:
    """Return the folded words of a title and of each sentence of an abstract, and the stem of each word."""
    sentences = (abstract[slice(*span)] for span in split_sentences(abstract))
    parts = tuple(frozenset(split_words(part)) for part in (title, *sentences))
    return parts, {word: get_stemmer().stem_word(word) for word in frozenset().union(*parts)}


def _find_forms(words: WordWeights, long: Mapping[str, Sequence[str]], stems: Mapping[str, str]) -> dict[str, set[str]]:
    """Return the stems and beginnings of a question that are among some folded words, each with these words.

    long: the stems of the question that may be misspelt there, by their first letters; stems: of the words.
    """
    forms: dict[str, set[str]] = {}
    for word, stem in stems.items():
        held = [stem] if stem in words.weights else []
        if words.prefixes:
            held += [start for start in words.prefixes if word.startswith(start)]
        if alike := long.get(stem[:1]):
            held += [other for other in alike if _is_misspelt(other, stem)]
        for one in held:
            forms.setdefault(one, set()).add(word)
    return forms


def _sum_held(words: WordWeights, total: float, forms: Mapping[str, set[str]], part: Iterable[str]) -> float:
    """Return the share of the total weight of what a part of a hit holds, given all forms in the hit."""
    if not total or not forms:
        return 0.0
    held = (weight for one, weight in words.weights.items() if one in forms and not forms[one].isdisjoint(part))
    return sum(held) / total


def _is_misspelt(word: str, other: str) -> bool:
    """Return whether a long word is another one with one letter wrong, missing, added or swapped; two in longer words.

    >>> _is_misspelt("colchcin", "colchicin"), _is_misspelt("ward", "word")
    (True, False)
    """
    if len(word) < _SHORTEST or word[0] != other[:1]:
        return False
    most = 1 if len(word) < _LONG else 2
    return abs(len(word) - len(other)) <= most and count_edits(word, other) <= most


def count_edits(one: str, other: str) -> int:
    """Count the letters to replace, drop, add or swap with their neighbour (optimal string alignment)."""
    before: list[int] = []
    row = list(range(len(other) + 1))
    for i, a in enumerate(one, 1):
        last, row, older = row, [i], before
        for j, b in enumerate(other, 1):
            cost = min(last[j] + 1, row[j - 1] + 1, last[j - 1] + (a != b))
            if i > 1 and j > 1 and a == other[j - 2] and one[i - 2] == b:
                cost = min(cost, older[j - 2] + 1)
            row.append(cost)
        before = last
    return row[-1]
