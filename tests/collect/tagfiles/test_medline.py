import textwrap
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from engine.collect.source import read_source
from engine.records.abstract import Abstract, Entry, Notice, Rejection, Remark


def read(path: Path, text: str, encoding: str = "utf-8") -> list[Entry]:
    path.write_bytes(text.encode(encoding))
    return list(read_source(path))


def one(path: Path, *lines: str) -> Abstract:
    """The one record of these lines after its PMID."""
    (found,) = read(path, "\n".join(["", "PMID- 123", *lines, ""]))
    assert isinstance(found, Abstract)
    return found


def test_every_field_comes_out_as_it_went_in(source: Path) -> None:
    found = one(
        source,
        "OWN - NLM",
        "LR  - 20181202",
        "DP  - 2018 Apr",
        "TI  - Impact of balloon guide catheter: a ",
        "      review.",
        "LID - pii-1 [pii]",
        "LID - 10.1136/x [doi]",
        "AB  - BACKGROUND: Some",
        "      text of",
        "SAMD9L mutations and",
        "IL6 - dependent cells.",
        "CI  - Copyright",
        "FAU - Brinjikji, Waleed",
        "AU  - Brinjikji W",
        "AUID- ORCID: 0000-0002-1825-009X",
        "AD  - Mayo Clinic",
        "CN  - The Group",
        "AU  - Short S",
        "AUID- ORCID: http://orcid.org/0000 0002\u20131825 0097",
        "LA  - eng",
        "LA  - ger",
        "PT  - Journal Article",
        "PT  - Review",
        "TA  - J Neuro",
        "JT  - Journal of neuro",
        "TT  - Titel",
        "MH  - *Brain Ischemia/diagnostic imaging/*surgery",
        "MH  - Brain Ischemia/blood",
        "MH  - Humans",
        "OT  - *stroke",
        "OT  - mechanical thrombectomy",
        "AID - 10.1136/other [doi]",
    )
    assert found == Abstract(
        record_id="PMID:123",
        title="Impact of balloon guide catheter: a review.",
        abstract="BACKGROUND: Some text of SAMD9L mutations and IL6 - dependent cells.",
        year=2018,
        journal="Journal of neuro",
        authors=("Brinjikji, Waleed", "The Group", "Short S"),
        pmid="123",
        doi="10.1136/x",
        mesh=("Brain Ischemia", "Humans"),
        publication_types=("Journal Article", "Review"),
        keywords=("stroke", "mechanical thrombectomy"),
        languages=("eng", "ger"),
        vernacular_title="Titel",
        orcids=("0000-0002-1825-009X", "", "0000-0002-1825-0097"),
        revised="2018-12-02",
        published="2018-04",
        affiliations=("Mayo Clinic",),
        databases=("PubMed",),
        rights="Copyright",
        other_tags=(
            "MEDLINE LID: pii-1 [pii]",
            "MEDLINE TA: J Neuro",
            "MEDLINE MH: *Brain Ischemia/diagnostic imaging/*surgery",
            "MEDLINE MH: Brain Ischemia/blood",
            "MEDLINE AID: 10.1136/other [doi]",
        ),
    )


def test_what_citations_need_comes_out_and_the_rest_as_it_came(source: Path) -> None:
    found = one(
        source,
        "STAT- MEDLINE",
        "PHST- 2017/05/05 00:00 [received]",
        "TI  - Knee",
        "IS  - 1759-8478 (Print)",
        "IS  - 1759-8486 (Electronic)",
        "VI  - 10",
        "IP  - 4",
        "PG  - 335-339",
        "DP  - 2018",
        "DEP - 20180728",
        "PL  - England",
        "PMC - PMC1",
        "GR  - R01/NS/NINDS NIH HHS/United States",
        "RN  - 0 (Stents)",
        "SI  - ClinicalTrials.gov/NCT02239640",
        "CIN - Radiology. 2017;284(2):607. PMID: 28723284",
        "COIS- None",
        "GN  - KIE: a note",
        "SO  - J. 2018;10(4):335-339.",
    )
    assert found == Abstract(
        record_id="PMID:123",
        title="Knee",
        abstract="",
        year=2018,
        pmid="123",
        volume="10",
        issue="4",
        pages="335-339",
        issns=("1759-8478", "1759-8486"),
        published="2018-07-28",
        place="England",
        pmcid="PMC1",
        notes=("KIE: a note",),
        databases=("PubMed",),
        other_tags=(
            "MEDLINE GR: R01/NS/NINDS NIH HHS/United States",
            "MEDLINE RN: 0 (Stents)",
            "MEDLINE SI: ClinicalTrials.gov/NCT02239640",
            "MEDLINE CIN: Radiology. 2017;284(2):607. PMID: 28723284",
            "MEDLINE COIS: None",
        ),
    )


def test_the_members_of_a_group_stand_in_for_missing_authors(source: Path) -> None:
    members = ("FIR - Beck, Ann", "IR  - Beck A", "FIR - Roe, Bo", "IR  - Roe B")
    found = one(source, "TI  - Knee", *members)
    assert (found.authors, found.other_tags) == (("Beck, Ann", "Roe, Bo"), ("MEDLINE IR: Beck A", "MEDLINE IR: Roe B"))
    found = one(source, "TI  - Knee", "CN  - The Group", *members)
    assert found.authors == ("The Group",)
    assert found.other_tags[0] == "MEDLINE FIR: Beck, Ann"


@pytest.mark.parametrize(
    ("line", "notices", "retracted"),
    [
        ("PT  - Retracted Publication", (), True),
        ("RIN - J X. 2020. PMID: 9", (), True),
        ("RRI - J X. 2020. PMID: 9", (Notice.REPUBLISHED,), True),
        ("PT  - Retraction Notice", (Notice.IS_RETRACTION,), False),
        ("PT  - Retraction of Publication", (Notice.IS_RETRACTION,), False),
        ("ROF - J X. 2020. PMID: 9", (Notice.IS_RETRACTION,), False),
        ("PT  - Published Erratum", (Notice.IS_ERRATUM,), False),
        ("EFR - J X. 2020. PMID: 9", (Notice.IS_ERRATUM,), False),
        ("PT  - Expression of Concern", (Notice.IS_CONCERN,), False),
        ("ECF - J X. 2020. PMID: 9", (Notice.IS_CONCERN,), False),
        ("EIN - J X. 2020. PMID: 9", (Notice.HAS_ERRATUM,), False),
        ("ECI - J X. 2020. PMID: 9", (Notice.HAS_CONCERN,), False),
        ("PRIN- J X. 2020. PMID: 9", (Notice.PARTLY_RETRACTED,), False),
        ("CRI - J X. 2020. PMID: 9", (Notice.REPUBLISHED,), False),
        ("CIN - J X. 2020. PMID: 9", (), False),
    ],
)
def test_retractions_and_notices(source: Path, line: str, notices: tuple[Notice, ...], retracted: bool) -> None:
    found = one(source, "TI  - a", line)
    assert (found.notices, found.retracted) == (notices, retracted)


def test_notices_are_sorted_and_each_there_once(source: Path) -> None:
    found = one(source, "TI  - a", "EIN - x", "EIN - y", "ECI - z", "PT  - Published Erratum")
    assert found.notices == ("has an erratum", "has an expression of concern", "is an erratum")


def test_titles_that_are_none(source: Path) -> None:
    found = one(source, "TI  - [Not Available].", "TT  - Über Knie.")
    assert (found.title, found.vernacular_title) == ("Über Knie.", "Über Knie.")
    assert one(source, "BTI - A book").title == "A book"
    assert one(source, "TI  - [About knees].", "TT  - Über Knie.").title == "[About knees]."


def test_other_abstracts_are_led_by_what_they_are(source: Path) -> None:
    lines = ["TI  - a", "OAB - Publisher: Texte.", "OABL- fre", "OAB - plain-language-summary: Simple.", "OABL- eng"]
    found = one(source, "AB  - Body.", *lines)
    assert (found.abstract, found.other_abstracts) == ("Body.", ("[fre] Texte.", "[plain-language-summary] Simple."))
    found = one(source, *lines)
    assert (found.abstract, found.other_abstracts) == ("Simple.", ("[fre] Texte.",))
    found = one(source, "TI  - a", "OAB - Publisher: Abstract available from the publisher.", "OABL- eng")
    assert found.abstract == ""


def test_a_bad_record_is_rejected_by_its_line_and_the_rest_is_read(source: Path) -> None:
    found = read(source, "\r\nPMID- 0\r\nTI  - a\r\n\r\nPMID- 5\r\nAU  - b\r\n\r\nPMID- 6\r\nTI  - c\r\n")
    assert found[0] == Remark("invalid PMID, ignored", "line 2 (PMID 0)")
    assert isinstance(found[1], Abstract) and found[1].record_id.startswith("TEXT:")
    assert found[2:3] == [
        Rejection("source", "line 5 (PMID 5)", "neither title nor abstract, so there is nothing to search"),
    ]
    assert isinstance(found[3], Abstract) and found[3].pmid == "6"


def test_a_latin1_line_is_remarked(source: Path) -> None:
    remark, found = read(source, "PMID- 1\nTI  - Sjögren\n", "latin-1")
    assert remark == Remark("bytes that are not UTF-8, read as Windows-1252", "line 2")
    assert isinstance(found, Abstract) and found.title == "Sjögren"


def written(tag: str, text: str) -> str:
    """A value as MEDLINE wraps it."""
    lines = textwrap.wrap(text, 80, break_long_words=False, break_on_hyphens=False)
    return f"{tag:4}- " + "\n      ".join(lines or [""])


WORDS = st.text(st.characters(exclude_categories=["Z", "C"], codec="utf-8"), min_size=1, max_size=12)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(title=st.lists(WORDS), abstract=st.lists(WORDS | st.sampled_from(["AB  - ", "PMID-", "ER", "TI"]), max_size=80))
def test_whatever_text_is_wrapped_comes_back_whole(source: Path, title: list[str], abstract: list[str]) -> None:
    fields = [written("TI", " ".join(["Title", *title])), written("AB", " ".join(abstract)), "FAU - Last, First"]
    found = one(source, *fields) if is_plain(title, abstract) else read(source, "PMID- 1\n" + "\n".join(fields))[-1]
    assert isinstance(found, Abstract)
    assert found.title.split() == ["Title", *title]
    assert found.abstract.split() == " ".join(abstract).split()
    assert found.authors == ("Last, First",)


def is_plain(*texts: list[str]) -> bool:
    """Whether no remark on mojibake can come of it."""
    return " ".join(word for text in texts for word in text).isascii()


def test_lines_that_begin_like_words_are_text(source: Path) -> None:
    found = one(source, "AB  - begin", "SAMD9L one", "TNF - two", "ABCD-E three", "end", "AU  - Last F")
    assert (found.abstract, found.authors) == ("begin SAMD9L one TNF - two ABCD-E three end", ("Last F",))
