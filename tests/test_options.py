"""The table of what can be asked, and that every interface is made from it."""

import dataclasses
import json
from typing import Any

import pytest

from engine.cli import main
from engine.errors import UsageError
from engine.options import BY_FIELD, FILTERS, Filters, Query, ValueKind, describe_unknown, parse_years
from engine.query.question.filterwords import describe_filters
from engine.serve.api.openapi import OPERATIONS, dump_document
from engine.serve.api.tools import _TOOLS
from engine.serve.pages.links import State
from engine.serve.pages.views import build_chips
from engine.serve.request.parameters import SEARCH

# A value of each kind, as the API takes it.
SAMPLES = {
    ValueKind.NAMES: "gout",
    ValueKind.YEARS: "2015-2020",
    ValueKind.IDS: "toy-01",
    ValueKind.EITHER: "true",
    ValueKind.TEXT: "year > 2000",
}


def test_every_field_of_query_and_filters_is_described() -> None:
    names = [one.name for owner in (Filters, Query) for one in dataclasses.fields(owner) if one.name != "filters"]
    assert sorted(BY_FIELD) == sorted(names)
    assert len({option.name for option in BY_FIELD.values()}) == len(BY_FIELD)
    for option in BY_FIELD.values():
        assert option.help.endswith(".") and option.help[0].isupper(), option.name


@pytest.mark.parametrize("option", FILTERS, ids=lambda option: option.name)
def test_a_filter_is_known_to_every_interface(option: Any) -> None:
    flag = (option.flags or (f"--{option.name.replace('_', '-')}",))[0].split("/")[0]
    for command in ("search", "similar", "new", "recall", "evaluate", "screen"):
        assert flag in {name for param in main.commands[command].params for name in param.opts}, command
    assert option.name in {parameter.name for parameter in SEARCH}
    for path in ("search", "similar", "new"):
        described = dump_document(OPERATIONS)["paths"][f"/api/v1/{path}"]["get"]["parameters"]
        assert [one["description"] for one in described if one["name"] == option.name] == [option.help]
    batch = dump_document(OPERATIONS)["paths"]["/api/v1/batch"]["post"]
    assert json.dumps(batch).count(f'"{option.name}": {{') == 2  # of the whole batch, and of one query
    assert _TOOLS["search"].schema["properties"][option.name]["description"] == option.help
    chips = build_chips(State(((option.name, SAMPLES[option.kind]),)))
    if option.name == "hide":  # the page lists hidden records by their titles
        assert not chips
    else:
        (chip,) = chips
        assert chip.label == option.chip and chip.href == "/" and chip.value
    read = Filters(**{option.field: [SAMPLES[option.kind]] if option.kind.is_repeatable else True}
                   if option.kind is not ValueKind.TEXT else {option.field: SAMPLES[option.kind]})  # fmt: skip
    (words,) = describe_filters(read)
    assert words and "{" not in words


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1998-2003", (1998, 2003)),
        (" 1998 \u2013 2003 ", (1998, 2003)),
        ("2015-", (2015, None)),
        ("\u20131990", (None, 1990)),
        ("2001", (2001, 2001)),
        ("2001-2001", (2001, 2001)),
    ],
)
def test_years(text: str, expected: tuple[int | None, int | None]) -> None:
    assert parse_years(text) == expected


@pytest.mark.parametrize(
    "text", ["", "-", "\u2013", "abc", "98-03", "19980", "19982003", "1998 2003", "1998-2003-", "١٩٩٨", "\udc80"]
)
def test_what_is_no_range_of_years(text: str) -> None:
    with pytest.raises(UsageError, match="is not a range of years, expected years of four digits: 2001, 1998-2003"):
        parse_years(text)


def test_years_that_run_backwards() -> None:
    with pytest.raises(UsageError, match="'2003-1998' ends before it begins"):
        parse_years("2003-1998")


def test_lists_become_tuples_and_texts_become_ranges_of_years() -> None:
    found = Filters(years=["2015-", (1990, 2000), [None, 1980]], journals=["Gut"], ids=[], hide=["a", "b"])  # type: ignore[list-item]
    assert found == Filters(((2015, None), (1990, 2000), (None, 1980)), ("Gut",), ids=(), hide=("a", "b"))
    assert found.year_ranges == ((2015, None), (1990, 2000), (None, 1980))
    assert hash(found) == hash(dataclasses.replace(found))
    assert Filters(ids=None, journals=None) == Filters()  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"years": 2026}, r"^years is 2026, expected a list: \["),
        ({"years": "2015-"}, r"^years is the single text '2015-', expected a list of them: \['2015-'\]$"),
        ({"years": ["x"]}, "^'x' is not a range of years"),
        ({"years": (2015, 2020)}, r"^years holds 2015, expected text such as '2015-', or \(first, last\)"),
        ({"years": [(2020, 2015)]}, r"^years holds \(2020, 2015\)"),
        ({"journals": "Gut"}, r"^journals is the single text 'Gut', expected a list of them: \['Gut'\]$"),
        ({"journals": [" "]}, "^journals holds ' ', expected text of 1 to"),
        ({"mesh": [3]}, "^mesh holds '3', expected text"),
        ({"keywords": {"a": 1}}, "^keywords is {'a': 1}, expected a list"),
        ({"ids": 101}, "^ids is 101, expected a list"),
        ({"retracted": "false"}, "^retracted is 'false', expected True, False or None$"),
        ({"where": 3}, "^where is 3, expected text$"),
    ],
)  # fmt: skip
def test_values_that_are_no_filters_are_refused_at_once(given: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        Filters(**given)


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("jurnal", "journal"),
        ("top_k", "n"),
        ("years", "year"),
        ("mesh_trees", "mesh_tree"),
        ("has_abstrct", "has_abstract"),
    ],
)
def test_an_unknown_parameter_is_answered_with_the_nearest_one(name: str, meant: str) -> None:
    known = [parameter.name for parameter in SEARCH]
    assert describe_unknown(name, known) == (
        f"unknown parameter {name!r} (did you mean {meant}?). Known parameters: {', '.join(known)}"
    )
    assert "did you mean" not in describe_unknown("zzz", known)
    assert describe_unknown("zzz", []) == "unknown parameter 'zzz'. None is known here: leave it out"
