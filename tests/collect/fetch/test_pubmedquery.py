"""PubMed's records by a query: all of them, in whatever way the service fails."""

import gzip
from collections.abc import Iterator
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path

import pytest
from lxml import etree

from engine.collect.fetch import eutilities, partition, pubmedquery
from engine.collect.fetch.eutilities import connect_pubmed
from engine.collect.fetch.pace import Pace
from engine.collect.fetch.pubmedquery import FetchReport, FetchTask, fetch_pubmed
from engine.collect.fetch.service import Service
from engine.collect.source import read_source
from engine.errors import DownloadError, EngineError, NoRecordError, UsageError
from engine.records.abstract import Abstract
from tests.collect.fetch.literature import Library, Paper, serve_library
from tests.conftest import silent

KEY = "k3y-of-ann"


@pytest.fixture
def library() -> Iterator[Library]:
    with serve_library(Library()) as served:
        served.add(*(Paper(pmid) for pmid in (31, 5, 1001, 7, 12)))
        yield served


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Batches of two records."""
    monkeypatch.setattr(pubmedquery, "_N_RECORDS", 2)


def listing(monkeypatch: pytest.MonkeyPatch, library: Library, n: int) -> None:
    """Let PubMed list no more than n records of a search."""
    library.max_listed = n
    for module in (eutilities, partition, pubmedquery):
        monkeypatch.setattr(module, "MAX_LISTED", n)


def service(library: Library, key: str = "") -> Service:
    made = connect_pubmed(library.url, key, "ann@example.org")
    return replace(made, mirror=replace(made.mirror, back_off=0.0, timeout=5), pace=Pace(10_000), n_at_once=1)


def fetch(library: Library, path: Path, query: str = "gout", key: str = "", **given: object) -> FetchReport:
    return fetch_pubmed(FetchTask(service(library, key), path, query, **given), silent)  # type: ignore[arg-type]


def pmids(path: Path) -> list[int]:
    """The PMIDs of a file, which must be one well-formed set of articles."""
    with gzip.open(path) as file:
        root = etree.parse(file).getroot()
    assert root.tag == "PubmedArticleSet"
    assert 'PUBLIC "-//NLM//DTD PubMedArticle' in root.getroottree().docinfo.doctype
    return [int(text.text or "") for text in root.iterfind("PubmedArticle/MedlineCitation/PMID")]


def test_all_records_come_in_the_order_of_the_list(library: Library, tmp_path: Path) -> None:
    library.add(Paper(99, title="Lupus"))
    path = tmp_path / "gout.xml.gz"
    done = fetch(library, path)
    assert pmids(path) == [31, 5, 1001, 7, 12]
    assert (done.n_counted, done.n_listed, done.n_records, done.n_repeated, done.missing) == (5, 5, 5, 0, ())
    assert done.translation == '"gout"[All Fields]'
    assert [tool for tool, _ in library.asked] == ["esearch", "efetch", "efetch", "efetch"]
    assert all("WebEnv" in form for tool, form in library.asked if tool == "efetch")
    assert [one.name for one in tmp_path.iterdir()] == ["gout.xml.gz"]
    records = [entry for entry in read_source(path) if isinstance(entry, Abstract)]
    assert records[0].pmid == "31" and records[0].abstract == "Uric acid & colchicine, β = 31."


def test_a_plain_file_where_the_name_says_so(library: Library, tmp_path: Path) -> None:
    fetch(library, tmp_path / "gout.xml")
    fetch(library, tmp_path / "gout.xml.gz")
    plain = (tmp_path / "gout.xml").read_bytes()
    assert plain == gzip.decompress((tmp_path / "gout.xml.gz").read_bytes())
    assert plain.startswith(b'<?xml version="1.0" encoding="UTF-8"?>\n<!DOCTYPE PubmedArticleSet PUBLIC')


@pytest.mark.parametrize("name", ["gout.zip", "gout.xml.BZ2", "gout.xml.zst"])
def test_no_other_compressed_file_is_written(library: Library, tmp_path: Path, name: str) -> None:
    with pytest.raises(UsageError, match=r"would be a \.\w+ file, expected a name that ends in \.gz, or a plain file"):
        fetch(library, tmp_path / name)
    assert not library.asked and not list(tmp_path.iterdir())


def test_the_key_is_in_no_address_and_the_service_is_told_who_asks(library: Library, tmp_path: Path) -> None:
    fetch(library, tmp_path / "gout.xml.gz", key=KEY)
    assert all(
        (form["tool"], form["email"], form["api_key"]) == ("abstract-engine", "ann@example.org", KEY)
        for _, form in library.asked
    )
    assert not any(KEY in path for path in library.paths)


@pytest.mark.parametrize("fault", ["429", "502", "500", "truncated", "close", "200 json", "200 html", "200 error"])
@pytest.mark.parametrize("tool", ["esearch", "efetch"])
def test_a_fault_that_passes_costs_no_record(library: Library, tmp_path: Path, tool: str, fault: str) -> None:
    library.faults[tool] = [fault]
    done = fetch(library, tmp_path / "gout.xml.gz")
    assert pmids(tmp_path / "gout.xml.gz") == [31, 5, 1001, 7, 12]
    assert done.missing == ()
    assert len(library.asked) == 5


def test_a_server_that_asks_to_wait_is_asked_no_sooner(library: Library, tmp_path: Path) -> None:
    library.faults["efetch"] = ["429"]
    fetch(library, tmp_path / "gout.xml.gz")
    waits = [later - sooner for sooner, later in zip(library.times, library.times[1:], strict=False)]
    assert max(waits) >= 0.9


def test_more_records_than_a_list_holds_come_by_days_and_pmids(
    library: Library, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    listing(monkeypatch, library, 4)
    library.papers.clear()
    busy = date(2024, 2, 29)
    library.add(*(Paper(100 + n, busy) for n in range(11)))
    library.add(*(Paper(n, date(1990, 1, 1) + timedelta(days=700 * n)) for n in range(1, 20)))
    library.add(Paper(50, date(1801, 5, 5)), Paper(51, date(2031, 1, 1)), *(Paper(60 + n, None) for n in range(6)))
    done = fetch(library, tmp_path / "gout.xml.gz")
    assert sorted(pmids(tmp_path / "gout.xml.gz")) == sorted(library.papers)
    assert (done.n_counted, done.n_listed, done.n_records, done.n_repeated) == (38, 38, 38, 0)
    assert all(len(form["id"].split(",")) <= 2 for _, form in library.asked if "id" in form)


def test_a_result_set_that_expired_is_fetched_by_its_pmids(library: Library, tmp_path: Path) -> None:
    library.expired = True
    fetch(library, tmp_path / "gout.xml.gz")
    assert pmids(tmp_path / "gout.xml.gz") == [31, 5, 1001, 7, 12]


def test_records_that_come_twice_are_written_once_and_counted(library: Library, tmp_path: Path) -> None:
    library.twice = {5, 7}
    done = fetch(library, tmp_path / "gout.xml.gz")
    assert pmids(tmp_path / "gout.xml.gz") == [31, 5, 1001, 7, 12]
    assert done.n_repeated == 2


def test_ids_without_a_record_are_asked_for_again_and_named(library: Library, tmp_path: Path) -> None:
    library.gone = {1001}
    done = fetch(library, tmp_path / "gout.xml.gz")
    assert pmids(tmp_path / "gout.xml.gz") == [31, 5, 7, 12]
    assert done.missing == ("1001",)
    assert sum(form.get("id") == "1001" for _, form in library.asked) == 1


def test_an_answer_that_lacks_records_is_completed(library: Library, tmp_path: Path) -> None:
    library.faults["efetch"] = ["empty set"]
    done = fetch(library, tmp_path / "gout.xml.gz")
    assert sorted(pmids(tmp_path / "gout.xml.gz")) == [5, 7, 12, 31, 1001]
    assert done.missing == ()


def test_a_record_that_spoils_its_answer_costs_only_itself(library: Library, tmp_path: Path) -> None:
    library.poison = {5}
    done = fetch(library, tmp_path / "gout.xml.gz")
    assert sorted(pmids(tmp_path / "gout.xml.gz")) == [7, 12, 31, 1001]
    assert done.missing == ("5",)


def test_a_count_that_changes_in_between_is_told(
    library: Library, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    listing(monkeypatch, library, 3)
    library.during = lambda n: library.add(Paper(2000, date(2021, 1, 1))) if n == 3 else None
    done = fetch(library, tmp_path / "gout.xml.gz")
    assert (done.n_counted, done.n_listed, done.n_records) == (5, 6, 6)


def test_a_list_that_stays_short_is_told(library: Library, tmp_path: Path) -> None:
    library.max_listed, library.short = 4, 1
    done = fetch(library, tmp_path / "gout.xml.gz")
    assert (done.n_counted, done.n_listed, done.n_records) == (5, 3, 3)
    assert [tool for tool, _ in library.asked].count("esearch") == 3
    library.add(Paper(99, title="Lupus"))
    library.max_listed = 1
    with pytest.raises(NoRecordError, match="PubMed counts 1 records for 'lupus', but sends none. Try again"):
        fetch(library, tmp_path / "short.xml.gz", "lupus")


def test_what_pubmed_says_about_the_query_is_told(library: Library, tmp_path: Path) -> None:
    library.notes = (
        "<ErrorList><PhraseNotFound>xyzzy</PhraseNotFound></ErrorList>"
        '<WarningList><PhraseIgnored>the</PhraseIgnored><QuotedPhraseNotFound>"a b"</QuotedPhraseNotFound>'
        "<OutputMessage>No items found.</OutputMessage></WarningList>"
    )
    done = fetch(library, tmp_path / "gout.xml.gz")
    assert done.notes == ("'xyzzy' is not found", "'the' is ignored", "'\"a b\"' is not found as a phrase")
    with pytest.raises(NoRecordError, match=r"PubMed has no record for 'lupus': 'xyzzy' is not found; 'the' is ign"):
        fetch(library, tmp_path / "none.xml.gz", "lupus")
    assert not list(tmp_path.glob("none*"))


def test_a_wrong_query_and_a_wrong_key_end_the_fetch_with_what_is_wrong(library: Library, tmp_path: Path) -> None:
    with pytest.raises(DownloadError, match="PubMed answers: Search Backend failed: x. Nothing was written"):
        fetch(library, tmp_path / "gout.xml.gz", "((gout)")
    library.always["esearch"] = "400 key"
    with pytest.raises(DownloadError, match="PubMed answers: the API key is wrong. Correct NCBI_API_KEY") as failure:
        fetch(library, tmp_path / "gout.xml.gz", key=KEY)
    assert KEY not in str(failure.value)
    library.always["esearch"] = "redirect"
    with pytest.raises(DownloadError, match="redirected to http://other.example, which is not followed"):
        fetch(library, tmp_path / "gout.xml.gz", key=KEY)
    assert not list(tmp_path.iterdir())


def test_a_fetch_that_was_stopped_goes_on_and_gives_the_same_file(library: Library, tmp_path: Path) -> None:
    whole, path = tmp_path / "whole.xml.gz", tmp_path / "gout.xml.gz"
    fetch(library, whole)
    library.faults["efetch"] = [None] + ["502"] * 40
    with pytest.raises(
        DownloadError, match=r"502 Bad Gateway. The records fetched so far are kept in .*gout.xml.gz.part"
    ):
        fetch(library, path, key=KEY)
    assert not path.exists()
    part = tmp_path / "gout.xml.gz.part"
    assert KEY.encode() not in part.read_bytes() and b"ann@example" not in part.read_bytes()
    with pytest.raises(UsageError, match="interrupted fetch with another query: found 'gout', expected 'lupus'"):
        fetch(library, path, "lupus")
    library.faults.clear()
    library.asked.clear()
    done = fetch(library, path)
    assert path.read_bytes() == whole.read_bytes()
    assert (done.n_records, done.missing) == (5, ())
    assert [form.get("id") for _, form in library.asked] == ["1001,7", "12"]
    assert not part.exists()


@pytest.mark.parametrize("end", [1, 40, 400, 1000])
def test_an_entry_that_was_not_written_whole_is_fetched_again(library: Library, tmp_path: Path, end: int) -> None:
    whole, path = tmp_path / "whole.xml.gz", tmp_path / "gout.xml.gz"
    fetch(library, whole)
    library.faults["efetch"] = [None, None] + ["404"] * 40
    with pytest.raises(DownloadError, match="404 Not Found"):
        fetch(library, path)
    part = tmp_path / "gout.xml.gz.part"
    part.write_bytes(part.read_bytes()[:-end])
    library.faults.clear()
    fetch(library, path)
    assert path.read_bytes() == whole.read_bytes()


@pytest.mark.parametrize("content", ['{"key": "pur', '{"key": "purpose", "n_by', "\0" * 9, ""])
def test_a_first_line_that_was_not_written_whole_is_written_again(
    library: Library, tmp_path: Path, content: str
) -> None:
    (tmp_path / "gout.xml.gz.part").write_text(content)
    fetch(library, tmp_path / "gout.xml.gz")
    assert pmids(tmp_path / "gout.xml.gz") == [31, 5, 1001, 7, 12]


@pytest.mark.parametrize("content", ["my notes\n", "my notes", '{"my": "own file"}', '{"key": "purposes"}'])
def test_another_file_beside_the_output_is_left_alone(library: Library, tmp_path: Path, content: str) -> None:
    (tmp_path / "gout.xml.gz.part").write_text(content)
    with pytest.raises(UsageError, match="is not the work of a fetch"):
        fetch(library, tmp_path / "gout.xml.gz")
    assert (tmp_path / "gout.xml.gz.part").read_text() == content
    (tmp_path / "old.xml.gz").write_text("old")
    with pytest.raises(UsageError, match="exists. Write over it: --overwrite"):
        fetch(library, tmp_path / "old.xml.gz")
    fetch(library, tmp_path / "old.xml.gz", overwrite=True)
    assert len(pmids(tmp_path / "old.xml.gz")) == 5
    assert issubclass(UsageError, EngineError)


def test_records_by_their_ids_and_those_that_pubmed_lacks(library: Library, tmp_path: Path) -> None:
    done = fetch(library, tmp_path / "known.xml.gz", "", pmids=(12, 404, 5))
    assert pmids(tmp_path / "known.xml.gz") == [12, 5]
    assert (done.n_counted, done.n_records, done.missing) == (3, 2, ("404",))
    with pytest.raises(NoRecordError, match="PubMed has none of the 2 records"):
        fetch(library, tmp_path / "none.xml.gz", "", pmids=(404, 405))
