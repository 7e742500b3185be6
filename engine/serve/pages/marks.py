"""Texts split into pieces for highlighting. A piece is plain text, never markup."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from engine.records.answer import Hit, Span
from engine.serve.pages.sections import find_labels

SHORT = 700  # characters up to which an abstract is shown whole
_AROUND = 180  # characters shown before and after the nearest sentence
_BEGINNING = 400  # characters shown if no nearest sentence is known


@dataclass(frozen=True, slots=True)
class MarkedPiece:
    """A piece of a text with its highlighting."""

    text: str
    is_best: bool = False  # in the sentence nearest to the query
    is_word: bool = False  # in a word of the query
    is_label: bool = False  # in the label of a section
    is_lead: bool = False  # before the nearest sentence, which comes first where there is little room


def split_pieces(
    text: str,
    best: Sequence[Span] = (),
    words: Sequence[Span] = (),
    window: Span | None = None,
    labels: Sequence[Span] = (),
) -> list[MarkedPiece]:
    """Split a text, or a window of it, into pieces that add up to it; spans may overlap."""
    first, last = window or (0, len(text))
    ends = {first, last}
    for start, end in (*best, *words, *labels):
        ends |= {min(max(position, first), last) for position in (start, end)}
    order = sorted(ends)
    return [
        MarkedPiece(text[start:end], *(_is_inside(start, spans) for spans in (best, words, labels)))
        for start, end in zip(order, order[1:], strict=False)
    ]


def _is_inside(position: int, spans: Sequence[Span]) -> bool:
    """Return whether a position is in one of the spans."""
    return any(start <= position < end for start, end in spans)


@dataclass(frozen=True, slots=True)
class AbstractView:
    """The abstract of a hit, ready to display."""

    extract: list[MarkedPiece]  # the part that is always visible
    cut_before: bool
    cut_after: bool
    whole: list[MarkedPiece]  # the whole abstract; empty if the extract is the whole abstract

    @property
    def extract_sections(self) -> list[list[MarkedPiece]]:
        """The extract by the sections that it has a part of; what comes before the nearest sentence is its lead."""
        first = next((place for place, piece in enumerate(self.extract) if piece.is_best), 0)
        return list(group_sections([replace(p, is_lead=place < first) for place, p in enumerate(self.extract)]))

    @property
    def whole_sections(self) -> list[list[MarkedPiece]]:
        """The whole abstract by its sections; empty if the extract is the whole abstract."""
        return list(group_sections(self.whole))


def mark_abstract(hit: Hit) -> AbstractView:
    """Return the abstract of a hit with the nearest sentence and the words of the query marked."""
    text = hit.abstract
    best = [hit.why.sentences[0].span] if hit.why and hit.why.sentences else []
    words = hit.why.abstract_spans if hit.why else ()
    window, labels = _extract(text, best[0] if best else None), find_labels(text)
    cut = (window[0] > 0, window[1] < len(text))
    whole = split_pieces(text, best, words, labels=labels) if any(cut) else []
    return AbstractView(split_pieces(text, best, words, window, labels), *cut, whole)


def group_sections(pieces: Sequence[MarkedPiece]) -> Iterator[list[MarkedPiece]]:
    """Yield the pieces of each section, which begins with its label; the first may have none."""
    section: list[MarkedPiece] = []
    for place, piece in enumerate(pieces):
        if piece.is_label and place and not pieces[place - 1].is_label:
            yield section
            section = []
        section.append(piece)
    if section:
        yield section


def _extract(text: str, best: Span | None) -> Span:
    """Return the span to show first: around the nearest sentence or at the beginning, in whole words."""
    if len(text) <= SHORT:
        return 0, len(text)
    first, last = (max(0, best[0] - _AROUND), min(len(text), best[1] + _AROUND)) if best else (0, _BEGINNING)
    if first > 0:
        first = text.rfind(" ", 0, first) + 1
    if last < len(text):
        last = text.find(" ", last) if " " in text[last:] else len(text)
    return first, last
