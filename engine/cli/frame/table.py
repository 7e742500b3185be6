"""Hits as a table for people, with the reasons why they are hits."""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Sequence
from typing import NoReturn

from rich.console import Console
from rich.table import Table
from rich.text import Text

from engine.records.answer import Hit, Span
from engine.terminal import PIPE_WIDTH, join_lines, make_printable

_NARROW = 60  # columns; below, a hit is a block of lines


class _TableConsole(Console):
    """A console that leaves it to the command what happens where nobody reads any more."""

    def on_broken_pipe(self) -> NoReturn:
        """Raise the error that rich caught.

        Raises:
            BrokenPipeError: always.
        """
        raise BrokenPipeError(errno.EPIPE, os.strerror(errno.EPIPE))


def print_table(hits: Sequence[Hit], changes: Sequence[str] = (), cosines: Sequence[float | None] = ()) -> None:
    """Print hits as a table: rank, scores, id, year, title and journal, what has changed, and why each is a hit."""
    console = _TableConsole(width=None if sys.stdout.isatty() else PIPE_WIDTH, highlight=False)
    if console.width < _NARROW:
        _print_blocks(console, hits, changes)
        return
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    table.add_column("#", justify="right", no_wrap=True)
    table.add_column("score", justify="right", no_wrap=True)
    ranked_by = _name_ranking_score(hits)
    if other := "cosine" if cosines else ranked_by:
        table.add_column(other.removesuffix("_score"), justify="right", no_wrap=True)
    table.add_column(
        "id", overflow="fold", max_width=max(8, console.width // 4)
    )  # a long DOI must leave room for the title
    table.add_column("year", justify="right", no_wrap=True)
    table.add_column("title", overflow="fold")
    others = cosines or [getattr(hit, ranked_by) if ranked_by else None for hit in hits]
    for hit, change, score in zip(hits, changes or [""] * len(hits), others, strict=True):
        scores = (f"{hit.score:.3f}", _format_score(score)) if other else (f"{hit.score:.3f}",)
        table.add_row(
            str(hit.rank), *scores, Text(make_printable(hit.id)), str(hit.year or ""), _format_title(hit, change)
        )
    console.print(table)


def _print_blocks(console: Console, hits: Sequence[Hit], changes: Sequence[str]) -> None:
    """Print hits one below the other, where columns would be too narrow to read."""
    for hit, change in zip(hits, changes or [""] * len(hits), strict=True):
        facts = (f"{hit.rank}.", make_printable(hit.id), str(hit.year or ""), f"{hit.score:.3f}")
        console.print(Text(" ".join(filter(None, facts)), style="bold", overflow="fold"))
        console.print(_format_title(hit, change), "", overflow="fold")


def _name_ranking_score(hits: Sequence[Hit]) -> str:
    """Return the name of the score that ranked the hits; "" for the cosine."""
    names = ("rerank_score", "fused", "bm25")
    return next((name for name in names if any(getattr(hit, name) is not None for hit in hits)), "")


def _format_score(score: float | None) -> str:
    """Format a score; "" if there is none."""
    return "" if score is None else f"{score:.3f}"


def _format_title(hit: Hit, change: str) -> Text:
    """Format the title of a hit, with its change, retraction, journal and explanation."""
    title = _mark_spans(hit.title, hit.why.title_spans if hit.why else ())
    if not title.plain.strip():
        title = Text(f"[no title] {join_lines(hit.abstract)[:200]}")
    if change:
        title = Text.assemble((f"{change.upper()} ", "bold"), title)
    if hit.retracted:
        title = Text.assemble(("RETRACTED ", "bold red"), title)
    if hit.journal:
        title.append(f"\n{join_lines(hit.journal)}", style="dim")
    if hit.why:
        title.append("\n").append_text(format_explanation(hit))
    return title


def format_explanation(hit: Hit) -> Text:
    """Explain a hit: what its score means, its ranks, and its nearest sentence with the matching words marked."""
    why, facts = hit.why, []
    if why is None:
        return Text()
    if why.percentile is not None:
        facts.append(f"nearer than {why.percentile:g} % of random pairs")
    ranks = (("meaning", hit.semantic_rank), ("words", hit.keyword_rank))
    facts += [f"#{rank} by {leg}" for leg, rank in ranks if rank is not None]
    facts += [f"words: {', '.join(why.words)}"] if why.words else []
    text = Text(join_lines("; ".join(facts)), style="cyan")
    for sentence in why.sentences[:1]:
        start, end = sentence.span
        inside = [(max(a, start) - start, min(b, end) - start) for a, b in why.abstract_spans if a < end and b > start]
        text.append(f"\n{sentence.score:.3f} ").append_text(_mark_spans(hit.abstract[start:end], inside))
    return text


def _mark_spans(text: str, spans: Sequence[Span]) -> Text:
    """Return a text as one printable line, with the spans in bold."""
    line, position = Text(), 0
    for start, end in spans:
        line.append(_flatten_text(text[position:start])).append(_flatten_text(text[start:end]), style="bold yellow")
        position = end
    return line.append(_flatten_text(text[position:]))


def _flatten_text(text: str) -> str:
    """Return a text as printable characters on one line; blanks at its ends are kept."""
    return make_printable(text).replace("\n", " ").replace("\t", " ")
