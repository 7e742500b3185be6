"""Where each format puts the fields of a record: the table of the documentation, and what a file leaves out."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from engine.collect.values.omissions import OMITTED
from engine.records.abstract import SOURCE_FIELDS, Abstract
from engine.references.values.citation import Cited
from engine.references.values.fields import COLUMNS


def _read_places(listing: str) -> dict[str, str]:
    """Return the tags of each field from "field tag tag, field tag"."""
    return dict(item.split(" ", 1) for item in listing.split(", "))


# For each format with tags: the tags of the fields that other programs read.
_PLACES: dict[str, dict[str, str]] = {
    ".ris": _read_places(
        "title TI, abstract AB, year PY, journal T2, authors AU, pmid AN, doi DO, mesh KW, keywords KW, languages LA, "
        "publication_types M3, retracted N1, vernacular_title OP, volume VL, issue IS, pages SP EP, issns SN, "
        "published DA, publisher PB, place CY, pmcid C2, urls UR L1, affiliations AD, databases DB, accessions AN, "
        "labels LB, notes N1, rights C1, other_tags C3 and others"
    ),
    ".nbib": _read_places(
        "title TI, abstract AB, year DP, journal JT, authors FAU AU CN, pmid PMID, doi LID AID, mesh MH, keywords OT, "
        "languages LA, publication_types PT, retracted RIN, vernacular_title TT, other_abstracts OAB, orcids AUID, "
        "notices ROF EFR ECF EIN ECI PRIN CRI, volume VI, issue IP, pages PG, issns IS ISBN, published DP, "
        "publisher PB, place PL, pmcid PMC, affiliations AD, notes GN, rights CI, other_tags GR and others"
    ),
    ".bib": _read_places(
        "title title, abstract abstract, year year, journal journal, authors author, pmid pmid eprint, doi doi, "
        "mesh keywords, keywords keywords, languages language, publication_types document_type, retracted note, "
        "volume volume, issue number, pages pages, issns issn isbn, published month, publisher publisher, "
        "place address, pmcid pmcid, urls url, affiliations affiliation, notes annote, rights copyright"
    ),
    ".xml": _read_places(
        "title title, abstract abstract, year year, journal secondary-title full-title, authors author, "
        "pmid accession-num, doi electronic-resource-num, mesh keyword, keywords keyword, languages language, "
        "publication_types work-type, retracted notes, vernacular_title orig-pub, volume volume, issue number, "
        "pages pages, issns isbn, published date, publisher publisher, place pub-location, pmcid custom2, urls url, "
        "affiliations auth-address, databases remote-database-name, accessions accession-num, labels label, "
        "notes notes, rights custom1"
    ),
    ".csl.json": _read_places(
        "title title, abstract abstract, year issued, journal container-title, authors author, pmid PMID, doi DOI, "
        "mesh keyword, keywords keyword, languages language, publication_types genre, retracted note, "
        "vernacular_title original-title, volume volume, issue issue, pages page, issns ISSN ISBN, published issued, "
        "publisher publisher, place publisher-place, pmcid PMCID, urls URL, databases source, notes annote"
    ),
    ".md": _read_places("title title, year line, journal line, authors line, pmid link, doi link, retracted mark"),
    ".vancouver.txt": _read_places(
        "title text, year text, journal text, authors text, pmid text, doi text, retracted text, "
        "vernacular_title text, volume text, issue text, pages text, pmcid text"
    ),
    ".apa.txt": _read_places(
        "title text, year text, journal text, authors text, doi text, retracted text, vernacular_title text, "
        "volume text, issue text, pages text"
    ),
}
# Formats whose marked line holds for the engine whatever other programs can't read.
_MARKED = {".ris": "C8", ".nbib": "GN", ".bib": "abstract-engine", ".xml": "misc3", ".csl.json": "custom"}


@dataclass(slots=True)
class LeftOut:
    """Counts of the fields that the records of one file have and that other programs will not find in it."""

    suffix: str
    counts: dict[str, int] = field(default_factory=dict)

    def follow(self, cited: Iterable[Cited]) -> Iterator[Cited]:
        """Yield the same records, after counting what the format has no place for."""
        missing = [
            name for name in SOURCE_FIELDS if name != "record_id" and name not in _PLACES.get(self.suffix, COLUMNS)
        ]
        for one in cited:
            self._count(one.record, missing)
            yield one

    def _count(self, record: Abstract, missing: list[str]) -> None:
        """Count the fields of one record that are not empty."""
        for name in missing:
            if getattr(record, name):
                self.counts[name] = self.counts.get(name, 0) + 1

    def explain(self) -> str:
        """Return one line that names the fields, each with the number of records that have it; "" if there are none."""
        if not self.counts:
            return ""
        listing = ", ".join(f"{name} ({n:,})" for name, n in self.counts.items())
        if own := _MARKED.get(self.suffix):
            return f"no field for {listing}: kept in {own}, which only the engine reads"
        return f"left out, since {self.suffix} has no place for it: {listing}"


def format_places() -> str:
    """Return the table of the documentation: where each format with tags puts each field."""
    names = list(_PLACES)
    head = [f"| Field | {' | '.join(f'`{name}`' for name in names)} |", "|---" * (len(names) + 1) + "|"]
    rows = (
        f"| `{name}` | {' | '.join(_PLACES[suffix].get(name, '-') for suffix in names)} |"
        for name in SOURCE_FIELDS
        if name != "record_id"
    )
    return "\n".join([*head, *rows])


def format_omissions() -> str:
    """Return the table of the documentation: what the readers of files leave out, and why."""
    rows = (
        f"| {kind} | {why} | {', '.join(f'`{tag}`' for tag in sorted(tags) if tag)} |"
        for kind, groups in OMITTED.items()
        for why, tags in groups.items()
    )
    return "\n".join(["| Format | What | Tags, elements or keys |", "|---|---|---|", *rows])
