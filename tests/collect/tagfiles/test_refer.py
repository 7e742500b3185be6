from pathlib import Path

import pytest

from engine.collect.source import check_source, read_source
from engine.records.abstract import Abstract, Rejection

EXPORTS = Path(__file__).parents[2] / "data" / "exports"


def read_export(name: str) -> list[Abstract]:
    return [entry for entry in read_source(EXPORTS / name) if isinstance(entry, Abstract)]


def read(path: Path, text: str) -> list[Abstract]:
    path.write_text(text, encoding="utf-8")
    found = list(read_source(path))
    assert not [entry for entry in found if isinstance(entry, Rejection)]
    return [entry for entry in found if isinstance(entry, Abstract)]


def test_every_tag_is_in_a_field_or_kept() -> None:
    (found,) = read_export("refer.enw")[:1]
    assert (found.issns, found.published, found.place, found.publisher) == (
        ("1234-5679", "2345-678X"),
        "2019-03-05",
        "Bern",
        "Made Up Press",
    )
    assert (found.keywords, found.languages, found.publication_types) == (
        ("Gait", "Arthroplasty, Replacement, Knee"),
        ("eng",),
        ("Clinical Trial",),
    )
    assert (found.databases, found.pmcid, found.urls) == (
        ("PubMed", "NLM"),
        "PMC7000201",
        ("https://example.org/iar/101",),
    )
    assert (found.affiliations, found.notes) == (("Department of Gait, Bern.",), ("1234-5679", "Marlow, Jane A"))
    assert found.other_tags == ("Refer !: Walking speed",)


def test_records_without_a_type_are_told_by_blank_lines(source: Path) -> None:
    first, second = read(source, "%A Beck, A\n%T One\n%D 1978\n\n%T Two\n%X Text\n\nmore text\n%D 1999\n")
    assert (first.title, first.authors, first.year) == ("One", ("Beck, A",), 1978)
    assert (second.title, second.abstract, second.year) == ("Two", "Text\nmore text", 1999)


def test_the_type_may_stand_below_other_tags(source: Path) -> None:
    text = "%A Beck, A\n%0 Journal Article\n%T One\n\n%A Roe, R\n%0 Journal Article\n%T Two\n%D 2004, December\n"
    first, second = read(source, text)
    assert (first.authors, second.authors, second.published) == (("Beck, A",), ("Roe, R",), "2004-12")


def test_lines_joined_without_a_line_end_are_two(source: Path) -> None:
    assert [one.title for one in read(source, "%0 Journal Article\n%T One%0 Book Section\n%T Two\n")] == ["One", "Two"]


def test_an_embase_number_is_no_pmid_and_a_custom_field_no_pmcid(source: Path) -> None:
    (found,) = read(source, "%0 Generic\n%T One\n%M 620000001\n%~ Embase\n%2 Mine\n")
    assert (found.record_id, found.pmid, found.pmcid) == ("Embase:L620000001", None, "")
    assert found.other_tags == ("Refer 0: Generic", "Refer 2: Mine")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("\ufeff\n%0 Book\n%T One\n", "Refer"),
        ("% Encoding: UTF-8\n@article{a, title={One}}\n", "BibTeX"),
        ("title,notes\nOne,a\n%0 Journal Article,b\n%T x,c\n", "CSV"),
        ("TY  - JOUR\nTI  - One\nN1  - note\n%0 Book\n%T x\nER  - \n", "RIS"),
    ],
)
def test_the_first_line_decides(source: Path, text: str, expected: str) -> None:
    source.write_text(text, encoding="utf-8")
    assert check_source(source).name == expected
