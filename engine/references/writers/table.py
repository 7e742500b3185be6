"""CSV and TSV, safe to open in a spreadsheet, and read back exactly by engine.collect."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator, Sequence

from engine.collect.values.export import guard_formula
from engine.records.answer import SCORE_DECIMALS
from engine.references.values.citation import Cited
from engine.references.values.fields import BREAKS, Cell, build_cells, choose_columns


def write_delimited(
    cited: Iterable[Cited], delimiter: str, *, raw: bool = False, changes: Sequence[str] | None = None
) -> Iterator[str]:
    r"""Yield records as a table: a header, then a row each, lines ending with \n.

    A cell that begins with one of = + - @ TAB CR gets an apostrophe before it, unless raw; numbers stay numbers. Where
    the delimiter is a tab, tabs and line breaks inside cells become blanks, so that every line is a row. Lists have
    "; " between their items, or are a JSON array where an item holds ; or |.

    Args:
        cited: the records in order, all with a hit or all without.
        delimiter: "," or "\t".
        raw: whether to leave out the protection against formulas, for programs.
        changes: the kind of change of each hit, for a first column "change"; None leaves that column out.
    """
    columns, records = choose_columns(cited)
    yield _format_line([*(["change"] if changes is not None else []), *columns], delimiter)
    for number, one in enumerate(records):
        cells = [*([changes[number]] if changes is not None else []), *build_cells(one)]
        yield _format_line([_format_cell(cell, delimiter, raw=raw) for cell in cells], delimiter)


def _format_cell(cell: Cell, delimiter: str, *, raw: bool) -> str:
    """Return the text of a cell, before quoting."""
    if not isinstance(cell, str):
        return "" if cell is None else f"{cell:.{SCORE_DECIMALS}f}" if isinstance(cell, float) else str(cell)
    text = BREAKS.sub(" ", cell) if delimiter == "\t" else cell
    return text if raw else guard_formula(text)


def _format_line(cells: Sequence[str], delimiter: str) -> str:
    """Return a row with its line end, cells quoted where necessary."""
    out = io.StringIO(newline="")
    # The csv module quotes a lone CR only if the line end has one.
    csv.writer(out, delimiter=delimiter, lineterminator="\r\n").writerow(cells)
    return out.getvalue().removesuffix("\r\n") + "\n"
