"""Queries among the sources: everything at first and now and then, what changed on the other nights."""

import gzip
import json
import os
import re
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from engine.collect.fetch.updates import DownloadResult
from engine.config import SourcePattern
from engine.reindex.intake.queries import ServiceAccess, fetch_queries, find_fetched_problems
from tests.collect.fetch.literature import Library, Paper, serve_library
from tests.conftest import silent

TODAY = datetime.now(UTC).date()


@pytest.fixture
def library() -> Iterator[Library]:
    with serve_library(Library()) as served:
        served.add(*(Paper(pmid) for pmid in (1, 2, 3)))
        yield served


def source(library: Library, service: str = "pubmed", query: str = "gout") -> SourcePattern:
    return SourcePattern.of_query(service, query, library.url)


def spend_night(base: Path, *sources: SourcePattern) -> tuple[DownloadResult, list[str]]:
    said: list[str] = []
    done = fetch_queries(base, sources, ServiceAccess("k3y", "", timeout=5, back_off=0), said.append, silent)
    assert "k3y" not in str(done) + str(said)
    return done, said


def kept(base: Path) -> dict[str, list[str]]:
    """The PMIDs in each file of the query."""
    files = sorted(base.glob("queries/*/*"), key=lambda path: path.stat().st_mtime_ns)
    texts = {path.name: gzip.decompress(path.read_bytes()).decode() for path in files}
    return {name: re.findall(r'<PMID Version="1">(\d+)|"id": "(?:PPR)?\d+"', text) for name, text in texts.items()}


def alter_state(base: Path, days: int) -> None:
    """Let everything that was fetched be older."""
    (path,) = base.glob("queries/*.json")
    state = json.loads(path.read_text())
    for row in state["fetches"]:
        row["started"] = (datetime.fromisoformat(row["started"]) - timedelta(days=days)).isoformat()
    path.write_text(json.dumps(state))


@pytest.mark.parametrize("service", ["pubmed", "europepmc"])
def test_everything_first_then_what_changed(library: Library, tmp_path: Path, service: str) -> None:
    suffix = ".xml.gz" if service == "pubmed" else ".jsonl.gz"
    query = source(library, service)
    done, said = spend_night(tmp_path, query)
    assert done == DownloadResult((), (f"all{suffix}",), ())
    assert said == [f"{service}: gout: all records: 3 records"]
    done, said = spend_night(tmp_path, query)
    assert done == DownloadResult((), (), ()) and said == [f"{service}: gout: new and changed records: 0 records"]
    library.add(Paper(2, revised=TODAY), Paper(4, entered=TODAY))
    name = f"changed-since-{TODAY - timedelta(days=2)}"
    assert spend_night(tmp_path, query)[0].names == (f"{name}{suffix}",)
    assert spend_night(tmp_path, query)[0].names == (f"{name}-2{suffix}",)
    assert [len(pmids) for pmids in kept(tmp_path).values()] == [3, 2, 2]
    (path,) = tmp_path.glob("queries/*.json")
    rows = json.loads(path.read_text())["fetches"]
    assert [row["is_full"] for row in rows] == [True, False, False, False]
    assert [row["n_records"] for row in rows] == [3, 0, 2, 2]
    assert rows[0]["n_bytes"] == (tmp_path / query.path / f"all{suffix}").stat().st_size


def test_everything_again_after_a_month_or_without_the_file(library: Library, tmp_path: Path) -> None:
    query = source(library)
    spend_night(tmp_path, query)
    alter_state(tmp_path, 29)
    assert spend_night(tmp_path, query)[0].names == ()
    alter_state(tmp_path, 2)
    assert spend_night(tmp_path, query)[0].names == ("all-2.xml.gz",)
    (tmp_path / query.path / "all-2.xml.gz").unlink()
    assert spend_night(tmp_path, query)[0].names == ("all.xml.gz",)
    next(tmp_path.glob("queries/*.json")).write_text("{")
    assert spend_night(tmp_path, query)[0].names == ("all-2.xml.gz",)
    assert list(kept(tmp_path)) == ["all-2.xml.gz"]


@pytest.mark.parametrize("damage", [b"garbage", b"", None])
def test_a_damaged_file_is_found_and_everything_is_fetched_again(
    library: Library, tmp_path: Path, damage: bytes | None
) -> None:
    query = source(library)
    spend_night(tmp_path, query)
    assert not [*find_fetched_problems(tmp_path)]
    (path,) = tmp_path.glob("queries/*/*")
    good = path.read_bytes()
    path.write_bytes(bytes(len(good)) if damage is None else damage)
    assert [str(path) in problem for problem in find_fetched_problems(tmp_path)] == [True]
    _, said = spend_night(tmp_path, query)
    assert "so everything is fetched again" in said[0] and "all records: 3 records" in said[1]
    assert list(kept(tmp_path).values()) == [["1", "2", "3"]]
    assert not [*find_fetched_problems(tmp_path)]
    _, said = spend_night(tmp_path, query)
    assert "new and changed records" in said[0]


def test_a_file_that_was_deleted_and_fetched_again_is_whole(library: Library, tmp_path: Path) -> None:
    query = source(library)
    spend_night(tmp_path, query)
    next(tmp_path.glob("queries/*/*")).unlink()
    library.add(Paper(4))
    spend_night(tmp_path, query)
    assert not [*find_fetched_problems(tmp_path)]


def test_a_fetch_of_everything_replaces_the_older_files(library: Library, tmp_path: Path) -> None:
    query = source(library)
    spend_night(tmp_path, query)
    library.add(Paper(4, entered=TODAY))
    spend_night(tmp_path, query)
    alter_state(tmp_path, 31)
    _, said = spend_night(tmp_path, query)
    assert said == ["pubmed: gout: all records: 4 records",
                    "pubmed: gout: 2 older files removed, since all-2.xml.gz holds all that the query finds now"]  # fmt: skip
    assert kept(tmp_path) == {"all-2.xml.gz": ["1", "2", "3", "4"]}
    (path,) = tmp_path.glob("queries/*.json")
    assert [row["name"] for row in json.loads(path.read_text())["fetches"]] == ["all-2.xml.gz"]
    assert spend_night(tmp_path, query)[1] == ["pubmed: gout: new and changed records: 1 record"]


def test_older_files_stay_if_not_everything_came_again(library: Library, tmp_path: Path) -> None:
    query = source(library)
    spend_night(tmp_path, query)
    alter_state(tmp_path, 31)
    library.gone = {2}
    _, said = spend_night(tmp_path, query)
    assert said[1:] == ["pubmed: gout: 1 older file kept, since not everything came again"]
    assert list(kept(tmp_path)) == ["all.xml.gz", "all-2.xml.gz"]


def test_a_record_that_never_comes_lets_no_files_pile_up(library: Library, tmp_path: Path) -> None:
    query = source(library)
    library.gone = {2}
    for month in range(4):
        spend_night(tmp_path, query)  # everything
        for day in range(3):
            library.add(Paper(10 + 10 * month + day, entered=TODAY))
            spend_night(tmp_path, query)
        alter_state(tmp_path, 31)
    _, said = spend_night(tmp_path, query)
    assert said[1:] == ["pubmed: gout: 4 older files kept, since not everything came again; 4 older files removed"]
    assert len(kept(tmp_path)) == 5  # the last two of everything, and what changed between them
    (path,) = tmp_path.glob("queries/*.json")
    assert {row["name"] for row in json.loads(path.read_text())["fetches"]} == set(kept(tmp_path))
    library.gone = set()
    alter_state(tmp_path, 31)
    spend_night(tmp_path, query)
    assert len(kept(tmp_path)) == 1


def test_a_service_that_fails_does_not_stop_the_others_and_is_asked_again(library: Library, tmp_path: Path) -> None:
    library.always["searchPOST"] = "404"
    first, second = source(library, "europepmc"), source(library)
    done, _ = spend_night(tmp_path, first, second, second, SourcePattern("updatefiles"))
    assert done.names == ("all.xml.gz",)
    assert len(done.failures) == 1 and done.failures[0].startswith("europepmc: gout: http://127.0.0.1")
    library.always.clear()
    assert spend_night(tmp_path, first)[0].names == ("all.jsonl.gz",)
    none = spend_night(tmp_path, source(library, query="lupus"))[0]
    assert none.failures == (
        "pubmed: lupus: PubMed has no record for 'lupus'. Try the query on the service's own page",
    )


def test_an_interrupted_fetch_is_resumed_in_the_next_night_unless_it_is_old(library: Library, tmp_path: Path) -> None:
    library.add(*(Paper(pmid) for pmid in range(10, 600)))
    query = source(library)
    library.refuses = lambda form: form.get("retstart") == "500" or "599" in form.get("id", "")
    assert "404 Not Found. The records fetched so far are kept" in spend_night(tmp_path, query)[0].failures[0]
    part = tmp_path / query.path / "all.xml.gz.part"
    assert part.exists()
    library.refuses = lambda form: False
    library.asked.clear()
    old = tmp_path / query.path / "changed-since-2020-01-01.xml.gz.part"
    old.write_text("x")
    assert spend_night(tmp_path, query)[0].names == ("all.xml.gz",)
    assert [tool for tool, _ in library.asked] == ["efetch"]
    assert not old.exists() and not part.exists()
    part.with_name("all-2.xml.gz.part").write_text("x")
    os.utime(part.with_name("all-2.xml.gz.part"), (0, 0))
    alter_state(tmp_path, 40)
    assert spend_night(tmp_path, query)[0].names == ("all-2.xml.gz",)


def test_records_that_do_not_come_are_told(library: Library, tmp_path: Path) -> None:
    library.gone = {2}
    _, said = spend_night(tmp_path, source(library))
    assert said == ["pubmed: gout: all records: 2 records, 1 did not come: 2"]
    _, said = spend_night(tmp_path, replace(source(library, "europepmc")))
    assert said == ["europepmc: gout: all records: 2 records, 3 were counted"]
