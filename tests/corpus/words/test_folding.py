import doctest
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.corpus.words import folding as module
from engine.corpus.words.folding import get_stemmer, locate_words, split_words

ANYTHING = st.text(st.characters(exclude_categories=()), max_size=60)


def test_examples_in_docstrings() -> None:
    assert doctest.testmod(module).attempted >= 2
    assert doctest.testmod(module).failed == 0


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("Gout AND beer", ["gout", "and", "beer"]),
        ("T-cell T‐cell T‑cell T–cell T−cell T_cell", ["t", "cell"] * 6),
        ("co\u00adhort zero\u200bwidth \ufeffmark", ["cohort", "zerowidth", "mark"]),
        ("Sjögren Sjo\u0308gren SJÖGREN", ["sjogren"] * 3),
        ("Sjøgren Łódź Straße œdema cæcum İstanbul ısı", "sjogren lodz strasse oedema caecum istanbul isi".split()),
        ("ﬁbrosis ﬂow ℌ", ["fibrosis", "flow", "h"]),
        ("m² CO₂ ½ ⁹⁹ᵐTc", ["m2", "co2", "1", "2", "99mtc"]),
        ("Humira™ p<0.05 CD4⁺ 5 %", ["humira", "p", "0", "05", "cd4", "5"]),
        ("Sjögren's patients’", ["sjogren", "s", "patients"]),
        ("µg μg TNF-α", ["μg", "μg", "tnf", "α"]),
        ("दर्द की", ["दर्द", "की"]),
        ("한국 \u1112\u1161\u11ab", ["한국", "한"]),
        ("がん か\u3099ん", ["がん", "がん"]),
        ("a\0b\x01c\ud800d", ["a", "b", "c", "d"]),
        ("😀 ❤️ !", []),
        ("", []),
    ],
)
def test_words_as_they_are_compared(text: str, words: list[str]) -> None:
    assert split_words(text) == words


@given(ANYTHING)
def test_folding_what_is_folded_changes_nothing(text: str) -> None:
    words = split_words(text)
    assert split_words(" ".join(words)) == words
    " ".join(words).encode()
    assert all(unicodedata.category(character)[0] in "LNM" for word in words for character in word)


@given(ANYTHING)
def test_located_words_are_the_words(text: str) -> None:
    located = list(locate_words(text))
    assert [word for word, _ in located] == split_words(text)
    for word, (start, end) in located:
        assert 0 <= start < end <= len(text)
        assert word in "".join(split_words(text[start:end]))


def test_places_of_words() -> None:
    assert list(locate_words("Gout: a \U0001f600 case")) == [("gout", (0, 4)), ("a", (6, 7)), ("case", (10, 14))]
    assert list(locate_words("Café, cafe\u0301 (x)")) == [("cafe", (0, 4)), ("cafe", (6, 11)), ("x", (13, 14))]
    assert list(locate_words("\u00adco\u00adhort")) == [("cohort", (1, 8))]
    assert list(locate_words("a½b")) == [("a1", (0, 2)), ("2b", (1, 3))]


def test_stems() -> None:
    stem = get_stemmer().stem_word
    assert [stem(word) for word in ("knees", "treated", "treating", "vaccination", "sjogren", "दर्द", "s", "19")] == [
        "knee", "treat", "treat", "vaccin", "sjogren", "दर्द", "s", "19",
    ]  # fmt: skip


def test_stems_are_kept_up_to_a_number(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_MOST_STEMS", 2)
    stemmer = module._Stemmer()
    assert [stemmer.stem_word(word) for word in ("knees", "hips", "bones", "knees")] == ["knee", "hip", "bone", "knee"]
    assert len(stemmer.stems) <= 2
