"""Europe PMC's records by PMIDs, PMCIDs, DOIs and ids of preprints, in whatever way the service fails."""

import gzip
import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from engine.collect.fetch import europepmc, europepmcids
from engine.collect.fetch.europepmc import connect_europepmc, read_id
from engine.collect.fetch.europepmcids import fetch_europepmc_ids
from engine.collect.fetch.pace import Pace
from engine.collect.fetch.task import FetchReport, FetchTask
from engine.errors import DownloadError, NoRecordError, UsageError
from tests.collect.fetch.literature import Library, Paper, serve_library
from tests.conftest import silent

ALL = ("PMID:31", "PPR1001", "PMC77", "DOI:10.1000/one", "PMID:12")


@pytest.fixture
def library(monkeypatch: pytest.MonkeyPatch) -> Iterator[Library]:
    monkeypatch.setattr(europepmc, "_N_RECORDS", 2)
    monkeypatch.setattr(europepmcids, "_N_IDS", 3)
    with serve_library(Library()) as served:
        served.add(Paper(12), Paper(31), Paper(1001), Paper(5, pmcid="PMC77"), Paper(7, doi="10.1000/One"))
        yield served


def fetch(library: Library, path: Path, ids: tuple[str, ...] = ALL, **given: object) -> FetchReport:
    made = connect_europepmc(library.url)
    service = replace(made, mirror=replace(made.mirror, back_off=0.0, timeout=5), pace=Pace(10_000))
    return fetch_europepmc_ids(FetchTask(service, path, ids=ids, **given), silent)  # type: ignore[arg-type]


def names(path: Path) -> list[str]:
    lines = gzip.decompress(path.read_bytes()).decode().splitlines()
    return [json.loads(line)["id"] for line in lines]


def test_a_service_that_begins_anew_after_its_last_page_is_left(library: Library, tmp_path: Path) -> None:
    library.is_endless = True
    library.faults["searchPOST"] = [None] * 12 + ["502"] * 99  # so that an endless fetch fails
    fetch(library, tmp_path / "some.jsonl.gz")
    assert sorted(names(tmp_path / "some.jsonl.gz")) == ["12", "31", "5", "7", "PPR1001"]


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("31", "PMID:31"),
        ("pmid: 31", "PMID:31"),
        ("https://europepmc.org/article/MED/31", "PMID:31"),
        ("pmc4740857.1", "PMC4740857"),
        ("https://pmc.ncbi.nlm.nih.gov/articles/PMC4740857/", "PMC4740857"),
        ("PMCID: PMC4740857", "PMC4740857"),
        ("https://europepmc.org/article/PPR/PPR158972", "PPR158972"),
        ("https://doi.org/10.1000/PMC5", "DOI:10.1000/pmc5"),
        ("W123", ""),
        ("XPMC5", ""),
        ("PPR", ""),
    ],
)
def test_ids_are_read_as_people_write_them(text: str, name: str) -> None:
    assert read_id(text) == name


def test_ids_of_all_kinds_come_in_their_order(library: Library, tmp_path: Path) -> None:
    path = tmp_path / "known.jsonl.gz"
    done = fetch(library, path)
    assert names(path) == ["31", "PPR1001", "5", "7", "12"]
    assert (done.n_counted, done.n_listed, done.n_records, done.n_repeated, done.notes) == (5, 5, 5, 0, ())
    assert (done.missing, done.unclear) == ((), ())
    assert [form["query"] for _, form in library.asked] == [
        "(EXT_ID:31 AND SRC:MED) OR (EXT_ID:PPR1001 AND SRC:PPR) OR PMCID:PMC77",  # two pages
        "(EXT_ID:31 AND SRC:MED) OR (EXT_ID:PPR1001 AND SRC:PPR) OR PMCID:PMC77",
        'DOI:"10.1000/one" OR (EXT_ID:12 AND SRC:MED)',
    ]


def test_unknown_and_ambiguous_ids_are_named_and_other_records_left_out(library: Library, tmp_path: Path) -> None:
    library.add(Paper(8, doi="10.1000/two"), Paper(1002, doi="10.1000/two"), Paper(9, doi="10.1000/one-more"))
    path = tmp_path / "known.jsonl.gz"
    done = fetch(library, path, ("PMID:404", "DOI:10.1000/two", "DOI:10.1000/one", "PMC78", "PMID:7"))
    assert names(path) == ["7"]  # named by its DOI and by its PMID
    assert (done.n_records, done.n_repeated) == (1, 1)
    assert done.missing == ("PMID:404", "PMC78")
    assert done.unclear == ("DOI:10.1000/two (2 records of Europe PMC have it)",)
    assert done.notes == ("1 record came that have none of the ids, and were left out",)


def test_an_id_that_the_service_refuses_spoils_no_other(library: Library, tmp_path: Path) -> None:
    path = tmp_path / "known.jsonl.gz"
    library.odd = lambda form: "10.1000/od" in form["query"]
    done = fetch(library, path, ("PMID:31", "DOI:10.1000/odd", "PMID:12"))
    assert names(path) == ["31", "12"]
    assert len(done.unclear) == 1 and "DOI:10.1000/odd (" in done.unclear[0] and "Invalid query" in done.unclear[0]
    library.always["searchPOST"] = "200 errMsg"
    ids = tuple(f"PMID:{n}" for n in range(30, 40))
    with pytest.raises(DownloadError, match="Europe PMC answers: Invalid query. Nothing was written"):
        fetch(library, tmp_path / "none.jsonl.gz", ids)
    assert [one.name for one in tmp_path.iterdir()] == ["known.jsonl.gz"]


@pytest.mark.parametrize("fault", ["429", "502", "truncated", "close", "200 json", "200 html"])
def test_a_fault_that_passes_costs_no_record(library: Library, tmp_path: Path, fault: str) -> None:
    library.faults["searchPOST"] = [None, fault]
    done = fetch(library, tmp_path / "known.jsonl.gz")
    assert names(tmp_path / "known.jsonl.gz") == ["31", "PPR1001", "5", "7", "12"] and not done.unclear
    assert len(library.asked) == 4


def test_a_fetch_that_was_stopped_goes_on_and_gives_the_same_file(library: Library, tmp_path: Path) -> None:
    whole, path = tmp_path / "whole.jsonl.gz", tmp_path / "known.jsonl.gz"
    fetch(library, whole, (*ALL, "PMID:404"))
    library.faults["searchPOST"] = [None, None] + ["502"] * 20
    with pytest.raises(DownloadError, match=r"502 Bad Gateway. The records fetched so far are kept in .*gz.part"):
        fetch(library, path, (*ALL, "PMID:404"))
    with pytest.raises(UsageError, match="another ids: found 'PMID:31 PPR1001"):
        fetch(library, path)
    library.faults.clear()
    library.asked.clear()
    assert fetch(library, path, (*ALL, "PMID:404")).missing == ("PMID:404",)
    assert path.read_bytes() == whole.read_bytes() and len(library.asked) == 1


def test_no_id_stands_for_a_record(library: Library, tmp_path: Path) -> None:
    with pytest.raises(NoRecordError, match=r"no single record for any of 2 ids: PMID:404 \(unknown\); PMC1 \(unknown"):
        fetch(library, tmp_path / "none.jsonl.gz", ("PMID:404", "PMC1"))
    assert not list(tmp_path.iterdir())
