import pytest

from engine.errors import UsageError
from engine.options import FILTERS, Filters, Query, ValueKind
from engine.serve.request.parameters import QUERY, SEARCH, RequestValues
from engine.serve.request.queries import read_query

# A value for each parameter that says something else than its absence.
SAMPLES = {
    "q": "gout",
    "n": "3",
    "offset": "2",
    "mode": "keyword",
    "weight": "0",
    "fusion": "rrf",
    "min_score": "0",
    "diversify": "0",
    "sort": "year:asc",
    "explain": "true",
    "rerank_depth": "20",
    "rerank_precision": "int8",
    "feedback": "on",
    "group_by": "year",
    "year": "2015-",
    "retracted": "false",
    "has_abstract": "0",
    "has_fulltext": "0",
    "where": "year > 3",
}


def asked(*pairs: tuple[str, str]) -> Query:
    return read_query(RequestValues(pairs, SEARCH))


def test_nothing_given_is_the_query_of_nothing() -> None:
    assert asked() == Query()
    assert asked(("q", " "), ("year", ""), ("ids", "")) == Query()


def test_every_part_of_a_query_by_hand() -> None:
    found = asked(
        ("q", " gout "), ("like", "a"), ("like", "b"), ("unlike", "c"), ("mode", "hybrid"), ("n", "20"), ("offset", "40"),
        ("min_score", "-0.5"), ("weight", "0.25"), ("fusion", "rrf"), ("diversify", "1"), ("sort", "year"),
        ("explain", "1"), ("group_by", "journal"), ("rerank", "tiny"), ("rerank_depth", "5"), ("rerank_precision", "int8"), ("feedback", "1"),
    )  # fmt: skip
    assert found == Query(
        " gout ", ("a", "b"), ("c",), "hybrid", Filters(), 20, 40, -0.5, 0.25, "rrf", 1.0, "year", True, "journal", "tiny", 5, "int8", True
    )  # fmt: skip


def test_every_filter_by_hand() -> None:
    found = asked(
        ("year", "1998-2003"), ("year", "2015-"), ("journal", "Lancet"), ("journal", "BMJ"), ("mesh", "Gout"), ("mesh_tree", "C05"),
        ("type", "Review"), ("keyword", "pain"), ("author", "smith j"), ("language", "eng"), ("source", "*.ris"), ("database", "Embase"), ("label", "screened"), ("note", "ask"),
        ("retracted", "false"), ("has_abstract", "true"), ("has_fulltext", "false"), ("ids", "1"), ("ids", "2"), ("hide", "3"), ("where", "year > 3"),
    )  # fmt: skip
    assert found.filters == Filters(
        ((1998, 2003), (2015, None)), ("Lancet", "BMJ"), ("Gout",), ("C05",), ("Review",), ("pain",), ("smith j",), ("eng",),
        ("*.ris",), ("Embase",), ("screened",), ("ask",), False, True, False, ("1", "2"), ("3",), "year > 3",
    )  # fmt: skip


@pytest.mark.parametrize("name", [parameter.name for parameter in QUERY])
def test_no_parameter_is_passed_over(name: str) -> None:
    assert asked((name, SAMPLES.get(name, "x"))) != Query()


def test_filters_of_one_kind_each_have_a_field_of_their_own() -> None:
    for option in FILTERS:
        if option.kind in (ValueKind.NAMES, ValueKind.IDS):
            assert asked((option.name, "x")).filters == Filters(**{option.field: ("x",)})


def test_no_list_of_ids_is_not_an_empty_list() -> None:
    assert asked().filters.ids is None


def test_the_number_of_hits_is_that_of_the_page_unless_the_request_says_it() -> None:
    assert read_query(RequestValues([], SEARCH), n=50).top_k == 50
    assert read_query(RequestValues([("n", "7")], SEARCH), n=50).top_k == 7


def test_examples_may_come_by_another_name() -> None:
    given = RequestValues([("like", "a")], SEARCH)
    assert read_query(given, like=("b",)).like == ("b",)
    assert read_query(given).like == ("a",)


def test_hits_too_far_down_are_refused_with_the_depth() -> None:
    assert asked(("offset", "9000"), ("n", "1000")).offset == 9000
    with pytest.raises(
        UsageError, match=r"^offset 9,001 and n 1,000 reach rank 10,001, expected 10,000 at most\. Narrow"
    ):
        asked(("offset", "9001"), ("n", "1000"))
    with pytest.raises(UsageError, match="reach rank 10,009"):
        asked(("offset", "9999"))


@pytest.mark.parametrize("year", ["15", "2003-1998", "last year", "-"])
def test_years_that_are_none_are_refused(year: str) -> None:
    with pytest.raises(
        UsageError, match="(is not a range of years|ends before it begins), expected years of four digits"
    ):
        asked(("year", year))
