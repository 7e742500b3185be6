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
        "Record #1 of 1\nID: CN-09000241\nAU: Lind M, Sato K\nTI: One\nSO: Trials\nYR: 2020\nVL: 21\nNO: 4\nPG: 301-310\n"
        "PM: PUBMED 30000241\nXR: EMBASE 2003000241\nPT: Journal Article; Letter\nKY: *Exercise; Neck Pain [therapy]\n"
        "DOI: 10.5555/one\nAB: Text\nOR: 1.2 was found.\nPB: Press\nSN: 1465-1858\nCC: SR-MUSKEL\nST: Published\n"
        "US: https://example.org/1\n"
    )
    assert read(source, text) == [
        Abstract(
            "PMID:30000241",
            "One",
            "Text OR: 1.2 was found.",
            year=2020,
            journal="Trials",
            authors=("Lind M", "Sato K"),
            pmid="30000241",
            doi="10.5555/one",
            publication_types=("Journal Article", "Letter"),
            keywords=("Exercise", "Neck Pain [therapy]"),
            volume="21",
            issue="4",
            pages="301-310",
            issns=("1465-1858",),
            publisher="Press",
            urls=("https://example.org/1",),
            accessions=("CENTRAL:CN-09000241", "Embase:2003000241"),
            other_tags=("Cochrane CC: SR-MUSKEL", "Cochrane ST: Published"),
        )
    ]


def test_the_source_of_a_trial_register_is_its_address(source: Path) -> None:
    (found,) = read(source, "Record #1 of 1\nID: CN-0900\nTI: One\nSO: https://clinicaltrials.gov/show/NCT01234567\n")
    assert (found.journal, found.urls) == ("", ("https://clinicaltrials.gov/show/NCT01234567",))
    assert found.accessions == ("NCT01234567", "CN-0900")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("\n\nRecord #1 of 2\n\nID: CN-01\nTI: One\n", "Cochrane"),
        ("Record #1 of 2\nTY  - JOUR\nTI  - One\nER  - \n", "RIS"),
        ("Record #1 of 2\nProvider: X\nContent: text/plain\n\nTY  - JOUR\nTI  - One\nER  - \n", "RIS"),
        ("Record #1 of 2\n@article{a, title={One}}\n", "BibTeX"),
    ],
)
def test_the_first_lines_decide(source: Path, text: str, expected: str) -> None:
    source.write_text(text, encoding="utf-8")
    assert check_source(source).name == expected
