import html
import re
import time
from collections.abc import Callable
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.identifiers import (
    build_doi_url,
    build_pubmed_url,
    find_dois,
    find_linked_dois,
    find_linked_pmid,
    find_listed_pmid,
    find_noted_doi,
    find_noted_pmid,
    find_orcid,
    find_pmids,
    find_printed_id,
    parse_doi,
    parse_pmid,
    strip_doi,
    strip_doi_address,
    strip_pmid,
)

TEXT = st.text(max_size=20)


@pytest.mark.parametrize(
    "value",
    [
        123, 123.0, "123", " 123 ", "123.0", "PMID:123", "pmid: 123", "PMID123", "https://pubmed.ncbi.nlm.nih.gov/123/",
        "http://www.ncbi.nlm.nih.gov/pubmed/123", "123/", "MEDLINE:123", "pubmed:123", "PubMed ID: 123", "NLM123",
        "PMID: NLM123", "PM:123", "'123", "123;", "123.", "0123", "<123>", "[PMID: 123]", "123 [pmid]", "\u200b123\u00a0",
        "123 [http://www.ncbi.nlm.nih.gov/pubmed/123]", "PMID: 123 [PubMed - indexed for MEDLINE]", "info:pmid/123",
        "https://pubmed.ncbi.nlm.nih.gov/123/?format=pubmed", "https://pubmed.ncbi.nlm.nih.gov/?term=123", [123, 4],
        "https://www-ncbi-nlm-nih-gov.proxy.example.edu/pubmed/123?dopt=Abstract", "https://europepmc.org/article/MED/123",
        "http://www.ncbi.nlm.nih.gov/entrez/query.fcgi?cmd=Retrieve&db=PubMed&list_uids=123&dopt=x", "MED/123",
        "PUBMED 123,EMBASE 620123456", "EMBASE 620123456,PUBMED 123", "123; PMC456", "123, 456",
    ],
)  # fmt: skip
def test_spellings_of_a_pmid(value: object) -> None:
    assert parse_pmid(value) == "123"


@pytest.mark.parametrize(
    "value",
    ["30,000,001", "30.000.001", "30 000 001", "30\u00a0000\u00a0001", "3.0000001E7", "3.0000001E+07", "3,0000001e7", "030000001"],
)  # fmt: skip
def test_pmids_that_went_through_a_spreadsheet(value: str) -> None:
    assert parse_pmid(value) == "30000001"


def test_programs_shorten_round_numbers_and_spreadsheets_all_numbers() -> None:
    assert parse_pmid("3.0E7") == "30000000"
    assert parse_pmid("3.00E+07") is parse_pmid("3E+07") is None  # may stand for 30000001


@pytest.mark.parametrize(
    "value",
    [
        None, "", 0, -1, 1.5e12, 123.5, float("nan"), "000", "1234567890", "12a", "1 2", "١٢", True, "L620123456", "EJ123",
        "EMBASE 620123456", "Embase:620123456", "WOS:000123456700001", "000123456700001", "PMC123", "NCT01234567",
        "2-s2.0-85012345678", "2019-19018-006", "CN-01234567", "10.1000/123", "https://www.ncbi.nlm.nih.gov/pmc/articles/PMC123/",
        "https://example.org/123",
    ],
)  # fmt: skip
def test_what_is_no_pmid(value: object) -> None:
    assert parse_pmid(value) is None


PMIDS = st.integers(1, 999_999_999)
PMID_SPELLINGS: list[Callable[[int], object]] = [
    int, float, str, "{}.0".format, "PMID: {}".format, "MEDLINE:{}".format, "pubmed {}".format, "{:,}".format, "'{}".format,
    "NLM{}".format, "{};".format, "{:010}".format, "https://pubmed.ncbi.nlm.nih.gov/{}/?format=pubmed".format,
    "PUBMED {},EMBASE 620123456".format, " {} [pmid]".format, lambda pmid: f"{pmid:,}".replace(",", "\u00a0"), repr,
]  # fmt: skip


@given(PMIDS, st.sampled_from(PMID_SPELLINGS))
def test_every_spelling_of_every_pmid_is_read(pmid: int, write: Callable[[int], object]) -> None:
    assert parse_pmid(write(pmid)) == str(pmid)
    assert strip_pmid(str(write(pmid))) == str(pmid)


@given(
    st.from_regex(
        r"(L|EMBASE |Embase:|WOS:|ISI:|PMC|NCT|CN-|EJ|ED|2-s2\.0-|CINAHL |lil-|ACTRN)[0-9]{4,14}", fullmatch=True
    )
)
def test_a_number_of_another_database_is_never_a_pmid(number: str) -> None:
    assert parse_pmid(number) is find_listed_pmid(number) is find_linked_pmid(number) is None


@given(TEXT)
def test_a_pmid_is_a_number_and_stays_one(text: str) -> None:
    if (pmid := parse_pmid(text)) is not None:
        assert 0 < int(pmid) < 10**9 and pmid.isascii() and parse_pmid(pmid) == pmid


@pytest.mark.parametrize(
    "doi", ["10.1890/0012-9658(2000)081[0001:XYZ]2.0.CO;2", "DOI:10.1043/0003(2001)125<1:AB>2.0.CO;2"]
)
def test_the_semicolon_of_an_old_doi_starts_no_pmid(doi: str) -> None:
    assert parse_pmid(doi) is None
    assert parse_pmid(f"{doi}; 30000001") == "30000001"
    assert strip_pmid(doi) == doi


def test_all_pmids_of_a_field() -> None:
    assert find_pmids("PMID: 12; PMID: 34; 12") == ("12", "34")


@pytest.mark.parametrize(
    "note",
    [
        "Read it.\n PMID: 123\n", "<p>pmid:123</p>", "Cited 3 times; PMID: 123; checked", "PMID- 123", "PubMed PMID: 123",
        "Accession Number: 2020-99000-001. PMID: 123 Partial author list: First Author & Affiliation: Lee, B.",
        "Accession Number: 904788783. Language: English. NLM UID: 9900471R. PMID: NLM123.", "PMID: 123\nPMID: 123",
    ],
)  # fmt: skip
def test_a_note_gives_the_pmid_in_a_line_or_field_of_its_own(note: str) -> None:
    assert find_noted_pmid(note) == "123"


@pytest.mark.parametrize(
    "note",
    ["see PMID: 123", ["PMID: 123"], "Lee 2010, Lancet. PMID: 123", "PMID: 123\nPMID: 456", "PMID: 123a", "Comment on: PMID: 123"],
)  # fmt: skip
def test_a_note_on_another_work_gives_none(note: object) -> None:
    assert find_noted_pmid(note) is None


@pytest.mark.parametrize(
    "value",
    [
        "10.1000/A1", "doi:10.1000/A1", "DOI: 10.1000/A1", "https://doi.org/10.1000/A1", "dx.doi.org/10.1000/A1", "doi10.1000/A1",
        " HTTP://www.doi.org/10.1000/A1 ", "10.1000/A1.", "10.1000/A1;", "10.1000/A1 [doi]", "10.1000/A1[doi]", "(10.1000/A1)",
        "10.1000%2FA1", "10.1000/A1 (electronic)", "https://doi.org/10.1000/A1?utm=x&y=z", "10.1000/A1, 10.1000/b", "<10.1000/A1>",
        "doi:https://doi.org/10.1000/A1", "https://doi-org.proxy.example.edu/10.1000/A1", "urn:doi:10.1000/A1", "info:doi/10.1000/A1",
        "http://dx.doi.org.proxy.example.edu/10.1000/A1", "\u200b10.1000/A1", "10.1000/A1     LK  - https://x.example.org",
        "10.1000/A1AN  - WOS:000123", "10.1000/A1<br />", '<a href="https://doi.org/10.1000/A1">10.1000/A1</a>', "10.1000/A1 b",
        "https://example.org/openurl?sid=E&id=doi:10.1000%2FA1&issn=1", "https://example.com/doi/abs/10.1000/A1/full",
        "https://example.com/content/pdf/10.1000/A1.pdf", "https://login.example.edu/login?url=https%3A%2F%2Fdoi.org%2F10.1000%252FA1",
        ["10.1000/A1", "10.1000/b"],
    ],
)  # fmt: skip
def test_spellings_of_a_doi(value: object) -> None:
    assert parse_doi(value) == "10.1000/A1"


SICIS = [
    "10.1002/(SICI)1097-0258(19980815/30)17:15/16<1661::AID-SIM968>3.0.CO;2-2",
    "10.1002/1097-4636(200009)51:3<511::AID-JBM25>3.0.CO;2-E",
    "10.1175/1520-0469(1963)020<0130:DNF>2.0.CO;2",
    "10.1639/0044-7447(2002)031[0001:XY]2.0.CO;2",
]


@pytest.mark.parametrize(
    "doi", [*SICIS, "10.1016/S0140-6736(05)66545-5", "10.1000/a[b]{c}", "10.1000.10/1", "10.1000/é"]
)
@pytest.mark.parametrize(
    "write",
    [
        "{}".format, "<{}>".format, "({})".format, "{}.".format, "{}; 10.1000/b".format, "{} [doi]".format, "DOI: {}".format,
        lambda doi: f"https://doi.org/{quote(doi)}", lambda doi: f"https://x.example.org/?u={quote(f'https://doi.org/{quote(doi)}', safe='')}",
        html.escape, lambda doi: doi.replace("<", " <"),
    ],
)  # fmt: skip
def test_a_doi_with_brackets_survives(doi: str, write: Callable[[str], str]) -> None:
    assert parse_doi(write(doi)) == doi


DOIS = st.from_regex(
    r"10\.[1-9][0-9]{3,7}/[A-Za-z0-9]([A-Za-z0-9]|[-._/()](?=[A-Za-z0-9])){0,20}[a-z0-9]", fullmatch=True
).filter(
    lambda doi: (
        doi.count("(") == doi.count(")")
        and not re.search(r"\(doi|\(pii|\(print|\(online|\(electronic", doi, re.IGNORECASE)
    )
)
DOI_SPELLINGS: list[Callable[[str], str]] = [
    str, "doi:{}".format, "DOI {}".format, "https://doi.org/{}".format, "http://dx.doi.org.proxy.example.edu/{}".format, "{}.".format,
    "{} [doi]".format, "<{}>".format, "{};".format, "{}, 10.1000/zzz".format, "info:doi/{}".format, "{}     LK  - https://x.example".format,
    "https://doi.org/{}?utm_source=x".format, lambda doi: f"https://doi.org/{quote(doi, safe='')}",
]  # fmt: skip


@given(DOIS, st.sampled_from(DOI_SPELLINGS))
def test_every_spelling_of_every_doi_is_read(doi: str, write: Callable[[str], str]) -> None:
    assert parse_doi(write(doi)) == doi
    assert strip_doi(write(doi)) == doi


@given(st.one_of(TEXT, TEXT.map("10.1000/".__add__)))
def test_a_doi_that_was_read_is_read_again(text: str) -> None:
    if (doi := parse_doi(text)) is not None:
        assert parse_doi(doi) == doi and doi.isprintable()


@pytest.mark.parametrize(
    "value",
    [
        None, "", "11.1000/a", "a10.1000/a", "10.1000/\x00", "10.1000/" + "x" * 250, "10.1000/", "n/a", 10.1, "http://x.example.org/a",
        "https://www.cochranelibrary.com/central/doi/10.1002/central/CN-01234567/full",
    ],
)  # fmt: skip
def test_what_is_no_doi(value: object) -> None:
    assert parse_doi(value) is None


def test_all_dois_of_a_field() -> None:
    assert find_dois("10.1000/a; 10.1000/b; 10.1000/A") == ("10.1000/a", "10.1000/b")
    assert find_dois("10.1000/a;10.1000/b,https://doi.org/10.1000/c") == ("10.1000/a", "10.1000/b", "10.1000/c")
    assert find_linked_dois(["https://doi.org/10.1000/a", "see 10.1000/b", 7]) == ("10.1000/a",)
    assert find_noted_doi("Issue 3\nDOI: 10.1000/a") == "10.1000/a" and find_noted_doi("see doi 10.1000/a") is None


def test_patterns_keep_their_stars() -> None:
    assert (strip_pmid("PMID: 12*"), strip_doi("doi:10.1000/*"), strip_doi_address("DOI:10.1/a")) == (
        "12*",
        "10.1000/*",
        "DOI:10.1/a",
    )


@pytest.mark.parametrize(
    "text",
    [
        "0000-0002-1825-0097", "0000 0002 1825 0097", "0000000218250097", "0000\u20130002\u20131825\u20130097",
        "0000 - 0002 - 1825 - 0097", "https://orcid.org/0000-0002-1825-0097", "ORCID: 0000\u20140002\u20141825\u20140097.",
    ],
)  # fmt: skip
def test_spellings_of_an_orcid(text: str) -> None:
    assert find_orcid(text) == "0000-0002-1825-0097"
    assert find_orcid(text.replace("7", "x")) == "0000-0002-1825-009X"


@pytest.mark.parametrize(
    "text", ["", "0000-0002-1825", "10000-0002-1825-0097", "0000-0002-1825-00971", "0000-0002-1825-O097"]
)
def test_what_is_no_orcid(text: str) -> None:
    assert find_orcid(text) == ""


def test_a_pmid_leads_to_pubmed() -> None:
    assert build_pubmed_url("123") == "https://pubmed.ncbi.nlm.nih.gov/123/"
    assert build_pubmed_url("123456789") != ""


@pytest.mark.parametrize("pmid", [None, "", "0", "000", "1234567890", "12a", "12\n", "../x", "١٢", " 1"])
def test_what_is_no_pmid_leads_nowhere(pmid: str | None) -> None:
    assert build_pubmed_url(pmid) == ""


def test_a_doi_leads_to_its_resolver_with_odd_characters_escaped() -> None:
    assert build_doi_url("10.1000/a;c:d.e_f-G") == "https://doi.org/10.1000/a;c:d.e_f-G"
    assert build_doi_url("10.1000.10/123456") == "https://doi.org/10.1000.10/123456"  # a registrant of a registrant
    assert build_doi_url('10.1000/a(b)"<c>?#&%é') == "https://doi.org/10.1000/a%28b%29%22%3Cc%3E%3F%23%26%25%C3%A9"
    assert build_doi_url("10.1000/a\ud800") == "https://doi.org/10.1000/a%3F"


@pytest.mark.parametrize(
    "doi",
    [
        None,
        "",
        "10.1000/",
        "10.100/a",
        "10.1234567890/a",
        "10.1000./a",
        "11.1000/a",
        "10.1000/a b",
        "javascript:alert(1)",
        "x10.1000/a",
        "10.1000/a\n",
    ],
)
def test_what_is_no_doi_leads_nowhere(doi: str | None) -> None:
    assert build_doi_url(doi) == ""


@given(st.one_of(TEXT, TEXT.map("10.1000/".__add__)))
def test_an_address_ends_no_attribute_and_no_link(text: str) -> None:
    for url in (build_pubmed_url(text), build_doi_url(text)):
        assert url.isascii() and not re.search(r"""["'<> ()\n]""", url)


@pytest.mark.parametrize(
    ("copied", "printed"),
    [
        ("10.1000/\nabc.12", "10.1000/abc.12"),
        ("https://doi.org/10.1000/ab\r\n  c.12", "https://doi.org/10.1000/abc.12"),
        ("10.1000/s1\u201012\u2013x", "10.1000/s1-12-x"),
        ("10.1000\u2215abc", "10.1000/abc"),
        ("\uff11\uff10\uff0e1000/abc", "10.1000/abc"),
        ("\uff30\uff2d\uff29\uff24\uff1a12345", "PMID:12345"),
        ("\uff11\uff12\uff13", "123"),
    ],
)
def test_an_id_is_read_as_it_was_printed(copied: str, printed: str) -> None:
    assert find_printed_id(copied) == printed
    assert find_printed_id(printed) == ""


def test_two_numbers_in_two_lines_are_never_one() -> None:
    assert "\n" in find_printed_id("\uff11\uff12\n34")


@pytest.mark.parametrize("piece", [",", ";", "+", " ", "("])
def test_a_long_text_without_a_doi_is_read_at_once(piece: str) -> None:
    began = time.process_time()
    assert not list(find_dois("9" + piece * 100_000 + "9"))
    assert time.process_time() - began < 5
