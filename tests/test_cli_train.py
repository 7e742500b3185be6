"""Training and promoting on the command line."""

import csv
import json
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from engine.cli import main
from tests.conftest import TOY, TOY_MODEL, jsonl

Run = Callable[..., Result]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run a command in this process, in tmp_path."""
    monkeypatch.setenv("ENGINE_INDEXES", str(tmp_path / "indexes"))
    monkeypatch.chdir(tmp_path)
    return lambda *args: CliRunner().invoke(main, [str(arg) for arg in args])


def pairs(path: Path, first: Callable[[int], str]) -> Path:
    with path.open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["sentence_0", "sentence_1", "label"])
        rows.writerows((first(n), f"knee pain of the adult {n}", (n % 7) / 6) for n in range(64))
    return path


def test_the_seeds_pairs_are_refused_before_a_step_is_run(run: Run, tmp_path: Path) -> None:
    bad = pairs(tmp_path / "bad.csv", lambda n: ("", ".", "..")[n % 3])
    looked = run("train", bad, "--method", "seed", "--check", "--base", TOY_MODEL)
    assert looked.exit_code == 1 and "nearly constant" in looked.output
    done = run("train", bad, "--method", "seed", "--base", TOY_MODEL, "-o", "out")
    assert done.exit_code == 1 and "--force" in done.output
    assert not (tmp_path / "out").exists() and not (tmp_path / "out.training").exists()


def test_good_pairs_make_an_encoder(run: Run, tmp_path: Path) -> None:
    good = pairs(tmp_path / "good.csv", lambda n: f"sore knees, number {n * n}")
    assert run("train", good, "--method", "seed", "--check", "--base", TOY_MODEL).exit_code == 0
    done = run(
        "train", good, "--method", "seed", "--base", TOY_MODEL, "-o", "out", "--batch-size", 16, "--max-steps", 3
    )
    assert done.exit_code == 0, done.output
    assert "3 steps" in done.output and "engine promote out" in done.output
    assert (tmp_path / "out" / "README.md").is_file() and (tmp_path / "out" / "model.safetensors").is_file()


def test_what_makes_no_sense_is_told(run: Run, tmp_path: Path) -> None:
    assert "either files, or an index" in run("train", "--method", "adapt").output
    assert "needs labelled pairs" in run("train", "--method", "seed", "-i", "toy").output
    few = run("train", TOY, "--method", "adapt", "--base", TOY_MODEL, "--batch-size", 512)
    assert few.exit_code == 1 and "expected at least one batch of 512" in few.output
    for method in ("seed", "adapt"):
        assert "and an index has none" in run("train", "--method", method, "-i", "toy", "--check").output
    good = pairs(tmp_path / "good.csv", lambda n: f"sore knees, number {n * n}")
    held = run("train", good, "--method", "adapt", "--base", TOY_MODEL, "--pairs", "--hold-out", TOY)
    assert held.exit_code == 2 and "remove the rows from the file of pairs" in held.output
    for option, value in (("--seed", -1), ("--seed", 2**32), ("--negatives", 60)):
        assert "is not in the range" in run("train", TOY, "--method", "adapt", option, value).output
    wrong = run("train", TOY, "--method", "adapt", "--matryoshka", "many")
    assert wrong.exit_code == 2 and "expected dimensions like 256,128" in wrong.output


def test_a_refused_model_leaves_the_index_as_it_is(run: Run, model_folder: Path, tmp_path: Path) -> None:
    assert run("index", TOY, "-i", "toy", "-m", TOY_MODEL).exit_code == 0
    few = run("promote", model_folder, "-i", "toy")
    assert few.exit_code == 2 and "held out for testing, expected 100 or more" in few.output
    rows = [{"id": n, "title": f"Pain of the knee {n}", "abstract": f"We asked {n} adults. " * 9} for n in range(9)]
    assert run("known-items", jsonl(tmp_path / "rows.jsonl", rows), "--all", "-o", "items").exit_code == 0
    same = run("promote", TOY_MODEL, "-i", "toy", "--known-items", "items")
    assert same.exit_code == 2 and "nothing to promote" in same.output
    assert "generation 000001" in run("status", "-i", "toy").output


def test_what_was_read_is_told_of_an_index_and_of_files_of_one_name(run: Run, tmp_path: Path) -> None:
    rows = [{"id": n, "title": f"Pain {n} of the knee", "abstract": f"We asked {n} adults. " * 9} for n in range(90)]
    first, other = tmp_path / "a", tmp_path / "b"
    first.mkdir()
    other.mkdir()
    jsonl(first / "rows.jsonl", rows)
    jsonl(other / "rows.jsonl", rows[:3])
    assert run("index", first / "rows.jsonl", "-i", "toy", "-m", TOY_MODEL).exit_code == 0
    given = (
        "--method",
        "adapt",
        "--base",
        TOY_MODEL,
        "--batch-size",
        16,
        "--max-steps",
        1,
        "--hold-out",
        other / "rows.jsonl",
    )
    for output, source in (("x", first / "rows.jsonl"), ("y", None)):
        done = run("train", *((source,) if source else ("-i", "toy")), *given, "-o", output)
        assert done.exit_code == 0, done.output
    read = {name: json.loads((tmp_path / name / "training.json").read_text())["sources"] for name in ("x", "y")}
    assert (
        [len(one["trained_on"]) for one in read.values()] == [len(one["held_out"]) for one in read.values()] == [1, 1]
    )
    assert read["x"]["trained_on"][0]["name"] == read["x"]["held_out"][0]["name"] == "rows.jsonl"
    assert read["x"]["trained_on"][0]["sha256"] != read["x"]["held_out"][0]["sha256"]
    assert read["y"]["trained_on"][0]["name"] == "toy, generation 000001"
