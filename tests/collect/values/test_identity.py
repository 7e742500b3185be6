from collections.abc import Mapping

import pytest

from engine.collect.values.identity import find_identity

OVID = "http://ovidsp.ovid.com/ovidweb.cgi?T=JS&PAGE=reference&D={}&NEWS=N&AN=30000103"


@pytest.mark.parametrize(
    ("values", "pmid"),
    [
        ({"pmid": "30,000,103"}, "30000103"),
        ({"accession": "MEDLINE:30000103"}, "30000103"),
        ({"accession": "30000103", "databases": ["Ovid MEDLINE(R)"]}, "30000103"),
        ({"accession": "30000103", "databases": "PubMed"}, "30000103"),
        ({"accession": ["EMBASE 620123456,PUBMED 30000103"]}, "30000103"),
        ({"urls": [OVID.format("medp")]}, "30000103"),
        ({"urls": ["https://pubmed.ncbi.nlm.nih.gov/30000103/?x=y"]}, "30000103"),
        ({"notes": ["Accession Number: 1. PMID: 30000103 Partial author list"]}, "30000103"),
        ({"extra": "Issue 3\nPMID: 30000103"}, "30000103"),
        ({"accession": "30000103", "databases": ["Embase, MEDLINE"]}, None),
        ({"accession": "30000103", "databases": ["Embase", "Ovid MEDLINE(R)"]}, None),
        ({"accession": "30000103"}, None),
        ({"urls": [OVID.format("emed19")]}, None),
        ({"notes": ["see PMID: 30000103"]}, None),
        ({"notes": ["PMID: 30000103", "PMID: 30000104"]}, None),
    ],
)
def test_where_databases_put_the_pmid(values: Mapping[str, object], pmid: str | None) -> None:
    assert find_identity(values).pmid == pmid


@pytest.mark.parametrize(
    ("values", "record_id"),
    [
        ({"id": "A1", "pmid": 5, "doi": "10.1000/a", "accession": "L12345", "key": "K"}, "A1"),
        ({"pmid": 5, "doi": "10.1000/a", "accession": "L12345", "key": "K"}, "PMID:5"),
        ({"doi": "10.1000/A", "accession": "L12345", "key": "K"}, "DOI:10.1000/a"),
        ({"accession": ["NCT01234567", "L12345"], "key": "K"}, "Embase:L12345"),
        ({"accession": "904788783", "databases": ["ccm"]}, "CINAHL:904788783"),
        ({"accession": "904788783", "key": "K"}, "K"),
        (
            {"notes": ["Accession Number: 2020-99000-001. Language: English."], "databases": ["psyh"]},
            "PsycINFO:2020-99000-001",
        ),
        ({"urls": [OVID.format("emed19")]}, "Embase:L30000103"),
    ],
)
def test_the_best_identifier_names_the_record(values: Mapping[str, object], record_id: str) -> None:
    assert find_identity(values).build_record_id("T", "B", ()) == record_id


def test_every_number_is_kept() -> None:
    found = find_identity(
        {
            "pmid": "30000101; 30000102",
            "doi": "10.1000/a, 10.1000/b",
            "accession": ["904788783", "CN-01234567", "30000101"],
            "accessions": ["WOS:000123456700001"],
        }
    )
    assert found.others == ("PMID: 30000102", "DOI: 10.1000/b")
    assert found.accessions == ("CENTRAL:CN-01234567", "WOS:000123456700001", "904788783")
    assert found.remarks == ()


def test_what_is_ignored_is_remarked() -> None:
    assert find_identity({"id": "a\nb", "pmid": "x"}).remarks == ("invalid id, ignored", "invalid PMID, ignored")
    assert find_identity({"id": "-", "pmid": "NA"}).remarks == ()
