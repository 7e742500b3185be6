"""References as text, against examples of NLM's "Citing Medicine", of ICMJE and of APA's guides."""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.records.abstract import Abstract
from engine.references.values.citation import Cited
from engine.references.writers.bibliography import STYLES, build_reference, format_reference, write_references
from tests.conftest import examples


def work(title: str, authors: tuple[str, ...] = (), **fields: Any) -> Abstract:
    """A record with these fields."""
    return Abstract("a", title, "", authors=authors, **fields)


CASES = {
    "article, whole pages of a database": (
        work(
            "Blood pressure levels before dementia.",
            ("Diana B Petitti", "Valerie C Crooks", "J Galen Buckwalter", "Vicki Chiu"),
            journal="Arch Neurol", year=2005, volume="62", issue="1", pages="112-116",
        ),
        "Petitti DB, Crooks VC, Buckwalter JG, Chiu V. Blood pressure levels before dementia. Arch Neurol. "
        "2005;62(1):112-6.",
        "Petitti, D. B., Crooks, V. C., Buckwalter, J. G., & Chiu, V. (2005). Blood pressure levels before dementia. "
        "Arch Neurol, 62(1), 112–116.",
    ),
    "more than six authors": (
        work(
            "Regulation of interstitial excitatory amino acid concentrations after cortical contusion injury",
            ("Rose ME", "Huerbin MB", "Melick J", "Marion DW", "Palmer AM", "Schiding JK", "Kochanek PM"),
            journal="Brain Res", year=2002, volume="935", issue="1-2", pages="40-6",
        ),
        "Rose ME, Huerbin MB, Melick J, Marion DW, Palmer AM, Schiding JK, et al. Regulation of interstitial "
        "excitatory amino acid concentrations after cortical contusion injury. Brain Res. 2002;935(1-2):40-6.",
        "Rose, M. E., Huerbin, M. B., Melick, J., Marion, D. W., Palmer, A. M., Schiding, J. K., & Kochanek, P. M. "
        "(2002). Regulation of interstitial excitatory amino acid concentrations after cortical contusion injury. "
        "Brain Res, 935(1-2), 40–46.",
    ),
    "a group": (
        work(
            "Hypertension, insulin, and proinsulin in participants with impaired glucose tolerance",
            ("Diabetes Prevention Program Research Group",),
            journal="Hypertension", year=2002, volume="40", issue="5", pages="679-86",
        ),
        "Diabetes Prevention Program Research Group. Hypertension, insulin, and proinsulin in participants with "
        "impaired glucose tolerance. Hypertension. 2002;40(5):679-86.",
        "Diabetes Prevention Program Research Group. (2002). Hypertension, insulin, and proinsulin in participants "
        "with impaired glucose tolerance. Hypertension, 40(5), 679–686.",
    ),
    "persons and a group, a particle": (
        work(
            "Sexual dysfunction in 1,274 European men suffering from lower urinary tract symptoms",
            ("Vallancien, Guy", "Emberton, M.", "Harving, N.", "van Moorselaar, R.J.A.", "Alf-One Study Group"),
            journal="J Urol", year=2003, volume="169", issue="6", pages="2257-61",
        ),
        "Vallancien G, Emberton M, Harving N, van Moorselaar RJ; Alf-One Study Group. Sexual dysfunction in 1,274 "
        "European men suffering from lower urinary tract symptoms. J Urol. 2003;169(6):2257-61.",
        "Vallancien, G., Emberton, M., Harving, N., van Moorselaar, R. J. A., & Alf-One Study Group. (2003). Sexual "
        "dysfunction in 1,274 European men suffering from lower urinary tract symptoms. J Urol, 169(6), 2257–2261.",
    ),
    "no author": (
        work(
            "21st century heart solution may have a sting in the tail", ("[No authors listed]",),
            journal="BMJ", year=2002, volume="325", issue="7357", pages="184",
        ),
        "21st century heart solution may have a sting in the tail. BMJ. 2002;325(7357):184.",
        "21st century heart solution may have a sting in the tail. (2002). BMJ, 325(7357), 184.",
    ),
    "issue without volume": (
        work(
            "Intraoperative frozen section analysis in revision total joint arthroplasty",
            ("Banit DM", "Kaufer H", "Hartford JM"),
            journal="Clin Orthop", year=2002, issue="401", pages="230-8",
        ),
        "Banit DM, Kaufer H, Hartford JM. Intraoperative frozen section analysis in revision total joint arthroplasty. "
        "Clin Orthop. 2002;(401):230-8.",
        "Banit, D. M., Kaufer, H., & Hartford, J. M. (2002). Intraoperative frozen section analysis in revision total "
        "joint arthroplasty. Clin Orthop, (401), 230–238.",
    ),
    "neither volume nor issue": (
        work("Outreach: bringing HIV-positive individuals into care", journal="HRSA Careaction", year=2002,
             published="2002-06", pages="1-6"),
        "Outreach: bringing HIV-positive individuals into care. HRSA Careaction. 2002 Jun:1-6.",
        "Outreach: bringing HIV-positive individuals into care. (2002). HRSA Careaction, 1–6.",
    ),
    "ahead of print": (
        work(
            "Immortalization of yolk sac-derived precursor cells", ("Yu WM", "Qu CK"), journal="Blood", year=2002,
            published="2002-07-05", doi="10.1182/blood-2002-01-0001", pmid="12393395",
            other_tags=("MEDLINE DEP: 20020705",),
        ),
        "Yu WM, Qu CK. Immortalization of yolk sac-derived precursor cells. Blood. 2002 Jul 5. Epub ahead of print. "
        "doi: 10.1182/blood-2002-01-0001. PMID: 12393395.",
        "Yu, W. M., & Qu, C. K. (2002). Immortalization of yolk sac-derived precursor cells. Blood. Advance online "
        "publication. https://doi.org/10.1182/blood-2002-01-0001",
    ),
    "the number of an article, identifiers, an abbreviated journal": (
        work(
            "What is a name?", ("Jean-Pierre Marlow", "Smith, Robert M, Jr.", "Jones, Robert M, III"),
            journal="The New England journal of medicine", year=2016, volume="11", issue="7", pages="e0158474",
            doi="10.1371/x", pmid="1", pmcid="PMC12", other_tags=("MEDLINE TA: N Engl J Med",),
        ),
        "Marlow JP, Smith RM Jr, Jones RM 3rd. What is a name? N Engl J Med. 2016;11(7):e0158474. doi: 10.1371/x. "
        "PMID: 1; PMCID: PMC12.",
        "Marlow, J.-P., Smith, R. M., Jr., & Jones, R. M., III. (2016). What is a name? The New England journal of "
        "medicine, 11(7), Article e0158474. https://doi.org/10.1371/x",
    ),
    "in Norwegian": (
        work(
            "[Illness anxiety among medical students and law students].", ("Ellingsen AE", "Wilhelmsen I"),
            journal="Tidsskr Nor Laegeforen", year=2002, volume="122", issue="8", pages="785-7", languages=("nor",),
            vernacular_title="Sykdomsangst blant medisin- og jusstudenter.",
        ),
        "Ellingsen AE, Wilhelmsen I. Sykdomsangst blant medisin- og jusstudenter [Illness anxiety among medical "
        "students and law students]. Tidsskr Nor Laegeforen. 2002;122(8):785-7. Norwegian.",
        "Ellingsen, A. E., & Wilhelmsen, I. (2002). Sykdomsangst blant medisin- og jusstudenter [Illness anxiety among "
        "medical students and law students]. Tidsskr Nor Laegeforen, 122(8), 785–787.",
    ),
    "a chapter": (
        work(
            "Chromosome alterations in human solid tumors", ("Meltzer PS", "Kallioniemi A", "Trent JM"),
            journal="The genetic basis of human cancer", year=2002, publisher="McGraw-Hill", place="New York",
            pages="93-113", publication_types=("Book Chapter",),
            other_tags=("RIS A2: Vogelstein, B.", "RIS A2: Kinzler, K. W."),
        ),
        "Meltzer PS, Kallioniemi A, Trent JM. Chromosome alterations in human solid tumors. In: Vogelstein B, Kinzler "
        "KW, editors. The genetic basis of human cancer. New York: McGraw-Hill; 2002. p. 93-113.",
        "Meltzer, P. S., Kallioniemi, A., & Trent, J. M. (2002). Chromosome alterations in human solid tumors. In B. "
        "Vogelstein & K. W. Kinzler (Eds.), The genetic basis of human cancer (pp. 93–113). McGraw-Hill.",
    ),
    "a chapter, one editor, an edition": (
        work(
            "Gout", ("Okoro, P.",), journal="A book of joints", year=1999, publisher="Marlow", pages="7",
            other_tags=("BibTeX entry type: incollection", "BibTeX editor: Haddad, Rima", "BibTeX edition: 2"),
        ),
        "Okoro P. Gout. In: Haddad R, editor. A book of joints. 2nd ed. Marlow; 1999. p. 7.",
        "Okoro, P. (1999). Gout. In R. Haddad (Ed.), A book of joints (2nd ed., p. 7). Marlow.",
    ),
    "a book": (
        work(
            "Medical microbiology", ("Murray PR", "Rosenthal KS"), year=2002, publisher="Mosby", place="St. Louis",
            other_tags=("RIS TY: BOOK", "RIS ET: 4th ed."),
        ),
        "Murray PR, Rosenthal KS. Medical microbiology. 4th ed. St. Louis: Mosby; 2002.",
        "Murray, P. R., & Rosenthal, K. S. (2002). Medical microbiology (4th ed.). Mosby.",
    ),
    "a thesis": (
        work(
            "Infant sleep and feeding: a telephone survey of Hispanic Americans", ("Borkowski MM",), year=2002,
            publisher="Central Michigan University", place="Mount Pleasant (MI)", publication_types=("Academic Dissertation",),
        ),
        "Borkowski MM. Infant sleep and feeding: a telephone survey of Hispanic Americans [dissertation]. Mount Pleasant "
        "(MI): Central Michigan University; 2002.",
        "Borkowski, M. M. (2002). Infant sleep and feeding: a telephone survey of Hispanic Americans [Doctoral "
        "dissertation, Central Michigan University].",
    ),
    "a preprint": (
        work("Gout in mice", ("Marlow J",), journal="bioRxiv", year=2020, published="2020-03-03",
             publication_types=("Preprint",), doi="10.1101/1"),
        "Marlow J. Gout in mice. bioRxiv [Preprint]. 2020 Mar 3. doi: 10.1101/1.",
        "Marlow, J. (2020). Gout in mice. bioRxiv. https://doi.org/10.1101/1",
    ),
    "no year, a retraction": (
        work("Gout and cherries", ("Okoro P",), journal="Joint", volume="3", pages="1-1", retracted=True),
        "Okoro P. Gout and cherries [retracted]. Joint. [date unknown];3:1.",
        "Okoro, P. (n.d.). Gout and cherries [Retracted]. Joint, 3, 1.",
    ),
    "nothing but an id": (work(""), "[No title]. [date unknown].", "[No title]. (n.d.)."),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_references_are_those_of_the_guides(name: str) -> None:
    record, vancouver, apa = CASES[name]
    assert format_reference(record, "vancouver") == vancouver
    assert format_reference(record, "apa") == apa


@pytest.mark.parametrize(("n", "end"), [(20, "Author20, A."), (21, ". . . Author21, A.")])
def test_apa_names_twenty_authors_or_nineteen_and_the_last(n: int, end: str) -> None:
    text = format_reference(work("T", tuple(f"Author{i}, A." for i in range(1, n + 1)), year=2019), "apa")
    before = "Author18, A., Author19, A., & " if n == 20 else "Author18, A., Author19, A., "
    assert f"{before}{end} (2019). T." in text and ("Author20" in text) == (n == 20)


def test_journal_and_volume_are_in_italics_in_apa() -> None:
    record, _, _ = CASES["a group"]
    italic = [piece.text for piece in build_reference(record, "apa") if piece.is_italic]
    assert italic == ["Hypertension", "40"]
    assert not any(piece.is_italic for piece in build_reference(record, "vancouver"))
    book = [piece.text for piece in build_reference(CASES["a chapter"][0], "apa") if piece.is_italic]
    assert book == ["The genetic basis of human cancer"]


def test_a_doi_is_written_as_it_is_read() -> None:
    text = format_reference(work("T", year=2017, doi="10.1016/s0140-6736(17)31258-8"), "apa")
    assert text == "T. (2017). https://doi.org/10.1016/s0140-6736(17)31258-8"


def test_a_paper_in_a_journal_is_no_chapter() -> None:
    paper = replace(CASES["a group"][0], publication_types=("Conference Paper",))
    assert format_reference(paper, "vancouver") == CASES["a group"][1]


def test_a_list_is_numbered_and_a_reference_is_one_line() -> None:
    record = work("Two\nlines", ("A\r\nB, C",), journal="J\u2028K", year=2000)
    lines = list(write_references([Cited(None, record), Cited(None, work("Other", year=1999))], "vancouver"))
    assert lines == ["1. A B C. Two lines. J K. 2000.\n", "2. Other. 1999.\n"]


TEXTS = st.text(max_size=20)


@given(
    st.builds(
        Abstract, st.just("a"), TEXTS, TEXTS, year=st.none() | st.integers(1500, 2030), journal=TEXTS,
        authors=st.lists(TEXTS, max_size=8).map(tuple), volume=TEXTS, issue=TEXTS, pages=TEXTS, publisher=TEXTS,
        place=TEXTS, published=TEXTS, languages=st.lists(TEXTS, max_size=2).map(tuple), vernacular_title=TEXTS,
        publication_types=st.sampled_from([(), ("Book",), ("Book Chapter",), ("Thesis",), ("Preprint",)]),
        other_tags=st.lists(TEXTS.map("RIS ET: {}".format) | TEXTS.map("RIS A2: {}".format), max_size=2).map(tuple),
    )
)  # fmt: skip
@examples(0.5)
def test_any_record_has_a_reference_on_one_line(record: Abstract) -> None:
    for style in STYLES:
        text = format_reference(record, style)
        assert text and len(text.splitlines()) == 1 and text == text.strip()
