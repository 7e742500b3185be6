"""Texts that a cell of a workbook can't hold, and the sheet that has them."""

import pytest

from engine.collect.values import cells as module
from engine.collect.values.cells import _MAX_CELL, ExactTexts, clean_cell, list_exact_rows


def exact(*texts: tuple[str, str, str]) -> ExactTexts:
    """The second sheet of a workbook with these texts: id, column, text."""
    return ExactTexts([str(cell) for cell in row] for text in texts for row in list_exact_rows(*text))


def test_a_text_that_a_cell_holds_needs_no_row() -> None:
    assert list(list_exact_rows("a", "title", "Gout\nin “women”")) == []
    assert list(list_exact_rows("a", "title", "b\rc")) == [("a", "title", 1, '"b\\rc"')]


def test_a_long_text_is_cut_into_parts() -> None:
    long = "b" * _MAX_CELL + "c"
    rows = list(list_exact_rows("a", "abstract", long))
    assert [(part, len(piece)) for _, _, part, piece in rows] == [(1, _MAX_CELL), (2, 3)]
    assert exact(("a", "abstract", long)).restore("a", "abstract", clean_cell(long)) == long


def test_only_the_cell_that_was_exported_is_restored() -> None:
    texts = exact(("a", "title", "b\x00c"))
    assert texts.restore("a", "title", "bc") == "b\x00c"
    assert texts.restore("a", "title", "edited") == "edited"
    assert texts.restore("a", "abstract", "bc") == texts.restore("x", "title", "bc") == "bc"


def test_a_damaged_sheet_changes_nothing_and_a_huge_one_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    damaged = ExactTexts([["a", "title", "1", '"b'], ["a"], ["a", "mesh", "1", "7"]])
    assert (damaged.restore("a", "title", "b"), damaged.restore("a", "mesh", "7")) == ("b", "7")
    monkeypatch.setattr(module, "_MAX_EXACT", 10)
    with pytest.raises(ValueError, match="more than 10 characters in the sheet 'exact'"):
        exact(("a", "title", "b\x00" * 9))
