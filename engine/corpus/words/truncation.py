"""Truncated words such as arthrit* in an index of stems.

FTS5 stems the beginning of a word before comparing it: fibros* becomes fibro* and finds fibromyalgia, hydroxy* becomes
hydroxi* and misses hydroxychloroquine; vaccinat* misses vaccination, whose stem is vaccin. So a beginning is replaced
by a word that has it as its stem (fibrose*), and each word whose stem is shorter than the beginning is added as it is.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from contextlib import closing
from functools import lru_cache
from string import ascii_lowercase, digits

from engine.corpus.words.wording import FOLDED, STEMMED, STOP_WORDS, quote_phrase

_CARRIERS = ("", "e", "ness")  # endings that the stemmer removes from nearly every word, changing nothing else
_ENDINGS = tuple(
    "s es ed ing er ers or ors y ies ied ier iest ly al ally als ance ances ancy ence ences ency able ably ible ibly"
    " ability abilities ibility ibilities ant ants antly ent ents ently ement ements ment ments ion ions ional ionally"
    " ate ates ated ating ation ations ational ationally ative atively ator ators atory ic ics ical ically icate icity"
    " ism isms ist ists ity ities ive ively ives iveness ivity ize izes ized izing ization izations izer izers ous"
    " ously ousness ful fully fulness ness tion tions tional".split()
)


@lru_cache(maxsize=1024)
def find_beginnings(text: str) -> tuple[str, ...]:
    """Return FTS5 phrases that together find all words that begin with a text; if it has several words, the last one.

    They also find words with the same stem as such a word, as any keyword search does. Stems that are stop words are
    left out.

    >>> find_beginnings("arthrit")
    ('"arthrit" *',)
    >>> find_beginnings("fibros")
    ('"fibrose" *', '"fibros"')
    >>> find_beginnings("vaccinat")
    ('"vaccinat" *', '"vaccinates"')
    """
    words = [text, *_find_completions(text)]
    stems = _find_carried([text]) or _find_carried([text + letter for letter in ascii_lowercase + digits])
    phrases: dict[str, str] = {}
    for word, (_, stem) in zip(words, _stem_words(words), strict=True):
        if stem not in STOP_WORDS and not stem.startswith(tuple(stems)):
            phrases.setdefault(stem, quote_phrase(word))
    return (*(f"{word} *" for word in stems.values()), *phrases.values())


def _find_carried(texts: Sequence[str]) -> dict[str, str]:
    """Map the last word of each text, without case and accents, to an FTS5 phrase with that stem, if there is one."""
    longer = [(text, text + ending) for ending in _CARRIERS for text in texts]
    pairs = _stem_words([word for _, word in longer])
    folded = dict(zip(texts, (word for word, _ in pairs), strict=False))  # the first ending is empty
    phrases: dict[str, str] = {}
    for (text, word), (_, stem) in zip(longer, pairs, strict=True):
        if stem == folded[text]:
            phrases.setdefault(stem, quote_phrase(word))
    return phrases


def _find_completions(text: str) -> list[str]:
    """Return words that begin with a text and add an ending that the stemmer removes, or the rest of such an ending."""
    rest = [ending[i:] for ending in _ENDINGS for i in range(len(ending)) if text.lower().endswith(ending[:i])]
    return [text + ending for ending in dict.fromkeys(rest)]


def _stem_words(texts: Sequence[str]) -> list[tuple[str, str]]:
    """Return the last word of each text, without case and accents, and its stem; ("", "") for a text without words."""
    with closing(sqlite3.connect(":memory:")) as db:
        return list(zip(_find_last_words(db, FOLDED, texts), _find_last_words(db, STEMMED, texts), strict=True))


def _find_last_words(db: sqlite3.Connection, tokenizer: str, texts: Sequence[str]) -> list[str]:
    """Return the last token of each text, "" for a text without tokens."""
    last_words = [""] * len(texts)
    db.execute(f"CREATE VIRTUAL TABLE texts USING fts5(text, tokenize='{tokenizer}')")
    db.executemany("INSERT INTO texts (rowid, text) VALUES (?, ?)", enumerate(texts))
    db.execute("CREATE VIRTUAL TABLE tokens USING fts5vocab(texts, instance)")
    for n, term in db.execute("SELECT doc, term FROM tokens ORDER BY offset"):
        last_words[n] = term
    db.execute("DROP TABLE tokens")
    db.execute("DROP TABLE texts")
    return last_words
