from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.collect.values.dates import build_date, choose_published, parse_date, read_date, read_year


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (2019, "2019"), (2019.0, "2019"), ("2019", "2019"), ("2019.0", "2019"), ("2,019", "2019"), ("c2019", "2019"),
        (20191101, "2019-11-01"), ("20191101", "2019-11-01"), (201911, "2019-11"), ("20191101120000", "2019-11-01"),
        ("2019-11", "2019-11"), ("2019-11-01T00:00:00Z", "2019-11-01"), ("2019/11/01/", "2019-11-01"), ("2019/11//", "2019-11"),
        ("2004/11//11/1/2004", "2004-11"), ("2020/11//Nov/Dec2020", "2020-11"), ("2021 May-Jun", "2021-05"),
        ("1998 Dec-1999 Jan", "1998-12"), ("2014 Mar 28-Apr 3", "2014-03-28"), ("2020 Winter", "2020"), ("Nov 2019", "2019-11"),
        ("1 Nov 2019", "2019-11-01"), ("November 21st, 2019", "2019-11-21"), ("17.01.2014", "2014-01-17"), ("1/13/2014", "2014-01-13"),
        ("13/1/2014", "2014-01-13"), ("11/1/2004", "2004"), ("3/3/2004", "2004-03-03"), ("05/2019", "2019-05"), ("2019-13", "2019"),
        ("2019-02-30", "2019-02"), ("20190101-20190201", "2019-01-01"), ("decision 2019", "2019"), ("marked 2019", "2019"),
    ],
)  # fmt: skip
def test_dates_as_they_are_written(value: object, expected: str) -> None:
    assert read_date(value) == expected
    assert read_year(value) == int(expected[:4])


@pytest.mark.parametrize(
    "value", [None, True, "", "in press", "0000", "AUG", "Nov-19", 30000001, "620191101", 1e300, float("nan"), ["2019"]]
)
def test_what_is_no_date(value: object) -> None:
    assert read_date(value) == ""


@given(st.dates(date(1500, 1, 1), date(2099, 12, 31)), st.sampled_from(["%Y-%m-%d", "%Y/%m/%d", "%Y%m%d", "%d.%m.%Y", "%Y %b %d", "%d %B %Y", "%b %d, %Y"]))  # fmt: skip
def test_every_day_in_every_form(day: date, form: str) -> None:
    assert read_date(day.strftime(form)) == day.isoformat()


@given(st.text(max_size=20))
def test_a_date_is_iso_8601_and_stays_one(text: str) -> None:
    if found := read_date(text):
        assert read_date(found) == found and 1500 <= int(found[:4]) <= 2099


def test_the_first_date_with_a_year_counts() -> None:
    assert read_year(["in press", None, "2020 May", 2019]) == 2020
    assert read_year(["in press"]) is None


def test_the_most_exact_date_in_the_year_is_that_of_publication() -> None:
    assert choose_published(["2019", "2018-12-05", "2019-03", "2019-03-04"], 2019) == "2019-03-04"
    assert choose_published(["AUG 12"], 2019) == "2019-08-12"
    assert choose_published(["2019", "2018-12-05"], 2019) == choose_published(["AUG"], None) == parse_date("2019") == ""


def test_the_parts_of_a_date() -> None:
    assert build_date("2019", "Nov", "3") == "2019-11-03"
    assert (build_date(2019, 2, 30), build_date(2019, 13), build_date("", 1)) == ("2019-02", "2019", "")
