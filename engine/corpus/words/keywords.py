"""Where the terms of a question occur in a record."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain

from engine.corpus.words.folding import get_stemmer, locate_words, split_words
from engine.corpus.words.wording import Term, Wording, choose_parts
from engine.records.answer import Span

_MOST_SEEN = 10_000  # words that are kept while a text is read; an abstract has some 200


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

    def may_end(self, word: str) -> bool:
        """Return whether the last word of the term may be this folded word."""
        if not self.words:
            return False
        if self.by_stem:
            return get_stemmer().stem_word(word) == self.words[-1]
        return word.startswith(self.words[-1]) if self.term.prefix else word == self.words[-1]

    def matches(self, words: Sequence[str]) -> bool:
        """Return whether as many folded words, the last of which may end the term, are the term."""
        return tuple(words[:-1]) == self.words[:-1]


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
    patterns = list(chain.from_iterable(terms))
    titles = _find_in_text(patterns, title)
    abstracts = _find_in_text([pattern for pattern in patterns if not pattern.term.in_title], abstract)
    words: list[str] = []
    in_title: list[Span] = []
    in_abstract: list[Span] = []
    for whole, *parts in terms:
        for pattern in [whole] if titles[whole] or abstracts.get(whole) else parts:
            here, later = titles[pattern], abstracts.get(pattern, [])
            words += [pattern.term.written] if here or later else []
            in_title += here
            in_abstract += later
    return Occurrences(tuple(dict.fromkeys(words)), _unite_spans(in_title), _unite_spans(in_abstract))


def _find_in_text(patterns: Iterable[_Pattern], text: str) -> dict[_Pattern, list[Span]]:
    """Return the spans of each pattern, ascending; they may overlap. The words of the text are read one by one."""
    found: dict[_Pattern, list[Span]] = {pattern: [] for pattern in patterns}
    seen: dict[str, list[_Pattern]] = {}  # the patterns that may end with a word
    longest = max((len(pattern.words) for pattern in found), default=0)
    if not longest:
        return found
    lately: deque[tuple[str, Span]] = deque(maxlen=longest)
    for word, span in locate_words(text):
        lately.append((word, span))
        if (ending := seen.get(word)) is None:
            if len(seen) >= _MOST_SEEN:
                seen.clear()
            ending = seen[word] = [pattern for pattern in found if pattern.may_end(word)]
        for pattern in ending:
            last = [*lately][-len(pattern.words) :]
            if len(last) == len(pattern.words) and pattern.matches([each for each, _ in last]):
                found[pattern].append((last[0][1][0], span[1]))
    return found


def _unite_spans(spans: Sequence[Span]) -> tuple[Span, ...]:
    """Return spans ascending, overlapping ones united."""
    united: list[Span] = []
    for start, end in sorted(spans):
        if united and start < united[-1][1]:
            united[-1] = (united[-1][0], max(end, united[-1][1]))
        else:
            united.append((start, end))
    return tuple(united)
