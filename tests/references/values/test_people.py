"""Names in their parts, and lists of them as Vancouver and APA write them."""

import doctest

import pytest

from engine.references.values import names, people
from engine.references.values.names import format_people, list_named
from engine.references.values.people import _read_person, list_apa, list_apa_editors, list_vancouver, read_people
from engine.references.writers import bibliography


def test_examples_in_docstrings() -> None:
    for module in (bibliography, names, people):
        assert doctest.testmod(module).failed == 0 < doctest.testmod(module).attempted


@pytest.mark.parametrize(
    ("author", "vancouver", "apa", "editor"),
    [
        ("van de Schoot, Rens", "van de Schoot R", "van de Schoot, R.", "R. van de Schoot"),
        ("Rens van de Schoot", "van de Schoot R", "van de Schoot, R.", "R. van de Schoot"),
        ("Jean-Pierre A. Marlow", "Marlow JP", "Marlow, J.-P. A.", "J.-P. A. Marlow"),
        ("Marlow J-P", "Marlow JP", "Marlow, J.-P.", "J.-P. Marlow"),
        ("Marlow, JAB", "Marlow JA", "Marlow, J. A. B.", "J. A. B. Marlow"),
        ("Smith Jr, Robert M.", "Smith RM Jr", "Smith, R. M., Jr.", "R. M. Smith"),
        ("Smith, Robert M., 3rd", "Smith RM 3rd", "Smith, R. M., 3rd", "R. M. Smith"),
        ("Smith IV, Robert", "Smith R 4th", "Smith, R., IV", "R. Smith"),
        ("O'Neil-Ñúñez, Élodie", "O'Neil-Ñúñez É", "O'Neil-Ñúñez, É.", "É. O'Neil-Ñúñez"),
        ("Knee Study Group", "Knee Study Group", "Knee Study Group", "Knee Study Group"),
        ("王小明", "王小明", "王小明", "王小明"),
        ("Plato", "Plato", "Plato", "Plato"),
    ],
)
def test_a_name_in_each_style(author: str, vancouver: str, apa: str, editor: str) -> None:
    person = _read_person(author)
    assert (person.vancouver, person.apa, person.apa_editor) == (vancouver, apa, editor)


def test_lists_of_names() -> None:
    assert list_vancouver([]) == list_apa([]) == list_apa_editors([]) == ""
    six = [f"Marlow{letter} J" for letter in "abcdef"]
    assert list_vancouver(read_people(six)).endswith("Marlowe J, Marlowf J")
    assert list_vancouver(read_people([*six, "Okoro P"])).endswith("Marlowf J, et al")
    groups = read_people(["Gout Study Group", "Okoro P", "Knee Trial Network"])
    assert list_vancouver(groups) == "Gout Study Group; Okoro P; Knee Trial Network"
    assert list_apa(groups) == "Gout Study Group, Okoro, P., & Knee Trial Network"
    assert list_apa_editors(read_people(["Okoro P"])) == "P. Okoro (Ed.)"
    assert (
        list_apa_editors(read_people(["Okoro P", "Marlow J", "Haddad R"])) == "P. Okoro, J. Marlow, & R. Haddad (Eds.)"
    )


def test_nobody_is_no_author() -> None:
    nobody = ["None Editor", "[No authors listed]", "Anonymous", "et al.", "None", " "]
    assert list_named(nobody) == [] and format_people(nobody) == ""
    assert list_named(["None Marlow", "Nonette Editorial", "Anon Y", "Others, Ann"]) == [
        "Marlow", "Nonette Editorial", "Anon Y", "Others, Ann"
    ]  # fmt: skip


def test_people_in_one_style() -> None:
    mixed = ["Gunn, Craig", "Jonathan Kay", "Okoro P", "Gout Study Group"]
    assert format_people(mixed) == "Gunn C, Kay J, Okoro P, Gout Study Group"
    assert format_people(mixed, 4) == format_people(mixed) and format_people(mixed, 1) == "Gunn C, et al."
