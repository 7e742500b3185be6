"""The commands that keep an index current, through the command line."""

import csv
import json
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from engine.index.generations.folder import IndexFolder
from engine.index.generations.manifest import FORMAT_VERSION, read_manifest
from tests.conftest import TOY, TOY_MODEL, jsonl
from tests.index.generations.test_folder import resigned
from tests.reindex.runs.test_run import tree
from tests.reindex.runs.test_update import RETRACTED, article, pubmed

Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def inbox(tmp_path: Path, toy: IndexFolder, engine: Run) -> Path:
    """A watched folder, named in the toy index's index.toml by `engine init`."""
    folder = tmp_path / "inbox"
    folder.mkdir()
    shutil.copy(TOY, folder / "toy.jsonl")
    done = engine("init", "toy", "inbox")
    assert done.returncode == 0 and "Then: engine reindex toy --dry-run" in done.stdout
    return folder


def test_from_init_to_a_living_review(inbox: Path, engine: Run, toy: IndexFolder) -> None:
    pubmed(
        inbox / "pubmed26n0001.xml.gz",
        article(1, "Gout and beer"),
        article(2, "Gout and wine", more=RETRACTED),
        article(3, "Knee pain"),
    )
    plan = engine("reindex", "toy", "--dry-run")
    assert plan.returncode == 0 and toy.read_current() == 1
    assert "new: 3, for example PMID:1 (pubmed26n0001.xml.gz)" in plan.stdout
    done = engine("reindex", "toy")
    assert "toy: generation 000002 published, 43 abstracts" in done.stdout
    assert "files read: 1; applied before and skipped: 1" in done.stdout
    assert "nothing new, generation 000002 stays" in engine("reindex", "toy").stdout
    pubmed(inbox / "pubmed26n0002.xml.gz", article(1, "Gout and stout", 2022), deleted=[3])
    assert engine("reindex", "-i", "toy").returncode == 0
    news = [json.loads(line) for line in engine("new", "gout", "--since", "1", "--nl").stdout.splitlines()]
    assert {(row["change"], row["id"], row["retracted"]) for row in news} == {
        ("added", "PMID:1", False),
        ("added", "PMID:2", True),
    }
    table = engine("new", "gout", "--since", "2", "-t").stdout
    assert "TEXT CHANGED Gout and stout" in table and "PMID:2" not in table
    head = engine("new", "gout", "--since", "2", "--csv").stdout.splitlines()[0]
    assert head.startswith("change,rank,id,score,title,abstract,year,journal,authors,pmid,doi,retracted,")
    nothing = engine("new", "gout", "--since", "3")
    assert (nothing.returncode, nothing.stdout) == (0, "")
    assert "nothing is new or changed since 3; the current generation is 000003" in nothing.stderr
    log = engine("log").stdout.splitlines()
    assert [line[:6] for line in log] == ["000003", "000002", "000001"]
    assert log[0].endswith("42 abstracts  ~text 1  -1  encoded 1  reindex: 1 file (pubmed26n0002.xml.gz)")
    assert len(engine("log", "-n", "1").stdout.splitlines()) == 1
    diff = engine("diff", "2", "3").stdout.splitlines()
    assert diff == [
        "- PMID:3  Knee pain",
        "~ PMID:1  Gout and stout  [title]",
        "000002 to 000003: 1 removed, 1 text changed",
    ]
    assert [json.loads(line)["change"] for line in engine("diff", "3", "2", "--json").stdout.splitlines()] == [
        "text changed",
        "added",
    ]
    assert "no record differs" in engine("diff", "3", "3").stdout


def test_a_dry_run_and_a_run_in_json(inbox: Path, engine: Run) -> None:
    jsonl(inbox / "more.jsonl", [{"id": "a", "title": "A"}])
    plan = json.loads(engine("reindex", "toy", "--dry-run", "--json").stdout)
    assert (plan["index"], plan["n_current"], plan["counts"]["added"], plan["refusal"]) == ("toy", 40, 1, None)
    assert [Path(path).name for path in plan["files"]["read"]] == ["more.jsonl"]
    report = json.loads(engine("reindex", "toy", "--json").stdout)
    assert (report["published"], report["generation"], report["files"], report["known"]) == (True, 2, ["more.jsonl"], 1)


def test_the_guard_is_exit_7_and_one_line(inbox: Path, engine_process: Run) -> None:
    rows = [json.loads(line) | {"year": 1} for line in TOY.read_text(encoding="utf-8").splitlines()]
    jsonl(inbox / "changed.jsonl", rows)
    stopped = engine_process("reindex", "toy")
    assert (stopped.returncode, stopped.stdout) == (7, "")
    assert "40 of 40 records (100.0 %) would be changed" in stopped.stderr
    assert "the guard would stop this run" in engine_process("reindex", "toy", "--dry-run").stdout
    assert engine_process("reindex", "toy", "--allow-mass-change").returncode == 0


def test_init_writes_once_and_takes_relative_paths_as_the_shell_means_them(
    inbox: Path, engine: Run, toy: IndexFolder, tmp_path: Path
) -> None:
    assert f'path = "{inbox}"' in (toy.path / "index.toml").read_text(encoding="utf-8")
    again = engine("init", "toy")
    assert again.returncode == 2 and "already exists. Edit it, or show its settings: engine config toy" in again.stderr
    assert engine("init", "Not A Name").returncode == 2
    fresh = engine("init", "fresh")
    assert fresh.returncode == 0
    empty = engine("reindex", "fresh")
    assert empty.returncode == 1 and "index.toml names no source. Add one: [[sources]]" in empty.stderr
    assert "fresh has no index yet. Run: engine reindex fresh" in engine("search", "gout", "-i", "fresh").stderr


def test_config_says_where_each_value_comes_from(inbox: Path, engine: Run, toy: IndexFolder) -> None:
    text = engine("config", "toy", "--device", "cpu").stdout
    assert f"sources = {inbox}  [{toy.path / 'index.toml'}]" in text
    assert "device = cpu  [flag]" in text and "keep_generations = 3  [default]" in text
    assert "model = the index's own; all-MiniLM-L6-v2  [default]" in text
    found = json.loads(engine("config", "toy", "--json").stdout)
    assert found["device"] == {"value": "auto", "from": "default"}
    (toy.path / "index.toml").write_text("modle = 'x'")
    wrong = engine("config", "toy")
    assert wrong.returncode == 1 and "unknown key 'modle'" in wrong.stderr


def test_sources_tells_what_files_are(engine: Run, tmp_path: Path) -> None:
    ris = tmp_path / "export.txt"
    ris.write_text("TY  - JOUR\nTI  - Gout\nPY  - 2019\nDO  - 10.1/x\nER  - \nTY  - JOUR\nER  - \n")
    update = pubmed(tmp_path / "u.xml.gz", article(1, "Gout"), deleted=[2, 3])
    done = engine("sources", ris, update)
    assert done.returncode == 0
    assert done.stdout.splitlines() == [
        f"{ris}: RIS, 1 record, 1 rejected, 2019",
        "  fields: title 1, year 1, doi 1",
        "  ids: DOI 1",
        "  rejected: export.txt, line 6: neither title nor abstract, so there is nothing to search",
        f"{update}: PubMed XML, 1 record, 2 deletions",
        "  fields: title 1, pmid 1, databases 1, revised 1",
        "  ids: PMID 1",
    ]
    (tmp_path / "letter.doc").write_bytes(b"Dear Ann,\nhere they are.\n")
    mixed = engine("sources", tmp_path / "letter.doc", ris, tmp_path / "gone.ris", "--json")
    assert mixed.returncode == 1
    assert [json.loads(line)["n_records"] for line in mixed.stdout.splitlines()] == [1]
    one = engine("sources", tmp_path / "gone.ris")
    assert (one.returncode, one.stdout, one.stderr.count("\n")) == (1, "", 1)
    errors = [line for line in mixed.stderr.splitlines() if line.startswith("Error: ")]
    assert len(errors) == 3 and "letter.doc is not PubMed XML" in errors[0] and "no such file" in errors[1]
    assert "holds no BibTeX record" in engine("sources", ris, "--format", "BibTeX").stderr
    assert engine("sources", ris, "--format", "ris").returncode == 0
    assert "unknown format 'Word'" in engine("sources", ris, "--format", "Word").stderr


def test_a_format_may_be_named_for_all_files(engine: Run, tmp_path: Path) -> None:
    odd = tmp_path / "odd.txt"
    odd.write_text("TY  - JOUR;title\n1;Knee pain\n")
    assert "holds no CSV record" not in engine("sources", odd, "--format", "csv").stdout
    assert engine("init", "knee", odd, "--format", "tsv").returncode == 0
    assert 'format = "CSV"' in (tmp_path / "indexes" / "knee" / "index.toml").read_text()
    for command in (("index", odd, "-i", "knee"), ("sources", odd), ("init", "other", odd)):
        failed = engine(*command, "--format", "Word")
        assert failed.returncode == 2
        assert "unknown format 'Word': expected PubMed XML" in failed.stderr


def test_duplicates_are_listed_and_never_merged(inbox: Path, engine: Run, toy: IndexFolder) -> None:
    jsonl(inbox / "a.jsonl", [{"id": "a", "title": "The effects of beer on gout", "year": 2020, "authors": ["Liu, R"]}])
    jsonl(
        inbox / "b.jsonl", [{"id": "b", "title": "The Effects of Beer on Gout.", "year": 2020, "authors": ["R. Liu"]}]
    )
    engine("reindex", "toy")
    done = engine("duplicates")
    assert done.returncode == 0
    assert done.stdout.splitlines() == [
        "7e18f737  0.69  same title, authors, year",
        "  a  2020  The effects of beer on gout",
        "  b  2020  The Effects of Beer on Gout.",
        "1 group",
    ]
    (group,) = map(json.loads, engine("duplicates", "--json").stdout.splitlines())
    assert [member["record_id"] for member in group["members"]] == ["a", "b"]


def test_duplicates_are_merged_and_separated_again(inbox: Path, engine: Run, toy: IndexFolder, tmp_path: Path) -> None:
    row = {"title": "The effects of beer on gout", "year": 2020, "authors": ["Liu, R"]}
    jsonl(inbox / "a.jsonl", [{"id": "a", **row}])
    jsonl(inbox / "b.jsonl", [{"id": "b", **row, "abstract": "Gout became worse."}])
    engine("reindex", "toy")
    before = toy.open_current().manifest.counts.abstracts
    done = engine("duplicates", "--merge", "all", "--who", "ann")
    assert done.returncode == 0 and "1 group of 2 records merged (decision 1)" in done.stdout
    assert "1 merged into another record" in done.stdout
    record = json.loads(engine("show", "b").stdout)
    assert (record["id"], record["abstract"]) == ("a", "Gout became worse.")
    assert record["sources"] == ["a.jsonl (JSONL, a)", "b.jsonl (JSONL, b)"]
    assert toy.open_current().manifest.counts.abstracts == before - 1
    assert engine("duplicates").stdout.splitlines() == ["0 groups, 1 merged"]
    assert "nothing new" in engine("reindex", "toy").stdout
    report = tmp_path / "report.csv"
    assert engine("duplicates", "--report", report).returncode == 0
    header, first, second = csv.reader(report.read_text(encoding="utf-8").splitlines())
    facts = dict(zip(header, first, strict=True))
    assert (facts["group"], facts["decision"], facts["who"], facts["score"]) == ("7e18f737", "merge", "ann", "0.69")
    assert (facts["same"], facts["record_id"], second[header.index("record_id")]) == ("title; authors; year", "a", "b")
    undone = engine("duplicates", "--undo", "--later")
    assert "1 group of 2 records undone (decision 1)" in undone.stdout
    assert "decisions about 1 record wait for the next run" in engine("duplicates").stderr
    assert engine("reindex", "toy").returncode == 0
    assert json.loads(engine("show", "b").stdout)["id"] == "b"
    assert engine("duplicates", "--keep-apart", "7e18f737").returncode == 0
    assert engine("duplicates").stdout.splitlines() == ["0 groups, 1 kept apart"]
    assert engine("verify", "--deep").returncode == 0


def test_show_names_every_source(inbox: Path, engine: Run) -> None:
    jsonl(inbox / "a.jsonl", [{"id": "S1", "title": "Gout", "pmid": "5", "keywords": "beer; wine"}])
    pubmed(inbox / "pubmed26n0001.xml", article(5, "Gout"))
    engine("reindex", "toy")
    record = json.loads(engine("show", "PMID:5").stdout)
    assert record["id"] == "S1"
    assert record["sources"] == ["a.jsonl (JSONL, S1)", "pubmed26n0001.xml (PubMed XML, PMID:5)"]


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (
            ("reindex", "toy", "--since", "yesterday"),
            "--since 'yesterday' is not a date: expected YYYY-MM-DD, or a number of days like 7d",
        ),
        (("reindex", "../toy"), "can't be the name of an index"),
        (("duplicates", "--merge", "abc"), "'abc' is neither a group nor a record"),
        (("duplicates", "--merge", "all"), "no group is left to decide on"),
        (("duplicates", "--merge", "--keep-apart", "abc"), "--merge and --keep-apart are two decisions"),
        (("duplicates", "--merge"), "--merge needs a GROUP"),
        (("duplicates", "--undo"), "has no decisions yet"),
        (("duplicates", "--undo", "abc"), "--undo takes the number of one decision"),
        (("duplicates", "--report", "x.doc"), "has no suffix of a report"),
        (("diff", "1", "9"), r"generation 000009 of .* does not exist. Kept are 000001"),
        (("new", "gout", "--since", "9"), "there is no generation 000009 yet"),
        (("new", "gout", "--since", "tomorrow"), "'tomorrow' is neither a generation's number nor a date"),
        (("new", " ", "--since", "1"), "the query is blank"),
    ],
)
def test_a_mistake_gets_one_line_and_exit_2(inbox: Path, engine: Run, args: tuple[str, ...], message: str) -> None:
    import re

    done = engine(*args)
    assert done.returncode == 2 and done.stdout == ""
    assert re.search(message, done.stderr), done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("with_sources", [False, True])
def test_an_index_of_another_format_is_built_anew_by_the_command_that_its_refusal_names(
    toy: IndexFolder, engine: Run, tmp_path: Path, with_sources: bool
) -> None:
    resigned(read_manifest(toy.get_generation_path(1)), toy, format_version=FORMAT_VERSION - 1)
    if with_sources:
        settings = f'sources = ["{TOY}"]\nmodel = "{TOY_MODEL}"\n'
        (toy.path / "index.toml").write_text(settings, encoding="utf-8")
    before = tree(toy.path)
    for command in (("search", "gout"), ("index", TOY, "-i", "toy"), ("reindex", "toy")):
        refused = engine(*command)
        assert refused.returncode != 0 and "Traceback" not in refused.stderr
    assert tree(toy.path) == before
    told = engine("search", "gout").stderr
    remove, build = told.split("Rebuild the index: ")[1].strip().split(" && ")
    subprocess.run(remove, shell=True, check=True, cwd=tmp_path)
    model = () if with_sources else ("-m", TOY_MODEL)
    done = engine(*build.replace("FILE", str(TOY)).split()[1:], *model)
    assert done.returncode == 0 and "generation 000001 published, 40 abstracts" in done.stdout, done.stderr
    assert engine("verify", "--deep").returncode == 0
