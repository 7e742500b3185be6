"""Screening on the command line."""

import json
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from engine.cli import main
from engine.corpus.storage.journal import DecisionKind
from engine.index.generations.folder import IndexFolder
from engine.review.decisions.reviews import NewLabel, Review, ReviewSettings

Run = Callable[..., Result]


@pytest.fixture
def run(toy: IndexFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run a command on the toy index in this process, with labels at hand."""
    monkeypatch.setenv("ENGINE_INDEXES", str(toy.path.parent))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "in.txt").write_text("toy-01\ntoy-06\nnine\n")
    (tmp_path / "out.txt").write_text("toy-02\ntoy-08\n")
    return lambda *args: CliRunner().invoke(main, [str(arg) for arg in args])


LABELS = ("--included", "in.txt", "--excluded", "out.txt")


def test_what_to_read_next(run: Run, tmp_path: Path) -> None:
    done = run("screen", *LABELS, "-n", 3, "-o", "next.ris", "--table")
    assert done.exit_code == 0, done.output
    lines = done.stdout.splitlines()
    assert lines[0].split() == ["#", "score", "cosine", "id", "year", "title"]
    assert [word for word in done.stdout.split() if word.startswith("toy-")] == ["toy-26", "toy-21", "toy-11"]
    assert "4 records labelled (2 included, 2 excluded), 36 left to screen" in done.stderr
    assert "1 listed id not in this index: nine" in done.stderr
    assert (tmp_path / "next.ris").read_text().count("TY  - ") == 3


def test_json_has_the_score_and_the_cosine_apart(run: Run) -> None:
    done = run("screen", *LABELS, "--criteria", "gout", "-n", 2, "--answer")
    found = json.loads(done.stdout)
    assert (found["n_included"], found["n_excluded"]) == (2, 2)
    assert all(-1 <= hit["cosine"] <= 1 and hit["score"] != hit["cosine"] for hit in found["hits"])


def test_a_review_gives_the_same_order_as_files_of_its_decisions(run: Run, toy: IndexFolder) -> None:
    review = Review(toy, "main")
    review.start("ann", ReviewSettings("gout"))
    for names, kind in ((["toy-01", "toy-06"], "include"), (["toy-02", "toy-08"], "exclude")):
        review.decide("ann", names, NewLabel(DecisionKind(kind)))
    files, kept = (
        run("screen", *args, "-n", 40, "--json") for args in ((*LABELS, "--criteria", "gout"), ("--review", "main"))
    )
    assert kept.exit_code == 0, kept.output
    assert json.loads(kept.stdout) == json.loads(files.stdout)
    review.decide("ann", ["toy-26"], NewLabel(DecisionKind.MAYBE))
    review.decide("ann", ["toy-11"], NewLabel(DecisionKind.INCLUDE))
    review.decide("bob", ["toy-11"], NewLabel(DecisionKind.EXCLUDE))
    found = json.loads(run("screen", "--review", "main", "-n", 40, "--answer").stdout)
    ranked = [{hit["id"] for hit in hits} for hits in (json.loads(files.stdout), found["hits"])]
    assert ranked[0] - ranked[1] == {"toy-26", "toy-11"} and len(found["hits"]) == 34
    assert (found["n_included"], found["n_excluded"], found["n_unsure"], found["n_left"]) == (2, 2, 2, 34)
    shown = run("screen", "--review", "main", "-n", 1, "--table").stderr
    assert "4 records labelled (2 included, 2 excluded), 2 maybe or in conflict, 34 left to screen" in shown
    both = run("screen", "--review", "main", *LABELS)
    assert both.exit_code == 2 and "--review and files of decisions were given" in both.output


@pytest.mark.parametrize(
    ("args", "told"),
    [
        ((), "no criteria: nothing to rank by. Give --criteria TEXT"),
        (("--included", "in.txt"), "no criteria: nothing to rank by"),
        (("--included", "in.txt", "--excluded", "in.txt"), "toy-01"),
        (("--criteria", "a", "--criteria-file", "in.txt"), "expected one of them"),
    ],
)
def test_what_can_not_be_ranked_is_told(run: Run, args: tuple[str, ...], told: str) -> None:
    done = run("screen", *args)
    assert done.exit_code == 2 and told in done.output


def test_a_simulation_is_the_same_for_the_same_seed(run: Run, tmp_path: Path) -> None:
    (tmp_path / "in.txt").write_text("\n".join(f"toy-{n:02}" for n in range(1, 41, 5)))
    (tmp_path / "out.txt").write_text("\n".join(f"toy-{n:02}" for n in range(1, 41) if n % 5 != 1))
    once, again = (run("simulate", *LABELS, "--priors", 3, "--json").stdout for _ in range(2))
    assert once == again
    found = json.loads(once)
    assert (found["n_included"], found["n_excluded"], len(found["simulations"])) == (8, 32, 3)
    assert 0 <= found["mean"]["loss"] < 0.1  # their titles give the included ones away
    assert run("simulate", *LABELS, "--priors", 3, "--seed", 1, "--json").stdout != once


def test_a_simulation_is_drawn(run: Run, tmp_path: Path) -> None:
    (tmp_path / "in.txt").write_text("\n".join(f"toy-{n:02}" for n in range(1, 41, 5)))
    (tmp_path / "out.txt").write_text("\n".join(f"toy-{n:02}" for n in range(1, 41) if n % 5 != 1))
    done = run("simulate", *LABELS, "--priors", 2, "--curve", "curve.svg")
    assert (done.exit_code, done.stderr.splitlines()[-1]) == (0, "curve in curve.svg")
    drawn = (tmp_path / "curve.svg").read_text(encoding="utf-8")
    assert "<title>Inclusions found, mean of 2 simulations</title>" in drawn
    assert "half of the records: 50 % read, 100.0 % found, below 95 % in 0 of 2" in drawn
    assert run("simulate", *LABELS, "--priors", 1, "--curve", "curve.PNG").exit_code == 0
    assert (tmp_path / "curve.PNG").read_bytes().startswith(b"\x89PNG")
    again = run("simulate", *LABELS, "--curve", "curve.svg")
    assert again.exit_code == 2 and "--overwrite" in again.output
    other = run("simulate", *LABELS, "--curve", "curve.pdf")
    assert other.exit_code == 2 and "Name a file that ends with .svg or .png" in other.output


def test_a_png_needs_matplotlib(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    done = run("simulate", *LABELS, "--curve", "curve.png")
    assert done.exit_code != 0 and "needed for .png; .svg needs nothing" in done.output


def test_labels_come_from_exports_as_from_lists(run: Run, tmp_path: Path) -> None:
    for name, ids in (("in.ris", "in.txt"), ("out.ris", "out.txt")):
        assert run("export", "--ids", ids, "-o", name).exit_code == 0
    lists, exports = (
        run("screen", "--included", f"in.{end}", "--excluded", f"out.{end}", "-n", 40, "--json")
        for end in ("txt", "ris")
    )
    assert exports.exit_code == 0, exports.output
    assert json.loads(exports.stdout) == json.loads(lists.stdout)
    assert run("export", "--hide", "out.ris", "-o", "rest.csv").stderr.startswith("38 records to rest.csv")
    known = run("recall", "gout", "--known", "in.ris", "--mode", "semantic")
    assert known.exit_code == 0 and "2 known records in the index" in known.stdout
