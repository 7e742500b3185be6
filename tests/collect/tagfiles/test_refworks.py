from pathlib import Path

import pytest

from engine.collect.source import check_source, read_source
from engine.records.abstract import Abstract, Rejection


def read(path: Path, text: str) -> list[Abstract]:
    path.write_text(text, encoding="utf-8")
    found = list(read_source(path))
    assert not [entry for entry in found if isinstance(entry, Rejection)]
    return [entry for entry in found if isinstance(entry, Abstract)]


def test_every_tag_is_in_a_field_or_kept(source: Path) -> None:
    text = (
        "RT Journal Article\nSR Print(0)\nID 26\nA1 Beck,Ann\nA2 Editor,Eva\nT1 One\nJF Long Journal\nJO Lg J\nYR 2015\n"
        "FD 3 Jul 2015\nVO 7\nIS 2\nSP 55\nOP 61\nK1 Knee\nK1 Hip\nNO A note\nPB Press\nPP Graz\nSN 2222-3339\n"
        "AD Clinic, Graz\nAN 30000231\nDB MEDLINE\nLA English\nOT Eins\nUL https://example.org/1\nCR Roe R, 2001\nOL English(30)\n"
    )
    assert read(source, text) == [
        Abstract(
            "PMID:30000231",
            "One",
            "",
            year=2015,
            journal="Long Journal",
            authors=("Beck, Ann",),
            pmid="30000231",
            keywords=("Knee", "Hip"),
            languages=("English",),
            vernacular_title="Eins",
            volume="7",
            issue="2",
            pages="55-61",
            issns=("2222-3339",),
            published="2015-07-03",
            publisher="Press",
            place="Graz",
            urls=("https://example.org/1",),
            affiliations=("Clinic, Graz",),
            cited_ids=("Roe R, 2001",),
            databases=("MEDLINE",),
            notes=("A note",),
            other_tags=(
                "RefWorks SR: Print(0)",
                "RefWorks ID: 26",
                "RefWorks A2: Editor, Eva",
                "RefWorks JO: Lg J",
                "RefWorks OL: English(30)",
            ),
        )
    ]


def test_a_line_of_text_that_looks_like_a_tag_is_text(source: Path) -> None:
    text = "RT Journal\nT1 One\nIS 3\nAB We measured\nNO production,\nIS 5 was high.\nRT PCR was used.\nRT-PCR too.\nVO 2\n"
    (found,) = read(source, text)
    assert found.abstract == "We measured NO production, IS 5 was high. RT PCR was used. RT-PCR too."
    assert (found.issue, found.volume) == ("3", "2")


def test_the_variants_of_other_programs_are_read(source: Path) -> None:
    text = (
        "RT Journal Article\nSR 1\nA1 Zhang San;Li Si\nT1 One\nYR 2022\nvo 10\nOP 12-18\nK1 gout;knee\nAB Text\nmore\n\n"
        "RT Journal Article\nA1  - Roe, R\nT1  Two\nOP 107936-\nDO https://doi.org/10.5555/two\nER\n"
        "RT Web Page\nT1 Three\n"
    )
    one, two, three = read(source, text)
    assert (one.authors, one.volume, one.pages, one.keywords) == (
        ("Zhang San", "Li Si"),
        "10",
        "12-18",
        ("gout", "knee"),
    )
    assert one.abstract == "Text more"
    assert (two.authors, two.title, two.pages, two.doi) == (("Roe, R",), "Two", "107936", "10.5555/two")
    assert (three.title, three.other_tags) == ("Three", ("RefWorks RT: Web Page",))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("<RefWorks>\n\nRT Journal Article\nT1 One\n", "RefWorks"),
        ("SR 1\nA1 Beck, A\nT1 One\nJF J\n", "RefWorks"),
        ("FN Clarivate Analytics Web of Science\nVR 1.0\nPT J\nTI RT Journal Article\nER\n", "Web of Science"),
        ("title,notes\nOne,a\nRT Journal Article\nT1 x\n", "CSV"),
    ],
)
def test_the_first_line_decides(source: Path, text: str, expected: str) -> None:
    source.write_text(text, encoding="utf-8")
    assert check_source(source).name == expected
