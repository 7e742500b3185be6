"""Terms and proximity compared with the words of a text."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from functools import lru_cache

from engine.corpus.boolean.tree import Expression, Kind, Node
from engine.corpus.boolean.values import MANY, MAYBE, ONE
from engine.corpus.words.folding import split_words

_Spans = list[tuple[int, int]]  # first word and the one after the last, ascending
Words = Sequence[str]  # of a text, folded, in order
_WILD = {MANY: ".*", MAYBE: ".?", ONE: "."}
_WILD_ASCII = {MANY: "[a-z0-9]*", MAYBE: "[a-z0-9]?", ONE: "[a-z0-9]"}
_BETWEEN = r"[\x00-/:-`{-\x7f]"  # what separates words in a text in lower case


def has_wildcard(word: str) -> bool:
    """Return whether a word of a term has a wildcard."""
    return any(sign in word for sign in _WILD)


def cut_beginning(word: str) -> str:
    """Return the letters of a word of a term before its first wildcard."""
    return re.split(r"[*?#]", word, maxsplit=1)[0]


def build_regex(word: str) -> str:
    """Return the regular expression that matches the same whole words as a word of a term."""
    return "".join(_WILD.get(character) or re.escape(character) for character in word)


@lru_cache(maxsize=4096)
def build_test(word: str) -> Callable[[str], bool]:
    """Return a test for whether a folded word matches a word of a term."""
    if not has_wildcard(word):
        return word.__eq__
    matches = re.compile(build_regex(word)).fullmatch
    return lambda other: matches(other) is not None


@lru_cache(maxsize=256)
def build_text_test(words: tuple[str, ...]) -> Callable[[str], bool]:
    """Return a test for whether the words of a term follow each other in a text as it is stored.

    It agrees with find_phrase on the words of the text, but splits only texts in which other letters than those of
    ASCII may matter.
    """
    if not all(word.isascii() for word in words):
        return lambda text: bool(find_phrase(words, split_words(text)))
    inside = ["".join(_WILD_ASCII.get(one) or re.escape(one) for one in word) for word in words]
    search = re.compile(rf"(?:^|(?<={_BETWEEN}))(?:{f'{_BETWEEN}+'.join(inside)})(?={_BETWEEN}|$)").search

    def has_words(text: str) -> bool:
        if search(text.lower()) is not None:
            return True
        return not text.isascii() and bool(find_phrase(words, split_words(text)))

    return has_words


def find_phrase(words: Words, text: Words) -> _Spans:
    """Return where the words of a term follow each other in a text."""
    if len(words) == 1 and not has_wildcard(words[0]):
        return [(place, place + 1) for place, word in enumerate(text) if word == words[0]]
    tests = [build_test(word) for word in words]
    n = len(tests)
    return [
        (start, start + n)
        for start in range(len(text) - n + 1)
        if all(test(text[start + place]) for place, test in enumerate(tests))
    ]


def find_spans(expression: Expression, number: int, text: Words) -> _Spans:
    """Return where a node of terms, OR and NEAR matches a text: the shortest span of each way."""
    spans: dict[int, _Spans] = {}
    for part in list_branch(expression, number):
        node = expression.nodes[part]
        below = [spans[one] for one in node.parts]
        if node.term is not None:
            spans[part] = find_phrase(node.term.words, text)
        elif node.kind is Kind.OR:
            spans[part] = sorted({span for found in below for span in found})
        else:
            spans[part] = _join_spans(node, below)
    return spans[number]


def list_branch(expression: Expression, number: int) -> list[int]:
    """Return the numbers of a node and all nodes below it, parts before wholes."""
    found, stack = [], [number]
    while stack:
        one = stack.pop()
        found.append(one)
        stack += expression.nodes[one].parts
    return sorted(found)


def list_below_nearness(expression: Expression) -> set[int]:
    """Return the numbers of all nodes below a NEAR, which are looked up with it."""
    found: set[int] = set()
    for number in reversed(range(len(expression.nodes))):  # wholes before parts
        node = expression.nodes[number]
        if node.kind is Kind.NEAR or number in found:
            found.update(node.parts)
    return found


def _join_spans(node: Node, below: Sequence[_Spans]) -> _Spans:
    """Return the spans in which every part occurs once, with fewer than `distance` other words between them."""
    if len(below) > 2:
        return _find_windows(node, below)
    left, right = below
    joined = set()
    for start, end in left:
        for first, last in right:
            if start < last and first < end:  # they overlap
                continue
            between = first - end if first >= end else start - last
            if between < node.distance and (first >= end or not node.ordered):
                joined.add((min(start, first), max(end, last)))
    return sorted(joined)


def _find_windows(node: Node, below: Sequence[_Spans]) -> _Spans:
    """Return the windows in which several single words occur, each at a place of its own."""
    size = len(below) + node.distance - 1
    places = [[start for start, _ in spans] for spans in below]
    found = []
    for first in sorted({place for some in places for place in some}):
        inside = [[place for place in some if first <= place < first + size] for some in places]
        if all(inside) and (taken := _divide_places(inside)) is not None:
            found.append((first, max(taken) + 1))
    return found


def _divide_places(choices: Sequence[Sequence[int]]) -> list[int] | None:
    """Return a place for each word, all different; None if there is no way."""
    owner: dict[int, int] = {}

    def place_one(word: int, seen: set[int]) -> bool:
        for place in choices[word]:
            if place not in seen:
                seen.add(place)
                if place not in owner or place_one(owner[place], seen):
                    owner[place] = word
                    return True
        return False

    return list(owner) if all(place_one(word, set()) for word in range(len(choices))) else None
