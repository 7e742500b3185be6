import doctest
from functools import cache

import pytest

from engine.corpus.words import truncation as module
from engine.corpus.words.truncation import _find_completions, _stem_words, find_beginnings
from engine.corpus.words.wording import STOP_WORDS

# Words of rheumatology and others whose endings the stemmer takes off in all the ways it knows.
WORDS = """
arthritis arthritic arthritides arthralgia vaccine vaccinate vaccinated vaccination vaccinations vaccinator
hydroxychloroquine hydroxyurea hydroxyl hydroxy fibrosis fibroses fibrosing fibrotic fibrous fibromyalgia fibroblast
inflammation inflammatory inflammations inflamed immune immunity immunization immunised immunisation immunosuppression
dose doses dosed dosage dosing doctor donor als alsin citrulline citrullinated citrulinated therapy therapies therapist
therapeutic transesophageal transes transplant transplantation poly polyp polyps polymer police policy operate operated
operation operational operating opera child children childhood diagnosis diagnoses diagnostic diagnosed rcts rct crs
crslike nsaids nsaid study studies studied studying relative relation related relational hopeful hopefulness hopefully
possibly possible possibility happily happiness happy analogy analogous activity activities active activate
sensitivity sensitive sensitization generalization generally generalised neurological neurologically cas9 case cases
""".split()


BEGINNINGS = sorted({word[:length] for word in WORDS for length in range(3, len(word) + 1)})
STEM = dict(zip(WORDS, (stem for _, stem in _stem_words(WORDS)), strict=True))


@cache
def looked_up(beginning: str) -> tuple[tuple[str, ...], frozenset[str]]:
    """Return what the index is searched for: (is a beginning, stem)."""
    phrases = find_beginnings(beginning)
    pairs = zip(phrases, _stem_words([phrase.removesuffix(" *").strip('"') for phrase in phrases]), strict=True)
    asked = [(phrase.endswith("*"), stem) for phrase, (_, stem) in pairs]
    return tuple(stem for star, stem in asked if star), frozenset(stem for star, stem in asked if not star)


def finds(beginning: str, word: str) -> bool:
    starts, whole = looked_up(beginning)
    stem = STEM.get(word) or _stem_words([word])[0][1]
    return stem.startswith(starts) or stem in whole


def test_examples_in_docstrings() -> None:
    assert doctest.testmod(module).attempted >= 3
    assert doctest.testmod(module).failed == 0


def test_stems_of_the_last_word() -> None:
    assert _stem_words(["Vaccination", "anti-Inflammatory", "Sjögren's Études", "?", ""]) == [
        ("vaccination", "vaccin"),
        ("inflammatory", "inflammatori"),
        ("etudes", "etud"),
        ("", ""),
        ("", ""),
    ]


def test_a_beginning_finds_every_word_that_begins_so() -> None:
    pairs = [(start, word) for start in BEGINNINGS for word in WORDS if word.startswith(start)]
    assert [(start, word) for start, word in pairs if not finds(start, word)] == []
    assert len(pairs) > 700


def test_a_beginning_finds_only_stems_of_words_that_begin_so() -> None:
    for start in BEGINNINGS:
        shared = {stem for _, stem in _stem_words([start, *_find_completions(start)])}
        words = {STEM[word] for word in WORDS if finds(start, word)}
        assert {stem for stem in words if not stem.startswith(start)} <= shared, start


@pytest.mark.parametrize(
    ("beginning", "word"),
    [("fibros", "fibromyalgia"), ("fibros", "fibroblast"), ("dos", "doctor"), ("dos", "do"), ("poly", "police")],
)
def test_words_that_fts5_alone_would_also_find(beginning: str, word: str) -> None:
    assert not finds(beginning, word)


def test_a_beginning_of_several_words() -> None:
    assert find_beginnings("rheumatoid arthrit") == ('"rheumatoid arthrit" *',)
    assert find_beginnings('"x"-vaccinat') == ('"""x""-vaccinat" *', '"""x""-vaccinates"')


def test_a_stop_word_is_not_searched_as_a_stem() -> None:
    for beginning in ("dos", "ons", "beings", "ors", "its"):
        whole = [phrase.strip('"') for phrase in find_beginnings(beginning) if not phrase.endswith("*")]
        assert not {stem for _, stem in _stem_words(whole)} & STOP_WORDS, beginning


def test_beginnings_are_few() -> None:
    counts = sorted(len(find_beginnings(start)) for start in BEGINNINGS)
    assert counts[len(counts) * 9 // 10] <= 3
    assert counts[-1] <= 50
