"""A comparison as a picture: what each query gains or loses."""

from __future__ import annotations

from io import BytesIO
from typing import TYPE_CHECKING

import numpy as np

from engine.errors import MissingExtraError
from engine.relevance.scoring.comparison import Comparison, ComparisonRow

if TYPE_CHECKING:
    from matplotlib.axes import Axes

WIDTH, HEIGHT, DPI = 9.0, 3.6, 120  # inches of one panel
BETTER, WORSE, MEAN = "#2b6ca3", "#c8553d", "#222222"
LEAST = 0.01  # of the axis, where no query gains or loses anything
NAME = 60  # characters of a name shown


def draw_png(comparison: Comparison) -> bytes:
    """Draw a panel for each system beside the baseline: gains by query, sorted, with their mean and its interval.

    Raises:
        MissingExtraError: matplotlib is not installed.
    """
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError as err:
        raise MissingExtraError("matplotlib", "[cpu,train] or [gpu,train]") from err
    rows = [row for row in comparison.rows if row.gain]
    figure = Figure(figsize=(WIDTH, HEIGHT * len(rows)), dpi=DPI, layout="constrained")
    canvas = FigureCanvasAgg(figure)
    panels = figure.subplots(len(rows), 1, squeeze=False)[:, 0]
    for panel, row in zip(panels, rows, strict=True):
        _draw(panel, comparison, row)
    file = BytesIO()
    # Without the name of the program the same comparison gives the same bytes with every version.
    canvas.print_png(file, metadata={"Software": None})  # type: ignore[no-untyped-call]
    return file.getvalue()


def _draw(panel: Axes, comparison: Comparison, row: ComparisonRow) -> None:
    """One panel."""
    if row.gain is None:
        return
    gain, found = np.sort(row.gain.values)[::-1], row.gain.difference
    colours = np.where(gain < 0, WORSE, BETTER)
    places = np.arange(1, len(gain) + 1)
    panel.bar(places, gain, width=1.0 if len(gain) > 60 else 0.85, color=colours.tolist(), linewidth=0)
    panel.axhspan(found.low, found.high, color=MEAN, alpha=0.15, linewidth=0)
    panel.axhline(found.mean, color=MEAN, linewidth=1.4, label=_format_mean(row))
    panel.axhline(0, color="#888888", linewidth=0.8)
    panel.locator_params(axis="x", integer=True)
    panel.set_xlim(0.4, len(gain) + 0.6)
    most = 1.15 * max(float(np.abs(gain).max()), LEAST)
    panel.set_ylim(-most, most)
    panel.set_title(
        f"{_escape_dollar(row.name)} against {_escape_dollar(comparison.rows[0].name)}", fontsize=12, loc="left"
    )
    panel.set_xlabel(f"queries, by gain: {found.wins:,} better, {found.ties:,} equal, {found.losses:,} worse")
    panel.set_ylabel(f"gain in {comparison.measure}")
    panel.spines[["top", "right"]].set_visible(False)
    panel.legend(loc="upper right", frameon=False, fontsize=10)


def _format_mean(row: ComparisonRow) -> str:
    """The mean gain in words."""
    if row.gain is None:
        return ""
    found = row.gain.difference
    return f"mean {found.mean:+.4f}, 95 % interval {found.low:+.4f} to {found.high:+.4f}, p {_format_p(row.gain.p)}"


def _format_p(p: float) -> str:
    """A p value as it is told."""
    return f"= {p:.3f}" if p >= 0.001 else "< 0.001"


def _escape_dollar(name: str) -> str:
    """A name as matplotlib shows it: a dollar sign would begin a formula."""
    shown = name if len(name) <= NAME else f"\u2026{name[-NAME:]}"
    return shown.replace("$", r"\$")
