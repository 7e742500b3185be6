"""Europe PMC's records by a query, page by page, in whatever way the service fails."""

import gzip
import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from engine.collect.fetch import europepmc
from engine.collect.fetch.europepmc import connect_europepmc, fetch_europepmc
from engine.collect.fetch.pace import Pace
from engine.collect.fetch.task import FetchReport, FetchTask
from engine.collect.source import read_source
from engine.errors import DownloadError, NoRecordError, UsageError
from engine.records.abstract import Abstract
from tests.collect.fetch.literature import Library, Paper, serve_library
from tests.conftest import silent


@pytest.fixture
def library(monkeypatch: pytest.MonkeyPatch) -> Iterator[Library]:
    monkeypatch.setattr(europepmc, "_N_RECORDS", 2)
    with serve_library(Library()) as served:
        served.add(*(Paper(pmid) for pmid in (31, 5, 1001, 7, 12)))
        yield served


def fetch(library: Library, path: Path, query: str = "gout", **given: object) -> FetchReport:
    made = connect_europepmc(library.url)
    service = replace(made, mirror=replace(made.mirror, back_off=0.0, timeout=5), pace=Pace(10_000))
    return fetch_europepmc(FetchTask(service, path, query, **given), silent)  # type: ignore[arg-type]


def names(path: Path) -> list[str]:
    lines = gzip.decompress(path.read_bytes()).decode().splitlines()
    return [json.loads(line)["id"] for line in lines]


def test_all_pages_come_and_can_be_read_preprints_too(library: Library, tmp_path: Path) -> None:
    library.add(Paper(99, title="Lupus"))
    path = tmp_path / "gout.jsonl.gz"
    done = fetch(library, path)
    assert names(path) == ["31", "5", "PPR1001", "7", "12"]
    assert (done.n_counted, done.n_listed, done.n_records, done.n_repeated) == (5, 5, 5, 0)
    assert [form["cursorMark"] for _, form in library.asked] == ["*", "2", "4"]
    records = [entry for entry in read_source(path) if isinstance(entry, Abstract)]
    assert [record.pmid for record in records] == ["31", "5", None, "7", "12"]
    assert (records[2].journal, records[2].abstract) == ("Preprint", "Background: Uric acid.")
    assert [one.name for one in tmp_path.iterdir()] == ["gout.jsonl.gz"]
    fetch(library, tmp_path / "gout.jsonl")
    assert (tmp_path / "gout.jsonl").read_bytes() == gzip.decompress(path.read_bytes())


@pytest.mark.parametrize("fault", ["429", "502", "truncated", "close", "200 json", "200 html"])
def test_a_fault_that_passes_costs_no_record(library: Library, tmp_path: Path, fault: str) -> None:
    library.faults["searchPOST"] = [None, fault]
    fetch(library, tmp_path / "gout.jsonl.gz")
    assert names(tmp_path / "gout.jsonl.gz") == ["31", "5", "PPR1001", "7", "12"]
    assert len(library.asked) == 4


def test_records_that_come_twice_or_not_at_all_are_counted(library: Library, tmp_path: Path) -> None:
    library.twice, library.gone = {5}, {7}
    done = fetch(library, tmp_path / "gout.jsonl.gz")
    assert names(tmp_path / "gout.jsonl.gz") == ["31", "5", "PPR1001", "12"]
    assert (done.n_counted, done.n_listed, done.n_records, done.n_repeated) == (5, 4, 4, 1)


def test_a_service_that_begins_anew_after_its_last_page_is_left(library: Library, tmp_path: Path) -> None:
    library.is_endless, library.gone = True, {7}
    library.faults["searchPOST"] = [None] * 9 + ["502"] * 99  # so that an endless fetch fails
    done = fetch(library, tmp_path / "gout.jsonl.gz")
    assert names(tmp_path / "gout.jsonl.gz") == ["31", "5", "PPR1001", "12"]
    assert (done.n_counted, done.n_records) == (5, 4)


def test_a_fetch_that_was_stopped_goes_on_and_gives_the_same_file(library: Library, tmp_path: Path) -> None:
    whole, path = tmp_path / "whole.jsonl.gz", tmp_path / "gout.jsonl.gz"
    fetch(library, whole)
    library.faults["searchPOST"] = [None] + ["502"] * 20
    with pytest.raises(DownloadError, match=r"502 Bad Gateway. The records fetched so far are kept in .*gz.part"):
        fetch(library, path)
    with pytest.raises(UsageError, match="another query: found 'gout', expected 'lupus'"):
        fetch(library, path, "lupus")
    library.faults.clear()
    library.asked.clear()
    fetch(library, path)
    assert path.read_bytes() == whole.read_bytes()
    assert [form["cursorMark"] for _, form in library.asked] == ["2", "4"]


def test_no_record_and_no_page_of_records(library: Library, tmp_path: Path) -> None:
    with pytest.raises(NoRecordError, match="Europe PMC has no record for 'lupus'. Try the query"):
        fetch(library, tmp_path / "none.jsonl.gz", "lupus")
    library.always["searchPOST"] = "200 other"
    with pytest.raises(DownloadError, match="no page of records: hitCount or resultList is missing. Nothing was"):
        fetch(library, tmp_path / "none.jsonl.gz", "gout")
    library.always["searchPOST"] = "200 errMsg"
    with pytest.raises(DownloadError, match="Europe PMC answers: Invalid query"):
        fetch(library, tmp_path / "none.jsonl.gz", "gout")
    assert not list(tmp_path.iterdir())
