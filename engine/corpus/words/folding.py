"""The words of a text as they are compared: without case, accents, ligatures and invisible characters.

The recipe, character by character:

    1. Format characters (soft hyphen, zero-width space and joiner, byte order mark), variation selectors and combining
       diacritical marks are dropped.
    2. Any other character that is no letter, digit or mark ends a word: spaces, hyphens and dashes, apostrophes, signs.
    3. What is left is decomposed (NFKD: ﬁ is fi, ² is 2), without case and, again, without diacritical marks. Letters
       that Unicode does not decompose are spelled out: ø is o, ß is ss, æ is ae.
    4. Each word is composed again (NFC), so that the syllables of Korean and the marks of other scripts stay whole.

A stem is the word without its ending, by the English stemmer of Snowball ("Porter2"). A change of anything here is a
change of the index format.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Sequence
from functools import lru_cache
from itertools import chain

from engine.records.answer import Span

_LONGEST = 65_530  # bytes of a word; tantivy leaves out longer ones
_SPACELESS, _ASCII_WORD = re.compile(r"\S+"), re.compile("[A-Za-z0-9]+")
_LETTERS = str.maketrans({"ø": "o", "ł": "l", "đ": "d", "ð": "d", "þ": "th", "æ": "ae", "œ": "oe", "ı": "i", "ħ": "h"})
_DIACRITICS = ((0x0300, 0x036F), (0x1AB0, 0x1AFF), (0x1DC0, 0x1DFF), (0x20D0, 0x20FF), (0xFE20, 0xFE2F))
_SELECTORS = ((0xFE00, 0xFE0F), (0xE0100, 0xE01EF))


def fold_text(text: str) -> str:
    """Return the words of a text, folded, in order, with one or more spaces between them.

    >>> fold_text("Sjögren’s T-cells: a co\u00adhort").split()
    ['sjogren', 's', 't', 'cells', 'a', 'cohort']
    """
    folded = text.translate(_FOLDED)
    return folded if folded.isascii() else unicodedata.normalize("NFC", folded)


def split_words(text: str) -> list[str]:
    """Return the words of a text, folded, in order."""
    return fold_text(text).split()


def is_kept(word: str) -> bool:
    """Return whether an index of words holds a folded word: it leaves out the very long ones."""
    return len(word) * 4 <= _LONGEST or len(word.encode("utf-8")) <= _LONGEST


def locate_words(text: str) -> Iterator[tuple[str, Span]]:
    """Yield the words of a text, folded, in order, each with its span: characters of the text as it is."""
    for part in _SPACELESS.finditer(text):
        piece, at = part.group(), part.start()
        if piece.isascii():  # folds to itself, but for case
            for word in _ASCII_WORD.finditer(piece):
                yield word.group().lower(), (at + word.start(), at + word.end())
        else:
            yield from _locate_any_words(piece, at)


def _locate_any_words(text: str, at: int) -> Iterator[tuple[str, Span]]:
    """Yield the words of a part of a text that begins at a place, as the whole text has them, each with its span."""
    start, word = 0, ""
    for place, character in enumerate(chain(text, " "), at):
        piece = str(_FOLDED[ord(character)] or "")
        head, *tail = piece.split(" ")  # a piece is a space, or a part of one word, but for ½ and the like
        if not word and head:
            start = place
        word += head
        if tail:
            if word:
                yield unicodedata.normalize("NFC", word), (start, place + bool(head))
            word = tail[-1]
            start = place


class _Stemmer:
    """Stems folded words; keeps the stems of words seen before. Safe to use from several threads."""

    def __init__(self) -> None:
        """Load tantivy, which only keyword search needs."""
        from tantivy import Filter, TextAnalyzerBuilder, Tokenizer

        self.analyzer = TextAnalyzerBuilder(Tokenizer.whitespace()).filter(Filter.stemmer("english")).build()
        self.stems: dict[str, str] = {}

    def stem_word(self, word: str) -> str:
        """Return the stem of a folded word.

        >>> [get_stemmer().stem_word(word) for word in ("arthritis", "crystals")]
        ['arthriti', 'crystal']
        """
        stem = self.stems.get(word)
        if stem is None:
            stem = "".join(self.analyzer.analyze(word)) or word
            if len(self.stems) >= _MOST_STEMS:
                self.stems.clear()
            self.stems[word] = stem
        return stem


_MOST_STEMS = 200_000  # kept, some 30 MB


@lru_cache(maxsize=1)
def get_stemmer() -> _Stemmer:
    """Return the stemmer of this process."""
    return _Stemmer()


def _fold_character(character: str) -> str:
    """Return a character as it is compared: a space between words, nothing if it is dropped."""
    kind = unicodedata.category(character)
    if kind == "Cf" or _is_in(_DIACRITICS + _SELECTORS, character):
        return ""
    if kind[0] not in "LNM":
        return " "
    lowered = unicodedata.normalize("NFKD", unicodedata.normalize("NFKD", character).casefold()).translate(_LETTERS)
    kept = (each for each in lowered if not _is_in(_DIACRITICS, each))
    return "".join(each if unicodedata.category(each)[0] in "LNM" else " " for each in kept)


def _is_in(ranges: Sequence[tuple[int, int]], character: str) -> bool:
    """Return whether a character is in one of the ranges, ends included."""
    return any(first <= ord(character) <= last for first, last in ranges)


class _Folding(dict[int, str]):
    """The folded form of each character by its number, computed when it is first met."""

    def __missing__(self, number: int) -> str:
        folded = _fold_character(chr(number))
        self[number] = folded
        return folded


_FOLDED = _Folding()
