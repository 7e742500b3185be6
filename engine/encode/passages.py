"""Cut what is too long for an encoder into passages, each led by the title, at ends of sentences where possible."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from engine.encode.recipe import cleaned, prepared
from engine.encode.sentences import sentences
from engine.queries import Span

Count = Callable[[Sequence[str]], NDArray[np.int64]]  # tokens of texts before any cut: Tokens.n_tokens
TITLE = 64  # tokens of a title at most, where the text is cut
LEAST = 16  # tokens; no limit may be smaller


@dataclass(frozen=True, slots=True)
class Passage:
    """A part of a record as the encoder sees it."""

    span: Span  # of the abstract as stored; (0, 0) if it is blank
    text: str  # prepared: the title, cut if it is very long, and this part


def passages(title: str, abstract: str, count: Count, limit: int) -> list[Passage]:
    """Cut a record into the fewest passages of at most `limit` tokens, of like length, in order.

    A record that fits is one passage, the text that `prepared` makes of it; one without any text is none. Only
    sentences that do not fit are cut, between words; words that do not fit, between characters. The spans do not
    overlap and hold all that is not white space.

    Raises:
        ValueError: the limit is below LEAST.
    """
    if limit < LEAST:
        raise ValueError(f"passages of {limit} tokens: expected {LEAST} or more")
    whole, found = prepared(title, abstract), sentences(abstract)
    if not whole:
        return []
    if count([whole])[0] <= limit:
        return [Passage((found[0][0], found[-1][1]) if found else (0, 0), whole)]
    special = n_special(count)
    if not found:
        return [Passage((0, 0), leading(whole, count, limit))]
    head = leading(cleaned(title), count, min(TITLE, limit // 2) + special)
    room = limit - (int(count([f"{head}."])[0]) if head else special)
    while True:
        spans = packed(abstract, found, lambda texts: np.maximum(count(texts) - special, 0), room)
        made = [Passage(span, prepared(head, abstract[slice(*span)])) for span in spans]
        over = int(count([passage.text for passage in made]).max()) - limit
        if over <= 0 or room == 1:
            return made
        room = max(1, room - over)  # tokens of parts do not add up with every tokenizer


def n_special(count: Count) -> int:
    """Special tokens that are put around every text."""
    one, two = (int(n) for n in count(["a", "a a"]))
    return 2 * one - two


def leading(title: str, count: Count, most: int) -> str:
    """As many of the first words of a title as have at most so many tokens; if it is none, of its characters."""
    words = title.split(" ")
    n = fitting(words, " ", count, most)
    return " ".join(words[:n]) if n else words[0][: fitting(words[0], "", count, most)]


def fitting(parts: Sequence[str], gap: str, count: Count, most: int) -> int:
    """How many of the parts, from the first on, have at most so many tokens together."""
    return bisect_right(range(len(parts) + 1), most, key=lambda n: int(count([gap.join(parts[:n])])[0])) - 1


def packed(text: str, found: Sequence[Span], count: Count, room: int) -> list[Span]:
    """Neighbouring spans put together up to `room` tokens: the fewest passages, of like length."""
    sizes = sizes_of(text, found, count)
    if max(sizes) > room:
        found = [part for span, n in zip(found, sizes, strict=True) for part in parted(text, span, n, count, room)]
        sizes = sizes_of(text, found, count)
    fewest = len(filled(found, sizes, room))
    least = bisect_left(range(room), True, key=lambda size: len(filled(found, sizes, size)) <= fewest)
    return filled(found, sizes, least)


def sizes_of(text: str, spans: Sequence[Span], count: Count) -> list[int]:
    """Tokens of each part of a text."""
    return [int(n) for n in count([cleaned(text[start:end]) for start, end in spans])]


def parted(text: str, span: Span, size: int, count: Count, room: int) -> Iterator[Span]:
    """A span of so many tokens or its halves, quarters …, of at most `room` tokens, cut at white space if there is."""
    start, end = span
    if size <= room or end - start < 2:
        yield span
        return
    middle = (start + end) // 2
    spaces = (at for at in range(start, end) if text[at].isspace())
    cut = min(spaces, key=lambda at: abs(at - middle), default=middle)
    halves = (start, start + len(text[start:cut].rstrip())), (end - len(text[cut:end].lstrip()), end)
    for half, n in zip(halves, sizes_of(text, halves, count), strict=True):
        yield from parted(text, half, n, count, room)


def filled(spans: Sequence[Span], sizes: Sequence[int], room: int) -> list[Span]:
    """Neighbouring spans put together as long as their sizes add up to `room` at most; each at least alone."""
    made: list[Span] = []
    used = 0
    for (start, end), size in zip(spans, sizes, strict=True):
        if made and used + size <= room:
            made[-1], used = (made[-1][0], end), used + size
        else:
            made.append((start, end))
            used = size
    return made
