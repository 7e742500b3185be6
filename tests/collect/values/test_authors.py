import pytest

from engine.collect.values.authors import split_authors


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("Doe, J. and Roe, R.", ("Doe, J.", "Roe, R.")),
        ("Doe, Jane and Roe, Rick and Poe, E. A.", ("Doe, Jane", "Roe, Rick", "Poe, E. A.")),
        ("Doe J., Roe R.", ("Doe J.", "Roe R.")),
        ("Marlow JA, Okoro P, Tan W", ("Marlow JA", "Okoro P", "Tan W")),
        ("Marlow JA, Okoro P, and Tan W", ("Marlow JA", "Okoro P", "Tan W")),
        ("Marlow J.-A., van den Berg J.W., O'Neil R.", ("Marlow J.-A.", "van den Berg J.W.", "O'Neil R.")),
        ("Marlow JA Jr, Okoro P 3rd", ("Marlow JA Jr", "Okoro P 3rd")),
        ("Marlow JA, Okoro P, Gout Study Group", ("Marlow JA", "Okoro P", "Gout Study Group")),
        ("Marlow JA, Okoro P, et al.", ("Marlow JA", "Okoro P")),
        ("JA Marlow, P Okoro", ("JA Marlow", "P Okoro")),
        ("Doe, J., Roe, R. A.", ("Doe, J.", "Roe, R. A.")),
        ("Ann Beck, José Núñez, Tom Reed", ("Ann Beck", "José Núñez", "Tom Reed")),
        ("Ann Beck and José Núñez", ("Ann Beck", "José Núñez")),
        ("Beck, Ann; Núñez, José; ", ("Beck, Ann", "Núñez, José")),
        ("Ann Beck|José Núñez", ("Ann Beck", "José Núñez")),
        ("['Beck, Ann', 'Núñez, José']", ("Beck, Ann", "Núñez, José")),
        ("Haddad, Rima", ("Haddad, Rima",)),
        ("García Márquez, Gabriel José", ("García Márquez, Gabriel José",)),
        ("van der Berg, Jan P.", ("van der Berg, Jan P.",)),
        ("Doe, J.", ("Doe, J.",)),
        ("Smith, Jr., John", ("Smith, Jr., John",)),
        ("Centers for Disease Control and Prevention", ("Centers for Disease Control and Prevention",)),
        ("World Health Organization", ("World Health Organization",)),
        ("Ministry of Health, Labour and Welfare", ("Ministry of Health, Labour and Welfare",)),
        (
            "Marlow J., van der Berg A.B., O'Neil-Smith R., Jr.",
            ("Marlow J.", "van der Berg A.B.", "O'Neil-Smith R., Jr."),
        ),
        ("{World Health Organization} and Doe, J.", ("World Health Organization", "Doe, J.")),
        ("Doe J.; Roe R.; and Poe E.", ("Doe J.", "Roe R.", "Poe E.")),
        ("Doe J., The GOUT Investigators", ("Doe J.", "The GOUT Investigators")),
        ("Doe, J., Roe, R., Gout Study Group", ("Doe, J.", "Roe, R.", "Gout Study Group")),
        (
            "Doe, J. and Roe, R. and Group for Research and Study of Gout",
            ("Doe, J.", "Roe, R.", "Group for Research and Study of Gout"),
        ),
        ("Doe, John, Jr. and Roe, Richard, III", ("Doe, John, Jr.", "Roe, Richard, III")),
        ("BECK A, NUNEZ J", ("BECK A", "NUNEZ J")),
        ("Doe J, Roe R; Poe E", ("Doe J", "Roe R", "Poe E")),
        ("Silva A.B. da, Santos C. dos", ("Silva A.B. da", "Santos C. dos")),
        ("Doe, Jane (57193456700); Roe, Rick (57193456701)", ("Doe, Jane", "Roe, Rick")),
        ("\u674e\u660e, \u738b\u4f1f", ("\u674e\u660e", "\u738b\u4f1f")),
        ("National Institute for Health and Care Excellence", ("National Institute for Health and Care Excellence",)),
        ("Department of Health and Human Services; Doe, J.", ("Department of Health and Human Services", "Doe, J.")),
        ("Johnson and Johnson", ("Johnson and Johnson",)),
        ("", ()),
    ],
)
def test_a_list_of_authors_is_split_between_names_only(text: str, names: tuple[str, ...]) -> None:
    assert split_authors(text) == names


def test_a_long_run_of_blanks_is_one_blank() -> None:
    assert split_authors("Doe" + " " * 1_000_000 + "Jane") == ("Doe Jane",)
