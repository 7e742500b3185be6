"""Why a question may find nothing: languages, scripts and misspelt words, on a toy index of words."""

from pathlib import Path

import pytest

from engine.corpus.words.wordindex import WordIndex
from engine.query.answers.doubt import find_doubt
from tests.corpus.words.toys import build_words

LANGUAGE = "the question seems to be in {}, and few records here are"


@pytest.fixture(scope="module")
def words(tmp_path_factory: pytest.TempPathFactory) -> WordIndex:
    """Words of 60 records: coronary in 10 of them, arteries in 9."""
    rows = [("Gout", "coronary" if n < 10 else "") for n in range(51)] + [("Gout", "arteries")] * 9
    return build_words(tmp_path_factory.mktemp("doubt") / "words", rows)


@pytest.mark.parametrize(
    ("text", "missing", "doubt"),
    [
        ("Welche Wirkung hat Colchicin bei Gicht?", ("gicht",), LANGUAGE.format("German")),
        ("traitement chez les personnes", (), LANGUAGE.format("French")),
        ("Factores de riesgo del cáncer en mujeres", (), LANGUAGE.format("Spanish")),
        ("лечение", ("лечение",), "no record holds a word of this script"),
        ("TNF-α β", ("tnf",), ""),
        ("croonary disease", ("croonary", "disease"), "no record holds croonary, which may be misspelt: coronary?"),
        ("coronayr", ("coronayr",), "no record holds coronayr, which may be misspelt: coronary?"),
        ("corpnayr", ("corpnayr",), ""),  # two letters
        ("arterise", ("arterise",), ""),  # too few records hold what may be meant
        ("goutt", ("goutt",), ""),  # too short to tell
        ("the law of the sea", ("law", "sea"), ""),
        ("", (), ""),
    ],
)
def test_doubt(words: WordIndex, text: str, missing: tuple[str, ...], doubt: str) -> None:
    assert find_doubt(words, text, missing) == doubt


def test_words_that_many_records_hold_show_no_other_language(tmp_path: Path) -> None:
    german = build_words(tmp_path / "words", [("Behandlung der Gicht bei Frauen", "")] * 60)
    assert find_doubt(german, "Behandlung der Arthrose bei Männern", ("arthrose",)) == ""
