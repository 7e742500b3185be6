"""The picture of a PRISMA 2020 flow diagram, for databases and registers, as SVG."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from html import escape
from textwrap import wrap

from engine.characters import UNPRINTABLE
from engine.svg import wrap_svg

_SIZE, _LINE = 13, 18  # font size and line height, in pixels
_PAD, _GAP, _ARROW = 12, 34, 44  # inside a box, between boxes, length of an arrow to the right
_MARGIN, _BAR = 20, 30  # around the drawing, width of the bar that names a stage
_BLANK = 0.34  # width of a blank, in font sizes; a blank of an indent is twice as wide
_THIN = " \u00a0.,:;il()'|"  # characters about as wide as a blank
_NARROW = 290  # least width of a box
_CHARACTERS = 46  # of a line, at most
_NO_XML = re.compile("[\ud800-\udfff\ufffe\uffff]")  # beside control characters
_DARK = (
    "@media (prefers-color-scheme: dark) {"
    ".page{fill:#16191d}.box{fill:#1f242a;stroke:#8b98a5}.text{fill:#e6e9ec}.arrow{stroke:#b4bec8}.head{fill:#b4bec8}"
    ".stage{fill:#24507a;stroke:#24507a}.title{fill:#6b5310;stroke:#6b5310}.name{fill:#f2f4f6}}"
)


@dataclass(frozen=True, slots=True)
class Step:
    """A box of the diagram, and the box to its right with what was removed; a box is a list of lines.

    A line that begins with blanks is indented.
    """

    stage: str  # identification, screening or included
    lines: tuple[str, ...]
    removed: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class _Box:
    """A box with its place in pixels."""

    lines: tuple[str, ...]
    x: float
    y: float
    width: float
    height: float


def draw_flowchart(title: str, steps: Sequence[Step]) -> str:
    """Draw the steps from top to bottom."""
    steps = [Step(step.stage, _wrap_lines(step.lines), _wrap_lines(step.removed)) for step in steps]
    column = _measure_column([lines for step in steps for lines in (step.lines, step.removed)])
    x = _MARGIN + _BAR + 16
    y = _MARGIN + 2 * _PAD + _LINE + 20.0
    pieces: list[str] = []
    stages: dict[str, tuple[float, float]] = {}
    for number, step in enumerate(steps):
        is_alone = [other.stage for other in steps].count(step.stage) == 1  # its bar must be as long as its name
        least = _measure_text(step.stage) + 2 * _PAD if is_alone else 0
        height = max(_measure_height(step.lines), _measure_height(step.removed), least)
        box = _Box(step.lines, x, y, column, height)
        pieces += _draw_box(box)
        if step.removed:
            pieces += _draw_box(_Box(step.removed, x + column + _ARROW, y, column, height))
            pieces.append(_draw_arrow(x + column, y + height / 2, x + column + _ARROW, y + height / 2))
        if number + 1 < len(steps):
            pieces.append(_draw_arrow(x + column / 2, y + height, x + column / 2, y + height + _GAP))
        top = stages.get(step.stage, (y, y))[0]
        stages[step.stage] = (top, y + height)
        y += height + _GAP
    width = x + 2 * column + _ARROW + _MARGIN
    bars = [_draw_stage(name, top, bottom) for name, (top, bottom) in stages.items()]
    head = _draw_title(title, x, width - _MARGIN - x)
    return wrap_svg((width, y - _GAP + _MARGIN), title, [head, *bars, *pieces], style=_DARK, font_size=_SIZE)


def _wrap_lines(lines: Sequence[str]) -> tuple[str, ...]:
    """Break long lines; what follows keeps the indent and two blanks more. What XML can't hold becomes a blank."""
    wrapped: list[str] = []
    for line in (_NO_XML.sub(" ", UNPRINTABLE.sub(" ", line)) for line in lines):
        indent = line[: len(line) - len(line.lstrip())]
        wrapped += wrap(line, _CHARACTERS, initial_indent="", subsequent_indent=f"{indent}  ") or [""]
    return tuple(wrapped)


def _measure_text(text: str) -> float:
    """Return the width of a text in pixels, or more: no font is wider than this."""
    bare = text.strip(" ")
    widths = [0.95 if c in "MW@%mw" else 0.72 if c.isupper() else _BLANK if c in _THIN else 0.6 for c in bare]
    return (sum(widths) + 2 * _BLANK * (len(text) - len(text.lstrip(" ")))) * _SIZE


def _measure_column(boxes: Sequence[Sequence[str]]) -> float:
    """Return the width that all boxes of a column need."""
    return max([_NARROW, *(_measure_text(line) + 2 * _PAD for box in boxes for line in box)])


def _measure_height(lines: Sequence[str]) -> float:
    """Return the height that a box needs."""
    return len(lines) * _LINE + 2 * _PAD if lines else 0


def _draw_box(box: _Box) -> Iterator[str]:
    """Yield a box with its lines, in the middle of its height."""
    place = f'x="{box.x:g}" y="{box.y:g}" width="{box.width:g}" height="{box.height:g}"'
    yield f'<rect class="box" {place} fill="#ffffff" stroke="#5b6670"/>\n'
    y = box.y + (box.height - len(box.lines) * _LINE) / 2 + _SIZE
    for line in box.lines:
        indent = len(line) - len(line.lstrip())
        x = box.x + _PAD + indent * _SIZE * _BLANK * 2
        yield f'<text class="text" x="{x:g}" y="{y:g}" fill="#1b1f23">{escape(line.strip())}</text>\n'
        y += _LINE


def _draw_arrow(x1: float, y1: float, x2: float, y2: float) -> str:
    """Return an arrow to the right or down."""
    head = (
        f"{x2:g},{y2:g} {x2 - 8:g},{y2 - 4:g} {x2 - 8:g},{y2 + 4:g}"
        if y1 == y2
        else f"{x2:g},{y2:g} {x2 - 4:g},{y2 - 8:g} {x2 + 4:g},{y2 - 8:g}"
    )
    end = f'x2="{x2 - 7:g}" y2="{y2:g}"' if y1 == y2 else f'x2="{x2:g}" y2="{y2 - 7:g}"'
    return (
        f'<line class="arrow" x1="{x1:g}" y1="{y1:g}" {end} stroke="#3d464e" stroke-width="1.4"/>'
        f'<polygon class="head" points="{head}" fill="#3d464e"/>\n'
    )


def _draw_stage(name: str, top: float, bottom: float) -> str:
    """Return the bar at the left that names a stage."""
    middle, x = (top + bottom) / 2, _MARGIN + _BAR / 2
    return (
        f'<rect class="stage" x="{_MARGIN}" y="{top:g}" width="{_BAR}" height="{bottom - top:g}" rx="6" fill="#9dc3e6"'
        ' stroke="#9dc3e6"/>'
        f'<text class="name" transform="translate({x + _SIZE * 0.36:g} {middle:g}) rotate(-90)" text-anchor="middle"'
        f' font-weight="bold" fill="#12283c">{escape(name)}</text>\n'
    )


def _draw_title(title: str, x: float, width: float) -> str:
    """Return the bar above the boxes."""
    height = _LINE + _PAD
    return (
        f'<rect class="title" x="{x:g}" y="{_MARGIN}" width="{width:g}" height="{height}" rx="6" fill="#ffc000"'
        ' stroke="#ffc000"/>'
        f'<text class="name" x="{x + width / 2:g}" y="{_MARGIN + height / 2 + _SIZE * 0.36:g}" text-anchor="middle"'
        f' font-weight="bold" fill="#2b2100">{escape(title)}</text>\n'
    )
