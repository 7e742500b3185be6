"""Measuring, comparing and making test sets on the command line."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Literal

import pytest
from click.testing import CliRunner, Result

from engine import open_index
from engine.cli import main
from engine.cli.quality import evaluate, knownitems  # noqa: F401  their commands are added to the group
from engine.index.generations.folder import IndexFolder
from engine.relevance.sets.judgments import Judgments, read_judgments
from engine.relevance.sets.runs import read_run
from engine.relevance.sets.testset import SetText, TestSet, read_set, write_set
from tests.conftest import ROOT, TOY, TOY_MODEL, jsonl

Run = Callable[..., Result]
TEXTS = {"q1": "gout", "q2": "fatigue in lupus", "q3": "knee pain"}


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run a command in this process, in tmp_path and with its folder of indexes."""
    monkeypatch.setenv("ENGINE_INDEXES", str(tmp_path / "indexes"))
    monkeypatch.delenv("ENGINE_INDEX", raising=False)
    monkeypatch.chdir(tmp_path)
    return lambda *args: CliRunner().invoke(main, [str(arg) for arg in args])


def write_known(toy: IndexFolder, path: Path, mode: Literal["hybrid", "semantic"]) -> Path:
    """Write a test set of the documents of the toy index: the first and the third hit of each query are relevant."""
    rows = [json.loads(line) for line in TOY.read_text(encoding="utf-8").splitlines()]
    documents = tuple(SetText(row["id"], f"{row['title']}. {row['abstract']}") for row in rows)
    with open_index(toy.path) as index:
        hits = {q: index.search(text, top_k=3, mode=mode) for q, text in TEXTS.items()}
    grades = {q: {mine[0].id: 1, mine[2].id: 1} for q, mine in hits.items()}
    queries = tuple(SetText(q, text) for q, text in TEXTS.items())
    write_set(TestSet("known", documents, queries, Judgments(grades)), path)
    return path


@pytest.fixture
def known(toy: IndexFolder, tmp_path: Path) -> Path:
    """A test set whose relevant records are hits of the default mode."""
    return write_known(toy, tmp_path / "known", "hybrid")


@pytest.fixture
def known_by_cosine(toy: IndexFolder, tmp_path: Path) -> Path:
    """A test set whose relevant records are hits by the cosine alone, as a model ranks."""
    return write_known(toy, tmp_path / "known", "semantic")


def test_an_index_is_measured(run: Run, known: Path) -> None:
    done = run("evaluate", "--set", known, "--run", "a.trec", "--per-query", "a.tsv")
    assert done.exit_code == 0, done.output
    lines = done.stdout.splitlines()
    assert lines[0].startswith("toy, generation 000001: ")
    assert lines[1:4] == [
        "measure       mean  95 % interval",
        "nDCG@10     0.9197  0.9197 to 0.9197",
        "recall@100  1.0000  1.0000 to 1.0000",
    ]
    assert [line.split()[0] for line in lines[4:9]] == ["MRR@10", "MAP", "P@10", "R@10%", "WSS@95"]
    assert lines[9:] == ["3 judged queries, 40 records"]
    assert done.stderr.splitlines()[-2:] == ["a.trec written", "a.tsv written"]
    assert {q: len(ranking) for q, ranking in read_run(Path("a.trec")).rankings.items()} == dict.fromkeys(TEXTS, 40)
    table = [line.split("\t") for line in Path("a.tsv").read_text(encoding="utf-8").splitlines()]
    assert table[0] == ["query_id", "nDCG@10", "recall@100", "MRR@10", "MAP", "P@10", "R@10%", "WSS@95"]
    assert [row[:3] for row in table[1:]] == [[q, "0.919721", "1.000000"] for q in TEXTS]


def test_measures_and_hits_can_be_named(run: Run, known: Path) -> None:
    done = run("evaluate", "--set", known, "--measure", "P@2", "--measure", "map", "-n", "2", "--json")
    found = json.loads(done.stdout)
    assert [(one["measure"], one["mean"]) for one in found["measures"]] == [("P@2", 0.5), ("MAP", 0.5)]
    assert found["judged_by"] == {"known": read_set(known).sha256}
    assert (found["n_judged"], found["n_documents"], found["ann_recall"], found["notes"]) == (3, 40, None, [])
    assert found["mode"] == "hybrid"
    modes = [json.loads(run("evaluate", "--set", known, "--mode", m, "--json").stdout) for m in ("keyword", "hybrid")]
    assert modes[0]["measures"] != modes[1]["measures"] and all(len(one["measures"]) == 7 for one in modes)
    fewer = json.loads(run("evaluate", "--set", known, "--diversify", "0.5", "--year", "2000-", "--json").stdout)
    assert len(fewer["measures"]) == 5 and 0 < fewer["n_documents"] < 40


def test_queries_and_judgments_come_from_files(toy: IndexFolder, tmp_path: Path) -> None:
    (tmp_path / "q.tsv").write_text("q1\tgout\nq9\tlupus\n", encoding="utf-8")
    (tmp_path / "qrels.txt").write_text(
        "q1 0 toy-01 1\nq1 0 toy-01 1\nq1 0 gone\x07 1\nq2 0 toy-02 0\n", encoding="utf-8"
    )
    code = "import engine.cli.quality.evaluate; from engine.cli import main; main()"
    command = [sys.executable, "-c", code, "evaluate", "--indexes", tmp_path / "indexes", "-i", "toy"]
    files = ["--queries", tmp_path / "q.tsv", "--qrels", tmp_path / "qrels.txt"]
    done = subprocess.run([*command, *files], capture_output=True, text=True, cwd=ROOT, timeout=100)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[9:] == [
        "2 judged queries, 40 records",
        "1 query without judgments, skipped",
        "1 query judged but without a text: nothing found",
        "1 query without a relevant record: counted as 0",
        "1 judged record not in the collection; relevant ones count as not found",
        "1 judgment repeated, counted once",
    ]
    (tmp_path / "q.tsv").write_text("\n", encoding="utf-8")
    done = subprocess.run([*command, *files], capture_output=True, text=True, cwd=ROOT, timeout=100)
    assert done.returncode == 2 and "q.tsv is empty. Expected lines of id, tab, text" in done.stderr


def test_a_model_searches_a_set(run: Run, known_by_cosine: Path) -> None:
    pytest.importorskip("torch", reason="exports a model, which needs torch")
    done = run("evaluate", "--set", known_by_cosine, "--model", TOY_MODEL, "--measure", "nDCG@10", "--json")
    assert done.exit_code == 0, done.output
    found = json.loads(done.stdout[done.stdout.index("{") :])
    assert found["measures"] == [{"measure": "nDCG@10", "mean": 0.919721, "low": 0.919721, "high": 0.919721}]
    done = run("compare", "toy", TOY_MODEL, "--set", known_by_cosine, "--measure", "MAP")
    assert done.stdout.splitlines()[-1].split()[-3:] == ["0", "3", "0"] and done.exit_code == 0
    assert run("compare", "toy", "all-MiniLM-L6-v2", "--set", known_by_cosine).exit_code == 0
    with_prompt = f"'{TOY_MODEL}' --query-prompt 'find: '"
    backwards = f"{TOY_MODEL} --template '{{abstract}} {{title}}'"
    done = run("compare", TOY_MODEL, backwards, "--set", known_by_cosine)
    heads = [line for line in done.stdout.splitlines() if line.endswith("3 queries")]
    assert heads == ["nDCG@10, 3 queries", "recall@100, 3 queries", "MRR@10, 3 queries"] and done.exit_code == 0
    assert "--template" in done.stdout
    done = run("evaluate", "--set", known_by_cosine, "--model", f"{TOY_MODEL} --template '{{title}}'")
    assert done.exit_code == 0 and "without a word that the encoder knows, never ranked" in done.stdout  # no titles
    done = run(
        "compare", TOY_MODEL, with_prompt, "--set", known_by_cosine, "--measure", "MAP", "--measure", "P@10", "--json"
    )
    found = json.loads(done.stdout[done.stdout.index("{") :])
    assert (found["measure"], [each["measure"] for each in found["more"]]) == ("MAP", ["P@10"])
    assert run("compare", "toy", f"{TOY_MODEL} --colour", "--set", known_by_cosine).exit_code == 2
    done = run("compare", "toy", f"{TOY_MODEL} 'open", "--set", known_by_cosine)
    assert done.exit_code == 2 and "can't be read as a model with options" in done.output


def test_systems_are_compared(run: Run, known: Path) -> None:
    for mode in ("semantic", "keyword"):
        run("evaluate", "--set", known, "--mode", mode, "--run", f"{mode}.trec")
    done = run(
        "compare", "semantic.trec", "keyword.trec", "toy", "--set", known, "--plot", "gain.png", "--measure", "MRR@10"
    )
    assert done.exit_code == 0, done.output
    lines = done.stdout.splitlines()
    assert lines[0] == "MRR@10, 3 queries"
    assert lines[1].split() == "mean 95 % interval gain 95 % interval p won equal lost".split()
    assert lines[2].split() == ["semantic.trec", "1.0000", "1.0000", "to", "1.0000"]
    assert lines[4].split() == "toy 1.0000 1.0000 to 1.0000 +0.0000 +0.0000 to +0.0000 1.0000 0 3 0".split()
    assert Path("gain.png").read_bytes().startswith(b"\x89PNG")
    found = json.loads(run("compare", "semantic.trec", "keyword.trec", "--qrels", known / "qrels.tsv", "--json").stdout)
    assert (found["measure"], found["n"], [one["name"] for one in found["systems"]]) == (
        "nDCG@10",
        3,
        ["semantic.trec", "keyword.trec"],
    )
    assert found["systems"][1]["gain"]["mean"] == pytest.approx(
        found["systems"][1]["mean"] - found["systems"][0]["mean"], abs=2e-6
    )
    assert "gain" not in found["systems"][0] and list(found["judged_by"]) == ["qrels.tsv"]


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["evaluate"], "there are no judgments. Give --queries and --qrels, or a test set"),
        (["evaluate", "--set", "known", "--qrels", "known/qrels.tsv"], "--set has its own queries and judgments"),
        (["evaluate", "--qrels", "known/qrels.tsv"], "an index needs the texts of the queries"),
        (["evaluate", "--qrels", "known/qrels.tsv", "--model", "m"], "m needs documents to search. Give a test set"),
        (["evaluate", "--set", "known", "--model", "m", "-i", "toy"], "--model searches a test set by cosine alone"),
        (["evaluate", "--set", "known", "--model", "m", "--mode", "keyword"], "--model searches a test set by cosine"),
        (["evaluate", "--set", "known", "--measure", "best"], "no measure is called 'best'"),
        (
            ["evaluate", "--set", "known", "--run", "known/set.json"],
            "known/set.json exists. Write over it: --overwrite",
        ),
        (["evaluate", "--set", "known", "--run", "none/a.trec"], "none/a.trec can't be written"),
        (["evaluate", "--set", "known", "--run", "a", "--per-query", "a"], "a is named twice"),
        (["evaluate", "--set", "known", "--offset", "3"], "--offset cannot be combined with an evaluation"),
        (["compare", "toy", "--set", "known"], "one system given, expected at least two"),
        (
            ["compare", "toy", "nothing", "--set", "known"],
            "'nothing' is not a TREC run (.trec, .run, .txt), an index in",
        ),
        (["compare", "toy", "toy", "--qrels", "known/qrels.tsv"], "an index needs the texts"),
        (["compare", "toy", "toy", "--set", "known", "--plot", "known/set.json"], "exists. Write over it"),
        (["known-items", "-o", "x"], "expected either files or an index"),
        (["known-items", "known/corpus.jsonl", "-i", "toy", "-o", "x"], "expected either files or an index"),
        (["known-items", "known/corpus.jsonl", "-o", "."], "expected a new folder or one with only corpus.jsonl"),
        (["known-items", "known/corpus.jsonl", "-o", "x", "--all"], "none of 40 records makes an item"),
    ],
)
def test_what_makes_no_sense_is_refused(run: Run, known: Path, args: list[str], message: str) -> None:
    before = sorted(Path().rglob("*"))
    done = run(*args)
    assert done.exit_code == 2 and message in done.stderr and done.stdout == ""
    assert sorted(Path().rglob("*")) == before


def rows() -> list[dict[str, object]]:
    long = "Some patients had pain in the morning, and others had pain in the evening, when they were asked about it."
    made = [
        {"id": f"r{n}", "title": f"Pain in study number {n}", "abstract": f"In study {n}. {long}"} for n in range(60)
    ]
    return [
        *made,
        {"id": "r1", "title": "", "abstract": ""},
        {"id": "copy", **{k: made[0][k] for k in ("title", "abstract")}},
    ]


def test_a_test_set_is_made_of_files(run: Run, tmp_path: Path) -> None:
    source = jsonl(tmp_path / "rows.jsonl", rows())
    done = run("known-items", source, "-o", "all", "--all")
    assert done.exit_code == 0, done.output
    made = read_set(Path("all"))
    assert len(made.documents) == len(made.queries) == made.judgments.n_relevant == 60
    assert done.stdout.splitlines() == [
        "note: 1 record cannot be used: rows.jsonl, line 61: neither title nor abstract, so there is nothing to search",
        "61 records read",
        "1 repeating a publication or a text",
        f"all: 60 items, SHA-256 {made.sha256}",
    ]
    before = {path.name: path.read_bytes() for path in Path("all").iterdir()}
    assert run("known-items", source, "-o", "all", "--all").exit_code == 0
    assert {path.name: path.read_bytes() for path in Path("all").iterdir()} == before
    some = json.loads(run("known-items", source, "-o", "some", "--json").stdout)
    assert 0 < some["taken"] < 20 and some["outside"] + some["taken"] + some["again"] == 61
    assert {one.id for one in read_set(Path("some")).documents} < {one.id for one in made.documents}
    assert json.loads(Path("some/set.json").read_text(encoding="utf-8"))["held_out"] == 0.1


def test_a_test_set_is_made_of_an_index(run: Run, toy: IndexFolder, add: Callable[..., object]) -> None:
    add(*rows()[:60])
    assert run("known-items", "-i", "toy", "-o", "made", "--all").exit_code == 0
    assert read_judgments(Path("made/qrels.tsv")).grades["r7"] == {"r7": 1}
    about = json.loads(Path("made/set.json").read_text(encoding="utf-8"))
    assert [one["name"] for one in about["sources"]] == ["toy, generation 000002"]
    assert about["counts"]["queries"] == 60 and (about["kind"], about["held_out"]) == ("titles", 1.0)


def test_the_run_of_an_index_is_measured_as_the_index_was(run: Run, tmp_path: Path) -> None:
    rows = [json.loads(line) for line in TOY.read_text(encoding="utf-8").splitlines()]
    numbered = [row | {"id": f"R{n}", "pmid": str(9000 + n), "doi": f"10.1/{n}"} for n, row in enumerate(rows)]
    assert run("index", jsonl(tmp_path / "rows.jsonl", numbered), "-i", "toy", "-m", TOY_MODEL).exit_code == 0
    names = [("R3", "9004", "10.1/5"), ("9010", "R11", "10.1/12")]
    Path("q.tsv").write_text("".join(f"q{n}\t{rows[3 + 7 * n]['title']}\n" for n in (0, 1)), encoding="utf-8")
    judged = [f"q{n} 0 {one} {grade}\n" for n in (0, 1) for grade, one in enumerate(reversed(names[n]), 1)]
    Path("qrels.txt").write_text("".join(judged), encoding="utf-8")
    asked = ("--queries", "q.tsv", "--qrels", "qrels.txt")
    done = run(
        "evaluate", "-i", "toy", *asked, "--mode", "semantic", "--measure", "nDCG@10", "--run", "a.trec", "--json"
    )
    assert done.exit_code == 0, done.output
    mean = json.loads(done.stdout)["measures"][0]["mean"]
    systems = json.loads(run("compare", "toy", "a.trec", *asked, "--json").stdout)["systems"]
    assert [one["mean"] for one in systems] == [mean, mean] and mean > 0.3
    ranked = {one.record_id for ranking in read_run(Path("a.trec")).rankings.values() for one in ranking}
    assert {*names[0], *names[1]} <= ranked


def test_a_run_writes_blanks_of_ids_as_it_must_and_is_measured_all_the_same(run: Run, tmp_path: Path) -> None:
    texts = [f"gout and colchicine {'knee ' * n}" for n in range(6)]
    documents = tuple(SetText(f"WOS {n}", text) for n, text in enumerate(texts))
    queries = (SetText("q 1", texts[2]), SetText("q 2", texts[4]))
    judgments = Judgments({"q 1": {"WOS 2": 1}, "q 2": {"WOS 4": 1}})
    write_set(TestSet("blank", documents, queries, judgments), tmp_path / "blank")
    done = run("evaluate", "--set", "blank", "--model", TOY_MODEL, "--run", "a.trec", "--measure", "nDCG@10", "--json")
    mean = json.loads(done.stdout)["measures"][0]["mean"]
    systems = json.loads(run("compare", TOY_MODEL, "a.trec", "--set", "blank", "--json").stdout)["systems"]
    assert [one["mean"] for one in systems] == [mean, mean] and mean > 0.5
