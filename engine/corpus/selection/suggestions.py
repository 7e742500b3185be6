"""Values of filters that no record has, and the nearest names that records do have.

Names are compared as folded words: without case, accents, punctuation and order. The names of a kind are read as one
text, and what they share with a value is counted in groups of three letters over that text at once, so that a million
names take a second. The best of them are then compared letter by letter.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from itertools import islice

import numpy as np
from numpy.typing import NDArray

from engine.corpus.selection.fields import FIELDS
from engine.corpus.selection.languages import list_spellings
from engine.corpus.selection.where import list_compared
from engine.corpus.storage.docsets import DocSet, Selected, Some, WithTerms
from engine.corpus.storage.store import Corpus
from engine.corpus.words.folding import fold_text, split_words
from engine.options import FILTERS, Filters, QueryOption, ValueKind
from engine.phrases import pluralize

_KINDS = ("journal", "mesh", "type", "keyword", "author", "language", "database", "label")  # of the table terms
_NAMES = {option.name: option for option in FILTERS if option.kind is ValueKind.NAMES and option.name in FIELDS}
_NAMED = 5  # values that a filter names, with suggestions; more are counted
_SUGGESTED = 3  # names for one value
_FEW = 8  # names of a field that are listed where none is near
_COMPARED = 60  # names that are compared letter by letter
_NEAR = 0.6  # likeness from which a name is suggested
_BEHIND = 0.15  # by which it may be less like the value than the nearest name is
_SHOWN = 80  # characters of a value or name


@dataclass(frozen=True, slots=True)
class _NameText:
    """The names of a kind, and their folded words as one text in which three letters are looked up at once."""

    names: tuple[str, ...]
    folded: tuple[str, ...]  # the words of each name

    @classmethod
    def build(cls, text: str) -> _NameText:
        """Build it from names that are divided by line feeds."""
        names = tuple(dict.fromkeys(name for name in text.split("\n") if name))
        whole = "\n".join(names)
        letters = {ord(letter): fold_text(letter) for letter in set(whole) - {"\n"}}
        return cls(names, tuple(whole.translate(letters).split("\n")) if names else ())

    def find_nearest(self, value: str, most: int) -> list[str]:
        """Return the names most like a value, nearest first, at most so many; none that is less like it than _NEAR."""
        words = split_words(value)
        if not words or not self.names:
            return []
        likeness = {row: _compare_words(words, self.folded[row].split()) for row in self._find_sharing(words)}
        likeness |= dict.fromkeys(self._find_initials(words), 1.0)
        least = max(_NEAR, max(likeness.values(), default=0.0) - _BEHIND)
        near = [row for row in likeness if likeness[row] >= least]
        near.sort(key=lambda row: (-likeness[row], len(self.names[row]), self.names[row]))
        return [self.names[row] for row in near[:most]]

    def _find_initials(self, words: Sequence[str]) -> list[int]:
        """Return names of which the value has the initials, such as RCT."""
        (word, *others) = words
        if others or not 2 <= len(word) <= _FEW:
            return []
        pattern = re.compile(r" +".join(rf"{re.escape(letter)}\w*" for letter in word))
        found = (row for row, name in enumerate(self.folded) if name[:1] == word[0] and pattern.fullmatch(name.strip()))
        return list(islice(found, _COMPARED))

    def _find_sharing(self, words: Sequence[str]) -> list[int]:
        """Return the names that share most groups of three letters with words, beside what else they have."""
        text = np.frombuffer("\n".join(f" {name} " for name in self.folded).encode(), np.uint8)
        wanted = np.unique(_list_groups(np.frombuffer("\n".join(f" {word} " for word in words).encode(), np.uint8)))
        asked = np.zeros(1 << 24, np.bool_)
        asked[wanted] = True
        rows = np.cumsum(text == ord("\n"))[: max(len(text) - 2, 0)]
        shared = np.bincount(rows[asked[_list_groups(text)]], minlength=len(self.names))
        size = np.bincount(np.cumsum(text == ord("\n"))[text > ord(" ")], minlength=len(self.names))
        share = 2 * np.minimum(shared, len(wanted)) / np.maximum(len(wanted) + size, 1)
        best = np.argsort(-share, kind="stable")[:_COMPARED]
        return [int(row) for row in best if share[row] > 0]


def _list_groups(text: NDArray[np.uint8]) -> NDArray[np.int32]:
    """Return the groups of three bytes of a text as numbers, int32 (n - 2,)."""
    wide = text.astype(np.int32)
    return (wide[:-2] << 16) | (wide[1:-1] << 8) | wide[2:]


def _compare_words(words: Sequence[str], others: Sequence[str]) -> float:
    """Return how alike two names are, from 0 to 1, by their words in any order.

    That is the likeness of the sorted words; or, for a value with fewer words, how well each finds one that it begins
    or resembles.
    """
    if not others:
        return 0.0
    whole = _compare_letters(" ".join(sorted(words)), " ".join(sorted(others)))
    found = sum(len(word) * max(_compare_word(word, other) for other in others) for word in words)
    return max(whole, 0.95 * found / sum(map(len, words)))


def _compare_word(word: str, other: str) -> float:
    """Return how alike two words are: nearly 1 where the other begins with the word, half where it is its initial."""
    is_initial = len(other) == 1 and word.startswith(other)
    return max(0.95 * other.startswith(word), 0.5 * is_initial, _compare_letters(word, other))


def _compare_letters(text: str, other: str) -> float:
    """Return the share of the letters of two texts that match, in order."""
    return SequenceMatcher(None, text[:_SHOWN], other[:_SHOWN], autojunk=False).ratio()


def note_unmatched(corpus: Corpus, filters: Filters) -> tuple[str, ...]:
    """Return a note on each value of a filter that no record has, with the nearest names that records have.

    Values of the filters by name and those that an expression compares are looked at. Of each field the first _NAMED
    are named, and the others counted.
    """
    notes: list[str] = []
    for name, values in _list_values(filters).items():
        unmatched = [value for value in values if not _has_record(corpus, FIELDS[name].equal([value]))]
        texts = _read_names(corpus, name) if unmatched else _NameText((), ())
        notes += [_write_note(corpus, _NAMES[name], value, texts) for value in unmatched[:_NAMED]]
        if rest := len(unmatched) - _NAMED:
            notes += [f"no records have {pluralize(rest, 'further value')} of {name}"] if rest > 0 else []
    return tuple(notes)


def _list_values(filters: Filters) -> dict[str, list[str]]:
    """Return the values that filters and their expression compare, each once, by the name of the field."""
    found: dict[str, dict[str, None]] = {}
    for name, option in _NAMES.items():
        if given := getattr(filters, option.field):
            found[name] = dict.fromkeys(given)
    for name, value in list_compared(filters.where) if filters.where else ():
        if name in _NAMES:
            found.setdefault(name, {})[value] = None
    return {name: list(values) for name, values in found.items()}


def _has_record(corpus: Corpus, docset: DocSet) -> bool:
    """Return whether a selection has a live record; the first one found ends the search."""
    selects, values = _unite(docset)
    rows = corpus.read_each(f"SELECT EXISTS (SELECT 1 FROM ({selects}) WHERE id NOT IN (SELECT id FROM dead))", *values)
    return any(row[0] for part in rows for row in part)


def _unite(docset: DocSet) -> tuple[str, list[str | int]]:
    """Return the SELECT of the ids of a field's selection, dead ones too, perhaps repeated, and its values."""
    parts = docset.parts if isinstance(docset, Some) else (docset,)
    leaves = [part for part in parts if isinstance(part, Selected | WithTerms)]
    sql = " UNION ALL ".join(f"SELECT id FROM ({leaf.sql})" for leaf in leaves)
    return sql, [value for leaf in leaves for value in leaf.values]


def _read_names(corpus: Corpus, name: str) -> _NameText:
    """Return the stored names of a field; none for a field of free text."""
    if name == "source":
        sql, values = "SELECT name || char(10) || format FROM sources", ()
        return _NameText.build("\n".join(row[0] for rows in corpus.read_each(sql, *values) for row in rows))
    if name not in _KINDS:
        return _NameText((), ())
    sql = "SELECT group_concat(replace(value, char(10), ' '), char(10)) FROM terms WHERE kind = ?"
    text = "\n".join(row[0] or "" for rows in corpus.read_each(sql, name) for row in rows)
    if name == "language":
        text = "\n".join(spelling for value in text.split("\n") if value for spelling in list_spellings(value))
    return _NameText.build(text)


def _write_note(corpus: Corpus, option: QueryOption, value: str, texts: _NameText) -> str:
    """Return the note on a value that no record has."""
    problem = f"no {option.words[0].format(_quote(value))}"
    if not texts.names and option.name in _KINDS:
        return f"{problem}; no record of this index has a value of {option.name}"
    near = texts.find_nearest(value.replace("*", " "), _SUGGESTED)
    listed = _count_each(corpus, option.name, near)
    if listed:
        return f"{problem}; did you mean {' or '.join(listed)}?"
    if 0 < len(texts.names) <= _FEW and (all_names := _count_each(corpus, option.name, texts.names)):
        return f"{problem}; the records have {', '.join(all_names)}"
    return problem


def _count_each(corpus: Corpus, field: str, names: Sequence[str]) -> list[str]:
    """Return names with their numbers of records; those without a live record are left out."""
    return [f"{_quote(name)} ({n:,})" for name, n in zip(names, _count_records(corpus, field, names), strict=True) if n]


def _count_records(corpus: Corpus, field: str, names: Sequence[str]) -> Iterator[int]:
    """Yield the number of live records with each name."""
    for name in names:
        selects, values = _unite(FIELDS[field].equal([name]))
        sql = f"SELECT count(DISTINCT id) FROM ({selects}) WHERE id NOT IN (SELECT id FROM dead)"
        yield sum(row[0] for part in corpus.read_each(sql, *values) for row in part)


def _quote(text: str) -> str:
    """Return a value or name in quotation marks, cut if it is long."""
    return f'"{text[: _SHOWN - 1]}…"' if len(text) > _SHOWN else f'"{text}"'
