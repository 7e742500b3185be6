import doctest
from dataclasses import replace

import pytest

from engine.corpus.merging import merge
from engine.corpus.merging.merge import (
    Contribution,
    is_deleted,
    is_outdated,
    is_same_work,
    merge_records,
    normalise_title,
)
from engine.records.abstract import Abstract


def test_examples_in_docstrings() -> None:
    assert doctest.testmod(merge).attempted >= 3
    assert doctest.testmod(merge).failed == 0


@pytest.mark.parametrize(
    ("new", "held", "outdated"),
    [
        ((1, "2024-01-01", 0), (1, "2024-01-02", 0), True),
        ((1, "2024-01-02", 0), (1, "2024-01-01", 0), False),
        ((1, "2024-01-02", 20240001), (1, "2024-01-02", 20240002), True),  # only the number of the file tells
        ((1, "2024-01-02", 0), (1, "2024-01-02", 20240002), False),
        ((1, "", 20240001), (1, "2024-01-02", 20240002), True),
        ((1, "", 20240003), (1, "2024-01-02", 20240002), False),
        ((2, "2020-01-01", 20240001), (1, "2024-01-02", 20240002), False),  # the version decides before all else
        ((1, "2030-01-01", 20240003), (2, "2024-01-02", 20240002), True),
        ((1, "", 0), (1, "", 0), False),
    ],
)
def test_version_then_revision_then_release_are_compared(
    new: tuple[int, str, int], held: tuple[int, str, int], outdated: bool
) -> None:
    assert is_outdated(new, held) is outdated


@pytest.mark.parametrize(
    ("release", "deletion", "deleted"),
    [(20250003, 20250004, True), (20250004, 20250004, True), (20250005, 20250004, False), (0, 20250004, True)],
)
def test_a_deletion_applies_to_earlier_releases(release: int, deletion: int, deleted: bool) -> None:
    assert is_deleted(release, deletion) is deleted


def test_other_sources_fill_the_gaps_of_the_preferred_source() -> None:
    embase = Abstract("Embase:L1", "Gout", "Long text", 2019, "", ("Liu R.",), None, "10.1/x", keywords=("gout",))
    pubmed = Abstract("PMID:1", "Gout.", "", 2020, "J Gout", ("Rui Liu",), "1", orcids=("0000",), retracted=True)
    one = merge_records("Embase:L1", [Contribution(1, "RIS", embase), Contribution(2, "PubMed XML", pubmed)])
    assert one == Abstract(
        "Embase:L1", "Gout.", "Long text", 2020, "J Gout", ("Rui Liu",), "1", "10.1/x",
        keywords=("gout",), orcids=("0000",), retracted=True,
    )  # fmt: skip


def test_the_first_of_equal_sources_stays_preferred() -> None:
    one, two = Abstract("a", "First", "x"), Abstract("b", "Second", "y", 2000, orcids=("no",))
    for order in (
        [Contribution(1, "RIS", one), Contribution(2, "CSV", two)],
        [Contribution(2, "CSV", two), Contribution(1, "RIS", one)],
    ):
        merged = merge_records("a", order)
        assert (merged.title, merged.abstract, merged.year, merged.orcids) == ("First", "x", 2000, ())


def test_notices_of_all_sources_count_once() -> None:
    one, two = Abstract("a", "T", "", notices=("b", "c")), Abstract("b", "T", "", notices=("a", "b"))
    assert merge_records("a", [Contribution(1, "RIS", one), Contribution(2, "CSV", two)]).notices == ("a", "b", "c")


@pytest.mark.parametrize(
    ("one", "other", "agree"),
    [
        ("Gout and diet", "GOUT AND DIET.", True),
        ("Gout and diet: a randomised controlled trial", "Gout and diet: a randomized controlled trial", True),
        ("Efficacy of febuxostat in gout", "Efficacy of febuxostat in gout: the FAST trial", True),
        ("Étude de la goutte", "[Etude de la goutte].", True),
        ("P-001 Gout in Japan", "P-214 Lupus nephritis in Brazil", False),
        ("Reply", "Editorial", False),
        ("Tofacitinib in gout: results of week 24", "Tofacitinib in gout: results of week 52", False),
        ("", "Anything", True),
    ],
)
def test_titles_with_one_doi_are_compared(one: str, other: str, agree: bool) -> None:
    assert is_same_work(Abstract("a", one, ""), Abstract("b", other, "")) is agree


def test_similar_titles_are_one_work_only_if_the_abstracts_are_similar() -> None:
    text = "We gave tofacitinib to 120 adults with gout for 24 weeks and counted their attacks. Pain fell by half."
    other = (
        "Background: the heart suffers in lupus. Methods: 300 women were followed by echocardiography for ten years."
    )
    one, two = Abstract("a", "Tofacitinib in gout", text), Abstract("b", "Baricitinib in gout", "")
    assert is_same_work(one, replace(two, title="Tofacitinib  for gout", abstract=f"METHODS: {text} (Funded.)"))
    assert not is_same_work(one, replace(two, title="Tofacitinib for gout", abstract=other))
    assert is_same_work(one, replace(two, title="Tofacitinib for gout"))
    assert not is_same_work(one, two)


def test_a_vernacular_title_counts_as_the_title() -> None:
    english = Abstract("a", "[A study of gout]", "", vernacular_title="Étude de la goutte chez l'adulte")
    assert is_same_work(english, Abstract("b", "Etude de la goutte chez l’adulte", ""))
    assert not is_same_work(english, Abstract("b", "Le lupus et la grossesse", ""))


def test_normalised_titles_keep_the_letters_of_all_scripts() -> None:
    assert normalise_title("Стояние  рецепторного аппарата!") == "стояние рецепторного аппарата"
    assert normalise_title("痛風 の 治療") == "痛風 の 治療"
