"""Picture of a comparison: the gain or loss of each query."""

from __future__ import annotations

from io import BytesIO
from typing import TYPE_CHECKING

import numpy as np

from engine.errors import MissingExtraError
from engine.relevance.scoring.comparison import Comparison, ComparisonRow

if TYPE_CHECKING:
    from matplotlib.axes import Axes

WIDTH, HEIGHT, DPI = 9.0, 3.6, 120  # inches of one panel, and dots per inch
BETTER, WORSE, MEAN = "#2b6ca3", "#c8553d", "#222222"
LEAST = 0.01  # least limit of the gain axis
NAME = 60  # characters of a name shown


def draw_png(comparison: Comparison) -> bytes:
    """Draw a panel for each system but the baseline: the sorted gains of the queries, their mean and its interval.

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
    # Without the name and version of matplotlib, the same comparison gives the same bytes.
    canvas.print_png(file, metadata={"Software": None})  # type: ignore[no-untyped-call]
    return file.getvalue()


def _draw(panel: Axes, comparison: Comparison, row: ComparisonRow) -> None:
    """Draw one panel."""
    if row.gain is None:
        return
    gain, difference = np.sort(row.gain.values)[::-1], row.gain.difference
    colours = np.where(gain < 0, WORSE, BETTER)
    places = np.arange(1, len(gain) + 1)
    panel.bar(places, gain, width=1.0 if len(gain) > 60 else 0.85, color=colours.tolist(), linewidth=0)
    panel.axhspan(difference.low, difference.high, color=MEAN, alpha=0.15, linewidth=0)
    panel.axhline(difference.mean, color=MEAN, linewidth=1.4, label=_format_mean(row))
    panel.axhline(0, color="#888888", linewidth=0.8)
    panel.locator_params(axis="x", integer=True)
    panel.set_xlim(0.4, len(gain) + 0.6)
    limit = 1.15 * max(float(np.abs(gain).max()), LEAST)
    panel.set_ylim(-limit, limit)
    panel.set_title(
        f"{_escape_dollar(row.name)} against {_escape_dollar(comparison.rows[0].name)}", fontsize=12, loc="left"
    )
    panel.set_xlabel(
        f"queries, by gain: {difference.wins:,} better, {difference.ties:,} equal, {difference.losses:,} worse"
    )
    panel.set_ylabel(f"gain in {comparison.measure}")
    panel.spines[["top", "right"]].set_visible(False)
    panel.legend(loc="upper right", frameon=False, fontsize=10)


def _format_mean(row: ComparisonRow) -> str:
    """Format the mean gain, its interval and p."""
    if row.gain is None:
        return ""
    difference = row.gain.difference
    interval = f"95 % interval {difference.low:+.4f} to {difference.high:+.4f}"
    return f"mean {difference.mean:+.4f}, {interval}, p {_format_p(row.gain.p)}"


def _format_p(p: float) -> str:
    """Format a p value."""
    return f"= {p:.3f}" if p >= 0.001 else "< 0.001"


def _escape_dollar(name: str) -> str:
    """Shorten a name and escape its dollar signs, which would begin a formula in matplotlib."""
    shown = name if len(name) <= NAME else f"\u2026{name[-NAME:]}"
    return shown.replace("$", r"\$")
