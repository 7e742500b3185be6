"""The picture of a recall curve: places by hand, texts that can be read, and no line that leaves the picture."""

import re
from xml.etree import ElementTree

import pytest

from engine.relevance.screening.chart import Chart, ChartMark, _list_ticks, draw_chart, draw_chart_png, list_steps

SVG = "{http://www.w3.org/2000/svg}"
CHART = Chart(
    title="2 of 10 <found>",
    description="In 10 records & more",
    n_read=10,
    n_found=4,
    curve=list_steps((1, 4), 5),
    low=((5, 2), (10, 2)),
    high=((5, 2), (7, 4), (10, 9)),  # above the chart
    band="may yet be found",
    marks=(ChartMark((4, 2), "first rule"), ChartMark((4, 2), "second & rule")),
)


def texts(svg: str) -> list[str]:
    return [each.text or "" for each in ElementTree.fromstring(svg).iter(f"{SVG}text")]


def test_a_curve_rises_by_one_at_each_inclusion() -> None:
    assert list_steps((1, 4), 5) == ((0, 0), (1, 0), (1, 1), (4, 1), (4, 2), (5, 2))
    assert list_steps((), 3) == ((0, 0), (3, 0))


@pytest.mark.parametrize(
    ("most", "expected"),
    [(1, [0, 1]), (4, [0, 1, 2, 3, 4]), (36, [0, 10, 20, 30]), (880, [0, 200, 400, 600, 800]), (0, [0]), (5, [0, 1, 2, 3, 4, 5])],
)  # fmt: skip
def test_ticks_are_round_numbers(most: float, expected: list[int]) -> None:
    assert _list_ticks(most) == expected


def test_the_places_by_hand() -> None:
    # The plot is 564 pixels wide from 58, and 238 high from 254 upwards: 56.4 for a record, 59.5 for an inclusion.
    svg = draw_chart(CHART, alone=False)
    assert 'class="chart-curve" d="M58.0 254.0L114.4 254.0L114.4 194.5L283.6 194.5L283.6 135.0L340.0 135.0"' in svg
    assert 'class="chart-band" d="M340.0 135.0L622.0 135.0L622.0 16.0L452.8 16.0L340.0 135.0Z"' in svg
    circles = re.findall(r'<circle class="chart-mark" cx="([\d.]+)" cy="([\d.]+)"', svg)
    assert circles[:2] == [("283.6", "135.0"), ("283.6", "154.0")]  # one above the other


def test_it_can_be_read_aloud_and_has_a_key() -> None:
    root = ElementTree.fromstring(draw_chart(CHART))
    assert (root.get("role"), root.findtext(f"{SVG}title")) == ("img", "2 of 10 <found>")
    assert root.findtext(f"{SVG}desc") == "In 10 records & more"
    said = texts(draw_chart(CHART))
    assert said[0] == "2 of 10 <found>"
    assert said[-5:] == ["may yet be found", "1", "first rule", "2", "second & rule"]
    assert {"records read", "inclusions found", "10", "4"} <= set(said)


def test_on_a_page_it_has_the_colours_of_the_page() -> None:
    alone, part = draw_chart(CHART), draw_chart(CHART, alone=False)
    assert "<style>" in alone and "prefers-color-scheme: dark" in alone
    assert "<style" not in part and "style=" not in part and 'class="page"' not in part  # a page forbids styles inside
    assert 'fill="currentColor"' in part


def test_nothing_is_read_yet() -> None:
    empty = Chart("none", "", 0, 1, list_steps((), 0), (), (), "", ())
    assert texts(draw_chart(empty, alone=False)) == ["0", "1", "0", "records read", "inclusions found"]
    assert "chart-band" not in draw_chart(empty)


def test_a_png_is_the_same_each_time() -> None:
    first = draw_chart_png(CHART)
    assert first.startswith(b"\x89PNG") and first == draw_chart_png(CHART)
