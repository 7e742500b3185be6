from urllib.parse import parse_qsl

from engine import Filters, Query, open_index
from engine.serve.pages.facets import build_facet_views
from engine.serve.pages.links import State
from engine.serve.work.facets import FieldCounts, count_qualified
from tests.conftest import CURRENT

COUNTS = FieldCounts(
    (
        ("type", (("", 9), ("Review", 4), ("Letter", 2))),
        ("journal", (("Gut", 5),)),
        ("label", ()),
        ("mesh", tuple((f"M{n}", 9 - n) for n in range(8))),
    ),
    is_whole=False,
)


def test_a_value_leads_to_the_search_limited_to_it() -> None:
    found = build_facet_views(COUNTS, State((("q", "gout"), ("offset", "10"))))
    assert list(found) == ["type", "mesh"]  # a field of one value, or of none, can't narrow a search
    assert [(one.value, one.records) for one in found["type"].shown] == [("Review", 4), ("Letter", 2)]
    assert parse_qsl(found["type"].shown[0].href.partition("?")[2]) == [("q", "gout"), ("type", "Review")]
    assert [len(found["mesh"].shown), len(found["mesh"].folded)] == [5, 3]
    assert found["mesh"].label == "MeSH heading"


def test_a_field_that_is_filtered_has_no_facet_since_another_value_would_widen_the_search() -> None:
    assert list(build_facet_views(COUNTS, State((("q", "gout"), ("mesh", "M1"))))) == ["type"]


def test_the_numbers_are_those_of_the_records_that_qualify() -> None:
    with open_index(CURRENT) as index:
        for query in (Query("gout"), Query("gout", filters=Filters(years=["1995-"])), Query("gout", mode="keyword")):
            answer = index.ask(query)
            lists = dict(count_qualified(index, answer.query).lists)
            for field in lists:
                groups = index.ask(Query(query.text, mode=query.mode, filters=query.filters, group_by=field)).groups
                assert set(lists[field]) <= {(one.value, one.records) for one in groups}
            assert sum(n for _, n in lists["journal"]) == answer.n_qualified
