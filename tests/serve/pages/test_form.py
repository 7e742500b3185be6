import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine import open_index
from engine.errors import UsageError
from engine.index.generations.folder import IndexFolder
from engine.options import parse_years
from engine.serve.pages.form import _OWN_FIELDS, PAGE, _Form, _split_range, build_form, canonicalise, is_canonical
from engine.serve.pages.links import Pairs, State
from engine.serve.request.parameters import SEARCH, RequestValues
from engine.serve.request.queries import read_query
from engine.serve.work.facets import Bar, Facets
from tests.conftest import CURRENT
from tests.rerankers import seal_empty


def form(*pairs: tuple[str, str]) -> _Form:
    with open_index(CURRENT) as index:
        return build_form(index, State(pairs))


def test_what_is_blank_and_what_is_said_twice_is_left_out() -> None:
    pairs = (("q", "gout"), ("journal", "B"), ("mesh", " "), ("journal", "A"), ("journal", "B"), ("where", ""))
    assert canonicalise(pairs) == State((("q", "gout"), ("journal", "B"), ("journal", "A")))


@pytest.mark.parametrize(
    ("low", "high", "year"),
    [("1998", "2003", "1998-2003"), ("2015", "", "2015-"), ("", "1990", "-1990"), (" 2001 ", "2001", "2001")],
)
def test_first_and_last_year_become_one_range(low: str, high: str, year: str) -> None:
    pairs = (("from", low), ("q", "gout"), ("to", high))
    assert canonicalise(pairs) == State((("q", "gout"), ("year", year)))


def test_first_and_last_year_take_the_place_of_other_ranges() -> None:
    assert canonicalise((("year", "1990"), ("from", "2000"), ("q", "x"), ("year", "1995-"))).pairs == (
        ("q", "x"),
        ("year", "2000-"),
    )
    blank = (("year", "1990"), ("from", ""), ("to", " "), ("year", "1995-"))
    assert canonicalise(blank).pairs == (("year", "1990"), ("year", "1995-"))


def test_years_that_end_before_they_begin_are_refused() -> None:
    with pytest.raises(UsageError, match="^the last year is before the first: 2003 to 1998$"):
        canonicalise((("from", "2003"), ("to", "1998")))


@pytest.mark.parametrize(
    ("name", "value"), [("from", "soon"), ("to", "10000"), ("from", "-1"), ("colour", "red"), ("n", "0")]
)
def test_what_cant_be_is_refused(name: str, value: str) -> None:
    with pytest.raises(UsageError, match=f"{name}.* expected|unknown parameter '{name}'"):
        canonicalise(((name, value),))


@given(st.none() | st.integers(0, 9999), st.none() | st.integers(0, 9999))
def test_years_that_the_form_takes_can_be_searched(low: int | None, high: int | None) -> None:
    pairs = tuple((name, str(year)) for name, year in (("from", low), ("to", high)) if year is not None)
    try:
        found = canonicalise(pairs).pairs
    except UsageError as err:
        assert "the last year is before the first" in str(err) or str(err).startswith(("from is", "to is"))
        return
    assert [parse_years(value) for _, value in found] == ([(low, high)] if pairs else [])


def test_an_address_is_canonical_without_blanks_and_ends_of_years() -> None:
    assert is_canonical(()) and is_canonical((("q", "gout"), ("year", "2000-")))
    for pair in (("q", " "), ("from", "2000"), ("to", "2000")):
        assert not is_canonical((("q", "gout"), pair))


TEXT = st.text(max_size=6)
YEAR = st.sampled_from(["", " ", "1990", "2000", " 2010 "])
SINGLE = {"q": TEXT, "where": TEXT, "i": TEXT, "from": YEAR, "to": YEAR, "n": st.sampled_from(["", "20"])}
SEVERAL = st.tuples(st.sampled_from(["journal", "mesh", "year", "ids", "like"]), st.one_of(TEXT, st.sampled_from("ab")))
PAIRS = st.tuples(st.fixed_dictionaries({}, optional=SINGLE), st.lists(SEVERAL, max_size=6)).flatmap(
    lambda made: st.permutations([*made[0].items(), *made[1]]).map(tuple)
)


@pytest.mark.parametrize("size", ["0020", " 20 ", "20", "\x1c20", "20\x1f"])
def test_numbers_have_one_spelling(size: str) -> None:
    assert canonicalise((("n", size), ("offset", "007"))).pairs == (("n", "20"), ("offset", "7"))
    assert form(("n", "25")).sizes == [10, 20, 25, 50, 100] and form(("n", "9" * 15)).sizes == [10, 20, 50, 100]
    assert form(("n", "0")).sizes == form(("n", "x")).sizes == form().sizes == [10, 20, 50, 100]


@given(PAIRS)
def test_the_canonical_form_is_its_own_canonical_form(pairs: Pairs) -> None:
    try:
        found = canonicalise(pairs)
    except UsageError as err:
        assert "the last year is before the first" in str(err)
        return
    assert canonicalise(found.pairs) == found
    assert is_canonical(found.pairs)
    assert len(set(found.pairs)) == len(found.pairs)
    assert {pair for pair in pairs if pair[1].strip() and pair[0] not in ("from", "to", "year")} == {
        pair for pair in found.pairs if pair[0] != "year"
    }


def test_the_form_shows_what_was_sent() -> None:
    found = form(("q", "gout"), ("year", "1998-2003"), ("retracted", "false"))
    assert (
        found.get_value("q"),
        found.get_value("retracted"),
        found.get_value("mode"),
        found.get_value("n", "10"),
    ) == (
        "gout",
        "false",
        "",
        "10",
    )
    assert (found.first_year, found.last_year) == ("1998", "2003")
    assert found.facets.journals == (("Invented Journal of Toys", 41),)


def test_what_has_no_field_goes_along_unseen() -> None:
    shown = tuple((name, "1") for name in _OWN_FIELDS)
    kept = (("journal", "A"), ("like", "toy-01"), ("min_score", "0.5"), ("journal", "B"))
    assert form(*shown, *kept, ("offset", "10"), ("year", "2000")).kept == kept
    assert {parameter.name for parameter in PAGE} > set(_OWN_FIELDS)


@pytest.mark.parametrize("low, high", [("2003", "1998"), ("2003", ""), ("soon", "1998"), ("9" * 5000, "²")])
def test_first_and_last_year_stay_in_their_fields_when_they_are_refused(low: str, high: str) -> None:
    found = form(("q", "gout"), ("year", "1990"), *((("from", low), ("to", high)) if high else (("from", low),)))
    assert (found.first_year, found.last_year, found.kept) == (low, high, ())
    assert found.is_within(Bar(1990, 1990, 1, 1)) == (low != "2003")


def test_several_ranges_of_years_have_no_field_and_go_along() -> None:
    found = form(("year", "1990"), ("year", "1995-"))
    assert (found.first_year, found.last_year) == ("", "")
    assert found.kept == (("year", "1990"), ("year", "1995-"))


@pytest.mark.parametrize(
    ("years", "wanted"),
    [("1998-2003", ("1998", "2003")), ("2015-", ("2015", "")), ("-1990", ("", "1990")), (" 2001 ", ("2001", "2001"))],
)
def test_a_range_is_split_into_its_ends(years: str, wanted: tuple[str, str]) -> None:
    assert _split_range(years) == wanted


@pytest.mark.parametrize(
    ("years", "within"),
    [
        ("1998-2003", [False, False, True, True, False]),
        ("2000-", [False, False, False, True, True]),
        ("-1998", [True, True, True, False, False]),
        ("1995", [True, True, False, False, False]),
        ("1990-1991", [True, False, False, False, False]),
    ],
)
def test_bars_within_the_years_asked_for_by_hand(years: str, within: list[bool]) -> None:
    bars = [
        Bar(1900, 1995, 1, 1),
        Bar(1995, 1995, 1, 1),
        Bar(1998, 1998, 1, 1),
        Bar(2003, 2003, 1, 1),
        Bar(2004, 2004, 1, 1),
    ]
    found = form(("year", years))
    assert [found.is_within(bar) for bar in bars] == within


def test_without_years_every_bar_is_within() -> None:
    assert all(form().is_within(bar) for bar in form().facets.bars)


@pytest.mark.parametrize(
    "years",
    [
        "1998-2003",
        "1998 - 2003",
        "1998\u20132003",
        "1998 \u2013 2003",
        " 1998-2003 ",
        "2001",
        "2015-",
        "2015\u2013",
        "- 1990",
        "1990 -",
    ],
)
def test_every_range_that_a_search_takes_is_shown_by_its_ends(years: str) -> None:
    (wanted,) = read_query(RequestValues([("year", years)], SEARCH)).filters.years
    found = form(("year", years))
    assert [bool(end) and int(end) or None for end in (found.first_year, found.last_year)] == list(wanted)
    for bar in (Bar(1989, 1989, 1, 1), Bar(2000, 2001, 1, 1), Bar(2016, 2016, 1, 1)):
        assert found.is_within(bar) == ((wanted[0] or 0) <= bar.last and bar.first <= (wanted[1] or 9999))


@given(st.one_of(st.text(max_size=6), st.sampled_from(["9" * 5000, "-" + "9" * 5000, "²-³", "-1-", "1990-x"])))
def test_any_text_for_years_is_shown(years: str) -> None:
    found = _Form(State((("year", years),)), Facets((), (), (), ()), *_split_range(years), ())
    assert found.is_within(Bar(2000, 2000, 1, 1)) in (True, False)
    assert found.first_year in years and found.last_year in years


def test_a_second_stage_can_be_chosen_where_there_is_one(toy: IndexFolder) -> None:
    def choices(*pairs: tuple[str, str]) -> tuple[tuple[str, str], ...]:
        with open_index(toy.path) as index:
            return build_form(index, State(pairs)).rerankers

    assert choices(("rerank", "none")) == ()
    encoders, settings = toy.path / "encoders", toy.path / "index.toml"
    tiny, other = seal_empty(encoders, age=9), seal_empty(encoders, "/models/other")
    off, by_other = ("", "not reranked"), ("other", "by other")
    assert choices() == choices(("rerank", "none")) == (off, by_other, ("tiny", "by tiny"))
    settings.write_text(f'[rerank]\nmodel = "{tiny.fingerprint}"\n', encoding="utf-8")
    assert choices() == choices(("rerank", "none")) == (("", "by tiny"), ("none", "not reranked"), by_other)
    short = other.fingerprint[:12]
    assert choices(("rerank", short))[-1] == (short, f"by {short}")
    settings.write_text('[rerank]\nmodel = "tiny"\nprecision = "int8"\n', encoding="utf-8")
    assert choices() == (("", "by tiny"), ("none", "not reranked"))
    settings.write_text("[rerank", encoding="utf-8")
    assert choices() == ()


def test_a_choice_of_a_second_stage_is_no_other_filter(toy: IndexFolder) -> None:
    seal_empty(toy.path / "encoders")
    with open_index(toy.path) as index:
        assert build_form(index, State((("q", "gout"), ("rerank", "tiny")))).kept == ()
