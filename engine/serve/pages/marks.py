"""Texts cut into pieces that are shown in different ways. Nothing of a text is ever made into markup."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from engine.records.answer import Hit, Span

SHORT = 700  # characters of an abstract that is shown whole
_AROUND = 180  # characters shown on either side of the nearest sentence
_BEGINNING = 400  # characters shown where no sentence is known


@dataclass(frozen=True, slots=True)
class MarkedPiece:
    """A stretch of a text."""

    text: str
    is_best: bool = False  # part of the sentence that is nearest to the query
    is_word: bool = False  # a word of the query


def split_pieces(
    text: str, best: Sequence[Span] = (), words: Sequence[Span] = (), window: Span | None = None
) -> list[MarkedPiece]:
    """A text, or a window of it, as pieces that add up to it; spans may overlap."""
    first, last = window or (0, len(text))
    ends = {first, last}
    for start, end in (*best, *words):
        ends |= {min(max(place, first), last) for place in (start, end)}
    order = sorted(ends)
    return [
        MarkedPiece(text[start:end], _is_inside(start, best), _is_inside(start, words))
        for start, end in zip(order, order[1:], strict=False)
    ]


def _is_inside(place: int, spans: Sequence[Span]) -> bool:
    """Whether a place lies in one of the spans."""
    return any(start <= place < end for start, end in spans)


@dataclass(frozen=True, slots=True)
class Shown:
    """An abstract as a hit shows it."""

    extract: list[MarkedPiece]  # the part that is always seen
    cut_before: bool
    cut_after: bool
    whole: list[MarkedPiece]  # all of it; empty where the extract is all of it


def mark_abstract(hit: Hit) -> Shown:
    """The abstract of a hit, with the nearest sentence and the words of the query marked."""
    text = hit.abstract
    best = [hit.why.sentences[0].span] if hit.why and hit.why.sentences else []
    words = hit.why.abstract_spans if hit.why else ()
    window = _extract(text, best[0] if best else None)
    cut = (window[0] > 0, window[1] < len(text))
    whole = split_pieces(text, best, words) if any(cut) else []
    return Shown(split_pieces(text, best, words, window), *cut, whole)


def _extract(text: str, best: Span | None) -> Span:
    """The part of a text that is worth seeing first, whole words of it."""
    if len(text) <= SHORT:
        return 0, len(text)
    first, last = (max(0, best[0] - _AROUND), min(len(text), best[1] + _AROUND)) if best else (0, _BEGINNING)
    if first > 0:
        first = text.rfind(" ", 0, first) + 1
    if last < len(text):
        last = text.find(" ", last) if " " in text[last:] else len(text)
    return first, last
