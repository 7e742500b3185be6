"""The words of MeSH headings and keywords: which names hold the words of a term."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from engine.corpus.boolean.matching import Words, build_test, has_wildcard
from engine.corpus.storage.store import Corpus
from engine.corpus.words.folding import split_words


class Vocabulary:
    """The names of one kind in a corpus, by their words."""

    def __init__(self, corpus: Corpus, kind: str) -> None:
        """Read all names of a kind, such as mesh."""
        rows = corpus.read_each("SELECT value FROM terms WHERE kind = ?", kind)
        self.names = sorted({str(value) for part in rows for (value,) in part})
        self.texts: list[Words] = [split_words(name) for name in self.names]
        self.places: dict[str, list[int]] = {}
        for place, words in enumerate(self.texts):
            for word in dict.fromkeys(words):
                self.places.setdefault(word, []).append(place)

    def find_names(self, words: Iterable[Sequence[str]], is_match: Callable[[Words], bool]) -> list[str]:
        """Return the names that match; each of them holds the first word of one of `words`."""
        places = {place for some in words for place in self._find_places(some[0])}
        return [self.names[place] for place in sorted(places) if is_match(self.texts[place])]

    def _find_places(self, word: str) -> list[int]:
        """Return the places of names with a word that may have wildcards."""
        if not has_wildcard(word):
            return self.places.get(word, [])
        test = build_test(word)
        return [place for known, places in self.places.items() if test(known) for place in places]
