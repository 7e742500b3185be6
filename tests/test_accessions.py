import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.accessions import (
    find_catalogue_link,
    find_linked_accessions,
    is_medline,
    list_unnamed,
    order_accessions,
    parse_accession,
    read_accessions,
)


@pytest.mark.parametrize(
    ("text", "known"),
    [
        ("L620123456", "Embase:L620123456"),
        ("CN-01234567", "CENTRAL:CN-01234567"),
        ("2-s2.0-85074000001", "Scopus:2-s2.0-85074000001"),
        ("2020-99000-001", "PsycINFO:2020-99000-001"),
        ("EJ1234567", "ERIC:EJ1234567"),
        ("ED123456", "ERIC:ED123456"),
        ("WOS:000123456700001", "WOS:000123456700001"),
        ("ISI:000123456700001", "WOS:000123456700001"),
        ("ISI:A1994NX12340005", "WOS:A1994NX12340005"),
        ("BIOSIS:PREV201000123456", "BIOSIS:PREV201000123456"),
        ("ZOOREC:ZOOR15599990999", "ZOOREC:ZOOR15599990999"),
        ("ProQuest:2032784247", "ProQuest:2032784247"),
        ("NCT01234567", "NCT01234567"),
        ("ISRCTN12345678", "ISRCTN12345678"),
        ("ACTRN12612000123456", "ACTRN12612000123456"),
        ("CTRI/2019/01/012345", "CTRI/2019/01/012345"),
        ("JPRN-UMIN000012345", "JPRN-UMIN000012345"),
        ("2004-001234-12", "EudraCT:2004-001234-12"),
        ("EUCTR2004-001234-12-GB", "EudraCT:2004-001234-12"),
        ("EudraCT 2004-001234-12", "EudraCT:2004-001234-12"),
        ("2022-500123-12-00", "CTIS:2022-500123-12-00"),
        (" <L620123456>; ", "Embase:L620123456"),
    ],
)
def test_numbers_that_tell_their_database(text: str, known: str) -> None:
    assert parse_accession(text) == known
    assert read_accessions([text]) == (known,)
    assert read_accessions([known]) == (known,)


@pytest.mark.parametrize(
    "text", ["", "12345678", "MEDLINE:30000104", "PMID:1", "10.1000/a", "rayyan-900000001", "e1003285", "WOS:"]
)
def test_what_tells_no_database(text: str) -> None:
    assert parse_accession(text) is None and read_accessions([text]) == ()


@pytest.mark.parametrize(
    ("text", "database", "known"),
    [
        ("620123456", "Embase <1974 to 2020 Week 05>", "Embase:L620123456"),
        ("2001108924", "Embase", "Embase:2001108924"),
        ("904788783", "ccm", "CINAHL:904788783"),
        ("904788783", "CINAHL Plus with Full Text", "CINAHL:904788783"),
        ("20193012345", "Global Health", "GlobalHealth:20193012345"),
        ("000123456700001", "Web of Science", "WOS:000123456700001"),
        ("85074000001", "Scopus", "Scopus:2-s2.0-85074000001"),
        ("2020-99000-001", "psyh", "PsycINFO:2020-99000-001"),
        ("0123456", "AMED (Allied and Complementary Medicine)", "AMED:0123456"),
        ("12345678", "SocIndex", "SocIndex:12345678"),
    ],
)
def test_the_database_of_the_record_names_its_number(text: str, database: str, known: str) -> None:
    assert read_accessions([text], [database]) == (known,)


@pytest.mark.parametrize(
    ("text", "database"),
    [
        ("30000001", "Ovid MEDLINE(R) ALL"),
        ("30000001", "PubMed"),
        ("7012345", "PubMed Central"),
        ("12345678", "EBSCOhost"),
        ("12345678", "ScienceDirect"),
        ("12345678", ""),
        ("12", "Embase"),
        ("not given", "Embase"),
        ("e123", "Web of Science"),
    ],
)
def test_numbers_of_no_database(text: str, database: str) -> None:
    assert read_accessions([text], [database]) == ()


def test_a_field_may_list_the_numbers_of_several_databases() -> None:
    assert read_accessions(["CTGOV NCT01234567", "PUBMED 30000101,EMBASE 699000123", "CN-01234567"]) == (
        "Embase:L699000123",
        "CENTRAL:CN-01234567",
        "NCT01234567",
    )
    assert order_accessions(["EudraCT:2004-001234-12", "WOS:0001234567", "WOS:0001234567"]) == (
        "WOS:0001234567",
        "EudraCT:2004-001234-12",
    )


def test_numbers_without_a_database_are_kept_as_they_came() -> None:
    assert list_unnamed(["904788783", "30000101", "PMID: 30000101", "WOS:000123456700001"], [], "30000101") == [
        "904788783"
    ]


@pytest.mark.parametrize(
    ("databases", "expected"),
    [
        (["Ovid MEDLINE(R) Epub Ahead of Print"], True),
        (["PubMed"], True),
        (["cmedm", "EBSCOhost"], True),
        (["medp"], True),
        (["NLM"], True),
        (["Embase, MEDLINE"], False),
        (["Embase", "Medline"], False),
        (["PubMed Central"], False),
        (["psyh"], False),
        (["Medicine and Science"], False),
        ([], False),
    ],
)
def test_whose_numbers_are_pmids(databases: list[str], expected: bool) -> None:
    assert is_medline(databases) is expected


def test_links_to_catalogues() -> None:
    ovid = "http://ovidsp.ovid.com/ovidweb.cgi?T=JS&PAGE=reference&D=medp&NEWS=N&AN=30000103"
    ebsco = "https://search.ebscohost.com/login.aspx?direct=true&db=psyh&AN=2020-99000-001&site=ehost-live"
    assert find_catalogue_link(ovid) == ("medp", "30000103")
    assert find_catalogue_link(ebsco) == ("psyh", "2020-99000-001")
    assert find_catalogue_link("https://example.org/?AN=1") is find_catalogue_link("https://ovid.com/?D=medp") is None


def test_numbers_in_addresses() -> None:
    urls = [
        "https://clinicaltrials.gov/ct2/show/NCT01234567",
        "https://www.scopus.com/inward/record.uri?eid=2-s2.0-85074000001&partnerID=40",
        "https://search.proquest.com/docview/2032784247?accountid=1",
        "https://www.embase.com/search/results?subaction=viewrecord&id=L620123456",
        "https://www.webofscience.com/wos/woscc/full-record/WOS:000123456700001",
        "https://eric.ed.gov/?id=EJ1234567",
        "https://www.cochranelibrary.com/central/doi/10.1002/central/CN-01234567/full",
        "https://example.org/L620123456",
    ]
    assert find_linked_accessions(urls) == (
        "Scopus:2-s2.0-85074000001",
        "ProQuest:2032784247",
        "Embase:L620123456",
        "WOS:000123456700001",
        "ERIC:EJ1234567",
        "CENTRAL:CN-01234567",
        "NCT01234567",
    )


@given(st.text(max_size=40), st.lists(st.text(max_size=20), max_size=2))
def test_a_number_that_was_read_is_read_again(text: str, databases: list[str]) -> None:
    for known in read_accessions([text], databases):
        assert read_accessions([known], databases) == (known,) or ":" in text
    if known := parse_accession(text):
        assert read_accessions([known]) == (known,)
