"""Terms compared with texts, split into words or as they are stored."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.corpus.boolean.matching import build_text_test, find_phrase
from engine.corpus.words.folding import split_words
from tests.conftest import examples

TERMS = (("tnf",), ("tnf", "alpha"), ("tnf*",), ("t?f",), ("t#f", "al*"), ("α",), ("3",), ("*nf",))
PIECES = (
    "tnf",
    "TNF",
    "alpha",
    "é",
    "T",
    "f",
    "\u00ad",
    "\u0301",
    "α",
    "3",
    "²",
    "\u212a",
    "İ",
    "ﬁ",
    "_",
    "-",
    " ",
    "\n",
    "\0",
    ".",
)


@pytest.mark.parametrize(
    ("words", "text", "outcome"),
    [
        (("tnf",), "anti-TNF, daily", True),
        (("tnf",), "TNFs and antitnf", False),
        (("tnf",), "tnf\u0301 is the same word", True),
        (("tnf",), "tnfé", False),
        (("tnf", "alpha"), "TNF_(alpha)", True),
        (("tnf", "alpha"), "TNF, not alpha", False),
        (("wom#n",), "Women", True),
        (("colo?r*",), "the coloured", True),
    ],
)
def test_a_text_as_it_is_stored(words: tuple[str, ...], text: str, outcome: bool) -> None:
    assert build_text_test(words)(text) is outcome


@given(st.sampled_from(TERMS), st.lists(st.sampled_from(PIECES), max_size=8))
@examples(2)
def test_it_agrees_with_the_words_of_the_text(words: tuple[str, ...], pieces: list[str]) -> None:
    text = "".join(pieces)
    assert build_text_test(words)(text) is bool(find_phrase(words, split_words(text)))
