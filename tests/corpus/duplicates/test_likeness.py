import doctest
from dataclasses import replace

import pytest

from engine.corpus.duplicates import likeness as module
from engine.corpus.duplicates.likeness import RecordFacts, compare_records

ONE = RecordFacts(
    1, "a", "The effects of beer on gout", year=2020, authors=("Liu, Rui", "Roe, Ann"), journal="Clin Rheumatol",
    volume="7", pages="253-258",
)  # fmt: skip
BARE = RecordFacts(1, "a", "The effects of beer on gout", year=2020, authors=("Liu, Rui",))


def test_examples_in_docstrings() -> None:
    results = doctest.testmod(module)
    assert (results.attempted >= 6, results.failed) == (True, 0)


def test_points_are_the_sum_of_the_facts() -> None:
    likeness = compare_records(ONE, ONE)
    assert likeness.points == 4 + 2 + 1 + 1 + 2 + 1  # title, authors, year, volume, pages, journal
    assert likeness.same == ("title", "authors", "year", "volume", "pages", "journal")
    assert likeness.score == pytest.approx(0.982, abs=0.001)  # 1 / (1 + exp(-0.8 * (11 - 6)))


def test_the_ids_count_for_and_against() -> None:
    with_ids = replace(BARE, doi="10.1/A", pmid="1")
    assert compare_records(with_ids, replace(BARE, doi="10.1/a", pmid="1")).points == 7 + 3 + 5
    other = compare_records(with_ids, replace(BARE, doi="10.1/b", pmid="2"))
    assert (other.points, other.other) == (7 - 2.5 - 4, ("DOI", "PMID"))


@pytest.mark.parametrize(
    "title",
    [
        "[THE EFFECTS OF BEER ON GOUT.]",
        "The effects of beer on gout: a cohort study",
        "Short report: the effects of beer on gout",
        "The efects of beer on gout",
        "The effects of beer ongout",
    ],
)
def test_spelling_and_subtitles_are_no_difference(title: str) -> None:
    assert compare_records(BARE, replace(BARE, title=title)).score >= 0.5


@pytest.mark.parametrize(
    "title",
    [
        "Erratum: The effects of beer on gout",
        "Reply to: the effects of beer on gout",
        "The effects of beer on gout, part 2",
        "The effects of wine on gout",
        "Editorial",
    ],
)
def test_another_title_is_another_work(title: str) -> None:
    assert compare_records(BARE, replace(BARE, title=title)).score < 0.5


def test_numbers_of_titles_must_agree() -> None:
    one = replace(BARE, title="Colchicine in acute gout, part II")
    assert compare_records(one, replace(one, title="Colchicine in acute gout, part 2")).score >= 0.5
    assert compare_records(one, replace(one, title="Colchicine in acute gout, part III")).score < 0.5


def test_a_short_title_needs_more() -> None:
    one = replace(BARE, title="Editorial")
    assert compare_records(one, one).score < 0.5
    placed = replace(ONE, title="Editorial")
    assert compare_records(placed, placed).score >= 0.5


def test_a_congress_abstract_is_not_the_article() -> None:
    abstract = replace(BARE, journal="Value in Health", volume="16", pages="A353")
    assert compare_records(abstract, replace(BARE, journal="Clin Rheumatol", volume="2")).score < 0.5


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Clin Microbiol Rev", "Clinical microbiology reviews"),
        ("J Med Assoc Thai", "Journal of the Medical Association of Thailand"),
        ("The Lancet", "Lancet (London, England)"),
        ("JAMA", "Journal of the American Medical Association"),
        ("BMJ", "British Medical Journal"),
        ("Natl Med J India", "The National medical journal of India"),
    ],
)
def test_an_abbreviated_journal_is_the_same(one: str, other: str) -> None:
    likeness = compare_records(replace(BARE, journal=one), replace(BARE, journal=other))
    assert "journal" in likeness.same


@pytest.mark.parametrize(
    ("one", "other"), [("Lancet", "Value in Health"), ("J Rheumatol", "Clinical Rheumatology"), ("Gut", "Brain")]
)
def test_another_journal_is_no_abbreviation(one: str, other: str) -> None:
    assert "journal" in compare_records(replace(BARE, journal=one), replace(BARE, journal=other)).other


def test_abstracts_count_by_their_words() -> None:
    words = [f"word{n}" for n in range(40)]
    same, other = " ".join(words), " ".join(words[:10]) + " " + " ".join(f"other{n}" for n in range(30))
    assert compare_records(BARE, BARE, (same, same + " CONCLUSION")).points == 7 + 2
    assert compare_records(BARE, BARE, (same, other)).points == 7 - 2  # 10 of 40 words
    assert compare_records(BARE, BARE, (same, "")).points == 7


def test_first_and_family_names_may_be_mixed_up() -> None:
    one, other = replace(BARE, authors=("Prado, J. V.", "Vidal, A.")), replace(BARE, authors=("Valeria Prado, J.",))
    assert "authors" in compare_records(one, other).same
    assert "authors" in compare_records(one, replace(BARE, authors=("Smith, A.",))).other
