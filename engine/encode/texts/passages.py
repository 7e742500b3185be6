"""The texts of a record for the encoder: the whole, or passages that begin with the title and end with a sentence."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from engine.encode.models.folder import TOKENIZER
from engine.encode.models.recipe import RECIPES, clean_text, fill_template, prepare_text
from engine.encode.texts.sentences import split_sentences
from engine.encode.texts.tokens import PromptedTokenizer, load_tokenizer
from engine.records.answer import Span
from engine.records.encoder import EncoderIdentity

Count = Callable[[Sequence[str]], NDArray[np.int64]]  # number of tokens of each text before truncation; 0: no word
_Join = Callable[[str, str], str]  # title and abstract -> one text
Texts = Callable[[str, str], list[str]]  # title and abstract as stored -> prepared texts; none if both are blank
_MAX_TITLE_TOKENS = 64  # of a title in a passage; a longer one is cut
_MIN_TOKENS = 16  # least limit of a passage


@dataclass(frozen=True, slots=True)
class _Passage:
    """A part of a record as the encoder sees it."""

    span: Span  # in the abstract as stored; (0, 0) if it is blank
    text: str  # prepared: the title, cut if it is long, and this part


def load_recipe(identity: EncoderIdentity, folder: Path) -> Texts:
    """Return the function that makes the texts of a record for an encoder, whose folder has the tokenizer."""
    limit = RECIPES.get(identity.recipe)
    join = partial(fill_template, identity.template) if identity.template else prepare_text
    if limit is None:
        return partial(prepare_whole, join=join)
    max_tokens = min(limit, identity.max_length)
    return partial(_prepare_passages, count=load_counter(identity, folder), limit=max_tokens, join=join)


def load_counter(identity: EncoderIdentity, folder: Path) -> Count:
    """Return the function that counts the tokens of texts, as an encoder reads them, whose folder has the tokenizer."""
    tokenizer = PromptedTokenizer(load_tokenizer(folder / TOKENIZER, identity.max_length), identity.document_prompt)
    return lambda texts: tokenizer.tokenise(texts).n_tokens


def prepare_whole(title: str, abstract: str, join: _Join = prepare_text) -> list[str]:
    """Return the one text of a record, as `join` makes it; none if title and abstract are blank."""
    text = join(title, abstract)
    return [text] if text else []


def cut_passages(title: str, abstract: str, count: Count, limit: int, join: _Join = prepare_text) -> list[_Passage]:
    """Cut a record into the fewest passages of at most `limit` tokens, of similar length, in order.

    A record that fits is one passage, with the text that `join` makes; a blank record has none. Only sentences that do
    not fit are cut, between words; words that do not fit are cut between characters. The spans do not overlap and
    contain everything that is not white space.

    Raises:
        ValueError: the limit is below _MIN_TOKENS.
    """
    if limit < _MIN_TOKENS:
        raise ValueError(f"passages of {limit} tokens: expected {_MIN_TOKENS} or more")
    whole, sentences = join(title, abstract), split_sentences(abstract)
    if not whole:
        return []
    if count([whole])[0] <= limit:
        return [_Passage((sentences[0][0], sentences[-1][1]) if sentences else (0, 0), whole)]
    special = _count_special(count)
    if not sentences:
        return [_Passage((0, 0), _cut_title(whole, count, limit))]
    head = _cut_title(clean_text(title), count, min(_MAX_TITLE_TOKENS, limit // 2) + special)
    room = limit - (int(count([f"{head}."])[0]) if head else special)
    while True:
        spans = _merge_spans(abstract, sentences, lambda texts: np.maximum(count(texts) - special, 0), room)
        passages = [_Passage(span, join(head, abstract[slice(*span)])) for span in spans]
        over = int(count([passage.text for passage in passages]).max()) - limit
        if over <= 0 or room == 1:
            return passages
        room = max(1, room - over)  # with some tokenizers the tokens of parts do not add up


def _prepare_passages(title: str, abstract: str, *, count: Count, limit: int, join: _Join) -> list[str]:
    """Return texts of at most `limit` tokens. They depend only on what is part of the digest of the text."""
    return [passage.text for passage in cut_passages(clean_text(title), clean_text(abstract), count, limit, join)]


def _count_special(count: Count) -> int:
    """Count the special tokens that are added to every text."""
    n_single, n_double = (int(n) for n in count(["a", "a a"]))
    return 2 * n_single - n_double


def _cut_title(title: str, count: Count, max_tokens: int) -> str:
    """Return the first words of a title, at most max_tokens tokens; its first characters if one word is too long."""
    words = title.split(" ")
    n = _count_fitting(words, " ", count, max_tokens)
    return " ".join(words[:n]) if n else words[0][: _count_fitting(words[0], "", count, max_tokens)]


def _count_fitting(parts: Sequence[str], separator: str, count: Count, max_tokens: int) -> int:
    """Return how many of the first parts, joined, have at most max_tokens tokens."""
    return bisect_right(range(len(parts) + 1), max_tokens, key=lambda n: int(count([separator.join(parts[:n])])[0])) - 1


def _merge_spans(text: str, spans: Sequence[Span], count: Count, room: int) -> list[Span]:
    """Merge neighbouring spans up to `room` tokens: the fewest passages, of similar length."""
    sizes = _count_tokens(text, spans, count)
    if max(sizes) > room:
        spans = [part for span, n in zip(spans, sizes, strict=True) for part in _split_span(text, span, n, count, room)]
        sizes = _count_tokens(text, spans, count)
    fewest = len(_fill_spans(spans, sizes, room))
    least = bisect_left(range(room), True, key=lambda size: len(_fill_spans(spans, sizes, size)) <= fewest)
    return _fill_spans(spans, sizes, least)


def _count_tokens(text: str, spans: Sequence[Span], count: Count) -> list[int]:
    """Count the tokens of each part of a text."""
    return [int(n) for n in count([clean_text(text[start:end]) for start, end in spans])]


def _split_span(text: str, span: Span, size: int, count: Count, room: int) -> Iterator[Span]:
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
    """Merge neighbouring spans while their sizes add up to at most `room`; a larger span stays alone."""
    merged: list[Span] = []
    used = 0
    for (start, end), size in zip(spans, sizes, strict=True):
        if merged and used + size <= room:
            merged[-1], used = (merged[-1][0], end), used + size
        else:
            merged.append((start, end))
            used = size
    return merged
