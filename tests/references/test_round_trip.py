"""What is written is read again by the engine's own reader: everything, where a format can say everything."""

from dataclasses import replace
from functools import cache
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from engine.collect.source import check_source, read_source
from engine.collect.values.export import _FORMULA
from engine.records.abstract import TEXT_FIELDS, Abstract
from engine.references.formats import write
from engine.references.values.citation import Cited
from engine.references.values.fields import BREAKS
from tests.conftest import examples
from tests.references.found import BARE, FULL, NO_TITLE, abstracts, as_exported, read_back, write_without_mark

EXACT = {
    ".csv": "CSV",
    ".jsonl": "JSONL",
    ".ris": "RIS",
    ".nbib": "MEDLINE",
    ".bib": "BibTeX",
    ".xml": "EndNote XML",
    ".json": "JSON",
    ".csl.json": "JSON",
    ".xlsx": "XLSX",
}
ANY = settings(examples(0.3), suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
RECORDS = st.lists(abstracts(), min_size=1, max_size=3, unique_by=lambda record: record.record_id)  # as in an index


@pytest.mark.parametrize("suffix", EXACT)
def test_every_field_comes_back(tmp_path: Path, suffix: str) -> None:
    records = [FULL, BARE, NO_TITLE]
    assert read_back(tmp_path / f"hits{suffix}", records) == records
    assert check_source(tmp_path / f"hits{suffix}").name == EXACT[suffix]


@pytest.mark.parametrize("suffix", EXACT)
def test_records_without_hits_come_back(tmp_path: Path, suffix: str) -> None:
    records = [FULL, BARE, NO_TITLE]
    write(tmp_path / f"all{suffix}", (Cited(None, record) for record in records), "All")
    assert [entry for entry in read_source(tmp_path / f"all{suffix}")] == records


# What the reader of one format or another would make something else of, were it not said beside the tags.
TRAPS = [
    Abstract("a", "[Not available].", "b", vernacular_title="Titel"),
    *(Abstract("a", "T", "", mesh=mesh) for mesh in (("Knee/surgery",), ("*Hip",), ("Knee", "Knee"))),
    *(Abstract("a", "T", "", keywords=keywords) for keywords in (("*starred",), ("b", "b"))),
    *(Abstract("a", "T", "", publication_types=(kind, "Review")) for kind in ("Review", "10.1/x", "[3300]", "PMID: 7")),
    *(Abstract("a", "T", "", languages=languages) for languages in (("eng; fre",), ("ger, Swiss",), ("eng", "eng"))),
    *(Abstract("a", "T", blank, other_abstracts=("[KIE] in English",)) for blank in ("", " ")),
    *(
        Abstract("a", "T", "b", other_abstracts=(other,))
        for other in (
            "[fre]  two blanks",
            "[fre] KIE: label",
            "[KIE, eng] x",
            "[Publisher, fre] y",
            "[x] y",
            "no label",
        )
    ),
    Abstract("a", "T", "b", authors=("A  B", "C\nD"), orcids=("0000-0002-1825-0097",)),
    Abstract("PMID: 7", "T", "b", journal="J\r\nK"),
    Abstract("a", "T", "b\n\ufeffc"),
    Abstract("a", "T", "b", publisher="PubUR  - x", keywords=("aAN  - 1",), cited_ids=("Amer PubUR  - x; b",)),
    Abstract("a", "T", "  b\rc\n"),
    Abstract("a", "T", "b", labels=(f"{'x' * 40}\nPMID- 1 {'y' * 30}",)),
]


@pytest.mark.parametrize("suffix", EXACT)
@pytest.mark.parametrize("record", TRAPS, ids=range(len(TRAPS)))
def test_traps_are_seen(tmp_path: Path, suffix: str, record: Abstract) -> None:
    assert read_back(tmp_path / f"hits{suffix}", [record]) == [record]


@pytest.mark.parametrize("suffix", EXACT)
@ANY
@given(records=RECORDS)
def test_whatever_is_in_a_record_comes_back(tmp_path: Path, suffix: str, records: list[Abstract]) -> None:
    assert read_back(tmp_path / f"hits{suffix}", records, EXACT[suffix]) == records


@pytest.mark.parametrize(
    "record",
    [
        Abstract("=1", "'=x", "_x0041_ <r>x</r>", authors=("=a", "b; c")),
        Abstract("a", "<r>b</r>", "c" * 40_000, notes=("😀\x01" * 20_000, "#N/A"), journal="#N/A"),
    ],
)
def test_what_a_cell_cannot_hold_comes_back(tmp_path: Path, record: Abstract) -> None:
    assert read_back(tmp_path / "hits.xlsx", [record]) == [record]


TEXTS = [name for name in TEXT_FIELDS if name != "record_id"]
PLAIN = {"volume", "issue", "pages", "published", "publisher", "place", "pmcid", "rights"}  # read without end blanks


@ANY
@given(records=RECORDS)
def test_tsv_has_blanks_for_tabs_and_line_breaks_and_all_else(tmp_path: Path, records: list[Abstract]) -> None:
    expected = [
        replace(record, **{name: BREAKS.sub(" ", getattr(record, name)).strip(" " * (name in PLAIN)) for name in TEXTS})
        for record in records
        if BREAKS.sub(" ", record.title + record.abstract).strip()
    ]
    assert read_back(tmp_path / "hits.tsv", records, "CSV") == expected


@ANY
@given(records=RECORDS)
def test_raw_csv_differs_only_by_apostrophes_before_formulas(tmp_path: Path, records: list[Abstract]) -> None:
    def unguarded(text: str) -> str:
        return text[1:] if text.startswith("'") and _FORMULA.match(text) else text

    (found, *_), first = read_back(tmp_path / "hits.csv", records, "CSV", raw=True), records[0]
    assert (found.title, found.abstract) == (unguarded(first.title), unguarded(first.abstract))


@cache
def real(shared: Path) -> list[Abstract]:
    """Records of PubMed, OpenAlex, Embase, EndNote and others."""
    files = (
        "rheumatology/corpus.jsonl.gz",
        "formats/pubmed_xml/medline16n0902.xml.gz",
        "formats/endnote_xml/copper.xml",
    )
    paths = [*(shared / file for file in files), *sorted((shared / "formats").rglob("*.[rnct][isb]*"))]
    paths = [path for path in paths if path.parent.name != "licenses"]
    return [entry for path in paths for entry in list(read_source(path))[:1000] if isinstance(entry, Abstract)]


@pytest.mark.parametrize("step", [17, pytest.param(1, marks=pytest.mark.slow)])
@pytest.mark.parametrize("suffix", EXACT)
def test_real_records_come_back(tmp_path: Path, shared: Path, suffix: str, step: int) -> None:
    assert len(real(shared)) > 2000
    records = real(shared)[::step]
    found = read_back(tmp_path / f"hits{suffix}", records)
    assert list(map(as_exported, found)) == list(map(as_exported, records))


def words(text: str) -> str:
    """A text with single blanks, and with the sign that the reader's LaTeX library has for \\textasciicircum."""
    return " ".join(text.split()).replace("^", "ˆ")


TEX = st.text("ab1 {}\\%#$&_~^`'-<>|\"@=,()[]é€?!.:;/*+\n\té", max_size=25).map(lambda text: f"T{text}T")


@ANY
@given(title=TEX, abstract=TEX)
def test_bibtex_gives_the_words_back_whatever_tex_would_make_of_them(tmp_path: Path, title: str, abstract: str) -> None:
    write_without_mark(tmp_path / "hits.bib", Abstract("x", title, abstract, journal=title))
    (found,) = read_source(tmp_path / "hits.bib", "BibTeX")
    assert isinstance(found, Abstract)
    assert (found.title, found.abstract, found.journal) == (words(title), words(abstract), words(title))
