"""A truncated word, arthrit*, in terms of an index of stems.

FTS5 stems the beginning of a word too before it compares it: fibros* becomes fibro* and finds fibromyalgia, hydroxy*
becomes hydroxi* and misses hydroxychloroquine; vaccinat* misses vaccination, whose stem is vaccin. So a beginning is
asked for by a word of which it is the stem (fibrose*), and a word whose stem is shorter than the beginning by itself.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from contextlib import closing
from functools import lru_cache
from string import ascii_lowercase, digits

from engine.corpus.words.wording import FOLDED, STEMMED, STOP_WORDS, quote_phrase

_CARRIERS = ("", "e", "ness")  # what the stemmer takes off nearly every word, and no more than that
_ENDINGS = tuple(
    "s es ed ing er ers or ors y ies ied ier iest ly al ally als ance ances ancy ence ences ency able ably ible ibly"
    " ability abilities ibility ibilities ant ants antly ent ents ently ement ements ment ments ion ions ional ionally"
    " ate ates ated ating ation ations ational ationally ative atively ator ators atory ic ics ical ically icate icity"
    " ism isms ist ists ity ities ive ively ives iveness ivity ize izes ized izing ization izations izer izers ous"
    " ously ousness ful fully fulness ness tion tions tional".split()
)


@lru_cache(maxsize=1024)
def find_beginnings(text: str) -> tuple[str, ...]:
    """FTS5 phrases that together find the words that begin with a text; of several words, the last may be longer.

    They also find what has the same stem as a word that begins so, as any search by words does, unless that is "do".

    >>> find_beginnings("arthrit")
    ('"arthrit" *',)
    >>> find_beginnings("fibros")
    ('"fibrose" *', '"fibros"')
    >>> find_beginnings("vaccinat")
    ('"vaccinat" *', '"vaccinates"')
    """
    whole = [text, *_find_completions(text)]
    starts = _find_carried([text]) or _find_carried([text + letter for letter in ascii_lowercase + digits])
    found: dict[str, str] = {}
    for word, (_, stem) in zip(whole, _stem_words(whole), strict=True):
        if stem not in STOP_WORDS and not stem.startswith(tuple(starts)):
            found.setdefault(stem, quote_phrase(word))
    return (*(f"{word} *" for word in starts.values()), *found.values())


def _find_carried(texts: Sequence[str]) -> dict[str, str]:
    """Last words of texts, without case and accents -> FTS5 phrases stemmed to just that, of those that have one."""
    longer = [(text, text + ending) for ending in _CARRIERS for text in texts]
    pairs = _stem_words([word for _, word in longer])
    folded = dict(zip(texts, (word for word, _ in pairs), strict=False))  # those of the first ending, which is none
    found: dict[str, str] = {}
    for (text, word), (_, stem) in zip(longer, pairs, strict=True):
        if stem == folded[text]:
            found.setdefault(stem, quote_phrase(word))
    return found


def _find_completions(text: str) -> list[str]:
    """Words that begin with text and have an ending that the stemmer takes off, or whose end text already has."""
    rest = [ending[i:] for ending in _ENDINGS for i in range(len(ending)) if text.lower().endswith(ending[:i])]
    return [text + ending for ending in dict.fromkeys(rest)]


def _stem_words(texts: Sequence[str]) -> list[tuple[str, str]]:
    """Of the last word of each text: the word without case and accents, and its stem. ("", "") where there is none."""
    with closing(sqlite3.connect(":memory:")) as db:
        return list(zip(_find_last_words(db, FOLDED, texts), _find_last_words(db, STEMMED, texts), strict=True))


def _find_last_words(db: sqlite3.Connection, tokenizer: str, texts: Sequence[str]) -> list[str]:
    """The last token of each text, "" where there is none."""
    found = [""] * len(texts)
    db.execute(f"CREATE VIRTUAL TABLE one USING fts5(text, tokenize='{tokenizer}')")
    db.executemany("INSERT INTO one (rowid, text) VALUES (?, ?)", enumerate(texts))
    db.execute("CREATE VIRTUAL TABLE tokens USING fts5vocab(one, instance)")
    for doc, term in db.execute("SELECT doc, term FROM tokens ORDER BY offset"):
        found[doc] = term
    db.execute("DROP TABLE tokens")
    db.execute("DROP TABLE one")
    return found
