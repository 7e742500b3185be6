"""The option that draws a recall curve into a file."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

from engine.cli.frame.options import add_options
from engine.errors import UsageError
from engine.files import check_targets, write_file
from engine.terminal import say

if TYPE_CHECKING:
    from engine.relevance.screening.chart import Chart


@dataclass(frozen=True, slots=True)
class CurveFile:
    """Where to draw a curve; without a path, it is not drawn."""

    path: Path | None
    overwrite: bool


def _read_curve_file(curve: Path | None, overwrite: bool) -> CurveFile:
    """Return where to draw, once it is known that it can be done."""
    if curve is not None:
        if curve.suffix.lower() not in (".svg", ".png"):
            raise UsageError(f"{curve}: the curve is drawn as SVG or PNG. Name a file that ends with .svg or .png")
        check_targets([curve], overwrite=overwrite)
        if curve.suffix.lower() == ".png":
            from engine.relevance.screening.chart import check_png

            check_png()
    return CurveFile(curve, overwrite)


curve_options = add_options(
    "curve",
    (
        click.option(
            "--curve",
            type=click.Path(path_type=Path),
            metavar="FILE",
            help="Draw what was found against what was read: .svg, or .png with the extra [train].",
        ),
        click.option("--overwrite", is_flag=True, help="Overwrite an existing picture."),
    ),
    _read_curve_file,
)


def write_curve(file: CurveFile, chart: Chart) -> None:
    """Draw a chart if a file was named, and say so."""
    from engine.relevance.screening.chart import draw_chart, draw_chart_png

    if file.path is not None:
        is_png = file.path.suffix.lower() == ".png"
        picture = draw_chart_png(chart) if is_png else draw_chart(chart).encode()
        write_file(file.path, [picture], overwrite=file.overwrite)
        say(f"curve in {file.path}", err=True)
