"""A chart of what was found against what was read, as SVG or PNG."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from html import escape
from io import BytesIO
from typing import TYPE_CHECKING

from engine.errors import MissingExtraError
from engine.svg import wrap_svg

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Point = tuple[float, float]  # records read, inclusions found
_WIDTH, _HEIGHT = 640.0, 300.0  # of the plot with its axes, in pixels
_LEFT, _RIGHT, _TOP, _BOTTOM = 58.0, 18.0, 16.0, 46.0  # around the plot
_LINE, _KEY = 20.0, 9.0  # height of a line of the key, and radius of its numbers
_TICKS = 5  # at most, of an axis
_CURVE, _MARK = "#2f7fc1", "#c8553d"  # seen on white and on black
_STYLE = "svg{color:#1b1f23}@media (prefers-color-scheme: dark){svg{color:#e6e9ec}.page{fill:#16191d}}"  # of a file
_INCHES, _DPI = (8.0, 5.2), 120
_EXTRAS = "[cpu,train] or [gpu,train]"


@dataclass(frozen=True, slots=True)
class ChartMark:
    """A numbered place on the chart, and the line of the key that explains it."""

    place: Point
    text: str


@dataclass(frozen=True, slots=True)
class Chart:
    """A curve, a band around or after it, and marks on it."""

    title: str
    description: str  # the same in words
    n_read: int  # end of the axis of records read
    n_found: float  # end of the axis of inclusions found; what is above is cut off
    curve: tuple[Point, ...]
    low: tuple[Point, ...]  # lower edge of the band, from left to right
    high: tuple[Point, ...]  # its upper edge
    band: str  # what the band is, for the key; "" without a band
    marks: tuple[ChartMark, ...]


def list_steps(found_after: Sequence[int], n_read: int) -> tuple[Point, ...]:
    """Return the corners of the curve that rises by one after each of these numbers of records read, up to n_read."""
    corners = [(0.0, 0.0)]
    for n, place in enumerate(found_after):
        corners += [(float(place), float(n)), (float(place), n + 1.0)]
    return (*corners, (float(n_read), float(len(found_after))))


def draw_chart(chart: Chart, *, alone: bool = True) -> str:
    """Draw a chart as SVG.

    alone: as a file of its own, with a heading; otherwise as a part of an HTML page, in the colour of its text.
    """
    lines = _list_key(chart)
    size = (_WIDTH, _HEIGHT + len(lines) * _LINE + (_LINE if alone else 0) + 6)
    top = _LINE if alone else 0.0
    pieces = [f'<g class="chart" transform="translate(0 {top:g})" fill="currentColor">\n', *_draw_axes(chart)]
    pieces += [*_draw_band(chart), *_draw_curve(chart), *_draw_marks(chart), *_draw_key(lines), "</g>\n"]
    if alone:
        heading = f'<text x="{_LEFT:g}" y="18" fill="currentColor" font-weight="bold">{escape(chart.title)}</text>\n'
        pieces.insert(0, heading)
    return wrap_svg(size, chart.title, pieces, description=chart.description, style=_STYLE if alone else "")


def _place(chart: Chart, point: Point) -> Point:
    """Return where a point of the chart is, in pixels; what is above the chart is on its upper edge."""
    x = _LEFT + point[0] / max(chart.n_read, 1) * (_WIDTH - _LEFT - _RIGHT)
    share = min(point[1] / max(chart.n_found, 1), 1.0)
    return x, _HEIGHT - _BOTTOM - share * (_HEIGHT - _TOP - _BOTTOM)


def _list_ticks(most: float) -> list[int]:
    """Return round numbers from 0 up to `most`."""
    rough = max(most, 1) / _TICKS
    unit = 10 ** math.floor(math.log10(rough))
    step = max(1, math.ceil(next(unit * n for n in (1, 2, 5, 10) if unit * n >= rough)))
    return list(range(0, int(most) + 1, step))


def _draw_axes(chart: Chart) -> Iterator[str]:
    """Yield the axes with their numbers and names."""
    (left, bottom), (right, top) = _place(chart, (0, 0)), _place(chart, (chart.n_read, chart.n_found))
    for n in _list_ticks(chart.n_found):
        _, y = _place(chart, (0, n))
        yield f'<path d="M{left:g} {y:.1f}H{right:g}" stroke="currentColor" stroke-opacity="0.15"/>\n'
        yield f'<text x="{left - 8:g}" y="{y + 4:.1f}" text-anchor="end">{n:,}</text>\n'
    for n in _list_ticks(chart.n_read):
        x, _ = _place(chart, (n, 0))
        yield f'<path d="M{x:.1f} {bottom:g}v5" stroke="currentColor"/>\n'
        yield f'<text x="{x:.1f}" y="{bottom + 19:g}" text-anchor="middle">{n:,}</text>\n'
    yield f'<path d="M{left:g} {top:g}V{bottom:g}H{right:g}" fill="none" stroke="currentColor"/>\n'
    yield f'<text x="{(left + right) / 2:g}" y="{bottom + 38:g}" text-anchor="middle">records read</text>\n'
    turned = f"translate(16 {(top + bottom) / 2:g}) rotate(-90)"
    yield f'<text transform="{turned}" text-anchor="middle">inclusions found</text>\n'


def _draw_band(chart: Chart) -> Iterator[str]:
    """Yield the band."""
    if chart.band:
        path = _write_path([_place(chart, point) for point in (*chart.low, *reversed(chart.high))])
        edge = f'stroke="{_CURVE}" stroke-opacity="0.6"'
        yield f'<path class="chart-band" d="{path}Z" fill="{_CURVE}" fill-opacity="0.3" {edge}/>\n'


def _draw_curve(chart: Chart) -> Iterator[str]:
    """Yield the curve."""
    path = _write_path([_place(chart, point) for point in chart.curve])
    yield f'<path class="chart-curve" d="{path}" fill="none" stroke="{_CURVE}" stroke-width="2.5"/>\n'


def _write_path(points: Sequence[Point]) -> str:
    """Return the points as the data of a path."""
    return "M" + "L".join(f"{x:.1f} {y:.1f}" for x, y in points)


def _draw_marks(chart: Chart) -> Iterator[str]:
    """Yield the numbers of the marks on the curve, each with a line down to the axis."""
    _, bottom = _place(chart, (0, 0))
    taken: list[Point] = []
    for number, mark in enumerate(chart.marks, 1):
        x, y = _place(chart, mark.place)
        yield f'<path class="chart-mark" d="M{x:.1f} {y:.1f}V{bottom:g}" stroke="{_MARK}" stroke-dasharray="4 3"/>\n'
        while any(math.hypot(x - other, y - above) < 2 * _KEY for other, above in taken):
            y += 2 * _KEY + 1
        taken.append((x, y))
        yield from _draw_number(number, x, y)


def _draw_number(number: int, x: float, y: float) -> Iterator[str]:
    """Yield the number of a mark."""
    yield f'<circle class="chart-mark" cx="{x:.1f}" cy="{y:.1f}" r="{_KEY:g}" fill="{_MARK}"/>\n'
    yield (
        f'<text class="key-number" x="{x:.1f}" y="{y + 4:.1f}" text-anchor="middle" font-size="12" font-weight="bold"'
        f' fill="#ffffff">{number}</text>\n'
    )


def _list_key(chart: Chart) -> list[tuple[int, str]]:
    """Return the lines of the key: the number of a mark, 0 for the band, and what it is."""
    band = [(0, chart.band)] if chart.band else []
    return [*band, *((number, mark.text) for number, mark in enumerate(chart.marks, 1))]


def _draw_key(lines: Sequence[tuple[int, str]]) -> Iterator[str]:
    """Yield the key below the chart."""
    for place, (number, text) in enumerate(lines):
        y = _HEIGHT + (place + 0.5) * _LINE
        if number:
            yield from _draw_number(number, _LEFT + _KEY, y)
        else:
            yield (
                f'<rect class="chart-band" x="{_LEFT:g}" y="{y - _KEY + 2:g}" width="{2 * _KEY:g}"'
                f' height="{2 * _KEY - 4:g}" fill="{_CURVE}" fill-opacity="0.3"/>\n'
            )
        yield f'<text x="{_LEFT + 2 * _KEY + 8:g}" y="{y + 4:g}">{escape(text)}</text>\n'


def check_png() -> None:
    """Check that a chart can be drawn as PNG.

    Raises:
        MissingExtraError: matplotlib is not installed.
    """
    try:
        import matplotlib  # noqa: F401
    except ImportError as err:
        raise MissingExtraError("matplotlib (needed for .png; .svg needs nothing)", _EXTRAS) from err


def draw_chart_png(chart: Chart) -> bytes:
    """Draw a chart as PNG.

    Raises:
        MissingExtraError: matplotlib is not installed.
    """
    check_png()
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=_INCHES, dpi=_DPI, layout="constrained")
    canvas = FigureCanvasAgg(figure)
    _draw_on(figure.subplots(), chart)
    file = BytesIO()
    # Without the name and version of matplotlib, the same chart gives the same bytes.
    canvas.print_png(file, metadata={"Software": None})  # type: ignore[no-untyped-call]
    return file.getvalue()


def _draw_on(axes: Axes, chart: Chart) -> None:
    """Draw a chart with matplotlib."""
    if chart.band:
        corners = [*chart.low, *reversed(chart.high)]
        axes.fill(*zip(*corners, strict=True), color=_CURVE, alpha=0.3, linewidth=0, label=chart.band)
    axes.plot(*zip(*chart.curve, strict=True), color=_CURVE, linewidth=2)
    for number, mark in enumerate(chart.marks, 1):
        axes.axvline(mark.place[0], 0, mark.place[1] / chart.n_found, color=_MARK, linewidth=1, linestyle="--")
        axes.scatter(*mark.place, color=_MARK, s=170, zorder=3, clip_on=False)
        axes.text(*mark.place, f"{number}", color="white", weight="bold", ha="center", va="center", size=9, zorder=4)
        axes.scatter([], [], color=_MARK, marker=f"${number}$", s=60, label=mark.text)
    axes.set_xlim(0, chart.n_read)
    axes.set_ylim(0, chart.n_found)
    axes.set_xlabel("records read")
    axes.set_ylabel("inclusions found")
    axes.set_title(chart.title.replace("$", r"\$"))
    if chart.band or chart.marks:
        axes.legend(loc="upper left", bbox_to_anchor=(0, -0.16), frameon=False, fontsize="small")
