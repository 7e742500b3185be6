"""Markdown, for reading and for pasting into notes. Nothing in a record acts as markup."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Iterable, Iterator

from engine.characters import UNPRINTABLE
from engine.identifiers import build_doi_url, build_pubmed_url
from engine.phrases import pluralize
from engine.records.abstract import Abstract
from engine.references.values.citation import Cited

_MARKUP = re.compile(r"[\\`*_{}\[\]<>#!|~$^&@]|:(?=//)|(?<=www)\.", re.IGNORECASE)
_N_AUTHORS = 3  # named before "et al."
_SPOOLED = 1 << 18  # bytes of a list that are kept in memory until it is complete
_PIECE = 1 << 16  # characters
_N_ABSTRACT = 200  # characters, where there is no title


def write_markdown(cited: Iterable[Cited], title: str) -> Iterator[str]:
    """Yield a heading and a numbered list of the records, numbered by rank, without hits by order."""
    with tempfile.SpooledTemporaryFile(_SPOOLED, "w+", encoding="utf-8", errors="surrogatepass", newline="") as items:
        number = 0
        for number, one in enumerate(cited, 1):
            items.write(f"\n{_write_item(one, number)}\n")
        yield f"# {escape_markdown(title) or 'References'}\n\n{pluralize(number, 'record')}\n"
        items.seek(0)
        while piece := items.read(_PIECE):
            yield piece


def _write_item(cited: Cited, place: int) -> str:
    """Return one record: its title, then authors, journal, year, links and score."""
    number, record = f"{cited.hit.rank if cited.hit else place}. ", cited.record
    score = f"score {cited.hit.score:.3f}" if cited.hit else ""
    mark = "**RETRACTED** " if record.retracted else ""
    facts = filter(None, (_format_source(record), _link_pmid(record.pmid), _link_doi(record.doi), score))
    return f"{number}{mark}{_format_heading(record)}\\\n{' ' * len(number)}{' · '.join(facts)}"


def _format_heading(record: Abstract) -> str:
    """Return the title in bold, or else the beginning of the abstract."""
    title = escape_markdown(record.title)
    return f"**{title}**" if title else f"\\[no title\\] {escape_markdown(record.abstract[:_N_ABSTRACT])}"


def _format_source(record: Abstract) -> str:
    """Return authors, journal and year, as far as they are known."""
    named = [escape_markdown(name) for name in record.authors[:_N_AUTHORS]]
    people = ", ".join(named) + (" et al" if len(record.authors) > _N_AUTHORS else "")
    journal = escape_markdown(record.journal)
    where = " ".join(filter(None, (f"*{journal}*" if journal else "", str(record.year or ""))))
    return ". ".join(filter(None, (people, where)))


def _link_pmid(pmid: str | None) -> str:
    """Return a link to PubMed; plain text if it is not a PMID."""
    if not pmid:
        return ""
    url = build_pubmed_url(pmid)
    return f"[PMID {pmid}]({url})" if url else escape_markdown(pmid)


def _link_doi(doi: str | None) -> str:
    """Return a link to doi.org; plain text if it is not a DOI."""
    if not doi:
        return ""
    url = build_doi_url(doi)
    return f"[doi:{escape_markdown(doi)}]({url})" if url else escape_markdown(doi)


def escape_markdown(text: str) -> str:
    """Return a text on one line with all markup escaped."""
    return _MARKUP.sub(r"\\\g<0>", UNPRINTABLE.sub(" ", " ".join(text.split()))).strip()
