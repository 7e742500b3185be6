import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.encode.models.recipe import _SPACES, _UNREADABLE, clean_text, hash_text, prepare_text


@pytest.mark.parametrize(
    ("title", "abstract", "text"),
    [
        ("Knee pain", "We asked 12.", "Knee pain. We asked 12."),
        ("Knee pain.", "We asked 12.", "Knee pain.. We asked 12."),  # the recipe is title + ". " + abstract, literally
        ("Knee pain", "", "Knee pain"),
        ("", "We asked 12.", "We asked 12."),
        (" \n", "\t", ""),
    ],
)
def test_title_and_abstract_become_one_text(title: str, abstract: str, text: str) -> None:
    assert prepare_text(title, abstract) == text


@pytest.mark.parametrize(
    "variant",
    ["Sjo\u0308gren 5\u2009mg", "Sjögren 5\xa0mg", "Sjögren\n  5 mg ", "Sj\x00ögren 5 mg", "\ud800Sjögren 5 mg"],
)
def test_variants_of_one_text_are_encoded_alike(variant: str) -> None:
    assert clean_text(variant) == "Sjögren 5 mg"


@given(st.text(), st.text())
def test_any_text_can_be_prepared_and_hashed(title: str, abstract: str) -> None:
    text = prepare_text(title, abstract)
    assert text == unicodedata.normalize("NFC", text) == text.strip()
    assert len(hash_text(text)) == 64


@given(st.text(alphabet=st.characters(codec="utf-16", exclude_categories=())))
def test_preparing_twice_changes_nothing(text: str) -> None:
    assert clean_text(clean_text(text)) == clean_text(text)


@given(st.text(st.characters(), max_size=40))
def test_the_quick_way_to_clean_gives_what_the_two_patterns_give(text: str) -> None:
    slow = _SPACES.sub(" ", _UNREADABLE.sub("", unicodedata.normalize("NFC", text))).strip()
    assert clean_text(text) == slow


PLANES = {  # by their first characters; the others hold nothing, or what is private
    "written": (0x0, 0x10000, 0x20000, 0x30000, 0xE0000),
    "others": (*range(0x40000, 0xE0000, 0x10000), 0xF0000, 0x100000),
}


@pytest.mark.parametrize("planes", ["written", pytest.param("others", marks=pytest.mark.slow)])
def test_every_character_is_cleaned_as_the_two_patterns_do(planes: str) -> None:
    for number in (start + n for start in PLANES[planes] for n in range(0x10000)):
        text = f"a{chr(number)}b {chr(number)}"
        slow = _SPACES.sub(" ", _UNREADABLE.sub("", unicodedata.normalize("NFC", text))).strip()
        assert clean_text(text) == slow, hex(number)
