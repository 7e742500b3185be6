import gc
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine import open_index
from engine.index.generations.folder import IndexFolder
from engine.reindex.generation.order import Report
from engine.serve.work.facets import _MAX_BARS, Bar, _build_bars, _counted, read_facets
from tests.conftest import CURRENT

Add = Callable[..., Report]


def test_every_year_between_the_first_and_the_last_has_a_bar() -> None:
    assert _build_bars(((1990, 1), (1992, 4))) == (
        Bar(1990, 1990, 1, 25.0),
        Bar(1991, 1991, 0, 0),
        Bar(1992, 1992, 4, 100.0),
    )


def test_no_years_have_no_bars() -> None:
    assert _build_bars(()) == ()


def test_one_record_among_many_is_seen() -> None:
    assert [bar.height for bar in _build_bars(((2000, 1), (2001, 1000), (2002, 40), (2003, 41)))] == [4, 100, 4, 4.1]


def test_years_long_before_the_others_share_the_first_bar() -> None:
    bars = _build_bars(((1700, 2), (1880, 3), (1881, 4), (1882, 1), (2000, 10)))
    assert len(bars) == _MAX_BARS
    assert bars[0] == Bar(1700, 1881, 9, 90.0) and bars[1] == Bar(1882, 1882, 1, 10.0)
    assert (bars[0].label, bars[1].label) == ("1700 to 1881: 9", "1882: 1")


def test_a_few_records_long_before_the_others_take_no_width() -> None:
    bars = _build_bars(((1729, 1), (1990, 50), (1995, 60), (2000, 40)))
    assert (len(bars), bars[0]) == (11, Bar(1729, 1990, 51, 85.0))
    assert len(_build_bars(((1985, 1), (1990, 50), (2000, 100)))) == 16  # not so long before


def test_as_many_years_as_there_may_be_bars_have_one_each() -> None:
    bars = _build_bars(((1881, 1), (2000, 1)))
    assert len(bars) == _MAX_BARS and bars[0] == Bar(1881, 1881, 1, 100.0)


def test_a_label_groups_thousands() -> None:
    assert Bar(2000, 2000, 12345, 100.0).label == "2000: 12,345"


YEARS = st.dictionaries(st.integers(1500, 2100), st.integers(1, 10**7), min_size=1, max_size=20).map(
    lambda counts: tuple(sorted(counts.items()))
)


@given(YEARS)
def test_bars_hold_every_record_once_in_a_row_without_a_gap(years: tuple[tuple[int, int], ...]) -> None:
    bars = _build_bars(years)
    assert 1 <= len(bars) <= _MAX_BARS
    assert (bars[0].first, bars[-1].last) == (years[0][0], years[-1][0])
    assert all(after.first == before.last + 1 for before, after in zip(bars, bars[1:], strict=False))
    for bar in bars:
        assert bar.n == sum(n for year, n in years if bar.first <= year <= bar.last)
        assert (bar.height >= 4) == (bar.n > 0) and bar.height <= 100
    assert max(bar.height for bar in bars) == pytest.approx(100)


def test_the_facets_of_a_generation_are_counted_once() -> None:
    with open_index(CURRENT) as index:
        found = read_facets(index)
        assert read_facets(index) is found and read_facets(index.pin()) is found
        assert found.journals == (("Invented Journal of Toys", 41),)
        assert (found.mesh, found.types) == ((), (("Retraction of Publication", 1),))
        assert (found.bars[0].first, found.bars[-1].last, sum(bar.n for bar in found.bars)) == (1990, 2019, 41)


def test_a_new_generation_is_counted_anew(toy: IndexFolder, add: Add) -> None:
    with open_index(toy.path, follow=False) as index:
        before, old = read_facets(index), index.pin()
        add(
            {
                "id": "new",
                "title": "Gout",
                "year": 2020,
                "journal": "Lancet",
                "mesh": ["Gout"],
                "publication_types": ["Review"],
            }
        )
        assert read_facets(index) is before
        index.refresh()
        found = read_facets(index)
        assert found.journals == (("Invented Journal of Toys", 40), ("Lancet", 1))
        assert (found.mesh, found.types, found.bars[-1]) == (
            (("Gout", 1),),
            (("Review", 1),),
            Bar(2020, 2020, 1, found.bars[-1].height),
        )
        assert read_facets(old) is before


def test_facets_are_forgotten_with_their_generation() -> None:
    gc.collect()
    before = len(_counted)
    with open_index(CURRENT) as index:
        read_facets(index)
        assert len(_counted) == before + 1
    del index
    gc.collect()
    assert len(_counted) == before
