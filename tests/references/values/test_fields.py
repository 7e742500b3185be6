import json
from ast import literal_eval

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.records.answer import Sentence, Why
from engine.references.values.fields import (
    COLUMNS,
    _join_items,
    _list_record_fields,
    build_cells,
    dump_line,
    list_hit_fields,
)
from tests.references.found import BARE, FULL, cite

HIT = ["rank", "id", "score", "title", "abstract", "year", "journal", "authors", "pmid", "doi", "retracted"]


def test_a_hit_has_its_keys_and_scores_only_where_its_mode_has_them() -> None:
    assert list(list_hit_fields(cite(BARE).hit)) == HIT
    found = list_hit_fields(cite(FULL, 3, 0.12345678, fused=0.5, bm25=7.1234567, keyword_rank=2).hit)
    assert list(found) == [*HIT, "fused", "bm25", "keyword_rank"]
    assert (found["rank"], found["score"], found["bm25"], found["keyword_rank"]) == (3, 0.123457, 7.123457, 2)
    assert found["authors"][1] == "Núñez, José" and found["retracted"] is True


def test_why_is_nested() -> None:
    why = Why(99.5, (Sentence((0, 4), 0.71234567),), ("knee",), ((0, 4),), ())
    assert json.loads(dump_line(list_hit_fields(cite(BARE, why=why).hit)["why"])) == {
        "percentile": 99.5,
        "sentences": [{"span": [0, 4], "score": 0.712346}],
        "words": ["knee"],
        "title_spans": [[0, 4]],
        "abstract_spans": [],
    }


@pytest.mark.parametrize("odd", [float("nan"), float("inf")])
def test_there_is_no_nan(odd: float) -> None:
    assert list_hit_fields(cite(BARE, 1, odd).hit)["score"] is None
    assert str(list_hit_fields(cite(BARE, 1, -1e-9).hit)["score"]) == "0.0"
    with pytest.raises(ValueError, match="JSON compliant"):
        dump_line(odd)


def test_a_record_adds_what_its_hit_lacks() -> None:
    assert list(_list_record_fields(FULL)) == list(COLUMNS[16:])
    assert _list_record_fields(FULL)["mesh"] == ["Arthritis, Rheumatoid", "Knee Joint"]


def test_a_row_has_a_cell_for_each_column() -> None:
    row = dict(zip(COLUMNS, build_cells(cite(FULL, 2, 0.25)), strict=True))
    assert (row["rank"], row["score"], row["year"], row["retracted"]) == (2, 0.25, 2021, 1)
    assert row["mesh"] == "Arthritis, Rheumatoid; Knee Joint"
    assert row["keywords"] == '["*starred", "knee; hip", "pain"]'
    assert (row["fused"], row["bm25"]) == (None, None)
    assert row["orcids"] == "; 0000-0002-1825-0097; ; ; "


@pytest.mark.parametrize(
    ("items", "text"),
    [
        ((), ""),
        (("a, b",), "a, b"),
        (("a", "b"), "a; b"),
        (("a|b",), '["a|b"]'),
        (("[a]", "b"), '["[a]", "b"]'),
        ((" a",), '[" a"]'),
        (("a\nb\u2028c",), '["a\\nb\\u2028c"]'),
    ],
)
def test_lists_are_text_with_semicolons_unless_that_would_be_read_wrong(items: tuple[str, ...], text: str) -> None:
    assert _join_items(items) == text


@given(st.lists(st.text(st.characters(codec="utf-8"))))
def test_a_list_that_begins_with_a_bracket_is_one_to_python_and_to_json(items: list[str]) -> None:
    text = dump_line(items)
    assert json.loads(text) == literal_eval(text) == items
    assert len(text.splitlines()) == 1
