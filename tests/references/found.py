"""Hits for the tests: by hand, and at random with everything in them that formats stumble over."""

import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from hypothesis import assume
from hypothesis import strategies as st

from engine.collect.source import read_source
from engine.collect.values.fields import build_abstract_entries
from engine.records.abstract import Abstract, Notice
from engine.records.answer import Hit
from engine.references.formats import write
from engine.references.values.citation import Cited
from engine.references.writers.bibtex import write_bibtex


def cite(record: Abstract, rank: int = 1, score: float = 0.5, **more: object) -> Cited:
    """A record as a hit."""
    hit = Hit(
        rank,
        record.record_id,
        score,
        record.title,
        record.abstract,
        record.year,
        record.journal,
        record.authors,
        record.pmid,
        record.doi,
        record.retracted,
        **more,  # type: ignore[arg-type]
    )
    return Cited(hit, record)


def cite_all(records: Sequence[Abstract]) -> list[Cited]:
    """Records as hits in this order."""
    return [cite(record, rank, 1 / rank) for rank, record in enumerate(records, 1)]


def read_back(path: Path, records: Sequence[Abstract], kind: str | None = None, *, raw: bool = False) -> list[Abstract]:
    """Write records to a file and read the file with the engine's own reader; kind names the format to it."""
    write(path, cite_all(records), "All there is", overwrite=True, raw=raw)
    return [entry for entry in read_source(path, kind) if isinstance(entry, Abstract)]


def write_without_mark(path: Path, record: Abstract) -> None:
    """Write a record as BibTeX without the field of the engine."""
    (text,) = write_bibtex([cite(record)], "")
    path.write_text(re.sub(r",\n  abstract-engine = .*", "", text), encoding="utf-8", newline="")


def as_exported(record: Abstract) -> Abstract:
    """The record without what no export has: the version of the citation and the date of its revision."""
    return replace(record, version=1, revised="")


FULL = Abstract(
    record_id="toy-01",
    title="Größe of knees; a study",
    abstract="BACKGROUND: Knees, many.\nRESULTS: 5 of 7 (p < 0.05).\n\nCONCLUSION: None.",
    year=2021,
    journal="Cartilage",
    authors=("Rens van de Schoot", "Núñez, José", "Beck A", "Ann-Marie B. Smith Jr", "Knee Study Group"),
    pmid="123",
    doi="10.1177/Ab(1)<2>_3",
    mesh=("Arthritis, Rheumatoid", "Knee Joint"),
    publication_types=("Journal Article", "Research Support, N.I.H., Extramural"),
    retracted=True,
    keywords=("*starred", "knee; hip", "pain"),
    languages=("eng", "fre"),
    vernacular_title="Größe der Knie",
    other_abstracts=("[fre] Les genoux.", "[plain-language-summary] Knees\nare fine.", "[original] Knie."),
    orcids=("", "0000-0002-1825-0097", "", "", ""),
    notices=(Notice.HAS_ERRATUM, Notice.IS_CONCERN),
    volume="58",
    issue="5",
    pages="253-258",
    issns=("1462-0324", "1462-0332"),
    published="2021-05-03",
    publisher="Knee & Sons",
    place="Bern",
    pmcid="PMC7654321",
    urls=("https://example.org/knees", "https://example.org/knees.pdf"),
    affiliations=("Knee Clinic, Bern", "Hip Clinic; Basel"),
    cited_ids=("PMID:7", "DOI:10.1000/x"),
    databases=("Embase", "PubMed"),
    accessions=("Embase:L603123456",),
    labels=("read", "to do"),
    notes=("Mind the knees; PMID: 7", "two\nlines"),
    rights="© 2021 Knee & Sons.",
    other_tags=("RIS C3: European Congress", "MEDLINE GR: R01 AR000001", "Own column: 7"),
)
BARE = Abstract("bare", "A title", "")
NO_TITLE = Abstract("DOI:10.1/x", "", "Only an abstract", doi="10.1/X", vernacular_title="Der Titel")

# Pieces of text that mean something to some format or reader.
ODD = (
    *("\n", "\r", "\r\n", "\t", " ", "  ", "\xa0", "\x00", "\x0b", "\x1c", "\x1e", "\x7f", "\x85", "\u2028", "\ufeff"),
    *(
        '"',
        "'",
        "'=",
        "=1+1",
        "+",
        "-",
        "@SUM(A1)",
        ",",
        ";",
        "|",
        "[",
        "]",
        "{",
        "}",
        "\\",
        "%",
        "#",
        "$",
        "&",
        "_",
        "~",
    ),
    *(
        "^",
        "<b>",
        "<r>x</r>",
        "_x0041_",
        "*",
        "/",
        "`",
        "--",
        "\n\n",
        "ER  - ",
        "\nER  - x",
        "\nPMID- 1",
        "\nTY  - JOUR",
    ),
    *("KIE: ", "[not available]", "10.1/x", "https://doi.org/10.1/x", "PMID: 7", "abstract-engine:x", "and", "é", "😀"),
)
TEXT = st.lists(st.one_of(st.sampled_from(ODD), st.text(max_size=8), st.sampled_from("abc XYZ 019")), max_size=6).map(
    "".join
)
ITEMS = st.lists(TEXT, max_size=3)
LABELS = st.sampled_from(["[fre] ", "[KIE] ", "[KIE, fre] ", "[Publisher] ", "[Publisher, ger] ", "[x] ", "", "[eng] "])
NAMES = st.one_of(
    TEXT, st.sampled_from(["Ann Beck", "Beck, Ann", "Beck A", "Jan van der Berg", "Gout Group", "Li Wu Jr"])
)
VALUES = st.fixed_dictionaries(
    {
        "id": st.one_of(st.sampled_from(["toy-01", "W2994178258", "PMID:5", "=1", "'=1", "-", "a b"]), TEXT),
        "title": TEXT,
        "abstract": TEXT,
        "year": st.one_of(st.none(), st.integers(1500, 2099)),
        "journal": TEXT,
        "authors": st.lists(NAMES, max_size=4),
        "pmid": st.one_of(st.none(), st.integers(1, 999_999_999).map(str)),
        "doi": st.one_of(st.none(), st.text("0a/()<>;,_%&{}\\-=", min_size=1).map("10.1/".__add__)),
        "mesh": ITEMS,
        "publication_types": st.lists(
            st.one_of(TEXT, st.sampled_from(["Review", "Retracted Publication"])), max_size=3
        ),
        "retracted": st.booleans(),
        "keywords": ITEMS,
        "languages": ITEMS,
        "vernacular_title": TEXT,
        "other_abstracts": st.lists(st.tuples(LABELS, TEXT).map("".join), max_size=2),
        "orcids": st.lists(st.sampled_from(["", "0000-0002-1825-0097", "0000-0001-5109-3700"]), max_size=4),
        "notices": st.lists(st.sampled_from(list(Notice)), max_size=2),
        **dict.fromkeys(("volume", "issue", "publisher", "place", "rights"), TEXT),
        "pages": st.one_of(TEXT, st.sampled_from(["253-258", "e1003285", "253-8", "1-2, 5", "S1-S9"])),
        "pmcid": st.one_of(TEXT, st.just("PMC7654321")),
        "published": st.one_of(TEXT, st.sampled_from(["2019", "2019-05", "2019-05-03", "2019-13"])),
        "issns": st.lists(st.one_of(TEXT, st.just("1462-0324")), max_size=2),
        "urls": st.lists(st.one_of(TEXT, st.just("https://pubmed.ncbi.nlm.nih.gov/5/")), max_size=2),
        **dict.fromkeys(("affiliations", "cited_ids", "databases", "accessions", "labels"), ITEMS),
        "notes": st.lists(st.one_of(TEXT, st.sampled_from(["RETRACTED", "rank 1, score 0.5"])), max_size=2),
        "other_tags": st.lists(st.one_of(TEXT, TEXT.map("RIS C3: ".__add__)), max_size=2),
    }
)


@st.composite
def abstracts(draw: st.DrawFn) -> Abstract:
    """A record as a source may give it, whatever is in it."""
    given = draw(VALUES)
    found = list(build_abstract_entries({field: value for field, value in given.items() if value}, "source", "here"))
    assume(isinstance(found[-1], Abstract))
    assert isinstance(found[-1], Abstract)
    return found[-1]
