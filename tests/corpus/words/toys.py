"""Toy records for the tests of words, a plain oracle for what they match, and a way to build their index."""

import random
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from hypothesis import strategies as st

from engine.corpus.words.wordindex import WordIndex
from engine.corpus.words.wordwriter import write_words
from engine.index.files.durable import share_file

WORDS = ("gout", "hip", "knee", "bone", "pain", "bon")  # each is its own stem, and one begins another
Doc = tuple[str, str]  # title and abstract
NONE = np.empty(0, np.int64)


def build_words(folder: Path, docs: Sequence[Doc]) -> WordIndex:
    """Build the words of records with ids from 1."""
    write_words(folder, None, NONE, number_docs(docs), share_file)
    return WordIndex(folder)


def number_docs(docs: Iterable[Doc], first: int = 1) -> list[tuple[int, str, str]]:
    return [(number, *doc) for number, doc in enumerate(docs, first)]


@dataclass(frozen=True)
class Asked:
    """An operand of the oracle."""

    words: tuple[str, ...]
    sign: str = ""
    in_title: bool = False
    quoted: bool = False
    star: bool = False

    def __str__(self) -> str:
        text = (" " if self.quoted else "-").join(self.words) + "*" * self.star
        return f"{self.sign}{'title:' * self.in_title}" + (f'"{text}"' if self.quoted else text)

    def places(self, text: str) -> list[tuple[int, int]]:
        """Return the spans of the operand in a text."""
        tokens = [(match[0].lower(), match.start(), match.end()) for match in re.finditer("[a-zA-Z]+", text)]
        n = len(self.words)
        runs = [tokens[i : i + n] for i in range(len(tokens) - n + 1)]
        return [(run[0][1], run[-1][2]) for run in runs if self.is_run([token for token, _, _ in run])]

    def is_run(self, tokens: list[str]) -> bool:
        head, last = tuple(tokens[:-1]), tokens[-1]
        return head == self.words[:-1] and (last.startswith(self.words[-1]) if self.star else last == self.words[-1])

    def counts(self, doc: Doc) -> tuple[int, int]:
        """Count the occurrences in title and abstract."""
        return len(self.places(doc[0])), 0 if self.in_title else len(self.places(doc[1]))

    @property
    def is_plain(self) -> bool:
        return not (self.sign or self.in_title or self.quoted)

    @property
    def parts(self) -> list["Asked"]:
        """The words of several plain ones, which rank by themselves too."""
        is_whole = self.star or not self.is_plain or len(self.words) == 1
        return [] if is_whole else [Asked((word,)) for word in dict.fromkeys(self.words)]

    def is_found(self, doc: Doc) -> bool:
        return any(any(one.counts(doc)) for one in (self, *self.parts))


def matches(asked: list[Asked], doc: Doc) -> bool:
    wanted = [one for one in asked if one.sign != "-"]
    required = [one for one in wanted if not one.is_plain]
    return (
        any(one.is_found(doc) for one in wanted)
        and all(any(one.counts(doc)) for one in required)
        and not any(any(one.counts(doc)) for one in asked if one.sign == "-")
    )


def toy_docs() -> list[Doc]:
    """Generate texts of few words, so that phrases and ties occur."""
    pick = random.Random(3)
    sides = [[pick.choice(WORDS[: 2 + n % 5]) for _ in range(pick.randint(1, 6))] for n in range(120)]
    texts = [" ".join(word.upper() if pick.random() < 0.2 else word for word in side) for side in sides]
    return list(zip(texts[::2], texts[1::2], strict=True))


DOCS = toy_docs()
ONE = st.builds(
    Asked,
    st.lists(st.sampled_from(WORDS), min_size=1, max_size=3).map(tuple),
    st.sampled_from(["", "", "", "+", "-"]),
    st.sampled_from([False, False, False, True]),
    st.booleans(),
    st.sampled_from([False, False, True]),
)
