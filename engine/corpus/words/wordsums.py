"""Sums of the words of records, to compare an index of words with its texts in memory that does not grow with them.

For each field and first character, the digests of the words are added up, each as often as there are records with it.
Two collections of records with equal sums have, but for a chance of 2^-128, the same words in as many records each.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from hashlib import blake2b

from engine.corpus.words.folding import is_kept
from engine.corpus.words.wordwriter import fold_fields

_KEPT = 200_000  # digests of words that are kept, some 30 MB
_Texts = Iterable[tuple[int, str, str]]  # doc id, title, abstract


class WordSums:
    """Sums by field and first character of the words."""

    def __init__(self) -> None:
        self.sums: Counter[tuple[str, str]] = Counter()
        self.digests: dict[str, int] = {}

    def add_texts(self, texts: _Texts) -> None:
        """Add the words of (doc id, title, abstract)."""
        for field, words in _read_words(texts):
            for word in words:
                self.sums[field, word[0]] += self.hash_word(word)

    def add_counts(self, field: str, counts: Iterable[tuple[str, int]]) -> None:
        """Add words of a field, each with the number of records that have it."""
        for word, n in counts:
            self.sums[field, word[0]] += n * self.hash_word(word)

    def hash_word(self, word: str) -> int:
        """Return the digest of a word, below 2^128."""
        digest = self.digests.get(word)
        if digest is None:
            digest = int.from_bytes(blake2b(word.encode("utf-8"), digest_size=16).digest())
            if len(self.digests) >= _KEPT:
                self.digests.clear()
            self.digests[word] = digest
        return digest


def count_words(texts: _Texts, field: str, beginning: str) -> Counter[str]:
    """Count the records with each word of a field that begins with this character."""
    counts: Counter[str] = Counter()
    for name, words in _read_words(texts):
        if name == field:
            counts.update(word for word in words if word[0] == beginning)
    return counts


def _read_words(texts: _Texts) -> Iterator[tuple[str, set[str]]]:
    """Yield the words of each field of each record that an index of words holds."""
    for _, title, abstract in texts:
        for field, parts in fold_fields(title, abstract).items():
            yield field, set(filter(is_kept, {word for part in parts for word in part.split()}))
