"""Hits as a table for notebooks, which show what `_repr_html_` returns."""

from __future__ import annotations

from collections.abc import Iterable
from html import escape
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from engine.records.answer import Hit

_COLUMNS = ("#", "title", "year", "PMID", "score")
_PUBMED = "https://pubmed.ncbi.nlm.nih.gov/"


def format_table(hits: Iterable[Hit], notes: Iterable[str] = ()) -> str:
    """Return hits as an HTML table: rank, title, year, PMID (or the id of the record) and cosine; notes below it.

    Everything that comes from a record or a note is escaped. A PMID is a link to PubMed.
    """
    head = "".join(f"<th>{name}</th>" for name in _COLUMNS)
    rows = "".join(_format_row(hit) for hit in hits)
    below = "".join(f"<p>{escape(note)}</p>" for note in notes)
    return f"<table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>{below}"


def _format_row(hit: Hit) -> str:
    """Return a hit as a row of the table."""
    title = escape(hit.title or "(no title)") + (" <b>(retracted)</b>" if hit.retracted else "")
    key = escape(hit.id)
    if hit.pmid and hit.pmid.isascii() and hit.pmid.isdecimal():
        key = f'<a href="{_PUBMED}{hit.pmid}/" rel="noreferrer">{hit.pmid}</a>'
    cells = (str(hit.rank), title, "" if hit.year is None else str(hit.year), key, f"{hit.score:.3f}")
    return "<tr>" + "".join(f"<td>{cell}</td>" for cell in cells) + "</tr>"
