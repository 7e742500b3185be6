"""The command `engine flow`, the counts of files in other commands, and the check of `engine init`."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess
from xml.etree import ElementTree

import pytest

from engine.corpus.storage.journal import DecisionKind
from engine.index.generations.folder import IndexFolder
from engine.review.decisions.reviews import NewLabel, Review, ReviewSettings

Run = Callable[..., CompletedProcess[str]]
RIS = "TY  - JOUR\nTI  - {}\nAB  - Text.\nDO  - {}\nER  - \n"
SVG = "{http://www.w3.org/2000/svg}"


@pytest.fixture
def review(toy: IndexFolder, engine: Run, tmp_path: Path) -> IndexFolder:
    """The toy index with two exports that share a record; each also has one twice."""
    (tmp_path / "scopus.ris").write_text(RIS.format("Gout", "10.1/a") * 2 + RIS.format("Lupus", "10.1/b"))
    (tmp_path / "embase.ris").write_text(RIS.format("Gout", "10.1/a") + "TY  - JOUR\nER  - \n")
    done = engine("index", "scopus.ris", "embase.ris", "-i", "toy")
    assert done.returncode == 0, done.stderr
    lines = [line.split() for line in done.stdout.splitlines()]
    assert ["file", "records", "rejected", "repeated", "merged", "added"] in lines
    assert ["scopus.ris", "3", "0", "1", "0", "2"] in lines and ["embase.ris", "2", "1", "0", "1", "0"] in lines
    assert ["together", "5", "1", "1", "1", "2"] in lines
    return toy


def test_status_shows_what_each_file_gave(review: IndexFolder, engine: Run) -> None:
    rows = [line.split() for line in engine("status", "--sources", "-i", "toy").stdout.splitlines()]
    assert ["000002", "embase.ris", "2", "1", "0", "1", "0"] in rows
    files = json.loads(engine("status", "--sources", "--json", "-i", "toy").stdout)["sources"]
    assert [(each["file"], each["counts"]["read"], each["counts"]["merged"]) for each in files] == [
        ("toy.jsonl", 40, 0), ("scopus.ris", 3, 0), ("embase.ris", 2, 1),
    ]  # fmt: skip


def test_index_prints_its_report_as_json(toy: IndexFolder, engine: Run, tmp_path: Path) -> None:
    (tmp_path / "a.ris").write_text(RIS.format("Gout", "10.1/a") * 2 + "TY  - JOUR\nER  - \n")
    report = json.loads(engine("index", "a.ris", "-i", "toy", "--json").stdout)
    (reading,) = report["readings"]
    counts = reading["counts"]
    assert (report["index"], report["generation"], reading["file"]) == ("toy", 2, "a.ris")
    assert [counts[name] for name in ("read", "rejected", "repeated", "added")] == [3, 1, 1, 1]


def test_a_file_that_is_skipped_shows_what_it_gave(review: IndexFolder, engine: Run, tmp_path: Path) -> None:
    assert engine("init", "toy", "scopus.ris").returncode == 0
    again = engine("reindex", "toy")
    assert ["scopus.ris", "(read", "before)", "3", "1", "2"] in [line.split() for line in again.stdout.splitlines()]
    report = json.loads(engine("reindex", "toy", "--json").stdout)
    (skipped,) = report["skipped"]
    assert (skipped["file"], skipped["counts"]["added"], skipped["counts"]["repeated"]) == ("scopus.ris", 2, 1)


def test_the_flow_as_text_json_and_picture(review: IndexFolder, engine: Run, tmp_path: Path) -> None:
    done = engine("flow", "-i", "toy", "-o", "flow.svg")
    assert done.returncode == 0 and "diagram in flow.svg" in done.stderr
    assert "toy: 45 records found, 3 removed, 42 left" in done.stdout
    assert "same DOI: 1" in done.stdout and "twice in one file: 1" in done.stdout
    found = json.loads(engine("flow", "-i", "toy", "--json").stdout)
    assert (found["found"], found["rejected"], found["left"], found["duplicates"]) == (45, 1, 42, {"DOI": 1, "file": 1})
    assert {origin["name"]: origin["found"] for origin in found["origins"]} == {
        "toy.jsonl": 40,
        "Scopus": 3,
        "Embase": 2,
    }
    day = found["origins"][2]["last_read"]
    assert re.fullmatch(r"20\d\d-\d\d-\d\d", day) and "screening" not in found
    assert found["origins"][2]["files"] == [{"name": "embase.ris", "first_read": day, "last_read": day, "found": 2}]
    texts = texts_of((tmp_path / "flow.svg").read_text(encoding="utf-8"))
    assert "Records to be screened (n = 42)" in texts and "Studies included in review (n = \u2003)" in texts
    again = engine("flow", "-i", "toy", "-o", "flow.svg")
    assert again.returncode == 2 and "flow.svg" in again.stderr
    wrong = engine("flow", "-i", "toy", "-o", "flow.png")
    assert wrong.returncode == 2 and "Name a file that ends with .svg" in wrong.stderr


def test_decisions_fill_the_later_stages(review: IndexFolder, engine: Run, tmp_path: Path) -> None:
    (tmp_path / "in.txt").write_text("toy-01\n")
    (tmp_path / "out.txt").write_text("toy-02\ntoy-03\twrong drug\ntoy-04\tnot retrieved\nabsent\n")
    done = engine("flow", "-i", "toy", "--included", "in.txt", "--excluded", "out.txt", "-o", "flow.svg")
    assert "screened: 4; excluded by title and abstract: 1" in done.stdout and "included: 1" in done.stdout
    assert "decisions on records that are not in the index: 1" in done.stdout
    texts = texts_of((tmp_path / "flow.svg").read_text(encoding="utf-8"))
    assert texts[texts.index("Records screened (n = 4 of 42)") :] == [
        "Records screened (n = 4 of 42)",
        "Records excluded (n = 1)",
        "Reports sought for retrieval (n = 3)",
        "Reports not retrieved (n = 1)",
        "Reports assessed for eligibility (n = 2)",
        "Reports excluded:",
        "wrong drug (n = 1)",
        "Studies included in review (n = 1)",
    ]


def test_a_review_fills_the_later_stages(review: IndexFolder, engine: Run, tmp_path: Path) -> None:
    kept = Review(review, "main")
    kept.start("ann", ReviewSettings())
    for name, kind, reason in (
        ("toy-01", "include", ""),
        ("toy-02", "exclude", ""),
        ("toy-03", "exclude", "wrong drug"),
        ("toy-04", "exclude", "not retrieved"),
        ("toy-05", "maybe", ""),
        ("toy-06", "include", ""),
    ):
        kept.decide("ann", [name], NewLabel(DecisionKind(kind), reason))
    kept.decide("bob", ["toy-06"], NewLabel(DecisionKind.EXCLUDE))
    done = engine("flow", "-i", "toy", "--review", "main", "-o", "flow.svg")
    assert done.stdout.splitlines()[-8:] == [
        "  screened: 4; excluded by title and abstract: 1",
        "  reports sought: 3; not retrieved: 1",
        "  reports assessed: 2",
        "  report excluded, wrong drug: 1",
        "  included: 1",
        "  maybe: 1",
        "  in conflict: 1",
        "  not yet screened: 36",
    ]
    assert "Records screened (n = 4 of 42)" in texts_of((tmp_path / "flow.svg").read_text(encoding="utf-8"))
    counts = json.loads(engine("flow", "-i", "toy", "--review", "main", "--json").stdout)["screening"]
    assert (counts["review"], counts["screened"], counts["reasons"]) == ("main", 4, {"wrong drug": 1})
    (tmp_path / "in.txt").write_text("toy-01\n")
    both = engine("flow", "-i", "toy", "--review", "main", "--included", "in.txt")
    assert both.returncode == 2 and "--review and files of decisions were given" in both.stderr


def test_a_review_of_reports_follows_that_of_abstracts(toy: IndexFolder, engine: Run) -> None:
    first, second = Review(toy, "abstracts"), Review(toy, "reports")
    for kept, decisions in (
        (
            first,
            "01 include, 02 include, 03 include, 04 include, 05 include, 06 exclude, 07 exclude wrong drug, 08 maybe",
        ),
        (second, "01 include, 02 exclude no control, 03 exclude Not retrieved, 04 exclude, 06 include, 09 exclude odd"),
    ):
        kept.start("ann", ReviewSettings())
        for decision in decisions.split(", "):
            number, kind, *reason = decision.split(" ", 2)
            kept.decide("ann", [f"toy-{number}"], NewLabel(DecisionKind(kind), *reason))
    found = json.loads(engine("flow", "-i", "toy", "--review", "abstracts", "--full-text", "reports", "--json").stdout)
    counts = found["screening"]
    assert counts == {
        "review": "abstracts", "screened": 7, "sought": 5, "assessed": 3, "included": 1, "excluded": 2,
        "reasons": {"no control": 1, "no reason": 1}, "not_retrieved": 1, "undecided": 32, "unknown": 0, "maybe": 1,
        "conflict": 0, "awaiting": 1,
    }  # fmt: skip
    assert counts["sought"] == counts["not_retrieved"] + counts["assessed"] + counts["awaiting"]
    assert counts["screened"] + counts["maybe"] + counts["conflict"] + counts["undecided"] == found["left"] == 40
    alone = engine("flow", "-i", "toy", "--full-text", "reports")
    assert alone.returncode == 2 and "Name it: --review" in alone.stderr


def texts_of(svg: str) -> list[str]:
    texts = [str(node.text) for node in ElementTree.fromstring(svg).iter(f"{SVG}text")]
    return [text.replace("\u00a0", " ") for text in texts]


def test_init_says_what_is_there_instead(engine: Run, tmp_path: Path) -> None:
    (tmp_path / "exports").mkdir()
    (tmp_path / "exports" / "a.nbib").write_text("x")
    for source, what in (
        ("exports/a.ris", "does not exist"),
        ("exports/*.ris", "matches no file"),
        ("exports/b/c", "does not exist"),
    ):
        done = engine("init", "fresh", source)
        assert done.returncode == 2
        assert re.search(rf"{re.escape(source)} {what}\. .*exports contains a\.nbib\. Correct it", done.stderr)
    assert not (tmp_path / "indexes" / "fresh").exists()
    assert engine("init", "fresh", "exports/*.nbib", "exports").returncode == 0


def test_what_to_do_about_texts_that_are_cut(toy: IndexFolder, engine: Run, tmp_path: Path) -> None:
    (tmp_path / "long.ris").write_text(RIS.format("Gout " * 90, "10.1/a"))
    done = engine("index", "long.ris", "-i", "toy")
    (command,) = re.findall(r"long ones in parts: engine (.*)", done.stdout)
    assert command == f"index {tmp_path / 'long.ris'} -i toy --recipe passages --re-encode"
    again = engine(*command.split(), "-m", Path(__file__).parent / "data" / "toy-model")
    assert again.returncode == 0 and "long ones in parts" not in again.stdout
