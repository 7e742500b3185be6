"""Texts in the cells of an exported workbook. A second, hidden sheet has those that a cell can't hold as they are."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Sequence

EXACT_SHEET = "exact"
EXACT_COLUMNS = ("id", "column", "part", "json")  # the JSON of a text is cut into parts that fit into a cell
_MAX_CELL = 32_767  # UTF-16 units
_CUT = " … [cut: a cell holds 32,767 characters]"
_NO_XML = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")  # what XML 1.0 can't hold
_MAX_EXACT = 256 << 20  # characters of the sheet, which are all in memory


def clean_cell(text: str) -> str:
    r"""Return a text that a cell can hold: without control characters, lines ending with \n, cut if too long."""
    text = _NO_XML.sub("", text.replace("\r\n", "\n").replace("\r", "\n"))
    if len(text) > _MAX_CELL // 2 and len(raw := text.encode("utf-16-le")) > 2 * _MAX_CELL:
        text = raw[: 2 * (_MAX_CELL - len(_CUT))].decode("utf-16-le", "ignore") + _CUT
    # XlsxWriter takes <r>…</r> for markup of its own and writes it as it is.
    return f"{text} " if text.startswith("<r>") and text.endswith("</r>") else text


def list_exact_rows(record_id: str, column: str, text: str) -> Iterator[tuple[str, str, int, str]]:
    """Yield the rows of the second sheet for one cell; none if the cell holds the text as it is.

    record_id: as its own cell has it.
    """
    if clean_cell(text) != text:
        line = json.dumps(text)
        for part, start in enumerate(range(0, len(line), _MAX_CELL), 1):
            yield record_id, column, part, line[start : start + _MAX_CELL]


class ExactTexts:
    """The texts of the second sheet."""

    def __init__(self, rows: Iterable[Sequence[str]]) -> None:
        """Read the rows below the header.

        Raises:
            ValueError: they hold more text than any export.
        """
        self._lines: dict[tuple[str, str], list[str]] = {}  # several where records have one id
        n_chars = 0
        for record_id, column, part, piece in (row for row in rows if len(row) == len(EXACT_COLUMNS)):
            n_chars += len(piece)
            if n_chars > _MAX_EXACT:
                raise ValueError(f"more than {_MAX_EXACT:,} characters in the sheet {EXACT_SHEET!r}")
            lines = self._lines.setdefault((record_id, column), [])
            if part == "1" or not lines:
                lines.append(piece)
            else:
                lines[-1] += piece

    def restore(self, record_id: str, column: str, cell: str) -> str:
        """Return the text of a cell before the export; a cell that was edited since is returned unchanged."""
        texts = map(_parse_text, self._lines.get((record_id, column), ()))
        return next((text for text in texts if text is not None and clean_cell(text) == cell), cell)


def _parse_text(line: str) -> str | None:
    """Return the text of a line of JSON; None if there is none."""
    try:
        text = json.loads(line)
    except ValueError:
        return None
    return text if isinstance(text, str) else None
