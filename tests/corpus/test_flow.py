from dataclasses import replace
from pathlib import Path

import pytest

from engine.corpus.databases import _name_database, guess_database
from engine.corpus.flow import count_flow
from engine.corpus.merging.sightings import Fate
from engine.corpus.storage.store import open_database
from engine.records.abstract import Abstract
from tests.corpus.drafts import created, opened
from tests.corpus.merging.test_sightings import GOUT, read

LUPUS = Abstract("PMID:2", "Lupus in men", "Rare.", pmid="2")
TRIAL = Abstract("NCT:NCT00000001", "A trial of beer", "In gout.", databases=("ClinicalTrials.gov",))


def flow_of(path: Path) -> tuple[dict[str, tuple[int, int, int, int, int]], dict[str, int]]:
    corpus = open_database(path)
    flow = count_flow(corpus)
    n = corpus.count_totals().abstracts
    corpus.close()
    assert flow.left == n == sum(origin.left for origin in flow.origins)
    assert all(origin.found == sum(file.found for file in origin.files) for origin in flow.origins)
    assert flow.found == sum(flow.duplicates.values()) + flow.rejected + flow.withdrawn + flow.left
    rows = {
        origin.name: (origin.found, origin.duplicates, origin.rejected, origin.withdrawn, origin.left)
        for origin in flow.origins
    }
    return rows, flow.duplicates


def test_databases_and_registers_with_duplicates_by_rule(tmp_path: Path) -> None:
    path = tmp_path / "abstracts.db"
    embase = replace(GOUT, record_id="Embase:L1", databases=("Embase",))
    with opened(path, 1) as draft:
        read(draft, "pubmed.nbib", [GOUT, LUPUS, LUPUS], "MEDLINE")
        read(draft, "all.ris", [embase, replace(embase, record_id="W2", pmid=None, doi="10.1/x"), TRIAL])
        read(draft, "export_scopus_2024.csv", [replace(GOUT, record_id="Scopus:1", pmid=None)])
        draft.sightings.tally(3, Fate.REJECTED)
        list(draft.write_counts({}))
    assert flow_of(path) == (
        {
            "PubMed": (3, 1, 0, 0, 2),
            "Embase": (2, 1, 0, 0, 1),
            "Scopus": (2, 1, 1, 0, 0),
            "ClinicalTrials.gov": (1, 0, 0, 0, 1),
        },
        {"PMID": 1, "DOI": 1, "file": 1},
    )
    corpus = open_database(path)
    assert [(origin.name, origin.is_register) for origin in count_flow(corpus).origins][-1] == (
        "ClinicalTrials.gov",
        True,
    )
    corpus.close()


def test_a_file_that_is_read_again_counts_once(tmp_path: Path) -> None:
    path = tmp_path / "abstracts.db"
    for number, records in enumerate(([GOUT], [GOUT, LUPUS], [replace(GOUT, title="Gout, diet")]), 1):
        with opened(path, number) as draft:
            read(draft, "a.ris", records)
            list(draft.write_counts({}))
    assert flow_of(path) == ({"a.ris": (2, 0, 0, 0, 2)}, {})
    corpus = open_database(path)
    (origin,) = count_flow(corpus).origins
    corpus.close()
    assert (origin.first_read, origin.last_read) == (created(1)[:10], created(3)[:10])
    assert origin.first_read < origin.last_read and [file.name for file in origin.files] == ["a.ris"]


def test_what_pubmed_deleted_is_found_but_not_left(tmp_path: Path) -> None:
    path = tmp_path / "abstracts.db"
    with opened(path, 1) as draft:
        read(draft, "a.ris", [GOUT, LUPUS])
        read(draft, "pubmed26n0001.xml", [GOUT], "PubMed XML", 20260001)
        list(draft.write_counts({}))
    with opened(path, 2) as draft:
        draft.intake.delete("PMID:1", 20260002)
    expected = {"a.ris": (2, 0, 0, 1, 1), "PubMed": (1, 0, 0, 1, 0)}
    assert flow_of(path) == (expected, {})
    with opened(path, 3) as draft:
        read(draft, "a.ris", [GOUT, LUPUS, LUPUS])
        list(draft.write_counts({}))
    assert flow_of(path) == (expected | {"a.ris": (3, 1, 0, 1, 1)}, {"file": 1})


def test_records_that_a_person_merged_are_duplicates_by_decision(tmp_path: Path) -> None:
    path = tmp_path / "abstracts.db"
    with opened(path, 1) as draft:
        read(draft, "a.ris", [GOUT])
        read(draft, "b.ris", [LUPUS])
        draft.ledger.unite(1, 2)
        list(draft.write_counts({}))
    assert flow_of(path) == ({"a.ris": (1, 0, 0, 0, 1), "b.ris": (1, 1, 0, 0, 0)}, {"decision": 1})


def test_records_that_decisions_join_are_duplicates_by_decision(tmp_path: Path) -> None:
    path = tmp_path / "abstracts.db"
    other = replace(LUPUS, record_id="PMID:3", title="Lupus in women", pmid="3")
    with opened(path, 1) as draft:
        read(draft, "a.ris", [GOUT, LUPUS, LUPUS])
        read(draft, "b.ris", [LUPUS, other])
        draft.parts.join([[1, 2, 3]])
        list(draft.write_counts({}))
    expected = {"a.ris": (3, 2, 0, 0, 1), "b.ris": (2, 2, 0, 0, 0)}, {"PMID": 1, "file": 1, "decision": 2}
    assert flow_of(path) == expected
    with opened(path, 2) as draft:
        draft.parts.separate()
        draft.parts.join([[1, 2, 3]])
    assert flow_of(path) == expected
    with opened(path, 3) as draft:
        draft.parts.separate()
    assert flow_of(path) == ({"a.ris": (3, 1, 0, 0, 2), "b.ris": (2, 1, 0, 0, 1)}, {"PMID": 1, "file": 1})


def test_a_source_that_is_corrected_leaves_no_duplicate_behind(tmp_path: Path) -> None:
    path = tmp_path / "abstracts.db"
    wrong = replace(GOUT, record_id="W1", pmid=None)
    for number, record in enumerate((wrong, replace(wrong, doi="10.1/z")), 1):
        with opened(path, number) as draft:
            if number == 1:
                read(draft, "a.csv", [GOUT], "CSV")
            read(draft, "b.ris", [record])
            list(draft.write_counts({}))
    corpus = open_database(path)
    assert count_flow(corpus).duplicates == {}
    corpus.close()
    assert flow_of(path)[0] == {"a.csv": (1, 0, 0, 0, 1), "b.ris": (1, 0, 0, 0, 1)}


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("Ovid MEDLINE(R) ALL <1946 to June 21, 2024>", "MEDLINE"),
        ("Embase Classic+Embase <1947 to 2024>", "Embase"),
        ("embase_export-2024.ris", "Embase"),
        ("savedrecs (1).ciw", "Web of Science"),
        ("scopus.csv", "Scopus"),
        ("citation-export_cochrane.ris", "CENTRAL"),
        ("APA PsycInfo", "APA PsycInfo"),
        ("ctg-studies.csv", "ClinicalTrials.gov"),
        ("ICTRP-Results.xml", "ICTRP"),
        ("Europe PMC", "Europe PMC"),
        ("pubmed-gout-set.nbib", "PubMed"),
        ("psychology.ris", None),
        ("references.ris", None),
    ],
)
def test_databases_are_recognised(text: str, name: str | None) -> None:
    found = _name_database(text)
    assert (found.name if found else None) == name


def test_what_the_records_say_counts_more_than_the_name_of_the_file() -> None:
    assert guess_database(("Embase",), "scopus.ris", "RIS").name == "Embase"
    assert guess_database((), "scopus.ris", "RIS").name == "Scopus"
    assert guess_database((), "set.txt", "MEDLINE").name == "PubMed"
    assert guess_database((), "library.xml", "EndNote XML").name == "library.xml"
