"""The words, phrases and MeSH headings of known records, weighed by how well they tell these from the rest.

Sets of records are bits of whole numbers: bit n is the record with doc id n, or the n-th of the known records.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np

from engine.corpus.boolean.names import select_named
from engine.corpus.boolean.tags import SearchField
from engine.corpus.boolean.tree import SearchTerm
from engine.corpus.boolean.wordquery import find_term
from engine.corpus.selection.meshtree import MeshTree
from engine.corpus.storage.docsets import read_members
from engine.corpus.words.folding import get_stemmer, split_words
from engine.corpus.words.wordindex import TEXT, WordIndex
from engine.corpus.words.wording import Term
from engine.deadline import CURRENT
from engine.query.opening.generation import OpenGeneration
from engine.records.abstract import Abstract
from engine.records.generation import DocIds

Bits = int
_MOST = 40  # terms that are weighed further
_SHARE = 5  # a term must be in a fifth of the known records,
_FEWEST = 2  # and in two of them
_LEAST_WEIGHT = 6.63  # of a term: the 1 % point of chi squared with one degree of freedom
_SHORTEST = 3  # letters of a word
_SHORTEST_STEM = 4  # letters before a star
_LONGEST = 3  # words of a phrase
_DIGITS = 6  # of a weight; the last bits of a logarithm differ between machines


@dataclass(frozen=True, slots=True, order=True)
class SeedTerm:
    """A word, a truncated word, a phrase or a heading."""

    text: str  # words are folded; a truncated word ends with a star
    field: str = "tiab"  # the field tag of PubMed: "tiab", "mh" with the headings below it, or "mh:noexp"

    @property
    def is_heading(self) -> bool:
        """Whether it is a MeSH heading."""
        return self.field != "tiab"

    @property
    def words(self) -> tuple[str, ...]:
        """Its words, without a star."""
        return tuple(split_words(self.text))

    @property
    def is_phrase(self) -> bool:
        """Whether it is several words of a text."""
        return not self.is_heading and " " in self.text

    @property
    def written(self) -> str:
        """The term as PubMed takes it."""
        text = self.text if self.text.endswith("*") else f'"{self.text}"'
        return f"{text}[{self.field}]"

    def is_related(self, other: SeedTerm) -> bool:
        """Return whether two terms have a stem in common."""
        return not _list_stems(self).isdisjoint(_list_stems(other))


@dataclass(frozen=True, slots=True)
class WeighedTerm:
    """A term with its counts."""

    term: SeedTerm
    n_known: int  # known records that have it
    n_titled: int  # of these, in the title or as a heading: it is what they are about
    n_records: int  # records of the index that have it
    weight: float  # G squared of Dunning (1993), which compares both shares


def _list_stems(term: SeedTerm) -> frozenset[str]:
    """Return the stems of a term."""
    stem_word = get_stemmer().stem_word
    words = term.words
    return frozenset(words if term.text.endswith("*") else map(stem_word, words))


def _compute_weight(n_known: int, n_records: int, size_known: int, size: int) -> float:
    """Return G squared of a term that n_known of size_known records have, and n_records of all; 0 if it is no sign.

    It is twice the sum of observed times ln(observed / expected) over the four cells: known or not, with it or not.
    """
    if n_known * size <= n_records * size_known:
        return 0.0
    rows, columns = (size_known, size - size_known), (n_records, size - n_records)
    cells = (
        (n_known, size_known - n_known),
        (n_records - n_known, size - n_records - size_known + n_known),
    )
    total = sum(
        cell * math.log(cell * size / (rows[i] * columns[j]))
        for i, row in enumerate(cells)
        for j, cell in enumerate(row)
        if cell
    )
    return round(2 * total, _DIGITS)


def _build_bits(doc_ids: DocIds) -> Bits:
    """Return a set of doc ids, ascending, as bits."""
    if not len(doc_ids):
        return 0
    inside = np.zeros(int(doc_ids[-1]) + 1, np.uint8)
    inside[doc_ids] = 1
    return int.from_bytes(np.packbits(inside, bitorder="little").tobytes(), "little")


def _count_needed(n_known: int) -> int:
    """Return in how many of n known records a term must be.

    >>> [_count_needed(n) for n in (1, 2, 10, 12)]
    [1, 2, 2, 3]
    """
    return min(n_known, max(_FEWEST, -(-n_known // _SHARE)))


@dataclass(slots=True, eq=False)
class SeedTerms:
    """The terms of known records, counted in an index when they are needed."""

    snapshot: OpenGeneration
    doc_ids: tuple[int, ...]  # of the known records, ascending
    tree: MeshTree | None
    size: int  # records of the index
    records: dict[int, Abstract] = field(init=False)
    having: dict[SeedTerm, Bits] = field(init=False)  # the known records that have a term
    titled: dict[SeedTerm, Bits] = field(init=False)  # those that have it in the title or as a heading
    giving: dict[SeedTerm, Bits] = field(init=False)  # those that suggest it; of a star, with a word of this stem
    found: dict[SeedTerm, Bits] = field(default_factory=dict)  # records of the index, where they were needed
    counts: dict[SeedTerm, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Read the known records."""
        self.records = self.snapshot.corpus.fetch(self.doc_ids)
        giving: defaultdict[SeedTerm, Bits] = defaultdict(int)
        having: defaultdict[SeedTerm, Bits] = defaultdict(int)
        titled: defaultdict[SeedTerm, Bits] = defaultdict(int)
        texts = [[split_words(text) for text in _get_texts(self.records[doc_id])] for doc_id in self.doc_ids]
        for n, doc_id in enumerate(self.doc_ids):
            headings = (SeedTerm(heading, self.heading_field) for heading in self.records[doc_id].mesh)
            for term in (one for one in headings if _is_plain(one.text)):
                giving[term] |= 1 << n
                titled[term] |= 1 << n
            for term in _list_text_terms(texts[n]):
                giving[term] |= 1 << n
            for term in _list_text_terms(texts[n][:1]):
                titled[term] |= 1 << n
        needed = _count_needed(max(1, len(self.doc_ids) - 1))  # where one is left out
        self.giving = {term: bits for term, bits in giving.items() if bits.bit_count() >= needed}
        for n, words in enumerate({word for text in one for word in text} for one in texts):
            for term in self.giving:
                if term.text.endswith("*") and any(word.startswith(term.text[:-1]) for word in words):
                    having[term] |= 1 << n
        self.having, self.titled = self.giving | having, titled

    @property
    def heading_field(self) -> str:
        """The field tag of headings: with those below them, if the tree is known."""
        return "mh:noexp" if self.tree is None else "mh"

    @property
    def everyone(self) -> Bits:
        """All known records."""
        return (1 << len(self.doc_ids)) - 1

    def rank_terms(self, keep: Bits) -> list[WeighedTerm]:
        """Return the best terms of the known records in `keep`, best first, as if there were no others."""
        needed = _count_needed(keep.bit_count())
        there = [term for term, bits in self.giving.items() if (bits & keep).bit_count() >= needed]
        single = self.weigh_terms((term for term in there if not term.is_phrase), keep)
        signs = {one.term.text for one in single if not one.term.is_heading}
        phrases = (term for term in there if term.is_phrase and signs.issuperset(term.words))
        weighed = _drop_doubles([*single, *self.weigh_terms(phrases, keep)])
        return sorted(weighed, key=lambda one: (-one.weight, one.term))[:_MOST]

    def weigh_terms(self, terms: Iterator[SeedTerm], keep: Bits) -> list[WeighedTerm]:
        """Return those terms that the known records in `keep` have clearly more often than others."""
        n_known, found = keep.bit_count(), []
        for term in terms:
            CURRENT.get().check()
            n_having, n_records = (self.having[term] & keep).bit_count(), self.count_records(term)
            weight = _compute_weight(n_having, n_records, n_known, self.size)
            if weight >= _LEAST_WEIGHT:
                n_titled = (self.titled.get(term, 0) & keep).bit_count()
                found.append(WeighedTerm(term, n_having, n_titled, n_records, weight))
        return found

    def count_records(self, term: SeedTerm) -> int:
        """Return the number of records of the index that have a term."""
        if term not in self.counts:
            if term.is_heading:
                self.counts[term] = self.find_records(term).bit_count()
            else:
                words = self.snapshot.get_words()
                written = Term(term.text.removesuffix("*"), prefix=term.text.endswith("*"))
                self.counts[term] = words.count_records(written)
        return self.counts[term]

    def find_records(self, term: SeedTerm) -> Bits:
        """Return the records of the index that have a term."""
        if term not in self.found:
            self.found[term] = _build_bits(self.list_records(term, self.snapshot.get_words()))
        return self.found[term]

    def list_records(self, term: SeedTerm, words: WordIndex) -> DocIds:
        """Return the doc ids of the records that have a term, ascending."""
        if not term.is_heading:
            return words.list_matches(find_term(words, TEXT, term.text.split()).query)
        kind = SearchField.HEADING if self.tree is None else SearchField.EXPLODED
        named = SearchTerm(term.text, term.words, (kind,))
        selected, _ = select_named(kind, named, self.tree, self.snapshot.corpus)
        return np.empty(0, np.int64) if selected is None else read_members(self.snapshot.corpus, selected)


def _get_texts(record: Abstract) -> tuple[str, str]:
    """Return the texts of a record that the index of words holds."""
    return record.title, record.abstract


def _list_text_terms(texts: Sequence[Sequence[str]]) -> Iterator[SeedTerm]:
    """Yield the words, truncated words and phrases of some texts."""
    stem_word = get_stemmer().stem_word
    for text in texts:
        for place, word in enumerate(text):
            if len(word) < _SHORTEST or word.isdigit():
                continue
            yield SeedTerm(word)
            stem = stem_word(word)
            if len(stem) >= _SHORTEST_STEM and word.startswith(stem):
                yield SeedTerm(f"{stem}*")
            for last in range(place + 2, min(place + _LONGEST, len(text)) + 1):
                yield SeedTerm(" ".join(text[place:last]))


def _is_plain(heading: str) -> bool:
    """Return whether a heading can be written in a search."""
    return bool(split_words(heading)) and not set(heading) & set('"*[]/')


def _drop_doubles(terms: Sequence[WeighedTerm]) -> list[WeighedTerm]:
    """Return the terms without those that say the same: a star that adds no record, a part of a phrase."""
    same: defaultdict[tuple[int, int], list[SeedTerm]] = defaultdict(list)
    for one in terms:
        same[one.n_known, one.n_records].append(one.term)
    return [one for one in terms if not any(_is_fuller(other, one.term) for other in same[one.n_known, one.n_records])]


def _is_fuller(term: SeedTerm, other: SeedTerm) -> bool:
    """Return whether a term with the same counts makes another one needless."""
    if term == other or term.is_heading or other.is_heading:
        return False
    if other.text.endswith("*"):
        return term.text.startswith(other.text[:-1]) and not term.is_phrase and not term.text.endswith("*")
    return f" {other.text} " in f" {term.text} "
