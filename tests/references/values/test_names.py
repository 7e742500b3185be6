import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.collect.values.export import _restore_names
from engine.references.values.names import is_group, parse_name
from tests.references.found import NAMES


@pytest.mark.parametrize(
    ("author", "written", "short"),
    [
        ("Ann Beck", "Beck, Ann", "Beck A"),
        ("Ann-Marie B. Smith", "Smith, Ann-Marie B.", "Smith AMB"),
        ("Rens van de Schoot", "van de Schoot, Rens", "van de Schoot R"),
        ("Ann Smith Jr", "Smith, Ann, Jr", "Smith A Jr"),
        ("Smith JA", "Smith, JA", "Smith JA"),
        ("van der Berg J-P", "van der Berg, J-P", "van der Berg J-P"),
        ("Smith J Jr", "Smith, J, Jr", "Smith J Jr"),
        ("Núñez, José María", "Núñez, José María", "Núñez JM"),
        ("王小明", "王小明", "王小明"),
        ("de Vries", "de Vries", "de Vries"),
        ("Ann  Beck", "Ann  Beck", "Ann  Beck"),
        ("Knee Study Group", "Knee Study Group", "Knee Study Group"),
        ("American College of Rheumatology", "American College of Rheumatology", "American College of Rheumatology"),
        ("OMERACT 12", "OMERACT 12", "OMERACT 12"),
    ],
)
def test_the_family_name_comes_first(author: str, written: str, short: str) -> None:
    assert (parse_name(author).written, parse_name(author).short) == (written, short)


def test_groups_are_told_by_their_words() -> None:
    assert is_group("RECOVERY Collaborative Group") and is_group("Centre for Knees")
    assert not is_group("Ann Forbes") and not is_group("Group, Ann") and not is_group("Theodor Ofner")


@given(st.lists(NAMES))
def test_a_turned_name_turns_back(authors: list[str]) -> None:
    names = [parse_name(author) for author in authors]
    assert _restore_names([name.written for name in names], "".join(name.form for name in names)) == authors
