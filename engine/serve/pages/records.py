"""The page of one record: how to cite it, what is stored of it, and the records nearest to it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from starlette.requests import Request
from starlette.responses import Response

from engine.corpus.storage.citations import list_cited_ids, resolve_references
from engine.identifiers import build_doi_url, build_pmc_url, build_pubmed_url, find_web_url
from engine.options import SIMILAR_MODE, Query
from engine.phrases import pluralize
from engine.query.index import Index, get_generation
from engine.records.abstract import Abstract
from engine.records.answer import Hit
from engine.references.formats import FORMATS
from engine.references.values.citation import format_locator
from engine.references.values.names import format_people, list_named
from engine.references.writers.bibliography import STYLES, build_reference
from engine.serve.pages.links import State
from engine.serve.pages.marks import MarkedPiece, group_sections, split_pieces
from engine.serve.pages.sections import find_labels
from engine.serve.pages.templates import render_page
from engine.serve.pages.views import list_badges, list_kinds
from engine.serve.request.operations import Operation
from engine.serve.request.parameters import RECORD, RequestValues
from engine.serve.request.site import HTML, get_site, read_values, respond

_NEIGHBOURS = 10
_SHARED = 3  # headings named in a reason
_BYLINE = 6  # authors of a neighbour before "et al."
_MOST_CITED = 500  # cited works that are looked up
_FIELDS = (
    ("mesh", "MeSH"),
    ("publication_types", "Publication types"),
    ("keywords", "Keywords"),
    ("languages", "Languages"),
    ("notices", "Notices"),
    ("databases", "Databases"),
    ("accessions", "Accession numbers"),
    ("labels", "Labels"),
    ("affiliations", "Affiliations"),
)


@dataclass(frozen=True, slots=True)
class _Neighbour:
    """A record near to the one of the page."""

    hit: Hit
    page: str  # URL
    facts: list[str]
    badges: list[str]
    kinds: list[str]
    reason: str  # what it has in common, "" if that is only its meaning


async def _show_record_page(request: Request) -> Response:
    """Send the page of one record."""
    values = read_values(request, RECORD)
    index = get_site(request).shelf.get_index(values.get_text("i"))
    return await respond(request, [index], HTML, lambda: _render_record_page(index, values))


def _render_record_page(index: Index, values: RequestValues) -> bytes:
    """Render the page of a record."""
    record = index.get(values.get_text("id"))
    where = State(tuple(("i", name) for name in values.get_texts("i")))
    export = where.set_value("id", record.record_id)
    return render_page(
        "record",
        title=record.title or record.record_id,
        here="record",
        index=index,
        record=record,
        references=[(name, style.label, build_reference(record, name)) for name, style in STYLES.items()],
        people=format_people(record.authors),
        named=list_named(record.authors),
        locator=format_locator(record),
        badges=list(list_badges(record)),
        kinds=list_kinds(record),
        sections=_split_sections(record.abstract),
        fields=[(label, getattr(record, name)) for name, label in _FIELDS if getattr(record, name)],
        sources=index.get_sources(record.record_id),
        links=list(_list_links(record)),
        cited=_find_cited(index, record, where),
        near=_find_neighbours(index, record, where),
        similar=where.set_value("like", record.record_id).build_address("/"),
        where=f"?{where}" if where.pairs else "",
        exports=[
            (suffix[1:], kind.name, export.set_value("format", suffix[1:]).build_address("/record/export"))
            for suffix, kind in FORMATS.items()
        ],
    )


def _split_sections(text: str) -> list[list[MarkedPiece]]:
    """Return an abstract by its sections."""
    return list(group_sections(split_pieces(text, labels=find_labels(text))))


def _list_links(record: Abstract) -> Iterator[tuple[str, str]]:
    """Yield the name and address of each page about a record on the web."""
    if url := build_pubmed_url(record.pmid):
        yield "PubMed", url
    if url := build_doi_url(record.doi):
        yield "DOI", url
    if url := build_pmc_url(record.pmcid):
        yield "PMC", url
    if url := find_web_url(record.urls):
        yield "Full text", url


def _find_cited(index: Index, record: Abstract, where: State) -> list[tuple[str, str]]:
    """Return title and address of the works that a record cites and that the index has, in the order of its list."""
    if not record.cited_ids:
        return []
    corpus = get_generation(index).corpus
    places = resolve_references(corpus, record.cited_ids[:_MOST_CITED])
    found = dict.fromkeys(places[one] for one in record.cited_ids if one in places)
    rows = corpus.fetch(list(found))
    return [
        (row.title or row.record_id, where.set_value("id", row.record_id).build_address("/record"))
        for row in (rows[doc_id] for doc_id in found)
    ]


def _find_neighbours(index: Index, record: Abstract, where: State) -> list[_Neighbour]:
    """Return the records nearest to a record, with what they have in common; [] if it is the only one."""
    if len(index) < 2:
        return []
    hits = index.ask(Query(like=(record.record_id,), mode=SIMILAR_MODE, top_k=_NEIGHBOURS)).hits
    others = index.get_records(hits)
    return [_build_neighbour(hit, record, other, where) for hit, other in zip(hits, others, strict=True)]


def _build_neighbour(hit: Hit, record: Abstract, other: Abstract, where: State) -> _Neighbour:
    """Return one neighbour, ready to display."""
    facts = (format_people(other.authors, _BYLINE), other.journal, str(other.year or ""))
    return _Neighbour(
        hit=hit,
        page=where.set_value("id", hit.id).build_address("/record"),
        facts=list(filter(None, facts)),
        badges=list(list_badges(other)),
        kinds=list_kinds(other),
        reason="; ".join(_list_shared(record, other)),
    )


def _list_shared(record: Abstract, other: Abstract) -> Iterator[str]:
    """Yield what two records have in common: headings, keywords, authors; and whether one cites the other."""
    if _has_cited(record, other):
        yield "cited by this record"
    if _has_cited(other, record):
        yield "cites this record"
    for noun, of, to in (
        ("MeSH heading", record.mesh, other.mesh),
        ("keyword", record.keywords, other.keywords),
        ("author", list_named(record.authors), list_named(other.authors)),
    ):
        if shared := _find_common(of, to):
            named = ", ".join(shared[:_SHARED]) + (", …" if len(shared) > _SHARED else "")
            yield f"{pluralize(len(shared), noun)} in common: {named}"


def _find_common(of: Sequence[str], to: Sequence[str]) -> list[str]:
    """Return the items of one list that the other has too, in any case, in its order."""
    known = {item.casefold() for item in to}
    return [item for item in dict.fromkeys(of) if item.casefold() in known]


def _has_cited(record: Abstract, other: Abstract) -> bool:
    """Return whether one record's list of cited works has the other."""
    names = {other.record_id, f"PMID:{other.pmid}", f"DOI:{(other.doi or '').lower()}"}
    return any(not names.isdisjoint(list_cited_ids(one)) for one in record.cited_ids)


OPERATIONS = (Operation("/record", _show_record_page, RECORD, (HTML,)),)
