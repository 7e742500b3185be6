"""Rows of tables and JSON."""

import time

from engine.collect.values.rows import _cut_glued


def test_many_blanks_in_a_value_are_passed_at_once() -> None:
    text, began = "9" + " " * 100_000 + "9", time.process_time()
    assert _cut_glued(text, {}, []) == text
    assert time.process_time() - began < 5


def test_tags_of_ris_are_cut_from_the_end() -> None:
    left: list[tuple[str, object]] = []
    assert _cut_glued("10.1000/x   LK  - https://a.b", {}, left) == "10.1000/x"
    assert left == [("RIS LK", "https://a.b")]
