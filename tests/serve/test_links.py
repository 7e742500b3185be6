from urllib.parse import parse_qsl, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.serve.links import State, doi_link, pubmed_link

STATE = State((("q", "gout"), ("journal", "A"), ("offset", "20"), ("journal", "B"), ("tick", "1"), ("format", "ris")))
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=10)


def test_an_address_holds_names_and_values_in_their_order() -> None:
    assert State((("q", "a b&c=d"), ("i", "é+%"))).at("/") == "/?q=a+b%26c%3Dd&i=%C3%A9%2B%25"
    assert State(()).at("/map") == "/map"


@given(st.lists(st.tuples(TEXT, TEXT), min_size=1, max_size=5).map(tuple))
def test_an_address_is_read_as_what_it_was_made_of(pairs: tuple[tuple[str, str], ...]) -> None:
    parts = urlsplit(State(pairs).at("/search"))
    assert tuple(parse_qsl(parts.query, keep_blank_values=True)) == pairs
    assert (parts.path, parts.scheme, parts.netloc, parts.fragment) == ("/search", "", "", "")
    assert parts.query.isascii() and not set(parts.query) & set("\"'<> #")


def test_half_a_character_becomes_a_question_mark() -> None:
    assert State((("q", "a\ud800"),)).at("/") == "/?q=a%3F"


def test_one_value_takes_the_place_of_all_of_a_name() -> None:
    assert STATE.having("journal", 3).pairs == (("q", "gout"), ("journal", "3"))
    assert STATE.having("offset", 40).pairs == (("q", "gout"), ("journal", "A"), ("journal", "B"), ("offset", "40"))


def test_one_more_value_leaves_the_others() -> None:
    assert STATE.adding("journal", "C").pairs == (("q", "gout"), ("journal", "A"), ("journal", "B"), ("journal", "C"))


def test_without_a_name_or_one_value_of_it() -> None:
    assert STATE.without("journal").pairs == (("q", "gout"),)
    assert STATE.without("journal", "A").pairs == (("q", "gout"), ("journal", "B"))
    assert STATE.without("journal", "gout").pairs == STATE.from_first().pairs
    assert State((("q", ""), ("q", "x"))).without("q", "").pairs == (("q", "x"),)


def test_from_the_first_hit_on_nothing_is_left_of_the_page_and_its_ticks() -> None:
    assert STATE.from_first().pairs == (("q", "gout"), ("journal", "A"), ("journal", "B"))


def test_only_some_names_are_kept_whole() -> None:
    assert STATE.only(["offset", "journal", "none"]).pairs == (("journal", "A"), ("offset", "20"), ("journal", "B"))


def test_a_state_is_not_changed_by_what_is_made_of_it() -> None:
    before = STATE.pairs
    for made in (STATE.having("q", 1), STATE.adding("q", "x"), STATE.without("q"), STATE.only(())):
        assert made.pairs != before
    assert STATE.pairs == before


def test_a_pmid_leads_to_pubmed() -> None:
    assert pubmed_link("123") == "https://pubmed.ncbi.nlm.nih.gov/123/"
    assert pubmed_link("123456789") != ""


@pytest.mark.parametrize("pmid", [None, "", "0", "0123", "1234567890", "12a", "12\n", "../x", "١٢", " 1"])
def test_what_is_no_pmid_leads_nowhere(pmid: str | None) -> None:
    assert pubmed_link(pmid) == ""


def test_a_doi_leads_to_its_resolver_with_odd_characters_escaped() -> None:
    assert doi_link("10.1000/a(b);c:d.e_f-G") == "https://doi.org/10.1000/a(b);c:d.e_f-G"
    assert doi_link('10.1000/a"<b>?#&%é') == "https://doi.org/10.1000/a%22%3Cb%3E%3F%23%26%25%C3%A9"
    assert doi_link("10.1000/a\ud800") == "https://doi.org/10.1000/a%3F"


@pytest.mark.parametrize(
    "doi",
    [
        None,
        "",
        "10.1000/",
        "10.100/a",
        "10.1234567890/a",
        "11.1000/a",
        "10.1000/a b",
        "javascript:alert(1)",
        "x10.1000/a",
        "10.1000/a\n",
    ],
)
def test_what_is_no_doi_leads_nowhere(doi: str | None) -> None:
    assert doi_link(doi) == ""


@given(st.one_of(st.text(max_size=20), TEXT.map("10.1000/".__add__)))
def test_a_link_leaves_no_attribute(text: str) -> None:
    for link in (pubmed_link(text), doi_link(text)):
        assert link.isascii() and not set(link) & set("\"'<> \n")
