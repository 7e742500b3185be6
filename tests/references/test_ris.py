from dataclasses import replace
from pathlib import Path

import pytest
import rispy

from engine.records.abstract import Abstract
from engine.references.ris import write_ris
from tests.references.found import BARE, FULL, NO_TITLE, cite


def test_a_record_line_by_line() -> None:
    (text,) = write_ris([cite(FULL, 3, 0.1234567)], "")
    assert text.split("\r\n") == [
        "TY  - JOUR",
        "TI  - Größe of knees; a study",
        "AU  - van de Schoot, Rens",
        "AU  - Núñez, José",
        "AU  - Beck, A",
        "AU  - Smith, Ann-Marie B., Jr",
        "AU  - Knee Study Group",
        "PY  - 2021",
        "T2  - Cartilage",
        "AB  - BACKGROUND: Knees, many. RESULTS: 5 of 7 (p < 0.05).  CONCLUSION: None.",
        "DO  - 10.1177/Ab(1)<2>_3",
        "AN  - 123",
        "DB  - PubMed",
        "UR  - https://pubmed.ncbi.nlm.nih.gov/123/",
        "KW  - Arthritis, Rheumatoid",
        "KW  - Knee Joint",
        "KW  - *starred",
        "KW  - knee; hip",
        "KW  - pain",
        "LA  - eng; fre",
        "M3  - Journal Article",
        "M3  - Research Support, N.I.H., Extramural",
        "TT  - Größe der Knie",
        "N1  - RETRACTED",
        "N1  - rank 3, score 0.123457",
        "ID  - abstract-engine:toy-01",
        'C8  - abstract-engine {"keywords": ["*starred", "knee; hip", "pain"], '
        '"other_abstracts": ["[fre] Les genoux.", "[plain-language-summary] Knees\\nare fine.", "[original] Knie."], '
        '"orcids": ["", "0000-0002-1825-0097", "", "", ""], '
        '"notices": ["has an erratum", "is an expression of concern"], "names": "f-is-", "breaks": [24, 52, 53], "n_mesh": 2, '
        '"retracted": true}',
        "ER  - ",
        "",
        "",
    ]


def test_a_record_with_next_to_nothing_has_no_empty_lines() -> None:
    (text,) = write_ris([cite(BARE)], "")
    assert text == (
        "TY  - JOUR\r\nTI  - A title\r\nN1  - rank 1, score 0.500000\r\nID  - abstract-engine:bare\r\nER  - \r\n\r\n"
    )


def test_a_doi_is_linked_where_there_is_no_pmid() -> None:
    record = replace(NO_TITLE, doi="10.1000.10/X")
    assert "UR  - https://doi.org/10.1000.10/X\r\n" in next(write_ris([cite(record)], ""))
    assert "UR  - " not in next(write_ris([cite(replace(record, doi="10.1/X"))], ""))  # no registrant has such a number


@pytest.mark.parametrize(
    ("types", "kind"),
    [
        ((), "JOUR"),
        (("Review", "Book Chapter"), "CHAP"),
        (("Book",), "BOOK"),
        (("Conference Paper",), "CPAPER"),
        (("Academic Dissertation",), "THES"),
    ],
)
def test_it_is_an_article_unless_its_type_says_otherwise(types: tuple[str, ...], kind: str) -> None:
    (text,) = write_ris([cite(Abstract("a", "T", "", publication_types=types))], "")
    assert text.startswith(f"TY  - {kind}\r\n")


def test_types_that_would_be_taken_for_links_are_no_m3() -> None:
    (text,) = write_ris([cite(Abstract("a", "T", "", publication_types=("10.1/x", "Review")))], "")
    assert "M3  - Review" in text and "M3  - 10.1" not in text


def test_another_library_reads_it(tmp_path: Path) -> None:
    text = "".join(write_ris([cite(FULL), cite(BARE, 2)], ""))
    first, second = rispy.loads(text.replace("\r\n", "\n"))
    assert first["title"] == FULL.title and first["abstract"] == FULL.abstract.replace("\n", " ")
    assert (first["secondary_title"], first["year"], first["doi"]) == ("Cartilage", "2021", FULL.doi)
    assert first["notes"] == ["RETRACTED", "rank 1, score 0.500000"]
    assert (first["accession_number"], first["name_of_database"]) == ("123", "PubMed")
    assert second["title"] == "A title"
