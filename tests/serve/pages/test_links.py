from urllib.parse import parse_qsl, urlsplit

from hypothesis import given
from hypothesis import strategies as st

from engine.serve.pages.links import State

STATE = State((("q", "gout"), ("journal", "A"), ("offset", "20"), ("journal", "B"), ("tick", "1"), ("format", "ris")))
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=10)


def test_an_address_holds_names_and_values_in_their_order() -> None:
    assert State((("q", "a b&c=d"), ("i", "é+%"))).build_address("/") == "/?q=a+b%26c%3Dd&i=%C3%A9%2B%25"
    assert State(()).build_address("/map") == "/map"


@given(st.lists(st.tuples(TEXT, TEXT), min_size=1, max_size=5).map(tuple))
def test_an_address_is_read_as_what_it_was_made_of(pairs: tuple[tuple[str, str], ...]) -> None:
    parts = urlsplit(State(pairs).build_address("/search"))
    assert tuple(parse_qsl(parts.query, keep_blank_values=True)) == pairs
    assert (parts.path, parts.scheme, parts.netloc, parts.fragment) == ("/search", "", "", "")
    assert parts.query.isascii() and not set(parts.query) & set("\"'<> #")


def test_half_a_character_becomes_a_question_mark() -> None:
    assert State((("q", "a\ud800"),)).build_address("/") == "/?q=a%3F"


def test_one_value_takes_the_place_of_all_of_a_name() -> None:
    assert STATE.set_value("journal", 3).pairs == (("q", "gout"), ("journal", "3"))
    assert STATE.set_value("offset", 40).pairs == (("q", "gout"), ("journal", "A"), ("journal", "B"), ("offset", "40"))


def test_one_more_value_leaves_the_others() -> None:
    assert STATE.add_value("journal", "C").pairs == (
        ("q", "gout"),
        ("journal", "A"),
        ("journal", "B"),
        ("journal", "C"),
    )


def test_without_a_name_or_one_value_of_it() -> None:
    assert STATE.drop_value("journal").pairs == (("q", "gout"),)
    assert STATE.drop_value("journal", "A").pairs == (("q", "gout"), ("journal", "B"))
    assert STATE.drop_value("journal", "gout").pairs == STATE.start_over().pairs
    assert State((("q", ""), ("q", "x"))).drop_value("q", "").pairs == (("q", "x"),)


def test_from_the_first_hit_on_nothing_is_left_of_the_page_and_its_ticks() -> None:
    assert STATE.start_over().pairs == (("q", "gout"), ("journal", "A"), ("journal", "B"))


def test_only_some_names_are_kept_whole() -> None:
    assert STATE.keep_names(["offset", "journal", "none"]).pairs == (
        ("journal", "A"),
        ("offset", "20"),
        ("journal", "B"),
    )


def test_a_state_is_not_changed_by_what_is_made_of_it() -> None:
    before = STATE.pairs
    for made in (STATE.set_value("q", 1), STATE.add_value("q", "x"), STATE.drop_value("q"), STATE.keep_names(())):
        assert made.pairs != before
    assert STATE.pairs == before
