import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.errors import UsageError
from engine.options import ValueKind
from engine.serve.http.limits import MAX_VALUE, MAX_VALUES
from engine.serve.request.parameters import BOOLEANS, NUMBERS, SEARCH, Parameter, RequestValues
from engine.serve.request.queries import read_query

NAME = Parameter("name", "A text.", length=5)
NAMES = Parameter("names", "Several texts.", most=3)
WHOLE = Parameter("whole", "A whole number.", ValueKind.INTEGER, low=-2, high=1000)
NUMBER = Parameter("number", "A number.", ValueKind.NUMBER, low=-1, high=1)
FLAG = Parameter("flag", "Yes or no.", ValueKind.EITHER)
CHOICE = Parameter("choice", "One of two.", choices=("red", "blue"))
NEEDED = Parameter("needed", "Must be there.", required=True)
ALL = (NAME, NAMES, WHOLE, NUMBER, FLAG, CHOICE)

BLANKS = "".join(chr(code) for code in range(0x3001) if chr(code).isspace())
BLANK = st.text(BLANKS, max_size=2)
NUMERALS = st.one_of(
    st.integers(-3, 1200).map(str),
    st.floats().map(str),
    st.sampled_from(["1_0", "١", "-0", "1e400", "0x1", "+1", "1."]),
)
WORDS = st.sampled_from(
    ["semantic", "hybrid", "rrf", "true", "ON", "0", "year", "1998-2003", "2015\u2013", "9-", "\ud800"]
)
VALUE = st.one_of(st.text(max_size=20), st.tuples(BLANK, st.one_of(NUMERALS, WORDS), BLANK).map("".join))


def one(parameter: Parameter, *values: str) -> RequestValues:
    return RequestValues([(parameter.name, value) for value in values], ALL)


def test_what_is_given_is_read_by_its_kind() -> None:
    pairs = [
        ("names", "a"),
        ("whole", " 12 "),
        ("number", "-.5"),
        ("flag", "True "),
        ("names", " b "),
        ("choice", "blue"),
    ]
    found = RequestValues(pairs, ALL)
    assert (found.get_texts("names"), found.get_text("names")) == (("a", " b "), "a")
    assert found.get_text("choice") == "blue"
    assert found.get_whole("whole") == 12
    assert found.get_number("number") == -0.5
    assert found.get_flag("flag") is True


def test_what_is_not_given_or_blank_has_no_value() -> None:
    for pairs in ([], [(parameter.name, " \t") for parameter in ALL]):
        found = RequestValues(pairs, ALL)
        assert (found.get_texts("names"), found.get_text("name")) == ((), "")
        assert found.get_whole("whole") == 0
        assert (found.get_number("number"), found.get_flag("flag")) == (None, None)


def test_zero_and_false_are_values() -> None:
    found = RequestValues([("whole", "0"), ("number", "0"), ("flag", "false")], ALL)
    assert (found.get_whole("whole"), found.get_number("number"), found.get_flag("flag")) == (0, 0.0, False)


@pytest.mark.parametrize(
    ("text", "value"), [("true", True), ("1", True), ("on", True), ("TRUE", True), ("false", False), ("0", False)]
)
def test_flags_may_be_said_in_several_ways(text: str, value: bool) -> None:
    assert one(FLAG, text).get_flag("flag") is value


@pytest.mark.parametrize("text", ["-2", "1000", "0001"])
def test_whole_numbers_from_the_lowest_to_the_highest_are_taken(text: str) -> None:
    assert one(WHOLE, text).get_whole("whole") == int(text)


@pytest.mark.parametrize("text", ["-3", "1001", "1.0", "1e2", "1_0", "+1", "٣", "1 2", "x", "9" * 400, "nan"])
def test_other_whole_numbers_are_refused_with_the_range(text: str) -> None:
    with pytest.raises(UsageError, match=r"^whole is '.{1,80}', expected a whole number from -2 to 1,000$"):
        one(WHOLE, text)


@pytest.mark.parametrize("text", ["1.01", "-2", "nan", "inf", "-inf", "1e400", "half", "0x1", "--1", "1,0"])
def test_other_numbers_are_refused_with_the_range(text: str) -> None:
    with pytest.raises(UsageError, match=r"^number is '.*', expected a number from -1 to 1$"):
        one(NUMBER, text)


@pytest.mark.parametrize("text", ["yes", "2", "tru", "True!", "off"])
def test_other_flags_are_refused(text: str) -> None:
    with pytest.raises(UsageError, match=r"^flag is '.*', expected true or false$"):
        one(FLAG, text)


@pytest.mark.parametrize("text", ["green", "Red", "red blue"])
def test_other_choices_are_refused_with_those_there_are(text: str) -> None:
    with pytest.raises(UsageError, match=r"^choice is '.*', expected one of red, blue$"):
        one(CHOICE, text)


def test_a_text_may_have_so_many_characters() -> None:
    assert one(NAME, "ééééé").get_text("name") == "ééééé"
    with pytest.raises(UsageError, match="^name has 6 characters, expected 5 at most$"):
        one(NAME, "eeeeee")
    with pytest.raises(UsageError, match=f"^names has {MAX_VALUE + 1} characters, expected {MAX_VALUE} at most$"):
        one(NAMES, "e" * (MAX_VALUE + 1))


def test_a_parameter_may_be_given_so_often_and_blank_ones_do_not_count() -> None:
    assert one(NAMES, "a", " ", "b", "", "c").get_texts("names") == ("a", "b", "c")
    with pytest.raises(UsageError, match="^names has 4 values, expected 3 at most$"):
        one(NAMES, "a", "b", "c", "d")
    with pytest.raises(UsageError, match="^flag has 2 values, expected 1 at most$"):
        one(FLAG, "true", "true")


def test_what_must_be_there_is_missed() -> None:
    assert RequestValues([("needed", "x")], [NEEDED]).get_text("needed") == "x"
    for pairs in ([], [("needed", "  ")]):
        with pytest.raises(UsageError, match="^needed is missing: Must be there.$"):
            RequestValues(pairs, [NEEDED])


def test_an_unknown_name_is_refused_even_with_nothing_behind_it() -> None:
    with pytest.raises(
        UsageError,
        match=r"^unknown parameter 'numbr' \(did you mean number\?\)\. Known parameters: name, names, whole",
    ):
        RequestValues([("numbr", "")], ALL)
    with pytest.raises(UsageError, match=r"^unknown parameter 'zzz'\. Known parameters: "):
        RequestValues([("zzz", "1")], ALL)


def test_messages_repeat_only_the_beginning_of_what_was_given() -> None:
    long = "x" * 400
    for pair in ((long, "1"), ("whole", long), ("flag", long), ("choice", long)):
        with pytest.raises(UsageError, match="'x{80}'") as info:
            RequestValues([pair], ALL)
        assert len(str(info.value)) < 200


def test_a_request_has_only_so_many_parameters() -> None:
    assert RequestValues([("names", "")] * MAX_VALUES, ALL).get_texts("names") == ()
    with pytest.raises(UsageError, match=r"^the request has too many parameters, expected 1,200 at most"):
        RequestValues([("names", "")] * (MAX_VALUES + 1), ALL)


def test_there_is_one_parameter_of_a_name_and_defaults_are_values_it_may_have() -> None:
    assert len({parameter.name for parameter in SEARCH}) == len(SEARCH)
    given_defaults = [(p.name, str(p.default)) for p in SEARCH if p.default is not None]
    assert RequestValues(given_defaults, SEARCH).get_whole("n") == 10


@pytest.mark.parametrize("blank", list(BLANKS))
@pytest.mark.parametrize(("parameter", "value"), [(WHOLE, "5"), (NUMBER, "0.5"), (FLAG, "true")])
def test_blanks_around_a_value_do_no_harm(parameter: Parameter, value: str, blank: str) -> None:
    found = one(parameter, blank + value + blank)
    read = {ValueKind.INTEGER: found.get_whole, ValueKind.NUMBER: found.get_number, ValueKind.EITHER: found.get_flag}[
        parameter.kind
    ]
    assert read(parameter.name) == {"5": 5, "0.5": 0.5, "true": True}[value]


NUMERIC = [parameter for parameter in SEARCH if parameter.kind in NUMBERS]


@given(st.one_of(st.sampled_from(SEARCH), st.sampled_from(NUMERIC)), VALUE)
def test_any_text_is_a_value_in_range_or_a_usage_error(parameter: Parameter, text: str) -> None:
    try:
        found = RequestValues([(parameter.name, text)], SEARCH)
    except UsageError as err:
        assert str(err).startswith(f"{parameter.name} ") and text.strip()
        return
    if parameter.kind is ValueKind.INTEGER:
        assert not text.strip() or parameter.low <= found.get_whole(parameter.name) <= parameter.high
    elif parameter.kind is ValueKind.NUMBER:
        number = found.get_number(parameter.name)
        assert number is None if not text.strip() else number is not None and math.isfinite(number)
    elif parameter.kind in BOOLEANS:
        assert found.get_flag(parameter.name) in ((True, False) if text.strip() else (None,))
    else:
        assert found.get_texts(parameter.name) == ((text,) if text.strip() else ())


@given(
    st.lists(st.tuples(st.one_of(st.sampled_from([p.name for p in SEARCH]), st.text(max_size=4)), VALUE), max_size=5)
)
def test_any_request_is_a_query_or_a_usage_error(pairs: list[tuple[str, str]]) -> None:
    try:
        query = read_query(RequestValues(pairs, SEARCH))
    except UsageError as err:
        assert len(str(err)) > 20  # says what was expected
        return
    assert 1 <= query.top_k <= 1000 and 0 <= query.offset <= 9999
