from urllib.parse import parse_qsl, urlsplit

from hypothesis import given
from hypothesis import strategies as st

from engine.serve.links import State

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
