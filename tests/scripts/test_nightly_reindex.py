import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from engine import open_index
from engine.index.folder import IndexFolder
from engine.index.lock import writer_lock
from engine.reindex.verify import verify
from tests.conftest import ROOT, jsonl
from tests.reindex.test_update import article, pubmed
from tests.scripts.mirrors import Shelf, http_mirror

Night = Callable[..., subprocess.CompletedProcess[str]]
SCRIPT = ROOT / "scripts" / "nightly_reindex"
FILES = [f"pubmed26n130{n}.xml.gz" for n in range(1, 5)]


@pytest.fixture
def shelf(tmp_path: Path) -> Iterator[Shelf]:
    made = Shelf()
    place = tmp_path / "served"
    place.mkdir()
    made.add(FILES[0], pubmed(place / FILES[0], *(article(n, f"Title {n}") for n in range(1, 41))).read_bytes())
    with http_mirror(made):
        yield made


@pytest.fixture
def place(tmp_path: Path) -> Path:
    return tmp_path / "served"


@pytest.fixture
def settle(toy: IndexFolder) -> Callable[[str], None]:
    """Write the index.toml."""

    def write(more: str = "") -> None:
        text = f'device = "cpu"\nsources = ["updatefiles"]\n{more}\n[download]\nfolder = "updatefiles"\n'
        (toy.path / "index.toml").write_text(text)

    write()
    return write


@pytest.fixture
def night(toy: IndexFolder, settle: Callable[[str], None]) -> Night:
    def run(*args: str | Path, **options: object) -> subprocess.CompletedProcess[str]:
        command = [SCRIPT, "toy", "--indexes", toy.path.parent, *args]
        environment = {**os.environ, "PYTHON": sys.executable, "PYTHONPATH": str(ROOT)}
        settings = {"capture_output": True, "text": True, "env": environment, "timeout": 120}
        return subprocess.run(list(map(str, command)), **{**settings, **options})  # type: ignore[call-overload,no-any-return]

    return run


def logged(toy: IndexFolder) -> list[dict[str, object]]:
    return [json.loads(line) for line in (toy.path / "nightly.jsonl").read_text(encoding="utf-8").splitlines()]


def titles(toy: IndexFolder) -> dict[str, str]:
    with open_index(toy.path) as index:
        return {hit.id: hit.title for hit in index.search("title", top_k=1000)}


def test_three_nights_of_a_mirror(toy: IndexFolder, shelf: Shelf, place: Path, night: Night) -> None:
    first = night("--url", shelf.url)
    assert (first.returncode, first.stderr.count("Error")) == (0, 0), first.stderr
    assert f"mirror: 1 update files, 1 to fetch\nmirror: {FILES[0]}" in first.stdout
    assert "generation 000002 published, 80 abstracts" in first.stdout
    second = night("--url", shelf.url)
    assert second.returncode == 0 and "nothing new, generation 000002 stays" in second.stdout
    revised = article(1, "Title 1, revised", 2021)
    shelf.add(FILES[1], pubmed(place / FILES[1], revised, article(41, "Title 41"), deleted=[2]).read_bytes())
    third = night("--url", shelf.url, "--deep")
    assert third.returncode == 0
    found = titles(toy)
    assert found["PMID:1"] == "Title 1, revised" and "PMID:41" in found and "PMID:2" not in found
    lines = logged(toy)
    assert [
        (row["status"], row["exit_code"], row["downloaded"], row["generation"], row["verified"]) for row in lines
    ] == [
        ("updated", 0, [FILES[0]], 2, True),
        ("nothing new", 0, [], 2, True),
        ("updated", 0, [FILES[1]], 3, True),
    ]
    counts = lines[2]["report"]["counts"]  # type: ignore[index]
    assert (counts["added"], counts["text_changed"], counts["deleted"], counts["encoded"]) == (1, 1, 1, 2)
    assert verify(toy, toy.open_current(), deep=True) == []


def test_offline_never_asks_the_network(
    shelf: Shelf, toy: IndexFolder, night: Night, settle: Callable[[str], None]
) -> None:
    (toy.path / "updatefiles").mkdir()
    jsonl(toy.path / "updatefiles" / "more.jsonl", [{"id": "a", "title": "A"}])
    done = night("--url", shelf.url, "--offline")
    assert (done.returncode, shelf.asked) == (0, [])
    assert "a" in titles(toy)


@pytest.mark.parametrize("fault", ["wrong MD5", "HTML", "hang", "cut", "gone"])
def test_a_mirror_that_fails_leaves_what_is_there_indexed_and_tells_the_monitor(
    shelf: Shelf, toy: IndexFolder, place: Path, night: Night, fault: str
) -> None:
    shelf.add(FILES[1], pubmed(place / FILES[1], article(50, "Title 50")).read_bytes())
    match fault:
        case "wrong MD5":
            shelf.md5[FILES[1]] = "0" * 32
        case "HTML":
            shelf.html.add(FILES[1])
        case "hang":
            shelf.hang.add(FILES[1])
        case "cut":
            shelf.cut[FILES[1]] = [10, 10, 10]
        case "gone":
            shelf.errors[FILES[1]] = [404, 404, 404]
    done = night("--url", shelf.url, "--timeout", "0.5", "--back-off", "0")
    assert done.returncode == 8, done.stderr
    assert "Going on with the files that are there; the next run tries again" in done.stderr
    assert "Traceback" not in done.stderr
    (row,) = logged(toy)
    assert (row["status"], row["downloaded"], row["verified"], row["generation"]) == ("download failed", [], True, 2)
    assert FILES[1] in str(row["download_error"])
    assert "PMID:40" in titles(toy) and "PMID:50" not in titles(toy)


def test_what_stops_a_run_is_in_the_log_and_the_index_answers_as_before(
    toy: IndexFolder, shelf: Shelf, place: Path, night: Night
) -> None:
    night("--url", shelf.url)
    before = titles(toy)
    shelf.add(FILES[1], pubmed(place / FILES[1], deleted=range(1, 31)).read_bytes())
    guarded = night("--url", shelf.url)
    assert guarded.returncode == 7 and "30 of 80 records (37.5 %) would be deleted" in guarded.stderr
    (toy.path / "updatefiles" / "broken.jsonl.gz").write_bytes(b"\x1f\x8b\x08broken")
    broken = night("--offline", "--allow-mass-change")
    assert broken.returncode == 1 and "broken.jsonl.gz" in broken.stderr
    assert [(row["status"], row["exit_code"]) for row in logged(toy)] == [("updated", 0), ("failed", 7), ("failed", 1)]
    assert "guard" in str(logged(toy)[1]["error"])
    assert titles(toy) == before
    (toy.path / "updatefiles" / "broken.jsonl.gz").unlink()
    assert night("--offline", "--allow-mass-change").returncode == 0
    assert len(titles(toy)) == 50


def test_a_second_run_at_the_same_time_is_refused(toy: IndexFolder, shelf: Shelf, night: Night) -> None:
    with writer_lock(toy.path / "NIGHTLY.lock"):
        done = night("--url", shelf.url)
    assert (done.returncode, shelf.asked) == (4, [])
    with writer_lock(toy.lock):  # `engine index` is at work
        assert night("--url", shelf.url).returncode == 4
    assert [row["exit_code"] for row in logged(toy)] == [4, 4]


def test_a_download_that_no_source_reads_is_refused_before_it_begins(
    toy: IndexFolder, shelf: Shelf, night: Night, tmp_path: Path
) -> None:
    done = night("--url", shelf.url, "--folder", tmp_path / "elsewhere")
    assert done.returncode == 1 and "is not among the sources of" in done.stderr
    assert shelf.asked == []


def test_old_generations_go_and_the_log_stays(toy: IndexFolder, night: Night, settle: Callable[[str], None]) -> None:
    settle("keep_generations = 2")
    (toy.path / "updatefiles").mkdir()
    for n in range(3):
        jsonl(toy.path / "updatefiles" / f"more{n}.jsonl", [{"id": f"a{n}", "title": "A"}])
        assert night("--offline").returncode == 0
    assert toy.numbers() == [3, 4]
    settle("keep_generations = 1")
    assert night("--offline").returncode == 0
    assert toy.numbers() == [4] and logged(toy)[-1]["pruned"] == [3]


def test_the_notify_command_gets_the_line_and_its_failure_is_told(
    toy: IndexFolder, night: Night, tmp_path: Path
) -> None:
    (toy.path / "updatefiles").mkdir()
    jsonl(toy.path / "updatefiles" / "more.jsonl", [{"id": "a", "title": "A"}])
    told = tmp_path / "told of it.json"
    command = f"{sys.executable} -c 'import sys; open(sys.argv[1], \"a\").write(sys.stdin.read() + chr(10))' '{told}'"
    assert night("--offline", "--notify-command", command).returncode == 0
    assert json.loads(told.read_text()) == logged(toy)[0]
    night("--offline", "--notify-command", command, "--notify-on", "change")
    night("--offline", "--notify-command", command, "--notify-on", "failure")
    assert told.read_text().count("\n") == 1
    (toy.path / "updatefiles" / "empty.jsonl").touch()
    assert night("--offline", "--notify-command", command, "--notify-on", "failure").returncode == 1
    assert told.read_text().count("\n") == 2
    (toy.path / "updatefiles" / "empty.jsonl").unlink()
    for bad in ("/no/such/command", "false", "'unbalanced"):
        done = night("--offline", "--notify-command", bad)
        assert done.returncode == 9 and "--notify-command failed" in done.stderr


def test_a_log_that_cannot_be_written_is_a_failure_and_the_line_goes_to_stderr(toy: IndexFolder, night: Night) -> None:
    (toy.path / "updatefiles").mkdir()
    jsonl(toy.path / "updatefiles" / "more.jsonl", [{"id": "a", "title": "A"}])
    done = night("--offline", "--log", "/dev/full")
    assert done.returncode == 1 and "No space left" in done.stderr and '"status": "updated"' in done.stderr
    assert "a" in titles(toy)


@pytest.mark.parametrize("name", ["../toy", "Toy", "con"])
def test_a_name_that_is_none_is_refused(toy: IndexFolder, night: Night, name: str) -> None:
    done = subprocess.run(
        [SCRIPT, name, "--indexes", toy.path.parent, "--offline", "--log", "/dev/null"],
        capture_output=True, text=True, env={**os.environ, "PYTHON": sys.executable, "PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    assert done.returncode == 2 and "can't be the name of an index" in done.stderr
    assert [p.name for p in toy.path.parent.iterdir()] == ["toy"]


def test_terminated_it_reports_keeps_what_it_encoded_and_goes_on_next_night(
    toy: IndexFolder, night: Night, settle: Callable[[str], None]
) -> None:
    (toy.path / "updatefiles").mkdir()
    jsonl(
        toy.path / "updatefiles" / "many.jsonl",
        ({"id": f"m{n}", "title": f"Many {n} " + "gout " * 60} for n in range(20_000)),
    )
    command = [str(SCRIPT), "toy", "--indexes", str(toy.path.parent), "--offline"]
    environment = {**os.environ, "PYTHON": sys.executable, "PYTHONPATH": str(ROOT)}
    with subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, env=environment) as running:
        assert running.stderr is not None
        for line in running.stderr:
            if line.startswith(b"encoding"):
                break
        time.sleep(1)
        running.send_signal(signal.SIGTERM)
        assert running.wait(timeout=5) == 143
    (row,) = logged(toy)
    assert (row["status"], row["exit_code"], row["error"]) == (
        "interrupted",
        143,
        "terminated; what it had encoded is kept for the next run",
    )
    assert toy.current() == 1
    done = night("--offline")
    assert done.returncode == 0 and "taken over from a run that was stopped" in done.stdout


def test_the_units_call_what_is_there() -> None:
    service = (ROOT / "scripts" / "nightly-reindex@.service").read_text()
    assert "ExecStart=/srv/abstract-engine/scripts/nightly_reindex %i" in service
    assert "OnCalendar=" in (ROOT / "scripts" / "nightly-reindex@.timer").read_text()
    assert os.access(SCRIPT, os.X_OK)
    assert "scripts/nightly_reindex rheumatology" in (ROOT / "scripts" / "nightly_reindex.cron").read_text()


def test_real_update_files_from_a_mirror(toy: IndexFolder, night: Night, shared: Path) -> None:
    """The files of PubMed that this project has, as a mirror would serve them."""
    with http_mirror(Shelf()) as shelf:
        for name in ("pubmed22n1115.xml.gz", "pubmed22n1313.xml.gz"):
            shelf.add(name, (shared / "formats" / "pubmed_xml" / name).read_bytes())
        done = night("--url", shelf.url)
    assert done.returncode == 0, done.stderr
    with open_index(toy.path) as index:
        assert len(index) == 40 + 3 + 4


def test_a_file_name_that_is_no_text_reaches_the_log_too(toy: IndexFolder, night: Night) -> None:
    inbox = toy.path / "updatefiles"
    inbox.mkdir()
    odd = Path(os.fsdecode(os.fsencode(inbox) + b"/caf\xe9.jsonl.gz"))
    odd.write_bytes(b"\x1f\x8bbroken")
    broken = night("--offline", "--notify-command", "cat")
    assert broken.returncode == 1 and "Traceback" not in broken.stderr
    odd.unlink()
    Path(str(odd).removesuffix(".gz")).write_text('{"id": "a", "title": "A"}\n')
    assert night("--offline", "--notify-command", "cat").returncode == 0
    assert [row["exit_code"] for row in logged(toy)] == [1, 0]


def test_a_mistyped_name_makes_no_folder(toy: IndexFolder, night: Night) -> None:
    command = [str(SCRIPT), "typo", "--indexes", str(toy.path.parent), "--offline"]
    environment = {**os.environ, "PYTHON": sys.executable, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=60)
    assert done.returncode == 1 and "index.toml is not there. Write it: engine init typo SOURCE" in done.stderr
    assert [p.name for p in toy.path.parent.iterdir()] == ["toy"]
