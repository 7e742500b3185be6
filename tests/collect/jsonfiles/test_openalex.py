import json
from pathlib import Path

import pytest

from engine.collect.source import check_source, read_source
from engine.records.abstract import Abstract, Entry, Rejection, Remark

WORK = {
    "id": "https://openalex.org/W42",
    "doi": "https://doi.org/10.1097/HS9",
    "title": "Old title",
    "display_name": "Knee pain",
    "publication_year": 2020,
    "language": "en",
    "ids": {"openalex": "https://openalex.org/W42", "pmid": "https://pubmed.ncbi.nlm.nih.gov/123"},
    "primary_location": {"source": {"display_name": "HemaSphere"}},
    "host_venue": {"display_name": "Venue"},
    "type": "article",
    "authorships": [
        {"author": {"display_name": "Ann Beck", "orcid": None}},
        {"author": {"display_name": "José Núñez", "orcid": "https://orcid.org/0000-0002-1825-0097"}},
    ],
    "is_retracted": True,
    "mesh": [{"descriptor_name": "Knee"}, {"descriptor_name": "Pain"}, {"descriptor_name": "Knee"}],
    "keywords": [{"display_name": "Gait"}, {"keyword": "Hip"}],
    "abstract_inverted_index": {"the": [0, 3], "knee": [1], "hurts;": [2], "end": [9]},
}


def read(path: Path, *works: object) -> list[Entry]:
    path.write_text("".join((work if isinstance(work, str) else json.dumps(work)) + "\n" for work in works))
    return list(read_source(path))


def test_every_field_comes_out_as_it_went_in(source: Path) -> None:
    assert read(source, WORK) == [
        Abstract(
            record_id="W42",
            title="Knee pain",
            abstract="the knee hurts; the end",
            year=2020,
            journal="HemaSphere",
            authors=("Ann Beck", "José Núñez"),
            pmid="123",
            doi="10.1097/HS9",
            mesh=("Knee", "Pain"),
            publication_types=("article",),
            retracted=True,
            keywords=("Gait", "Hip"),
            languages=("en",),
            orcids=("", "0000-0002-1825-0097"),
            databases=("OpenAlex",),
        )
    ]
    assert check_source(source).name == "OpenAlex"


def test_a_work_without_the_rest_is_read(source: Path) -> None:
    bare = {"id": "https://openalex.org/W1", "title": "T", "primary_location": None, "authorships": None, "mesh": None}
    (found,) = read(source, {**bare, "host_venue": {"display_name": "Venue"}, "abstract_inverted_index": None})
    assert found == Abstract("W1", "T", "", journal="Venue", databases=("OpenAlex",))


def test_what_citations_need_is_read(source: Path) -> None:
    work = {
        "publication_date": "2020-05-03",
        "biblio": {"volume": "4", "issue": "2", "first_page": "10", "last_page": "19"},
        "primary_location": {
            "landing_page_url": "https://doi.org/10.1097/HS9",
            "source": {
                "display_name": "H",
                "issn_l": "2572-9241",
                "issn": ["2572-9241", "1234-567X"],
                "host_organization_name": "W",
            },
        },
        "open_access": {"oa_url": "https://x.org/1.pdf"},
        "best_oa_location": {"pdf_url": "https://x.org/1.pdf"},
        "referenced_works": ["https://openalex.org/W1", "https://openalex.org/W2"],
        "authorships": [{"author": {"display_name": "Ann Beck"}, "raw_affiliation_strings": ["Univ X", "Univ Y"]}],
        "ids": {"pmcid": "https://www.ncbi.nlm.nih.gov/pmc/articles/99"},
        "cited_by_count": 7,
        "concepts": [{"display_name": "x"}],
    }
    (found,) = read(source, {**WORK, **work})
    assert isinstance(found, Abstract)
    assert (found.published, found.volume, found.issue, found.pages) == ("2020-05-03", "4", "2", "10-19")
    assert (found.issns, found.publisher, found.pmcid) == (("2572-9241", "1234-567X"), "W", "PMC99")
    assert found.urls == ("https://x.org/1.pdf", "https://doi.org/10.1097/HS9")
    assert (found.cited_ids, found.affiliations) == (("W1", "W2"), ("Univ X", "Univ Y"))
    assert found.other_tags == ()


@pytest.mark.parametrize("index", [["a"], {"a": 1}, {"a": ["x"]}, {"a": None}, "text"])
def test_a_broken_index_is_reported_with_its_line(source: Path, index: object) -> None:
    found = read(source, WORK, {**WORK, "abstract_inverted_index": index}, "{", WORK)
    assert [type(entry) for entry in found] == [Abstract, Remark, Abstract, Rejection, Abstract]
    assert found[1] == Remark(
        "abstract_inverted_index that is not an object of words with lists of positions, ignored", "line 2"
    )
    assert isinstance(found[2], Abstract) and (found[2].title, found[2].abstract) == ("Knee pain", "")
    assert "line 3: not JSON" in str(found[3])


def test_a_work_with_nothing_but_a_broken_index_is_rejected(source: Path) -> None:
    (found,) = read(source, {"id": "https://openalex.org/W1", "abstract_inverted_index": ["a"]})
    assert "line 1: abstract_inverted_index is not an object of words" in str(found)


def test_a_work_among_plain_lines_is_turned_back_too(source: Path) -> None:
    plain, work = read(
        source, {"id": "a", "title": "t"}, {"id": "b", "title": "t", "abstract_inverted_index": {"x": [0]}}
    )
    assert check_source(source).name == "JSONL"
    assert (plain, work) == (Abstract("a", "t", ""), Abstract("b", "t", "x"))


def test_a_first_work_longer_than_what_is_looked_at_is_still_told(source: Path) -> None:
    (found,) = read(source, {**WORK, "referenced_works": ["https://openalex.org/W1"] * 5000})
    assert isinstance(found, Abstract)
    assert check_source(source).name == "OpenAlex"
