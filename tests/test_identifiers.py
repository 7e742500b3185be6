import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.identifiers import (
    build_doi_url,
    build_pubmed_url,
    find_noted_pmid,
    find_orcid,
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
        "http://www.ncbi.nlm.nih.gov/pubmed/123", "123/",
    ],
)  # fmt: skip
def test_spellings_of_a_pmid(value: object) -> None:
    assert parse_pmid(value) == "123"


@pytest.mark.parametrize(
    "value", [None, "", 0, -1, 1.5e12, float("nan"), "0123", "1234567890", "12a", "1 2", "١٢", True]
)
def test_what_is_no_pmid(value: object) -> None:
    assert parse_pmid(value) is None


def test_the_pmid_of_a_note_stands_at_the_beginning_of_a_line() -> None:
    assert find_noted_pmid("Read it.\n PMID: 123\n") == "123"
    assert find_noted_pmid("<p>pmid:123</p>") == "123"
    assert find_noted_pmid("see PMID: 123") is None and find_noted_pmid(["PMID: 123"]) is None


@pytest.mark.parametrize(
    "value",
    ["10.1/A b", "doi:10.1/A b", "DOI: 10.1/A b", "https://doi.org/10.1/A b", "dx.doi.org/10.1/A b", " HTTP://www.doi.org/10.1/A b "],
)  # fmt: skip
def test_spellings_of_a_doi(value: str) -> None:
    assert parse_doi(value) == "10.1/A b"


@pytest.mark.parametrize("value", [None, "", "11.1/a", "a10.1/a", "10.1/\x00", "10.1/" + "x" * 250])
def test_what_is_no_doi(value: str | None) -> None:
    assert parse_doi(value) is None


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


@pytest.mark.parametrize("pmid", [None, "", "0", "0123", "1234567890", "12a", "12\n", "../x", "١٢", " 1"])
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
