"""Abbreviations of a question and what the records that answer it say they stand for, and the other way round."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence

from engine.corpus.words.folding import get_stemmer, split_words
from engine.corpus.words.wordindex import WordIndex
from engine.corpus.words.wording import Term
from engine.records.answer import Abbreviation

_OFFERED = 3  # forms, at most
_EACH = 2  # of one abbreviation
_SHORTEST, _LONGEST = 2, 10  # characters of a short form
_ALIKE = 3  # first letters of each word, by which two long forms are one: "osteoarthritis" and "osteoarthrosis"
_READ = 2000  # characters before a short form that are read; fifteen words, the most that matter, take far fewer
_CAPITALS = 2  # of it, at least: "(see Methods)" defines nothing
_AFTER = re.compile(r"\(\s*([^\s()\[\];,:]+)\s*[);,:]")  # "systemic lupus erythematosus (SLE)"
_PLURAL = re.compile(r"(?<=[A-Z]{2})s\b")  # "RCTs"
_BEFORE = re.compile(r"(?<=[\w/-]) \(([^()]+)\)")  # "SLE (systemic lupus erythematosus)"
_WORD_END = re.compile(r"\w[\w/-]*\Z")

_Words = tuple[str, ...]  # folded


def find_abbreviations(words: WordIndex, text: str, records: Iterable[tuple[str, str]]) -> tuple[Abbreviation, ...]:
    """Return the other forms of what a text names, most often defined first; 3 at most, none if nothing is defined.

    records are the titles and abstracts in which definitions are looked for. A form that the text has is not offered.

    Raises:
        BusyError: the deadline of the request has passed.
    """
    asked = _fold(text)
    stems = _stem_all(asked)
    offers: dict[tuple[_Words, _Words], Counter[tuple[str, str]]] = {}
    for title, abstract in records:
        for written in set(_list_definitions(title, abstract)):
            short, long = _fold(written[0]), split_words(written[1])
            if _is_in(short, asked) != _is_in(_stem_all(long), stems):
                alike = tuple(word[:_ALIKE] for word in long)
                offers.setdefault((short, alike), Counter())[written] += 1
    chosen = _limit_each(sorted(offers, key=lambda key: (-offers[key].total(), key)))
    return tuple(_count_form(words, *_choose_written(offers[key]), asked) for key in chosen)


def _choose_written(forms: Counter[tuple[str, str]]) -> tuple[str, str]:
    """Return the form that is written most often, of equals the first by the alphabet."""
    return min(forms, key=lambda form: (-forms[form], form))


def _limit_each(keys: Iterable[tuple[_Words, _Words]]) -> list[tuple[_Words, _Words]]:
    """Return the first of the keys: a few in all, and fewer of each short form."""
    of_short = Counter[_Words]()
    kept = []
    for key in keys:
        of_short[key[0]] += 1
        kept += [key] if of_short[key[0]] <= _EACH else []
    return kept[:_OFFERED]


def _count_form(words: WordIndex, short: str, long: str, asked: Sequence[str]) -> Abbreviation:
    """Return a definition with the form that the question lacks, and the number of records that have this form."""
    other = long if _is_in(_fold(short), asked) else short
    return Abbreviation(short, long, other, words.count_records(Term(other)))


def _list_definitions(*texts: str) -> Iterator[tuple[str, str]]:
    """Yield the short and the long form of each definition in some texts.

    The way of Schwartz & Hearst (Pacific Symposium on Biocomputing 2003), for short forms of one word.
    """
    for text in texts:
        for match in _AFTER.finditer(text):
            if _is_short_form(match[1]):
                n = _limit_words(match[1])
                before = text[max(0, match.start() - _READ) : match.start()].rsplit(None, n)[-n:]
                if long := _find_long_form(match[1], " ".join(before)):
                    yield match[1], long
        for match in _BEFORE.finditer(text):
            end = match.start()
            word = _WORD_END.search(text, max(0, end - _LONGEST - 1), end)  # one character more: a longer one shows
            if word and _is_short_form(word[0]) and _find_long_form(word[0], match[1]) == match[1]:
                yield word[0], match[1]


def _is_short_form(text: str) -> bool:
    """Return whether a word looks like an abbreviation."""
    is_wide = _SHORTEST <= len(text) <= _LONGEST
    return is_wide and text[0].isalnum() and sum(each.isupper() for each in text) >= _CAPITALS


def _limit_words(short: str) -> int:
    """Return the number of words that the long form of a short one may have."""
    return min(len(short) + 5, len(short) * 2)


def _find_long_form(short: str, before: str) -> str:
    """Return the end of a text that a short form abbreviates; "" if none does.

    From the end of both, each letter of the short form must follow in the text, the first one at the start of a word.

    >>> _find_long_form("SLE", "patients with systemic lupus erythematosus")
    'systemic lupus erythematosus'
    >>> _find_long_form("TNF", "the drug")
    ''
    """
    place = len(before)
    letters = [each for each in short.lower() if each.isalnum()]
    for n, letter in enumerate(reversed(letters), 1):
        place -= 1
        while place >= 0 and (
            before[place].lower() != letter or (n == len(letters) and place and before[place - 1].isalnum())
        ):
            place -= 1
        if place < 0:
            return ""
    long = before[place:].strip()
    is_longer = len(long) > len(short) and len(long.split()) <= _limit_words(short)
    return long if is_longer and short.lower() not in long.lower().split() else ""


def _fold(text: str) -> _Words:
    """Return the folded words of a text, with its abbreviations in the singular."""
    return tuple(split_words(_PLURAL.sub("", text)))


def _stem_all(words: Iterable[str]) -> _Words:
    """Return the stems of folded words."""
    return tuple(map(get_stemmer().stem_word, words))


def _is_in(form: _Words, words: Sequence[str]) -> bool:
    """Return whether the words of a form stand next to each other among some words."""
    n = len(form)
    return bool(n) and any(tuple(words[i : i + n]) == form for i in range(len(words) - n + 1))
