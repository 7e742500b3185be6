"""Fetching from the command line, from a service on this machine."""

import gzip
import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from engine.index.generations.folder import IndexFolder
from tests.collect.fetch.literature import Library, Paper, serve_library
from tests.conftest import ROOT

Run = Callable[..., subprocess.CompletedProcess[str]]
KEY = "k3y-of-ann"


@pytest.fixture
def library(monkeypatch: pytest.MonkeyPatch) -> Iterator[Library]:
    for name, value in {"NCBI_API_KEY": KEY, "NCBI_EMAIL": "ann@example.org"}.items():
        monkeypatch.setenv(name, value)
    with serve_library(Library()) as served:
        served.add(*(Paper(pmid) for pmid in range(1, 7)))
        yield served


def records(path: Path) -> list[str]:
    return gzip.decompress(path.read_bytes()).decode().split("<PubmedArticle>")[1:]


def test_a_query_becomes_a_file_and_an_index(library: Library, toy: IndexFolder, engine: Run, tmp_path: Path) -> None:
    path = tmp_path / "gout.xml.gz"
    library.notes = "<WarningList><PhraseIgnored>the</PhraseIgnored></WarningList>"
    done = engine("fetch", "pubmed", "gout", "-o", path, "-i", "toy", "--base-url", library.url)
    assert done.returncode == 0, done.stderr
    assert f"{path}: 6 records of PubMed" in done.stdout and "6 added" in done.stdout
    assert "PubMed: 'the' is ignored" in done.stderr
    assert len(records(path)) == 6
    assert json.loads(engine("show", "PMID:3", "-i", "toy").stdout)["title"] == "Gout no. 3"
    again = engine("fetch", "pubmed", "gout", "-o", path, "--base-url", library.url)
    assert again.returncode == 2 and "exists. Write over it: --overwrite" in again.stderr


def test_a_file_that_is_there_is_to_be_indexed(library: Library, toy: IndexFolder, engine: Run, tmp_path: Path) -> None:
    (tmp_path / "gout.xml.gz").write_bytes(b"x")
    args = ("fetch", "pubmed", "gout", "-o", tmp_path / "gout.xml.gz", "-i", "toy", "--base-url", library.url)
    refused = engine(*args)
    assert refused.returncode == 2 and not library.asked
    assert re.search(r"gout.xml.gz exists. Index it: engine index \S*gout.xml.gz -i toy; or", refused.stderr)


def test_a_query_or_an_output_that_is_none_is_refused(library: Library, engine: Run, tmp_path: Path) -> None:
    for query, output, message in [
        ("\udcff", "a.xml.gz", "the query is not text in UTF-8"),
        ("gout", "/", "/ is a folder, expected a file"),
        ("gout", "", ". is a folder, expected a file"),
    ]:
        done = engine("fetch", "pubmed", query, "-o", output, "--base-url", library.url)
        assert done.returncode == 2 and f"Error: {message}" in done.stderr
    assert not library.asked


def test_ids_come_from_a_file_and_those_that_do_not_are_named(library: Library, engine: Run, tmp_path: Path) -> None:
    ids, path = tmp_path / "ids.txt", tmp_path / "known.xml.gz"
    ids.write_text("PMID: 4\n2\n99\n4\nW123\n")
    done = engine("fetch", "pubmed", "--ids", ids, "-o", path, "--base-url", library.url, "--json")
    assert done.returncode == 8
    assert (
        "Error: 1 id not asked for, expected PMIDs or DOIs that PubMed knows: W123. 1 record did not come: 99. PubMed may"
        in done.stderr
    )
    report = json.loads(done.stdout)
    assert (report["n_counted"], report["n_records"], report["missing"]) == (3, 2, ["99"])
    assert [text.split("</PMID>")[0][-1] for text in records(path)] == ["4", "2"]
    assert KEY not in done.stdout + done.stderr


def test_dois_are_looked_up_and_those_that_name_no_record_are_told(
    library: Library, engine: Run, tmp_path: Path
) -> None:
    library.add(Paper(11, doi="10.1000/one"), Paper(12, doi="10.1000/two"), Paper(13, doi="10.1000/two"))
    ids, path = tmp_path / "ids.txt", tmp_path / "known.xml.gz"
    ids.write_text("3\nhttps://doi.org/10.1000/one\n10.1000/two\n10.1000/none\n11\n")
    library.faults["esearch"] = ["502"]
    done = engine("fetch", "pubmed", "--ids", ids, "-o", path, "--base-url", library.url)
    assert done.returncode == 8
    told = "10.1000/two (2 records of PubMed have it), 10.1000/none (unknown to PubMed). What came"
    assert told in done.stderr.replace("DOI:", "")
    assert [text.split("</PMID>")[0].split(">")[-1] for text in records(path)] == ["3", "11"]
    ids.write_text("10.1000/none\n")
    done = engine("fetch", "pubmed", "--ids", ids, "-o", tmp_path / "b.xml.gz", "--base-url", library.url)
    assert done.returncode != 0 and "holds no id of a record of PubMed" in done.stderr


def test_ids_come_from_an_export(library: Library, engine: Run, tmp_path: Path) -> None:
    ids, path = tmp_path / "ids.ris", tmp_path / "known.xml"
    ids.write_text("".join(f"TY  - JOUR\nTI  - Gout {n}\nAN  - {n}\nDB  - PubMed\nER  - \n" for n in (5, 2)))
    done = engine("fetch", "pubmed", "--ids", ids, "-o", path, "--base-url", library.url)
    assert done.returncode == 0, done.stderr
    assert [text.split("</PMID>")[0] for text in path.read_text().split('<PMID Version="1">')[1:]] == ["5", "2"]


@pytest.mark.parametrize(
    ("args", "message"),
    [
        ((), "name either a QUERY or --ids FILE"),
        (("gout", "--ids", "ids.txt"), "name either a QUERY or --ids FILE"),
        (("  ",), "the query is empty"),
        (("gout", "--base-url", "ftp://x/y"), "FTP is not supported"),
        (("gout", "-i", "No Name"), "can't be the name of an index"),
        (("--ids", "none.txt"), "no such file"),
    ],
)
def test_a_mistake_is_told_before_anything_is_asked(
    engine: Run, tmp_path: Path, args: tuple[str, ...], message: str
) -> None:
    done = engine("fetch", "pubmed", *args, "-o", tmp_path / "x.xml.gz")
    assert done.returncode == 2 and message in done.stderr
    assert not list(tmp_path.glob("x*"))


@pytest.mark.parametrize(
    ("args", "message"),
    [
        ((), "name either a QUERY or --ids FILE"),
        (("--ids", "W123\n"), "holds none of PMIDs, PMCIDs, DOIs or preprint ids"),
    ],
)
def test_a_mistake_with_europe_pmc_is_told(engine: Run, tmp_path: Path, args: tuple[str, ...], message: str) -> None:
    (tmp_path / "ids.txt").write_text(args[-1] if args else "")
    named = ("--ids", tmp_path / "ids.txt") if args else ()
    done = engine("fetch", "europepmc", *named, "-o", tmp_path / "x.jsonl.gz")
    assert done.returncode == 2 and message in done.stderr


def test_preprints_of_europe_pmc_become_an_index(
    library: Library, toy: IndexFolder, engine: Run, tmp_path: Path
) -> None:
    path = tmp_path / "gout.jsonl.gz"
    library.add(Paper(1001))
    library.gone = {2}
    done = engine("fetch", "europepmc", "gout", "-o", path, "-i", "toy", "--base-url", library.url)
    assert done.returncode == 8
    assert f"{path}: 6 records of Europe PMC" in done.stdout and "6 added" in done.stdout
    assert "Europe PMC counted 7 records, but listed only 6. What came is in" in done.stderr
    assert json.loads(engine("show", "PPR1001", "-i", "toy").stdout)["title"] == "Gout no. 1001"


def test_ids_are_looked_up_in_europe_pmc_and_those_that_fail_are_named(
    library: Library, toy: IndexFolder, engine: Run, tmp_path: Path
) -> None:
    library.add(Paper(1001), Paper(11, doi="10.1000/two"), Paper(12, doi="10.1000/two"), Paper(13, pmcid="PMC5"))
    ids, path = tmp_path / "ids.txt", tmp_path / "known.jsonl.gz"
    ids.write_text("PMID: 4\nPPR1001\npmc5\nhttps://doi.org/10.1000/Two\n10.1000/none\nW123\n4\n")
    done = engine("fetch", "europepmc", "--ids", ids, "-o", path, "-i", "toy", "--base-url", library.url, "--json")
    assert done.returncode == 8
    assert (
        "Error: 1 id not asked for, expected PMIDs, PMCIDs, DOIs or preprint ids (PPR…): W123. 1 id named no record for "
        "sure: DOI:10.1000/two (2 records of Europe PMC have it). 1 record did not come: DOI:10.1000/none. "
    ) in done.stderr
    report = json.loads(done.stdout.splitlines()[0])
    assert (report["n_counted"], report["n_records"], report["missing"]) == (5, 3, ["DOI:10.1000/none"])
    assert report["unasked"] == ["W123"]
    assert json.loads(engine("show", "PPR1001", "-i", "toy").stdout)["title"] == "Gout no. 1001"


@pytest.mark.crash
def test_a_run_that_was_killed_goes_on_and_gives_the_same_file(library: Library, tmp_path: Path) -> None:
    library.add(*(Paper(pmid) for pmid in range(10, 1700)))
    path, whole = tmp_path / "gout.xml.gz", tmp_path / "whole.xml.gz"
    command = [sys.executable, "-m", "engine", "fetch", "pubmed", "gout", "--base-url", library.url, "-o"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    killed: list[subprocess.Popen[bytes]] = []
    library.during = lambda n: killed[0].kill() if n == 5 else None
    killed.append(subprocess.Popen([*command, str(path)], env=environment, stderr=subprocess.PIPE))
    killed[0].communicate()
    assert killed[0].returncode == -signal.SIGKILL and not path.exists()
    n_before = len(library.asked)
    library.during = lambda n: None
    for output in (path, whole):
        subprocess.run([*command, str(output)], env=environment, check=True, capture_output=True)
    assert path.read_bytes() == whole.read_bytes() and len(records(path)) == 1696
    n_resumed = sum(tool == "efetch" for tool, _ in library.asked[n_before:]) - 7
    assert 0 < n_resumed < 7


def test_nights_with_queries_among_the_sources(library: Library, toy: IndexFolder, engine: Run) -> None:
    bad = "http://127.0.0.1:9/"  # nobody answers
    (toy.path / "index.toml").write_text(
        f'device = "cpu"\n[[sources]]\npubmed = "gout"\nurl = "{library.url}"\n'
        f'[[sources]]\neuropepmc = "gout"\nurl = "{bad}"\n'
    )
    assert "pubmed: gout, europepmc: gout" in engine("config", "toy").stdout
    plan = engine("reindex", "toy", "--dry-run")
    assert "pubmed: gout was not fetched yet. Fetch it: engine nightly toy" in plan.stdout + plan.stderr
    assert not (toy.path / "queries").exists()
    first = engine("nightly", "toy", "--back-off", "0")
    assert first.returncode == 8, first.stderr
    assert "pubmed: gout: all records: 6 records" in first.stdout and "6 added" in first.stdout
    assert f"Error: europepmc: gout: {bad}" in first.stderr
    assert engine("nightly", "toy", "--offline").returncode == 0
    library.add(Paper(3, title="Gout, revised", revised=datetime.now(UTC).date()))
    (toy.path / "index.toml").write_text(f'device = "cpu"\n[[sources]]\npubmed = "gout"\nurl = "{library.url}"\n')
    second = engine("nightly", "toy")
    assert second.returncode == 0 and "new and changed records: 1 record" in second.stdout, second.stderr
    assert json.loads(engine("show", "PMID:3", "-i", "toy").stdout)["title"] == "Gout, revised no. 3"
    night = json.loads((toy.path / "nightly.jsonl").read_text().splitlines()[-1])
    assert len(night["downloaded"]) == 1 and KEY not in json.dumps(night)
