"""Values of tagged files."""

import time

import pytest

from engine.collect.values.tags import read_issns


def test_issns_are_read_with_what_kind_they_are() -> None:
    texts = ["0008543x (Print) 1097-0142 (e-ISSN)", "978-3-16-148410-0", "none"]
    assert read_issns(texts) == ("0008-543X", "1097-0142", "978-3-16-148410-0", "none")


@pytest.mark.parametrize("piece", ["(", "-", "\u00ad"])
def test_a_long_value_that_is_no_issn_is_kept_at_once(piece: str) -> None:
    text, began = piece * 100_000 + "9", time.process_time()
    assert read_issns([text]) == (text,)
    assert time.process_time() - began < 5
