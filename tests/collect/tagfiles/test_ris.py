from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from engine.collect.source import read_source
from engine.errors import SourceError
from engine.records.abstract import Abstract, Entry, Notice, Rejection, Remark


def read(path: Path, text: str, encoding: str = "utf-8") -> list[Entry]:
    path.write_bytes(text.encode(encoding))
    return list(read_source(path))


def one(path: Path, *lines: str) -> Abstract:
    """The one record of these lines."""
    (found,) = read(path, "\n".join(["TY  - JOUR", *lines, "ER  - ", ""]))
    assert isinstance(found, Abstract)
    return found


def test_every_field_comes_out_as_it_went_in(source: Path) -> None:
    found = one(
        source,
        "TI  - Größe of knees",
        "AB  - First  line",
        "second line",
        "",
        "third line.",
        "AU  - Beck, Ann",
        "AU  - Núñez, José",
        "PY  - 2021/05/01/",
        "T2  - Cartilage",
        "J2  - Cart.",
        "DO  - http://dx.doi.org/10.1177/Ab1",
        "KW  - *Knee",
        "Hip",
        "KW  - Pain",
        "LA  - English; French",
        "M3  - Review",
        "TT  - Titel",
        "ID  - 12",
    )
    assert found == Abstract(
        record_id="DOI:10.1177/ab1",
        title="Größe of knees",
        abstract="First  line second line third line.",
        year=2021,
        journal="Cartilage",
        authors=("Beck, Ann", "Núñez, José"),
        doi="10.1177/Ab1",
        publication_types=("Review",),
        keywords=("Knee", "Hip", "Pain"),
        languages=("English", "French"),
        vernacular_title="Titel",
        published="2021-05-01",
        other_tags=("RIS J2: Cart.", "RIS ID: 12"),
    )


def test_what_citations_need_and_the_notes_come_out_and_the_rest_as_it_came(source: Path) -> None:
    found = one(
        source,
        "TI  - Knee",
        "T2  - Cart.",
        "JF  - Cartilage",
        "JO  - Cart. J.",
        "PY  - 2019",
        "DA  - 2019/05//",
        "Y2  - 2022/01/02/",
        "VL  - 12",
        "IS  - 3A",
        "SP  - 253",
        "EP  - 258",
        "SN  - 0008543x (Print); 1097-0142 (Electronic)",
        "SN  - 978-3-16-148410-0",
        "PB  - Press",
        "CY  - Bern",
        "C2  - PMC123",
        "UR  - https://a.org/1;x; https://b.org/2",
        "L1  - internal-pdf://1.pdf",
        "L4  - Figure",
        "AD  - Clinic, Bern",
        "AD  - Clinic, Bern",
        "M1  - (Beck A.; Roe B.) Ward 2, Bern",
        "CR  - Doe J, 2001, KNEE",
        "N1  - References: Roe, A. (1999) Knee; Poe, B. (2000) Hip",
        "N1  - see Doe; ask | her",
        "RN  - mine",
        "LB  - include",
        "DB  - Embase",
        "U2  - L624782849",
        "AN  - 77",
        "C1  - \u00a9 2019 Press",
        "C1  - other",
        "C3  - A congress",
        "ZZ  - unknown",
    )
    assert found == Abstract(
        record_id="Embase:L624782849",
        title="Knee",
        abstract="",
        year=2019,
        journal="Cartilage",
        volume="12",
        issue="3A",
        pages="253-258",
        issns=("0008-543X", "1097-0142", "978-3-16-148410-0"),
        published="2019-05",
        publisher="Press",
        place="Bern",
        pmcid="PMC123",
        urls=("https://a.org/1;x", "https://b.org/2", "internal-pdf://1.pdf"),
        affiliations=("Clinic, Bern", "(Beck A.; Roe B.) Ward 2, Bern"),
        cited_ids=("Doe J, 2001, KNEE", "Roe, A. (1999) Knee", "Poe, B. (2000) Hip"),
        databases=("Embase",),
        accessions=("Embase:L624782849", "77"),
        labels=("include",),
        notes=("see Doe; ask | her", "mine"),
        rights="\u00a9 2019 Press",
        other_tags=(
            "RIS T2: Cart.",
            "RIS JO: Cart. J.",
            "RIS Y2: 2022/01/02/",
            "RIS L4: Figure",
            "RIS C1: other",
            "RIS C3: A congress",
            "RIS ZZ: unknown",
        ),
    )


@pytest.mark.parametrize(
    ("lines", "pages", "others"),
    [
        (("SP  - 12-15", "EP  - 15"), "12-15", ()),
        (("SP  - 7", "EP  - 7"), "7", ()),
        (("SP  - e1003285",), "e1003285", ()),
        (("C7  - 104501",), "104501", ()),
        (("SP  - 1", "EP  - 9", "C7  - 104501"), "1-9", ("RIS C7: 104501",)),
        (("SP  - No", "EP  - Specified"), "", ("RIS SP: No", "RIS EP: Specified")),
    ],
)
def test_pages_are_a_range_or_the_number_of_the_article(
    source: Path, lines: tuple[str, ...], pages: str, others: tuple[str, ...]
) -> None:
    found = one(source, "TI  - Knee", *lines)
    assert (found.pages, found.other_tags) == (pages, others)


def test_an_abstract_that_is_repeated_with_other_blanks_is_stored_once(source: Path) -> None:
    assert one(source, "TI  - Knee", "AB  - One  two.", "N2  - One two.").abstract == "One  two."


@pytest.mark.parametrize(
    ("lines", "record_id"),
    [
        (("DB  - Embase", "C5  - 123", "DO  - 10.1/x"), "PMID:123"),
        (("DB  - Scopus", "C2  - 123"), "PMID:123"),
        (("DB  - Other", "C5  - 123", "DO  - 10.1/x"), "DOI:10.1/x"),
        (("DP  - NLM", "AN  - 123"), "PMID:123"),
        (("DB  - MEDLINE", "AN  - 123"), "PMID:123"),
        (("N1  - PMID: 123",), "PMID:123"),
        (("N1  - <p>PMID: 123</p>",), "PMID:123"),
        (("N1  - References: PMID: 123", "DO  - 10.1/x"), "DOI:10.1/x"),
        (("UR  - https://pubmed.ncbi.nlm.nih.gov/123/",), "PMID:123"),
        (("L2  - http://www.ncbi.nlm.nih.gov/pubmed/123",), "PMID:123"),
        (("M3  - doi: 10.1/x", "UR  - https://doi.org/10.1%2Fy"), "DOI:10.1/y"),
        (("M3  - 10.1/X",), "DOI:10.1/x"),
        (("U2  - L624782849", "DB  - Embase"), "Embase:L624782849"),
        (("AN  - WOS:000520500900002",), "WOS:000520500900002"),
        (("AN  - CN-02017416",), "CENTRAL:CN-02017416"),
        (("ID  - 2019-65183-001",), "PsycINFO:2019-65183-001"),
        (
            ("AN  - 2214991469; 51887", "UR  - https://search.proquest.com/docview/2214991469?a=1"),
            "ProQuest:2214991469",
        ),
        (("UR  - https://www.scopus.com/inward/record.uri?eid=2-s2.0-85074000001&p=4",), "Scopus:2-s2.0-85074000001"),
        (("ID  - 2019-65183-001", "DO  - 10.1/x"), "DOI:10.1/x"),
    ],
)
def test_identity_is_pmid_then_doi_then_the_number_of_a_database(
    source: Path, lines: tuple[str, ...], record_id: str
) -> None:
    assert one(source, "TI  - Knee", *lines).record_id == record_id


def test_the_number_of_a_reference_manager_is_no_identity(source: Path) -> None:
    first, second = one(source, "TI  - Knee", "ID  - 7"), one(source, "TI  - Hip", "ID  - 7")
    assert first.record_id.startswith("TEXT:") and first.record_id != second.record_id


def test_titles_and_abstracts_that_are_repeated_are_not_lost(source: Path) -> None:
    found = one(source, "T1  - Knees", "T1  - and hips", "N2  - One two.", "AB  - One", "AB  - Three", "N2  - Four")
    assert (found.title, found.abstract) == ("Knees and hips", "Three\nOne two.\nFour")


@pytest.mark.parametrize("tag", ["T1", "BT", "CT", "ST"])
def test_other_titles_stand_in_and_other_years_too(source: Path, tag: str) -> None:
    found = one(source, f"{tag}  - Knee", "PY  - 10 15", "DA  - 1999/01/02")
    assert (found.title, found.year) == ("Knee", 1999)


def test_junk_around_records_is_dropped_and_what_lacks_its_end_is_read_with_a_remark(source: Path) -> None:
    text = (
        "\ufeffRecord #1 of 2\r\nProvider: X\r\n1.\r\n\r\nTY\t- JOUR\r\nTI \t- One\r\nER  -\r\nNL  - junk\r\n\r\n2.\r\n"
    )
    found = read(source, f"{text}TY  - JOUR\r\nTI  - Two\r\n\r\n3.\r\nTY  - JOUR\r\nTI  - Three\r\n")
    assert [entry.title if isinstance(entry, Abstract) else entry for entry in found] == [
        "One",
        Remark("record without its last line (ER), may be incomplete", "line 11"),
        "Two",
        Remark("record without its last line (ER), may be incomplete", "line 15"),
        "Three",
    ]


def test_lower_case_and_single_blanks_are_taken_for_tags_only_where_the_record_begins_so(source: Path) -> None:
    low = read(source, "ty  - JOUR\nti  - Knee\nab  - Text\ner  -\n")
    loose = read(source, "TY - JOUR\nTI - Knee\nAB - Text\nER -\n")
    assert [(entry.title, entry.abstract) for entry in [*low, *loose] if isinstance(entry, Abstract)] == [
        ("Knee", "Text")
    ] * 2
    assert one(source, "AB  - tumours that are", "ER - positive and", "ST - elevated or", "in  - vitro").abstract == (
        "tumours that are ER - positive and ST - elevated or in  - vitro"
    )


def test_a_bad_record_is_rejected_by_its_line_and_the_rest_is_read(source: Path) -> None:
    found = read(source, "TY  - JOUR\nN1  - no text\nER  -\n\nTY  - JOUR\nTI  - Knee\nER  -\n")
    assert found[0] == Rejection("source", "line 1", "neither title nor abstract, so there is nothing to search")
    assert isinstance(found[1], Abstract)


def test_a_retraction_is_told_by_the_type(source: Path) -> None:
    assert one(source, "TI  - a", "M3  - Retracted Publication").retracted
    assert one(source, "TI  - a", "M3  - Erratum").notices == (Notice.IS_ERRATUM,)
    assert one(source, "TI  - a", "M3  - Health [3300]").publication_types == ()


def test_encodings(source: Path) -> None:
    text = "TY  - JOUR\nTI  - Sjögren\nER  -\n"
    (found,) = read(source, text, "utf-16")
    assert isinstance(found, Abstract) and found.title == "Sjögren"
    remark, found = read(source, text, "latin-1")
    assert remark == Remark("bytes that are not UTF-8, read as Windows-1252", "line 2")
    assert isinstance(found, Abstract) and found.title == "Sjögren"


def test_what_no_record_can_be_is_refused(source: Path) -> None:
    with pytest.raises(SourceError, match=r"source, line 1: a record of more than 33,554,432 characters"):
        read(source, "TY  - JOUR\n" + ("AB  - " + "x" * 1_000_000 + "\n") * 34)


# A line of text that is no tag by itself: what looks like one can't be told from one.
LINES = st.lists(st.text(st.characters(exclude_characters="\n\r", codec="utf-8"), min_size=1), min_size=1)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(lines=LINES)
def test_whatever_text_is_written_comes_back(source: Path, lines: list[str]) -> None:
    wrapped = "\n".join(f"      {line}" for line in lines)
    found = read(source, f"TY  - JOUR\nTI  - T\nAB  - begin\n{wrapped}\nER  - \n")
    assert isinstance(found[-1], Abstract)
    assert found[-1].abstract.split() == ["begin", *" ".join(lines).split()]


def test_references_in_a_research_note_are_works_cited(source: Path) -> None:
    found = one(source, "TI  - Knee", "RN  - mine", "RN  - References: Roe, A. (1999) Hip; Poe, B. (2000) Toe")
    assert found.notes == ("mine",) and found.cited_ids == ("Roe, A. (1999) Hip", "Poe, B. (2000) Toe")
