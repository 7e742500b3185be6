"""The texts that the encoder gets of a record: one, or passages, each led by the title, cut at ends of sentences."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from engine.encode.receipt import TOKENIZER
from engine.encode.recipe import RECIPES, clean_text, prepare_text
from engine.encode.sentences import split_sentences
from engine.encode.tokens import load_tokenizer
from engine.records.answer import Span
from engine.records.encoder import EncoderIdentity

_Count = Callable[[Sequence[str]], NDArray[np.int64]]  # tokens of texts before any cut: Tokens.n_tokens
Texts = Callable[[str, str], list[str]]  # title and abstract as stored -> prepared texts; none where there is no word
_MAX_TITLE_TOKENS = 64  # tokens of a title at most, where the text is cut
_MIN_TOKENS = 16  # tokens; no limit may be smaller


@dataclass(frozen=True, slots=True)
class _Passage:
    """A part of a record as the encoder sees it."""

    span: Span  # of the abstract as stored; (0, 0) if it is blank
    text: str  # prepared: the title, cut if it is very long, and this part


def load_recipe(identity: EncoderIdentity, folder: Path) -> Texts:
    """Return what makes the texts of a record for an encoder, whose folder holds its tokenizer."""
    limit = RECIPES.get(identity.recipe)
    if limit is None:
        return prepare_whole
    tokenizer = load_tokenizer(folder / TOKENIZER, identity.max_length)
    most = min(limit, identity.max_length)
    return partial(_prepare_passages, count=lambda texts: tokenizer.tokenise(texts).n_tokens, limit=most)


def prepare_whole(title: str, abstract: str) -> list[str]:
    """Make one text of a record; none where there is no word."""
    text = prepare_text(title, abstract)
    return [text] if text else []


def cut_passages(title: str, abstract: str, count: _Count, limit: int) -> list[_Passage]:
    """Cut a record into the fewest passages of at most `limit` tokens, of like length, in order.

    A record that fits is one passage, the text that `prepared` makes of it; one without any text is none. Only
    sentences that do not fit are cut, between words; words that do not fit, between characters. The spans do not
    overlap and hold all that is not white space.

    Raises:
        ValueError: the limit is below MIN_TOKENS.
    """
    if limit < _MIN_TOKENS:
        raise ValueError(f"passages of {limit} tokens: expected {_MIN_TOKENS} or more")
    whole, found = prepare_text(title, abstract), split_sentences(abstract)
    if not whole:
        return []
    if count([whole])[0] <= limit:
        return [_Passage((found[0][0], found[-1][1]) if found else (0, 0), whole)]
    special = _count_special(count)
    if not found:
        return [_Passage((0, 0), _cut_title(whole, count, limit))]
    head = _cut_title(clean_text(title), count, min(_MAX_TITLE_TOKENS, limit // 2) + special)
    room = limit - (int(count([f"{head}."])[0]) if head else special)
    while True:
        spans = _merge_spans(abstract, found, lambda texts: np.maximum(count(texts) - special, 0), room)
        made = [_Passage(span, prepare_text(head, abstract[slice(*span)])) for span in spans]
        over = int(count([passage.text for passage in made]).max()) - limit
        if over <= 0 or room == 1:
            return made
        room = max(1, room - over)  # tokens of parts do not add up with every tokenizer


def _prepare_passages(title: str, abstract: str, *, count: _Count, limit: int) -> list[str]:
    """Make texts of at most `limit` tokens. They depend on nothing that the digest of a text leaves out."""
    return [passage.text for passage in cut_passages(clean_text(title), clean_text(abstract), count, limit)]


def _count_special(count: _Count) -> int:
    """Count the special tokens that are put around every text."""
    one, two = (int(n) for n in count(["a", "a a"]))
    return 2 * one - two


def _cut_title(title: str, count: _Count, most: int) -> str:
    """Return the first words of a title, at most so many tokens; its first characters if one word is too long."""
    words = title.split(" ")
    n = _count_fitting(words, " ", count, most)
    return " ".join(words[:n]) if n else words[0][: _count_fitting(words[0], "", count, most)]


def _count_fitting(parts: Sequence[str], gap: str, count: _Count, most: int) -> int:
    """Return how many of the parts, from the first on, have at most so many tokens together."""
    return bisect_right(range(len(parts) + 1), most, key=lambda n: int(count([gap.join(parts[:n])])[0])) - 1


def _merge_spans(text: str, found: Sequence[Span], count: _Count, room: int) -> list[Span]:
    """Merge neighbouring spans up to `room` tokens: the fewest passages, of similar length."""
    sizes = _count_tokens(text, found, count)
    if max(sizes) > room:
        found = [part for span, n in zip(found, sizes, strict=True) for part in _split_span(text, span, n, count, room)]
        sizes = _count_tokens(text, found, count)
    fewest = len(_fill_spans(found, sizes, room))
    least = bisect_left(range(room), True, key=lambda size: len(_fill_spans(found, sizes, size)) <= fewest)
    return _fill_spans(found, sizes, least)


def _count_tokens(text: str, spans: Sequence[Span], count: _Count) -> list[int]:
    """Count the tokens of each part of a text."""
    return [int(n) for n in count([clean_text(text[start:end]) for start, end in spans])]


def _split_span(text: str, span: Span, size: int, count: _Count, room: int) -> Iterator[Span]:
    """Halve a span of `size` tokens, at white space if there is any, until its parts have at most `room` tokens."""
    start, end = span
    if size <= room or end - start < 2:
        yield span
        return
    middle = (start + end) // 2
    spaces = (at for at in range(start, end) if text[at].isspace())
    cut = min(spaces, key=lambda at: abs(at - middle), default=middle)
    halves = (start, start + len(text[start:cut].rstrip())), (end - len(text[cut:end].lstrip()), end)
    for half, n in zip(halves, _count_tokens(text, halves, count), strict=True):
        yield from _split_span(text, half, n, count, room)


def _fill_spans(spans: Sequence[Span], sizes: Sequence[int], room: int) -> list[Span]:
    """Merge neighbouring spans while their sizes add up to at most `room`; a span that is larger stays alone."""
    made: list[Span] = []
    used = 0
    for (start, end), size in zip(spans, sizes, strict=True):
        if made and used + size <= room:
            made[-1], used = (made[-1][0], end), used + size
        else:
            made.append((start, end))
            used = size
    return made
