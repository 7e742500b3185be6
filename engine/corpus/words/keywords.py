"""Where the terms of a question occur in a record."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from engine.corpus.words.folding import get_stemmer, locate_words, split_words
from engine.corpus.words.wording import Term, Wording, choose_parts
from engine.records.answer import Span

_Located = Sequence[tuple[str, Span]]  # folded words with their places, in order


@dataclass(frozen=True, slots=True)
class Occurrences:
    """The terms of a query that occur in a record, with their positions."""

    words: tuple[str, ...]  # as written
    title: tuple[Span, ...]  # ascending, not overlapping
    abstract: tuple[Span, ...]


def find_occurrences(wording: Wording, texts: Mapping[int, tuple[str, str]]) -> dict[int, Occurrences]:
    """Find where the plain and required terms of a query occur in (title, abstract), by doc id.

    A single plain word occurs with any ending that has the same stem, everything else as it is written. Of several
    plain words that belong together, the parts occur where the whole does not.
    """
    patterns = [tuple(_build_patterns(term, is_plain=term in wording.plain)) for term in wording.wanted]
    return {doc_id: _find_in_record(patterns, *record) for doc_id, record in texts.items()}


@dataclass(frozen=True, slots=True)
class _Pattern:
    """A term, ready to be compared with words."""

    term: Term
    words: tuple[str, ...]  # folded; a single stem if by_stem
    by_stem: bool

    def find(self, located: _Located) -> Iterator[Span]:
        """Yield the spans of the term, ascending; they may overlap."""
        n = len(self.words)
        for first in range(len(located) - n + 1 if n else 0):
            if self.matches([word for word, _ in located[first : first + n]]):
                yield located[first][1][0], located[first + n - 1][1][1]

    def matches(self, words: Sequence[str]) -> bool:
        """Return whether as many folded words are the term."""
        if self.by_stem:
            return get_stemmer().stem_word(words[0]) == self.words[0]
        if self.term.prefix:
            return tuple(words[:-1]) == self.words[:-1] and words[-1].startswith(self.words[-1])
        return tuple(words) == self.words


def _build_patterns(term: Term, *, is_plain: bool) -> Iterator[_Pattern]:
    """Yield the pattern of a term, then those of its parts that rank by themselves."""
    words = tuple(split_words(term.text))
    if not is_plain or term.prefix:
        yield _Pattern(term, words, by_stem=False)
    elif len(words) == 1:
        yield _Pattern(term, (get_stemmer().stem_word(words[0]),), by_stem=True)
    else:
        yield _Pattern(term, words, by_stem=False)
        for word in choose_parts(words):
            yield _Pattern(Term(word), (get_stemmer().stem_word(word),), by_stem=True)


def _find_in_record(terms: Sequence[Sequence[_Pattern]], title: str, abstract: str) -> Occurrences:
    """Find where terms occur in one record."""
    titles, abstracts = locate_words(title), locate_words(abstract)
    words: list[str] = []
    in_title: list[Span] = []
    in_abstract: list[Span] = []
    for whole, *parts in terms:
        found = _find_pattern(whole, titles, abstracts)
        for pattern, here, later in [found] if any(found[1:]) else [_find_pattern(p, titles, abstracts) for p in parts]:
            words += [pattern.term.written] if here or later else []
            in_title += here
            in_abstract += later
    return Occurrences(tuple(dict.fromkeys(words)), _unite_spans(in_title), _unite_spans(in_abstract))


def _find_pattern(pattern: _Pattern, titles: _Located, abstracts: _Located) -> tuple[_Pattern, list[Span], list[Span]]:
    """Return a pattern with its spans in the title, and in the abstract if its term may occur there."""
    return pattern, list(pattern.find(titles)), [] if pattern.term.in_title else list(pattern.find(abstracts))


def _unite_spans(spans: Sequence[Span]) -> tuple[Span, ...]:
    """Return spans ascending, overlapping ones united."""
    united: list[Span] = []
    for start, end in sorted(spans):
        if united and start < united[-1][1]:
            united[-1] = (united[-1][0], max(end, united[-1][1]))
        else:
            united.append((start, end))
    return tuple(united)
