"""Searching by command line: filters, modes, files, batches, and what is refused."""

import csv
import gzip
import itertools
import json
import os
import re
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from engine.index.generations.folder import IndexFolder
from engine.reindex.generation.order import Report
from tests.test_cli import on_terminal

Run = Callable[..., subprocess.CompletedProcess[str]]
Add = Callable[..., Report]


def rows(done: subprocess.CompletedProcess[str]) -> list[dict[str, object]]:
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_filters_reach_the_index(toy: IndexFolder, engine: Run, tmp_path: Path, add: Add) -> None:
    add(
        {"id": "a", "title": "Gout", "year": 2031, "journal": "Gut", "mesh": ["Gout"], "authors": ["Smith, Jo"],
         "publication_types": ["Review"], "keywords": ["urate"], "languages": ["eng"], "retracted": True},
        {"id": "b", "title": "Gout again", "year": 2032, "journal": "The Lancet", "abstract": "More."},
    )  # fmt: skip
    (tmp_path / "ids.txt").write_text("PMID\na\nb\n\nnope\n", encoding="utf-8")
    for options, wanted in (
        (("--year", "2031"), {"a"}),
        (("--year", "2031-", "--not-retracted"), {"b"}),
        (("--year", "2031", "--year", "2032-2040"), {"a", "b"}),
        (("--journal", "gut"), {"a"}),
        (("--journal", "*lancet", "--has-abstract"), {"b"}),
        (("--mesh", "gout"), {"a"}),
        (("--type", "review"), {"a"}),
        (("--keyword", "urate"), {"a"}),
        (("--author", "jo smith"), {"a"}),
        (("--language", "English"), {"a"}),
        (("--source", "rows*", "--year", "2032"), {"b"}),
        (("--retracted",), {"a"}),
        (("--no-abstract",), {"a"}),
        (("--ids", "ids.txt"), {"a", "b"}),
        (("--ids", "ids.txt", "--where", "year > 2031"), {"b"}),
        (("--where", 'journal in ("Gut", "The Lancet") and not retracted'), {"b"}),
    ):
        assert {row["id"] for row in rows(engine("search", "gout", *options))} == wanted, options
    left = rows(engine("search", "gout", "-n", "100", "--hide", "ids.txt"))
    assert len(left) == 40
    told = engine("search", "gout", "--ids", "ids.txt")
    assert told.stderr.splitlines() == [
        "1 listed id not in this index: nope",
        "2 records qualify, and all of them are shown",
    ]


def test_a_dash_reads_the_query_from_standard_input(toy: IndexFolder, engine: Run) -> None:
    wanted = rows(engine("search", "gout flare", "-n", "3"))
    assert rows(engine("search", "-", "-n", "3", input=" gout\u00a0flare\n".replace("\u00a0", " "))) == wanted
    assert rows(engine("search", "-", "-n", "3", input="\ufeffgout flare")) == wanted
    assert rows(engine("new", "-", "--since", "0", "-n", "3", input="gout flare"))[0]["id"] == wanted[0]["id"]
    for blank in ("", " \n\t"):
        refused = engine("search", "-", input=blank)
        assert refused.returncode == 2 and "standard input is blank, expected a query" in refused.stderr
    assert rows(engine("search", "a", "-", "-n", "1", input=""))  # a dash among words is a word


def test_files_by_their_suffix(toy: IndexFolder, engine: Run, tmp_path: Path) -> None:
    names = ["h.ris", "h.nbib", "h.bib", "h.csv", "h.tsv", "h.xlsx", "h.json", "h.jsonl", "h.md"]
    done = engine("search", "gout", "-n", "4", *(word for name in names for word in ("-o", name)))
    assert done.returncode == 0, done.stderr
    assert done.stdout == ""
    left_out = "h.md: left out, since .md has no place for it: abstract (4)"
    assert done.stderr.splitlines() == [*(f"4 to {name}" for name in names), left_out]
    wanted = [row["id"] for row in rows(engine("search", "gout", "-n", "4"))]
    assert [row["id"] for row in json.loads((tmp_path / "h.json").read_text(encoding="utf-8"))] == wanted
    with (tmp_path / "h.csv").open(encoding="utf-8", newline="") as file:
        assert [row["id"] for row in csv.DictReader(file)] == wanted
    assert (tmp_path / "h.ris").read_text(encoding="utf-8").count("TY  - ") == 4
    again = engine("search", "gout", "-n", "4", "-o", "h.ris")
    assert again.returncode == 2 and "h.ris exists" in again.stderr and "--overwrite" in again.stderr
    assert engine("search", "gout", "-n", "2", "-o", "h.ris", "--overwrite", "--csv").stdout.startswith("rank,id,score")
    assert (tmp_path / "h.ris").read_text(encoding="utf-8").count("TY  - ") == 2
    assert not list(tmp_path.glob(".h*"))


def test_what_is_printed_as_csv_is_what_is_written(toy: IndexFolder, engine: Run, tmp_path: Path, add: Add) -> None:
    add({"id": "formula", "title": "=cmd()|gout", "abstract": "+1 -2"})
    options = ("search", "gout", "-n", "50", "--where", "id = formula")
    assert engine(*options, "-o", "h.csv").returncode == 0
    printed = engine(*options, "--csv").stdout
    assert (tmp_path / "h.csv").read_text(encoding="utf-8") == printed
    assert "'=cmd()|gout" in printed and "'+1 -2" in printed
    raw = engine(*options, "--csv", "--raw-csv").stdout
    assert ",=cmd()|gout,+1 -2," in raw


def test_the_whole_answer_as_one_object(toy: IndexFolder, engine: Run) -> None:
    done = engine("search", "gout pain", "--mode", "hybrid", "--explain", "--group-by", "year", "-n", "3", "--answer")
    answer = json.loads(done.stdout)
    assert list(answer) == ["query", "generation", "n_qualified", "verdict", "notes", "obstacles", "groups", "hits"]
    assert answer["query"]["weight"] is None and answer["query"]["fusion"] == "convex"
    assert answer["n_qualified"] == 40 and sum(group["hits"] for group in answer["groups"]) == 3
    hit = answer["hits"][0]
    assert {"fused", "bm25", "semantic_rank", "keyword_rank", "why"} <= hit.keys()
    for start, end in hit["why"]["abstract_spans"]:
        assert hit["abstract"][start:end].lower() in ("gout", "pain")
    plain = rows(engine("search", "gout pain", "--mode", "hybrid", "-n", "3"))
    assert [row["id"] for row in plain] == [row["id"] for row in answer["hits"]] and "why" not in plain[0]


def test_a_table_for_reading_with_explanations(toy: IndexFolder, engine: Run, tmp_path: Path) -> None:
    shown = on_terminal(tmp_path / "indexes", "search", "colchicine gout", "--mode", "hybrid", "--explain", "-n", "2")
    assert "fused" in shown and "% of random pairs" in shown and "by words" in shown
    assert "\x1b[1;33mcolchicine\x1b[0m" in shown.lower()
    grouped = on_terminal(tmp_path / "indexes", "search", "gout", "--group-by", "journal", "-n", "5")
    assert re.search(r"records  hits  journal\s+40     5  Invented Journal of Toys", grouped)


@pytest.mark.parametrize(
    "options", [("--explain",), ("--csv",), ("--answer",), ("--mode", "hybrid", "--explain", "-t")]
)
def test_nothing_that_a_terminal_acts_on_gets_through(
    toy: IndexFolder, engine: Run, tmp_path: Path, add: Add, options: tuple[str, ...]
) -> None:
    evil = "\x1b[2J\x1b]52;c;aGk=\x07\x9b31m\u202egout [red]bold[/red] \x1b]8;;http://x\x07"
    done = add(
        {"id": "evil", "title": f"Gout {evil}", "abstract": f"Gout. {evil} ends.", "journal": evil, "year": 2040}
    )
    assert done.counts.added == 1, done
    shown = on_terminal(tmp_path / "indexes", "search", "gout", "--year", "2040", *options)
    assert "bold" in shown
    left = re.sub(r"\x1b\[[0-9;]*m", "", shown)  # rich's own colours
    assert not re.search("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u202a-\u202e]", left)
    if "--csv" not in options and "--answer" not in options:
        assert "[red]" in left


def test_a_batch_is_a_run(toy: IndexFolder, engine: Run, tmp_path: Path) -> None:
    (tmp_path / "q.tsv").write_text("query_id\ttext\nq1\tgout\n\nq2\tlupus pain\n", encoding="utf-8")
    done = engine("search", "--queries", "q.tsv", "-n", "3", "-o", "run.trec")
    assert done.returncode == 0, done.stderr
    assert "2 queries, 6 hits to run.trec" in done.stderr
    lines = [line.split(" ") for line in (tmp_path / "run.trec").read_text(encoding="utf-8").splitlines()]
    assert [line[0] for line in lines] == ["q1"] * 3 + ["q2"] * 3
    assert all(line[1] == "Q0" and line[5] == "abstract-engine" for line in lines)
    single = rows(engine("search", "lupus pain", "-n", "3"))
    assert [(line[2], int(line[3]), float(line[4])) for line in lines[3:]] == [
        (row["id"], row["rank"], pytest.approx(row["fused"], abs=1e-6)) for row in single
    ]


def test_the_score_of_a_run_falls_whatever_ranks(toy: IndexFolder, engine: Run, tmp_path: Path) -> None:
    (tmp_path / "q.tsv").write_text("q1\tgout\nq2\tpain\n", encoding="utf-8")
    for options in (
        (),
        ("--diversify", "0.9"),
        ("--mode", "hybrid"),
        ("--mode", "keyword"),
        ("--mode", "hybrid", "--diversify", "1"),
    ):
        done = engine("search", "--queries", "q.tsv", "-n", "40", "-o", "run.trec", "--overwrite", *options)
        assert done.returncode == 0, done.stderr
        lines = [line.split(" ") for line in (tmp_path / "run.trec").read_text(encoding="utf-8").splitlines()]
        for query_id in ("q1", "q2"):
            scores = [float(line[4]) for line in lines if line[0] == query_id]
            assert len(scores) > 5 and all(a > b for a, b in itertools.pairwise(scores)), options


def test_a_query_that_cannot_be_answered_is_left_out_and_told(toy: IndexFolder, engine: Run, tmp_path: Path) -> None:
    (tmp_path / "q.tsv").write_text("q1\tgout\nq2\t???\nq3\tlupus\n", encoding="utf-8")
    done = engine("search", "--queries", "q.tsv", "-n", "3", "-o", "run.trec", "--mode", "keyword")
    assert done.returncode == 0 and "query q2 skipped: " in done.stderr and "no word to look for" in done.stderr
    found = [line.split(" ")[0] for line in (tmp_path / "run.trec").read_text(encoding="utf-8").splitlines()]
    assert sorted(set(found)) == ["q1", "q3"]


def test_new_writes_what_is_new_and_groups_go_beside(toy: IndexFolder, engine: Run, tmp_path: Path, add: Add) -> None:
    add({"id": "n1", "title": "Gout anew", "year": 2031})
    done = engine("new", "gout", "--since", "1", "-o", "n.csv", "--group-by", "year", "--nl")
    assert (tmp_path / "n.csv").read_text(encoding="utf-8").startswith("change,rank,id,")
    assert json.loads(done.stdout)["change"] == "added" and "1  2031" in done.stderr


def test_the_columns_of_new_do_not_depend_on_the_number_of_hits(toy: IndexFolder, engine: Run, tmp_path: Path) -> None:
    header = "change,rank,id,score,"
    done = engine("new", "gout", "--since", "1", "--csv", "-o", "n.csv")  # nothing has changed since generation 1
    assert done.stdout.startswith(header) and done.stdout.count("\n") == 1
    assert (tmp_path / "n.csv").read_text(encoding="utf-8") == done.stdout
    assert engine("new", "gout", "--since", "0", "-n", "1", "--csv").stdout.startswith(header)
    assert engine("search", "gout", "--min-score", "1", "--csv").stdout.startswith("rank,id,score,")


@pytest.mark.parametrize("suffix", ["jsonl", "csv", "tsv"])
def test_a_batch_in_other_forms(toy: IndexFolder, engine: Run, tmp_path: Path, suffix: str) -> None:
    queries = "".join(json.dumps({"_id": f"q{i}", "text": f"gout {i}"}) + "\n" for i in range(300))
    (tmp_path / "q.jsonl.gz").write_bytes(gzip.compress(queries.encode(), mtime=0))
    done = engine(
        "search", "--queries", "q.jsonl.gz", "-n", "2", "-o", f"run.{suffix}", "--mode", "keyword", "--year", "2000-"
    )
    assert done.returncode == 0, done.stderr
    text = (tmp_path / f"run.{suffix}").read_text(encoding="utf-8")
    if suffix == "jsonl":
        found = [json.loads(line) for line in text.splitlines()]
    else:
        found = list(csv.DictReader(text.splitlines(), delimiter="\t" if suffix == "tsv" else ","))
    assert len(found) == 600 and found[-1]["query_id"] == "q299" and float(found[0]["bm25"]) > 0


REFUSED: dict[str, tuple[tuple[str, ...], int, str]] = {
    "year": (("search", "x", "--year", "20x"), 2, r"20x"),
    "years reversed": (("search", "x", "--year", "2005-2001"), 2, r"2005-2001"),
    "unknown field": (("search", "x", "--where", "colour = red"), 2, r"colour"),
    "wrong type": (("search", "x", "--where", "year = abc"), 2, r"abc"),
    "injection": (("search", "x", "--where", "year = 1; DROP TABLE abstracts"), 2, r"at character"),
    "unbalanced": (("search", "x", "--where", '(journal = "Gut'), 2, r"at character"),
    "no mesh tree": (("search", "x", "--mesh-tree", "Gout"), 1, r"mesh_tree"),
    "no id file": (("search", "x", "--ids", "nowhere.txt"), 2, r"nowhere.txt"),
    "blank id file": (("search", "x", "--ids", "blank.txt"), 2, r"blank.txt"),
    "no word": (("search", "--mode", "keyword", "--", "-x"), 2, r"no word to look for"),
    "weight": (("search", "x", "--mode", "hybrid", "--weight", "2"), 2, r"weight is 2.0"),
    "diversify": (("search", "x", "--diversify", "-1"), 2, r"diversify is -1.0"),
    "no such example": (("search", "x", "--like", "nope"), 1, r"no record 'nope'"),
    "too long": (("search", "x" * 100_001), 2, r"100,001 characters"),
    "suffix": (("search", "x", "-o", "hits.doc"), 2, r"hits.doc.*\.ris"),
    "no folder": (("search", "x", "-o", "nowhere/hits.ris"), 2, r"nowhere"),
    "same file twice": (("search", "x", "-o", "h.ris", "-o", "h.ris"), 2, r"h.* is named twice"),
    "record over hits": (("search", "x", "-o", "h.json", "--record", "h.json"), 2, r"h.* is named twice"),
    "batch and query": (("search", "x", "--queries", "q.tsv", "-o", "r.trec"), 2, r"cannot be combined with QUERY"),
    "batch without file": (("search", "--queries", "q.tsv"), 2, r"-o run.trec"),
    "batch to RIS": (("search", "--queries", "q.tsv", "-o", "h.ris"), 2, r"\.trec"),
    "batch of nothing": (("search", "--queries", "empty.tsv", "-o", "r.trec"), 2, r"has no query"),
    "batch without ids": (("search", "--queries", "blank.txt", "-o", "r.trec"), 2, r"blank.txt is empty. Expected lines of id, tab, text"),
    "batch with a bad line": (("search", "--queries", "bad.tsv", "-o", "r.trec"), 2, r"bad.tsv, line 2"),
    "batch with one id twice": (("search", "--queries", "twice.tsv", "-o", "r.trec"), 2, r"line 2: the id 'q' is there twice"),
    "batch not there": (("search", "--queries", "nowhere.tsv", "-o", "r.trec"), 2, r"nowhere.tsv"),
    "batch of damaged gzip": (("search", "--queries", "damaged.gz", "-o", "r.trec"), 2, r"damaged.gz: broken gzip data"),
    "batch with an id of nothing": (("search", "--queries", "odd.jsonl", "-o", "r.trec"), 2, r"line 1: expected an id"),
    "batch grouped": (("search", "--queries", "q.tsv", "-o", "r.trec", "--group-by", "year"), 2, r"cannot be combined with --group-by"),
    "empty expression": (("search", "x", "--where", ""), 2, r"--where is empty"),
    "batch not text": (("search", "--queries", "latin.tsv", "-o", "r.trec"), 2, r"not UTF-8"),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_refused_in_one_line_and_nothing_written(toy: IndexFolder, engine: Run, tmp_path: Path, name: str) -> None:
    for file, content in {
        "blank.txt": "\n \n", "empty.tsv": "query_id\ttext\n", "q.tsv": "q\tgout\n", "bad.tsv": "q\tgout\nno tab\n",
        "twice.tsv": "q\tgout\nq\tlupus\n",
    }.items():  # fmt: skip
        (tmp_path / file).write_text(content, encoding="utf-8")
    packed = bytearray(gzip.compress(b"q\tgout\n" * 200, mtime=0))
    packed[10] = 0xFF  # a block of a type that there is not
    (tmp_path / "damaged.gz").write_bytes(packed)
    (tmp_path / "odd.jsonl").write_text('{"id": "\\ud800", "text": "gout"}\n', encoding="utf-8")
    (tmp_path / "latin.tsv").write_bytes("q\tSjögren\n".encode("latin-1"))
    before = sorted(os.listdir(tmp_path))
    args, code, message = REFUSED[name]
    done = engine(*args)
    assert done.returncode == code, done.stderr
    assert done.stdout == ""
    (line,) = [line for line in done.stderr.splitlines() if line.startswith("Error: ")]
    assert re.search(message, line), line
    assert sorted(os.listdir(tmp_path)) == before
