import json
import os
import re
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from engine import open_index
from engine.index.files.lock import lock_for_writing
from engine.index.generations.folder import IndexFolder
from engine.index.generations.segment import SegmentFiles
from engine.reindex.generation import seal
from engine.reindex.generation import verify as verifying
from engine.reindex.generation.verify import verify
from tests.collect.fetch.mirrors import Shelf, http_mirror
from tests.conftest import ROOT, Command, jsonl, segment_of
from tests.reindex.runs.test_update import article, pubmed

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

    def write(more: str = "", url: str = "") -> None:
        text = f'device = "cpu"\nsources = ["updatefiles"]\n{more}\n[download]\nfolder = "updatefiles"\n'
        (toy.path / "index.toml").write_text(text + (f'url = "{url}"\n' if url else ""))

    write()
    return write


@pytest.fixture
def night(engine: Command, toy: IndexFolder, settle: Callable[[str], None]) -> Command:
    """Run one night on the toy index in this process."""

    def run(*args: str | Path) -> subprocess.CompletedProcess[str]:
        return engine("nightly", "toy", *args)

    return run


@pytest.fixture
def row(toy: IndexFolder, settle: Callable[[str], None]) -> None:
    """A watched folder with one record."""
    (toy.path / "updatefiles").mkdir()
    jsonl(toy.path / "updatefiles" / "more.jsonl", [{"id": "a", "title": "A"}])


def logged(toy: IndexFolder) -> list[dict[str, object]]:
    return [json.loads(line) for line in (toy.path / "nightly.jsonl").read_text(encoding="utf-8").splitlines()]


def titles(toy: IndexFolder) -> dict[str, str]:
    with open_index(toy.path) as index:
        return {hit.id: hit.title for hit in index.search("title", top_k=1000)}


def test_three_nights_of_a_mirror(toy: IndexFolder, shelf: Shelf, place: Path, night: Command) -> None:
    first = night("--url", shelf.url)
    assert (first.returncode, first.stderr.count("Error")) == (0, 0), first.stderr
    assert f"mirror: 1 update files, 1 of them new\nmirror: {FILES[0]}" in first.stdout
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


@pytest.mark.usefixtures("row")
def test_offline_never_asks_the_network(
    shelf: Shelf, toy: IndexFolder, night: Command, settle: Callable[[str], None]
) -> None:
    done = night("--url", shelf.url, "--offline")
    assert (done.returncode, shelf.asked) == (0, [])
    assert "a" in titles(toy)


@pytest.mark.parametrize("fault", ["wrong MD5", "HTML", "hang", "cut", "gone"])
def test_a_mirror_that_fails_leaves_what_is_there_indexed_and_tells_the_monitor(
    shelf: Shelf, toy: IndexFolder, place: Path, night: Command, fault: str
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
    assert "The run continues with the files present; the next run tries again" in done.stderr
    assert "Traceback" not in done.stderr
    (row,) = logged(toy)
    assert (row["status"], row["downloaded"], row["verified"], row["generation"]) == (
        "download failed", [FILES[0]], True, 2,
    )  # fmt: skip
    assert FILES[1] in str(row["download_errors"])
    assert "PMID:40" in titles(toy) and "PMID:50" not in titles(toy)


def test_what_stops_a_run_is_in_the_log_and_the_index_answers_as_before(
    toy: IndexFolder, shelf: Shelf, place: Path, night: Command
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
    assert "more than the limit of 10 %" in str(logged(toy)[1]["error"])
    assert titles(toy) == before
    (toy.path / "updatefiles" / "broken.jsonl.gz").unlink()
    assert night("--offline", "--allow-mass-change").returncode == 0
    assert len(titles(toy)) == 50


def test_a_second_run_at_the_same_time_is_refused(toy: IndexFolder, shelf: Shelf, night: Command) -> None:
    with lock_for_writing(toy.path / "NIGHTLY.lock"):
        done = night("--url", shelf.url)
    assert (done.returncode, shelf.asked) == (4, [])
    with lock_for_writing(toy.lock):  # `engine index` is at work
        assert night("--url", shelf.url).returncode == 4
    assert [row["exit_code"] for row in logged(toy)] == [4, 4]


def test_a_download_that_no_source_reads_is_refused_before_it_begins(
    toy: IndexFolder, shelf: Shelf, night: Command, tmp_path: Path
) -> None:
    done = night("--url", shelf.url, "--folder", tmp_path / "elsewhere")
    assert done.returncode == 1 and "is not among the sources of" in done.stderr
    assert shelf.asked == []


def test_old_generations_go_and_the_log_stays(toy: IndexFolder, night: Command, settle: Callable[[str], None]) -> None:
    settle("keep_generations = 2")
    (toy.path / "updatefiles").mkdir()
    for n in range(3):
        jsonl(toy.path / "updatefiles" / f"more{n}.jsonl", [{"id": f"a{n}", "title": "A"}])
        assert night("--offline").returncode == 0
    assert toy.list_numbers() == [3, 4]
    settle("keep_generations = 1")
    assert night("--offline").returncode == 0
    assert toy.list_numbers() == [4] and logged(toy)[-1]["pruned"] == [3]


@pytest.mark.usefixtures("row")
def test_the_notify_command_gets_the_line_and_its_failure_is_told(
    toy: IndexFolder, night: Command, tmp_path: Path
) -> None:
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


@pytest.mark.usefixtures("row")
def test_a_log_that_cannot_be_written_is_a_failure_and_the_line_goes_to_stderr(
    toy: IndexFolder, night: Command
) -> None:
    done = night("--offline", "--log", "/dev/full")
    assert done.returncode == 1 and "No space left" in done.stderr and '"status": "updated"' in done.stderr
    assert "a" in titles(toy)


def test_terminated_it_reports_keeps_what_it_encoded_and_goes_on_next_night(
    toy: IndexFolder, night: Command, settle: Callable[[str], None]
) -> None:
    settle('precision = "fp32"')  # or several ways to encode so many texts are tried first
    (toy.path / "updatefiles").mkdir()
    jsonl(
        toy.path / "updatefiles" / "many.jsonl",
        ({"id": f"m{n}", "title": f"Many {n} " + "gout " * 60} for n in range(2_000)),
    )
    command = [str(SCRIPT), "toy", "--indexes", str(toy.path.parent), "--offline"]  # calls `engine nightly`
    environment = {**os.environ, "PYTHON": sys.executable, "PYTHONPATH": str(ROOT)}
    with subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, env=environment) as running:
        assert running.stderr is not None
        for line in running.stderr:
            if line.startswith(b"encoding"):
                break
        time.sleep(0.2)
        running.send_signal(signal.SIGTERM)
        assert running.wait(timeout=5) == 143
    (row,) = logged(toy)
    assert (row["status"], row["exit_code"], row["error"]) == (
        "interrupted",
        143,
        "terminated; the texts encoded so far are kept for the next run",
    )
    assert toy.read_current() == 1
    done = night("--offline")
    assert done.returncode == 0 and "reused from a stopped run" in done.stdout


def test_real_update_files_from_a_mirror(toy: IndexFolder, night: Command, shared: Path) -> None:
    """The files of PubMed that this project has, as a mirror would serve them."""
    with http_mirror(Shelf()) as shelf:
        for name in ("pubmed22n1115.xml.gz", "pubmed22n1313.xml.gz"):
            shelf.add(name, (shared / "formats" / "pubmed_xml" / name).read_bytes())
        done = night("--url", shelf.url)
    assert done.returncode == 0, done.stderr
    with open_index(toy.path) as index:
        assert len(index) == 40 + 3 + 4


def test_a_file_name_that_is_no_text_reaches_the_log_too(toy: IndexFolder, night: Command) -> None:
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


def test_one_missing_file_does_not_block_later_ones_and_all_failures_are_listed(
    shelf: Shelf, toy: IndexFolder, place: Path, night: Command
) -> None:
    for n, name in enumerate(FILES[1:], 50):
        shelf.add(name, pubmed(place / name, article(n, f"Title {n}")).read_bytes())
    shelf.errors = {FILES[0]: [404], FILES[2]: [404]}
    done = night("--url", shelf.url)
    assert done.returncode == 8
    (row,) = logged(toy)
    assert (row["status"], row["downloaded"], row["gaps"]) == ("download failed", [FILES[1], FILES[3]], [])
    assert [text.split(": ")[0].rsplit("/", 1)[1] for text in row["download_errors"]] == [FILES[0], FILES[2]]  # type: ignore[attr-defined]
    assert {"PMID:50", "PMID:52"} <= titles(toy).keys()


def test_a_listing_that_is_cut_short_is_a_failed_download(shelf: Shelf, toy: IndexFolder, night: Command) -> None:
    shelf.cut[""] = [len(shelf.listing()) - 5] * 3
    assert night("--url", shelf.url, "--back-off", "0").returncode == 8
    (row,) = logged(toy)
    assert row["downloaded"] == [] and "broke off after" in str(row["download_errors"])


def test_a_gap_in_the_update_files_is_reported_until_it_is_filled(
    shelf: Shelf, toy: IndexFolder, place: Path, night: Command, tmp_path: Path
) -> None:
    called = tmp_path / "called.jsonl"
    command = f"{shlex.quote(sys.executable)} -c 'import sys; open(sys.argv[1], \"a\").write(sys.stdin.read() + chr(10))' {called}"
    notify = ("--notify-command", command, "--notify-on", "failure")
    for n in (2, 3):
        shelf.add(FILES[n], pubmed(place / FILES[n], article(50 + n, f"Title {n}")).read_bytes())
    for n in range(2):
        done = night("--url", shelf.url, *notify)
        assert (done.returncode, done.stderr.count("Warning: missing update files: pubmed26n1302. ")) == (0, 1), n
        assert "Error" not in done.stderr
        assert (logged(toy)[-1]["status"], logged(toy)[-1]["gaps"]) == ("incomplete", ["pubmed26n1302"])
    assert called.read_text().count("\n") == 1  # the gap was new in the first night only
    shelf.files = {FILES[1]: pubmed(place / FILES[1], article(60, "Title 60")).read_bytes()}  # only the newest are kept
    done = night("--url", shelf.url)
    assert (done.returncode, done.stderr.count("missing")) == (0, 0)
    assert (logged(toy)[-1]["status"], logged(toy)[-1]["gaps"]) == ("updated", [])
    night("--offline")
    assert logged(toy)[-1]["status"] == "nothing new"


def test_a_gap_shows_offline_too_and_files_that_were_applied_count(toy: IndexFolder, night: Command) -> None:
    inbox = toy.path / "updatefiles"
    inbox.mkdir()
    for n in (0, 1, 3):
        pubmed(inbox / FILES[n], article(50 + n, f"Title {n}"))
    night("--offline")
    (inbox / FILES[1]).unlink()
    night("--offline")
    assert [row["gaps"] for row in logged(toy)] == [["pubmed26n1303"]] * 2


@pytest.mark.parametrize("where", ["listing", "notify", "error"])
def test_no_secret_reaches_a_message_the_log_or_the_notify_command(
    shelf: Shelf, toy: IndexFolder, night: Command, settle: Callable[..., None], tmp_path: Path, where: str
) -> None:
    url = shelf.url.replace("://", "://hug0:s3cret@") + "?sig=t0ken"
    settle(url=url if where != "error" else f"ftp{url[4:]}")
    shelf.errors[""] = [503] * 3
    heard = tmp_path / "heard.json"
    command = f"tee {heard}" if where != "notify" else "false --token s3cret"
    done = night("--back-off", "0", "--notify-command", command)
    assert done.returncode == (2 if where == "error" else 8), done.stderr
    texts = [
        done.stdout,
        done.stderr,
        (toy.path / "nightly.jsonl").read_text(),
        (toy.path / "NIGHTLY.lock").read_text() if where != "error" else "",
    ]
    texts += [heard.read_text()] if where != "notify" else []
    for text in texts:
        assert "s3cret" not in text and "t0ken" not in text and "hug0" not in text
    assert "://***@127.0.0.1" in done.stderr


def test_the_settings_are_shown_without_the_password(
    toy: IndexFolder, engine: Command, settle: Callable[..., None]
) -> None:
    settle(url="https://ann:s3cret@example.org/x?sig=t0ken")
    for form in ((), ("--json",)):
        shown = engine("config", "toy", *form)
        assert "https://***@example.org/x?***" in shown.stdout and "s3cret" not in shown.stdout


@pytest.mark.parametrize("url", ["https://ann:s3cret@example.org/", "https://example.org/?sig=s3cret"])
def test_a_password_on_the_command_line_is_refused(toy: IndexFolder, night: Command, url: str) -> None:
    done = night("--url", url)
    assert done.returncode == 2 and "--url takes no user name, password or query string" in done.stderr
    assert "index.toml: [download] url" in done.stderr and "s3cret" not in done.stderr


def test_an_ftp_address_is_refused_with_the_one_that_works(toy: IndexFolder, night: Command) -> None:
    done = night("--url", "ftp://ftp.ncbi.nlm.nih.gov/pubmed/updatefiles/")
    assert done.returncode == 2
    assert "FTP is not supported. NCBI serves the same files over HTTPS. Use https://ftp.ncbi.nlm.nih.gov/pubmed/updatefiles/" in done.stderr  # fmt: skip
    assert logged(toy)[0]["status"] == "failed"


@pytest.mark.usefixtures("row")
def test_a_published_segment_is_looked_through_once_a_night(night: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    checked = []
    plain = verifying.check_segment_content

    def count(files: SegmentFiles, *rest: object) -> object:
        checked.append(files.path.name.split("-")[0])
        return plain(files, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(verifying, "check_segment_content", count)
    monkeypatch.setattr(seal, "check_segment_content", count)
    assert night("--offline").returncode == 0 and checked == ["segment"]
    assert night("--offline").returncode == 0 and checked == ["segment", "000002"]  # nothing new: looked through too


@pytest.mark.usefixtures("row")
def test_a_file_damaged_after_it_was_published_is_found_in_the_same_night(
    toy: IndexFolder, night: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    from engine.reindex.runs import nightly

    plain = nightly.reindex

    def damage(folder: IndexFolder, *rest: object) -> object:
        done = plain(folder, *rest)  # type: ignore[arg-type]
        path = segment_of(folder, 2).path / "vectors.faiss"
        path.chmod(0o644)
        with path.open("r+b") as file:
            file.seek(-1, 2)
            file.write(b"\x7f")
        return done

    monkeypatch.setattr(nightly, "reindex", damage)
    done = night("--offline")
    assert done.returncode == 3 and "vectors.faiss" in done.stderr
    assert (logged(toy)[0]["status"], logged(toy)[0]["verified"]) == ("failed", False)


@pytest.mark.usefixtures("row")
@pytest.mark.parametrize("streams", ["2>&1 | true", "2>&1 >&- | true", ">&- 2>&-", "> /dev/full 2>&1"])
def test_a_closed_pipe_loses_no_line_and_the_run_finishes(toy: IndexFolder, streams: str) -> None:
    command = (
        f"{shlex.quote(sys.executable)} -m engine nightly toy --offline --indexes {shlex.quote(str(toy.path.parent))}"
    )
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1"}
    shell = ["bash", "-c", f"{command} {streams}; exit ${{PIPESTATUS[0]}}"]
    done = subprocess.run(shell, env=environment, timeout=120, check=False)
    assert done.returncode == 0
    (row,) = logged(toy)
    assert (row["status"], row["exit_code"], row["verified"], row["generation"]) == ("updated", 0, True, 2)


@pytest.mark.usefixtures("row")
def test_a_fault_of_the_engine_is_in_the_log_without_secrets(
    toy: IndexFolder, night: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise LookupError("no such thing: https://ann:s3cret@example.org/")

    monkeypatch.setattr("engine.reindex.runs.nightly.reindex", fail)
    done = night("--offline")
    assert done.returncode == 1 and "Traceback" in done.stderr and "s3cret" not in done.stderr
    assert logged(toy)[0]["error"] == "LookupError: no such thing: https://***@example.org/"


@pytest.mark.parametrize("name", ["../toy", "Toy", "con"])
def test_a_name_that_is_none_is_refused(toy: IndexFolder, engine: Command, name: str) -> None:
    done = engine("nightly", name, "--offline", "--log", "/dev/null")
    assert done.returncode == 2 and "can't be the name of an index" in done.stderr
    assert [p.name for p in toy.path.parent.iterdir()] == ["toy"]


def test_a_mistyped_name_makes_no_folder(toy: IndexFolder, engine: Command) -> None:
    done = engine("nightly", "typo", "--offline")
    assert done.returncode == 1 and "index.toml does not exist. Create it: engine init typo SOURCE" in done.stderr
    assert [p.name for p in toy.path.parent.iterdir()] == ["toy"]


def test_the_script_calls_the_command() -> None:
    environment = {**os.environ, "PYTHON": sys.executable, "PYTHONPATH": str(ROOT)}
    done = subprocess.run([SCRIPT, "--help"], capture_output=True, text=True, env=environment, timeout=60, check=True)
    assert "engine nightly rheumatology" in done.stdout and "Exit codes, for a monitor" in done.stdout


def test_the_systemd_units_have_all_paths_filled_in(engine: Command, tmp_path: Path) -> None:
    folder = tmp_path / "100% of it"
    folder.mkdir()
    done = engine("nightly", "toy", "--print-systemd", "--deep", "--log", "a b.jsonl", "--timeout", "5", cwd=folder)
    assert done.returncode == 0
    assert "# /etc/systemd/system/engine-nightly-toy.service\n" in done.stdout
    assert "# /etc/systemd/system/engine-nightly-toy.timer\n" in done.stdout
    escaped = str(folder).replace("%", "%%")
    assert f"\nWorkingDirectory={escaped}\n" in done.stdout
    (start,) = re.findall(r"^ExecStart=(.*)$", done.stdout, re.M)
    words = [word.replace("%%", "%") for word in shlex.split(start)]
    rest = [
        "nightly",
        "toy",
        "--indexes",
        str(tmp_path / "indexes"),
        "--timeout",
        "5.0",
        "--deep",
        "--log",
        str(folder / "a b.jsonl"),
    ]
    assert words[-len(rest) :] == rest and Path(words[0]).is_absolute() and Path(words[0]).exists()
    assert "\nOnCalendar=*-*-* 02:30\n" in done.stdout and "\nUser=" in done.stdout


@pytest.mark.usefixtures("row")
def test_the_cron_line_runs_as_it_is_printed(toy: IndexFolder, engine: Command, tmp_path: Path) -> None:
    done = engine("nightly", "toy", "--print-cron", "--offline", "--log", tmp_path / "100% a.jsonl")
    note, line = done.stdout.splitlines()
    assert note.startswith("# Every night at 02:30") and line.startswith("30 2 * * * cd ")
    command = line.removeprefix("30 2 * * * ").replace(r"\%", "%")  # as cron reads it
    environment = {"PATH": "/usr/bin:/bin", "PYTHONPATH": str(ROOT), "HOME": str(tmp_path)}
    ran = subprocess.run(["/bin/sh", "-c", command], capture_output=True, text=True, env=environment, timeout=120)
    assert (ran.returncode, ran.stdout, ran.stderr) == (0, "", "")
    assert json.loads((tmp_path / "100% a.jsonl").read_text())["status"] == "updated"
    toy.path.joinpath("CURRENT").write_text("broken")
    ran = subprocess.run(["/bin/sh", "-c", command], capture_output=True, text=True, env=environment, timeout=120)
    assert "CURRENT holds 'broken'" in ran.stdout
