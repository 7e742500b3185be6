from pathlib import Path

import pytest

from engine.collect.source import check_source, read_source
from engine.errors import SourceError
from engine.records.abstract import Abstract, Rejection


def read(path: Path, text: str) -> list[Abstract]:
    path.write_text(text, encoding="utf-8")
    found = list(read_source(path))
    assert not [entry for entry in found if isinstance(entry, Rejection)]
    return [entry for entry in found if isinstance(entry, Abstract)]


HEAD = "1. J Knee. 2020 Jan 15;79(2):234-41. doi: 10.5555/one. Epub 2019\nNov 6.\n\n"
TAIL = "DOI: 10.5555/one\nPMID: 30000251 [Indexed for MEDLINE]\n"


def test_every_paragraph_is_in_a_field_or_kept(source: Path) -> None:
    text = (
        f"{HEAD}A title\nof two lines.\n\n[Article in French; Abstract available in French from the publisher]\n\n"
        "Beck A(1)(2), Roe R Jr(#)(2); Knee Study Group.\n\nCollaborators: Lind M.\n\n"
        "Author information: \n(1)Clinic,\nBern.\n(2)Lab, Lund.\n(#)Contributed equally\n\nErratum in\n    J Knee. 2021;1:1.\n\n"
        "AIMS: One.\n2. Two.\n\n3. Three.\nRESULTS: Four.\n\nPublisher: Un.\n\n© 2020 Knee Society. All rights\nreserved.\n\n"
        "DOI: 10.5555/one\nPMCID: PMC123\nPMID: 30000251  [Indexed for MEDLINE]\n\nConflict of interest statement: None.\n"
    )
    assert read(source, text) == [
        Abstract(
            "PMID:30000251",
            "A title of two lines.",
            "AIMS: One. 2. Two.\n3. Three.\nRESULTS: Four.",
            year=2020,
            journal="J Knee",
            authors=("Beck A", "Roe R Jr", "Knee Study Group"),
            pmid="30000251",
            doi="10.5555/one",
            languages=("French",),
            other_abstracts=("[original] Un.",),
            notices=("has an erratum",),
            volume="79",
            issue="2",
            pages="234-41",
            published="2020-01-15",
            pmcid="PMC123",
            affiliations=("Clinic, Bern.", "Lab, Lund."),
            databases=("PubMed",),
            rights="© 2020 Knee Society. All rights reserved.",
            other_tags=(
                "PubMed citation: Epub 2019 Nov 6.",
                "PubMed Collaborators: Lind M.",
                "PubMed Author information: Contributed equally",
                "PubMed Erratum in: J Knee. 2021;1:1.",
                "PubMed Conflict of interest statement: None.",
            ),
        )
    ]


@pytest.mark.parametrize(
    ("paragraph", "authors"),
    [
        ("van der Berg-Hansen KL, O'Neil J 3rd, Ng’ang’a M.", ("van der Berg-Hansen KL", "O'Neil J 3rd", "Ng’ang’a M")),
        ("World Health Organization; GBD 2019 Collaborators.", ("World Health Organization", "GBD 2019 Collaborators")),
        ("Sukarno(1).\n\nAuthor information:\n(1)Bandung.", ("Sukarno",)),
        ("[No authors listed]", ()),
    ],
)
def test_authors_are_told_from_an_abstract(source: Path, paragraph: str, authors: tuple[str, ...]) -> None:
    (found,) = read(source, f"{HEAD}A title.\n\n{paragraph}\n\nThe knee was studied, and so was the hip.\n\n{TAIL}")
    assert found.authors == authors
    assert found.abstract == "The knee was studied, and so was the hip."


def test_a_chapter_has_its_book_as_journal(source: Path) -> None:
    text = "1. StatPearls [Internet]. Treasure Island (FL): Some Publishing; 2024 Jan–. \n2023 Aug 8.\n\nGout.\n\nRoe R(1).\n\n"
    (found,) = read(source, f"{text}Author information:\n(1)Lab\n\nGout hurts.\n\nPMID: 30000252\n")
    assert (found.journal, found.publisher, found.place) == (
        "StatPearls [Internet]",
        "Some Publishing",
        "Treasure Island (FL)",
    )
    assert (found.year, found.title, found.abstract) == (2024, "Gout.", "Gout hurts.")


def test_a_retracted_work_is_flagged_and_joined_files_are_told_apart(source: Path) -> None:
    text = f"{HEAD}One.\n\nBeck A.\n\nRetraction in\n    J Knee. 2022;1:1.\n\nText.\n\n{TAIL.strip()}"
    first, second = read(source, f"{text}{HEAD.replace('one', 'two')}Two.\n\nRoe R.\n\nPMID: 30000252\n")
    assert (first.retracted, first.title, second.retracted, second.title) == (True, "One.", False, "Two.")


@pytest.mark.parametrize(
    "text",
    [
        "1. Introduction. In 2020 we began.\n\nText.\n",
        "1. Wash hands.\n2. Dry hands.\nPMID: 1\n",
        "title,notes\nOne,a\n1. J Knee. 2020 Jan;1:1.\nPMID: 1\n",
    ],
)
def test_other_numbered_texts_are_no_abstracts(source: Path, text: str) -> None:
    source.write_text(text, encoding="utf-8")
    try:
        assert check_source(source).name == "CSV"
    except SourceError as err:
        assert "is not PubMed XML" in str(err)
