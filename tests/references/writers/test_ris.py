import json
from dataclasses import replace
from pathlib import Path

import pytest
import rispy

from engine.records.abstract import Abstract
from engine.references.writers.ris import write_ris
from tests.references.found import BARE, FULL, NO_TITLE, cite

LEFT = {
    "vernacular_title": "Größe der Knie",
    "published": "2021-05-03",
    "rights": "© 2021 Knee & Sons.",
    "keywords": ["*starred", "knee; hip", "pain"],
    "other_abstracts": ["[fre] Les genoux.", "[plain-language-summary] Knees\nare fine.", "[original] Knie."],
    "orcids": ["", "0000-0002-1825-0097", "", "", ""],
    "notices": ["has an erratum", "is an expression of concern"],
    "issns": ["1462-0324", "1462-0332"],
    "urls": ["https://example.org/knees", "https://example.org/knees.pdf"],
    "cited_ids": ["PMID:7", "DOI:10.1000/x"],
    "databases": ["Embase", "PubMed"],
    "accessions": ["Embase:L603123456"],
    "notes": ["Mind the knees; PMID: 7", "two\nlines"],
    "other_tags": ["RIS C3: European Congress", "MEDLINE GR: R01 AR000001", "Own column: 7"],
    "doi": "10.1177/Ab(1)<2>_3",
    "names": "f-isg",
    "breaks": [24, 52, 53],
    "n_mesh": 2,
    "retracted": True,
}


def test_a_record_line_by_line() -> None:
    (text,) = write_ris([cite(FULL, 3, 0.1234567)], "")
    assert text.split("\r\n") == [
        "TY  - JOUR",
        "TI  - Größe of knees; a study",
        "AU  - van de Schoot, Rens",
        "AU  - Núñez, José",
        "AU  - Beck, A",
        "AU  - Smith, Ann-Marie B., Jr",
        "AU  - Knee Study Group,",
        "PY  - 2021",
        "DA  - 2021/05/03/",
        "T2  - Cartilage",
        "VL  - 58",
        "IS  - 5",
        "SP  - 253",
        "EP  - 258",
        "SN  - 1462-0324",
        "SN  - 1462-0332",
        "PB  - Knee & Sons",
        "CY  - Bern",
        "AB  - BACKGROUND: Knees, many. RESULTS: 5 of 7 (p < 0.05).  CONCLUSION: None.",
        "DO  - 10.1177/Ab(1)<2>_3",
        "AN  - 123",
        "DB  - PubMed",
        "C2  - PMC7654321",
        "UR  - https://pubmed.ncbi.nlm.nih.gov/123/",
        "UR  - https://example.org/knees",
        "L1  - https://example.org/knees.pdf",
        "KW  - Arthritis, Rheumatoid",
        "KW  - Knee Joint",
        "KW  - *starred",
        "KW  - knee; hip",
        "KW  - pain",
        "LA  - eng; fre",
        "M3  - Journal Article",
        "M3  - Research Support, N.I.H., Extramural",
        "OP  - Größe der Knie",
        "AD  - Knee Clinic, Bern",
        "AD  - Hip Clinic; Basel",
        "LB  - read",
        "LB  - to do",
        "N1  - RETRACTED",
        "N1  - rank 3, score 0.123457",
        "N1  - Mind the knees; PMID: 7",
        "N1  - two lines",
        "C1  - © 2021 Knee & Sons.",
        "C3  - European Congress",
        "ID  - abstract-engine:toy-01",
        f"C8  - abstract-engine {json.dumps(LEFT, ensure_ascii=False)}",
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
    assert first["notes"] == ["RETRACTED", "rank 1, score 0.500000", "Mind the knees; PMID: 7", "two lines"]
    assert (first["volume"], first["number"], first["start_page"], first["end_page"]) == ("58", "5", "253", "258")
    assert (first["accession_number"], first["name_of_database"]) == ("123", "PubMed")
    assert second["title"] == "A title"
