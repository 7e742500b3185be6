from pathlib import Path

import pytest

from engine.collect.source import check_source, read_source
from engine.records.abstract import Abstract, Rejection


def read(path: Path, text: str) -> list[Abstract]:
    path.write_text(text, encoding="utf-8")
    found = list(read_source(path))
    assert not [entry for entry in found if isinstance(entry, Rejection)]
    return [entry for entry in found if isinstance(entry, Abstract)]


def test_a_record_starts_with_its_number_or_with_the_vendor(source: Path) -> None:
    numbered = "<1. >\nVN  - Ovid Technologies\nUI  - 1\nTI  - One\n\n<2. >\nUI  - 2\nTI  - Two\n"
    bare = "VN  - Ovid Technologies\nUI  - 1\nTI  - One\nVN  - Ovid Technologies\nUI  - 2\nTI  - Two\n"
    for text in (numbered, bare):
        assert [one.title for one in read(source, text)] == ["One", "Two"]


def test_authors_are_read_without_roles_marks_and_degrees(source: Path) -> None:
    text = (
        "<1. >\nVN  - Ovid Technologies\nTI  - One\nAU  - Walsh, Neil B. [Inventor, Reprint Author]\n"
        "AU  - Werner, S. M. [Author; E-mail: x@example.org]\nAU  - Simon, Ph. 1\nAU  - Gazic, Barbara MD, PhD *\n"
        "AU  - Roe, MD\nCA  - Knee Study Group\n"
    )
    (found,) = read(source, text)
    names = ("Walsh, Neil B.", "Werner, S. M.", "Simon, Ph.", "Gazic, Barbara", "Roe, MD", "Knee Study Group")
    assert found.authors == names


def test_tags_of_psycinfo_are_read(source: Path) -> None:
    text = (
        "<53. >\nVN - Ovid Technologies\nDB - PsycINFO\nAN - Peer Reviewed Journal: 2015-99000-007.\nTI - One\n"
        "SO - Made Up Psychotherapy. Vol.43(5), Sep 2015, pp. 562-577.\nJN - Made Up Psychotherapy\nVO - 43\nIP - 5\n"
        "PG - No Pagination Specified\nRF - Beck, A. (2007). A.\n \n       Roe, R. (2008). B.\nLG - English.\n"
        "AB - Text. (PsycINFO Database Record (c) 2015 APA, all rights reserved).\n"
    )
    (found,) = read(source, text)
    assert (found.record_id, found.journal) == ("PsycINFO:2015-99000-007", "Made Up Psychotherapy")
    assert (found.volume, found.issue, found.pages, found.published) == ("43", "5", "562-577", "2015-09")
    assert found.cited_ids == ("Beck, A. (2007). A.", "Roe, R. (2008). B.")
    assert (found.abstract, found.languages, found.other_tags) == ("Text.", ("English",), ())


def test_the_database_above_the_records_names_the_numbers(source: Path) -> None:
    record = "<1>\nUnique Identifier\n  30000221\nTitle\n  One\n"
    assert read(source, f"Database: Ovid MEDLINE(R) <1946 to 2019>\n\n{record}")[0].pmid == "30000221"
    for above in ("", "Database: Embase <1974 to 2019>\n", "Database: Embase <1974 to 2019>, Ovid MEDLINE(R) <1946>\n"):
        (found,) = read(source, above + record)
        assert (found.pmid, found.title) == (None, "One")


def test_names_of_fields_may_stand_above_or_before_the_values(source: Path) -> None:
    text = (
        "<1>\nUnique Identifier:   30000221\nDatabase:            Ovid MEDLINE(R)\nTitle:               One that\n"
        "                     goes on.\nAuthors:             Smith JA, Jones K\nOdd Field:           kept\n\n"
        "<2>\nTitle\nTwo\nAuthors\nSmith JA\nJones K\nAbstract\nText here\nand on.\nYear of Publication\n2018\n\n"
        "<3>\nUI  30000223\nTI  Three\n    on\nAU  Smith J\nDB  Ovid MEDLINE(R)\n"
    )
    one, two, three = read(source, text)
    assert (one.title, one.pmid, one.authors) == ("One that goes on.", "30000221", ("Smith JA", "Jones K"))
    assert one.other_tags == ("Ovid Odd Field: kept",)
    assert (two.title, two.authors, two.abstract, two.year) == (
        "Two",
        ("Smith JA", "Jones K"),
        "Text here and on.",
        2018,
    )
    assert (three.title, three.pmid) == ("Three on", "30000223")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1     exp Gout/ (12)\n2     1 and knee.ti. (3)\n\n<1>\nTitle\n  One\n", "Ovid"),
        ("<1. >\nTY  - JOUR\nTI  - One\nER  - \n", "RIS"),
        ("PMID- 1\nTI  - One\nAB  - <1. >\n", "MEDLINE"),
        ("title,notes\nOne,a\n<1. >\nVN  - Ovid Technologies\n", "CSV"),
    ],
)
def test_the_first_line_decides(source: Path, text: str, expected: str) -> None:
    source.write_text(text, encoding="utf-8")
    assert check_source(source).name == expected


@pytest.mark.parametrize(("database", "field"), [("Ovid MEDLINE(R)", "mesh"), ("Embase", "keywords")])
def test_headings_are_those_of_the_database(source: Path, database: str, field: str) -> None:
    text = f"<1. >\nDB  - {database}\nTI  - One\nMH  - Adult\nMH  - *Gout/dt [Drug Therapy]\nMH  - *Knee\n"
    (found,) = read(source, text)
    assert getattr(found, field) == ("Adult", "Gout", "Knee")
    assert found.other_tags == ("Ovid MH: *Gout/dt [Drug Therapy]",)


def test_a_file_of_ovid_with_the_tags_of_medline_is_read(source: Path) -> None:
    (found,) = read(source, "<1>\nUI  - 30000221\nPMID- 30000221\nTI  - One\nFAU - Roe, Rita\nAU  - Roe R\n")
    assert (found.pmid, found.authors) == ("30000221", ("Roe, Rita",))


def test_each_part_of_joined_files_has_its_own_database(source: Path) -> None:
    part = "Database: {}\nSearch Strategy:\n----\n1     gout.ti. (2)\n\n<1>\nUnique Identifier\n  {}\nTitle\n  {}\n\n"
    text = part.format("Ovid MEDLINE(R) <1946 to 2019>", 30000221, "One") + part.format(
        "Embase <1974>", 620000001, "Two"
    )
    first, second = read(source, text)
    assert (first.title, first.pmid, first.other_tags) == ("One", "30000221", ())
    assert (second.title, second.pmid, second.record_id) == ("Two", None, "Embase:L620000001")
