"""Commands for reviews on the command line: repeating a search, checking it by known records, comparing texts."""

import json
import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result

from engine.cli import main
from engine.index.generations.folder import IndexFolder
from engine.query.searchlog import read_record
from engine.reindex.generation.order import Report
from tests.conftest import TOY_MODEL

Run = Callable[..., subprocess.CompletedProcess[str]]
Add = Callable[..., Report]
NEW = {"id": "new", "title": "Gout gout", "abstract": "Gout and more gout.", "year": 2020}


@pytest.fixture
def record(toy: IndexFolder, engine: Run, tmp_path: Path) -> Path:
    path = tmp_path / "gout.json"
    done = engine("search", "gout", "-n", "3", "--record", path)
    assert (done.returncode, len(done.stdout.splitlines())) == (0, 3)
    assert done.stderr == f"search recorded in {path}\n"
    return path


def test_the_same_result_is_told_with_its_digest(record: Path, engine: Run, add: Add) -> None:
    digest = read_record(record).result_sha256
    add(NEW)
    done = engine("rerun", record)
    assert (done.returncode, done.stdout, done.stderr) == (0, f"same result: 3 hits, SHA-256 {digest}\n", "")


def test_a_difference_is_told_and_fails(record: Path, engine: Run, add: Add) -> None:
    first, second, third = read_record(record).ids
    add(NEW)
    done = engine("rerun", record, "--current")
    assert done.returncode == 1
    assert done.stdout.splitlines() == [
        "the result differs: 1 entered, 1 left, 2 at another rank; 3 hits, 3 hits recorded",
        "+     1  new  Gout gout",
        f"-     3  {third}",
    ]
    assert done.stderr.startswith("note: recorded on generation 000001 of ")
    piped = engine("rerun", record, "--current", "--nl")
    assert [json.loads(line)["id"] for line in piped.stdout.splitlines()] == ["new", first, second]
    assert "the result differs" in piped.stderr and piped.returncode == 1


def test_hits_of_a_rerun_are_written_and_recorded(record: Path, engine: Run, tmp_path: Path, add: Add) -> None:
    add(NEW)
    done = engine("rerun", record, "--current", "-o", tmp_path / "now.ris", "--record", tmp_path / "now.json")
    assert "new" in (tmp_path / "now.ris").read_text(encoding="utf-8")
    assert done.stdout.startswith("the result differs: ")
    assert engine("rerun", tmp_path / "now.json").returncode == 0
    again = engine("rerun", tmp_path / "now.json", "--record", tmp_path / "now.json")
    assert again.returncode == 2 and "now.json exists. Write over it: --overwrite" in again.stderr


def test_a_generation_that_is_gone_names_those_that_are_kept(
    record: Path, toy: IndexFolder, engine: Run, add: Add
) -> None:
    add(NEW)
    shutil.rmtree(toy.get_generation_path(1))
    done = engine("rerun", record)
    assert done.returncode == 1 and "does not keep generation 000001: found 000002." in done.stderr
    assert "--current" in done.stderr
    assert engine("rerun", record, "--current").stdout.startswith("the result differs")


def test_the_index_is_the_recorded_one_unless_another_is_named(record: Path, toy: IndexFolder, engine: Run) -> None:
    shutil.copytree(toy.path, toy.path.with_name("copy"))
    environment = {**os.environ, "ENGINE_INDEXES": str(toy.path.parent), "ENGINE_INDEX": "other"}
    done = engine("rerun", record, env=environment, cwd=Path(__file__).parent.parent)
    assert (done.returncode, done.stdout[:13]) == (0, "same result: ")
    assert engine("rerun", record, "-i", "copy").returncode == 0
    missing = engine("rerun", record, "-i", "lupus")
    assert missing.returncode == 1
    assert "gout.json was recorded on the index 'toy', but" in missing.stderr and "found copy, toy" in missing.stderr


def test_an_index_made_anew_is_refused_until_the_newest_is_asked_for(
    record: Path, toy: IndexFolder, engine: Run
) -> None:
    shutil.move(toy.path, toy.path.with_name("old"))  # whose encoder is taken over
    source = toy.path.parent.parent / "new.jsonl"
    source.write_text(json.dumps(NEW), encoding="utf-8")
    assert engine("index", source, "-i", "toy", "-m", TOY_MODEL, "--device", "cpu").returncode == 0
    done = engine("rerun", record)
    assert done.returncode == 1 and "is not what was recorded: the record is of toy" in done.stderr
    current = engine("rerun", record, "--current")
    assert current.returncode == 1 and "is another index, was made anew or rolled back" in current.stderr


def test_a_changed_record_is_refused(record: Path, engine: Run) -> None:
    record.write_text(record.read_text(encoding="utf-8").replace("gout", "lupus"), encoding="utf-8")
    done = engine("rerun", record)
    assert done.returncode == 3 and "was changed since it was written" in done.stderr


def test_prisma_needs_no_index(record: Path, toy: IndexFolder, engine: Run) -> None:
    shutil.rmtree(toy.path)
    done = engine("rerun", record, "--prisma")
    assert done.returncode == 0
    paragraph, blank, appendix, *rows = done.stdout.splitlines()
    assert (
        paragraph.startswith("Records came from 1 source: the file toy.jsonl (40 records, ") and "“gout”" in paragraph
    )
    assert (blank, appendix) == ("", "Appendix: to check and repeat this search")
    assert (
        rows[0].startswith("  Index: toy, generation 000001 of ")
        and f": {read_record(record).result_sha256}" in rows[-2]
    )
    assert engine("rerun", record, "--prisma", "--current").returncode == 2


def test_recall_by_hand(toy: IndexFolder, engine: Run, tmp_path: Path) -> None:
    ranked = [json.loads(line)["id"] for line in engine("search", "gout", "-n", "40").stdout.splitlines()]
    known = tmp_path / "known.txt"
    known.write_text("\n".join(["# mine", ranked[10], ranked[0], "nope", ranked[2]]), encoding="utf-8")
    done = engine("recall", "gout", "--known", known, "-n", "3")
    assert (done.returncode, done.stderr) == (0, "")
    lines = done.stdout.splitlines()
    assert [line.split()[0] for line in lines[:5]] == ["rank", "1", "3", "11", "-"]
    assert lines[4].split(maxsplit=1)[1] == "nope    [not in this index]"
    assert lines[6:] == [
        "3 known records in the index; 1 more not in the index",
        "of those 3: recall@3 0.667, recall@10 0.667, recall@50 1.000, recall@100 1.000, recall@500 1.000",
        "read 11 hits to find 95 % of them",
    ]


def test_recall_as_json_with_filters_and_examples(toy: IndexFolder, engine: Run, tmp_path: Path, add: Add) -> None:
    add(NEW)
    known = tmp_path / "known.csv"
    known.write_text("id,why\nnew,x\ntoy-01,y\ntoy-02,z\n", encoding="utf-8")
    done = engine("recall", "--like", "toy-02", "--known", known, "--year", "2020-", "--json")
    found = json.loads(done.stdout)
    assert [(one["id"], one["rank"], one["reason"]) for one in found["items"]] == [
        ("new", 1, ""),
        ("toy-02", None, "given as an example, so no hit"),
        ("toy-01", None, "left out by the filters"),
    ]
    assert (found["n_known"], found["at"]["10"], found["depth_95"]) == (2, 0.5, None)
    assert found["notes"] == ["1 known record given as an example, so not counted"]


@pytest.mark.parametrize(
    ("args", "code", "says"),
    [
        (("recall", "gout"), 2, "Missing option '--known'"),
        (("recall", "gout", "--known", "no.txt"), 2, "no.txt: no such file"),
        (("recall", "--known", "known.txt"), 2, "the query is blank"),
        (("recall", "gout", "--known", "known.txt"), 1, "none of 1 known record is in this index: nope."),
        (
            ("recall", "gout", "--known", "known.txt", "--group-by", "year"),
            2,
            "group_by can't be used in a check of known records",
        ),
        (("rerun", "no.json"), 2, "no.json can't be read"),
        (("rerun", "known.txt"), 2, "known.txt is not JSON"),
        (("similarity", "gout"), 2, "no text to compare SOURCE with"),
        (("similarity", " ", "gout"), 2, "SOURCE is blank"),
        (("similarity", "gout", "knee", "\x00"), 2, "text 2 is blank"),
        (("similarity", "gout", "knee", "\u200a"), 2, "text 2 is blank"),
        (("similarity", "gout", "--file", "no.txt"), 2, "no.txt: no such file"),
        (("similarity", "gout", "knee", "-i", "toy", "--model", "x"), 2, "expected one of them"),
        (("similarity", "gout", "knee", "--model", "./nowhere"), 1, "./nowhere is not a folder"),
    ],
)
def test_mistakes_have_one_clear_line(
    toy: IndexFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, args: tuple[str, ...], code: int, says: str
) -> None:
    (tmp_path / "known.txt").write_text("nope\n", encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    done = CliRunner().invoke(main, list(args))
    assert done.exit_code == code and says in done.stderr
    assert "Traceback" not in done.stderr


def test_texts_are_compared_in_their_order_by_the_encoder_of_an_index(
    toy: IndexFolder, engine: Run, tmp_path: Path
) -> None:
    (tmp_path / "more.txt").write_text("\nknee pain\n\ngout\n", encoding="utf-8")
    done = engine("similarity", "gout", "lupus", "--file", tmp_path / "more.txt", "--json")
    found = json.loads(done.stdout)
    assert [row["text"] for row in found["texts"]] == ["lupus", "knee pain", "gout"]
    assert found["texts"][2]["score"] == 1 and found["fingerprint"].startswith("01e77ff2420f")
    plain = engine("similarity", "gout", "lupus", "gout")
    assert plain.stdout.splitlines() == [f"{found['texts'][0]['score']:7.4f}  lupus", " 1.0000  gout"]


def test_texts_longer_than_the_encoder_reads_are_noted(toy: IndexFolder, engine: Run) -> None:
    done = engine("similarity", "gout " * 600, "gout", "knee " * 600)
    assert "2 texts longer than the" in done.stderr and done.stderr.endswith("beginning: SOURCE, text 2. Divide them\n")
    assert done.returncode == 0


def compared(model: Path) -> Result:
    """Two texts compared by a model, in this process: loading torch anew takes long."""
    return CliRunner().invoke(main, ["similarity", "gout", "knee", "--model", str(model)])


def test_a_model_is_exported_once_and_kept(model_folder: Path, cache: Path) -> None:
    first = compared(TOY_MODEL)
    assert "exporting the encoder" in first.stderr and first.exit_code == 0
    (kept,) = (cache / "encoders").iterdir()
    second = compared(TOY_MODEL)
    assert (second.stdout, second.stderr) == (first.stdout, "")
    (kept / "encoder.onnx").chmod(0o644)
    (kept / "encoder.onnx").write_bytes(b"damaged")
    third = compared(TOY_MODEL)
    assert third.stdout == first.stdout and "exporting" in third.stderr
    assert compared(TOY_MODEL).stderr == ""


def test_a_model_works_where_nothing_can_be_kept(
    model_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("", encoding="utf-8")
    monkeypatch.setenv("ENGINE_CACHE", str(tmp_path / "file" / "cache"))
    done = compared(TOY_MODEL)
    assert done.exit_code == 0 and done.stdout.endswith("knee\n")


def widget(shared: Path) -> list[tuple[str, list[str]]]:
    """The examples of the model card: sources with the texts beside them."""
    yaml = pytest.importorskip("yaml")
    card = shared.parent / "seed" / "model_card.md"
    if not card.is_file():
        pytest.skip(f"no model card at {card}")
    front = yaml.safe_load(card.read_text(encoding="utf-8").split("---\n")[1])
    return [(one["source_sentence"], one["sentences"]) for one in front["widget"]]


@pytest.mark.slow
def test_scores_are_those_of_sentence_transformers(model_folder: Path, shared: Path) -> None:
    from sentence_transformers import SentenceTransformer

    model = SentenceTransformer(str(model_folder), device="cpu")
    examples = widget(shared)
    assert len(examples) >= 3
    examples.append((examples[0][1][0], [text for _, texts in examples for text in texts]))
    for source, texts in examples:
        done = CliRunner().invoke(main, ["similarity", source, *texts, "--model", str(model_folder), "--json"])
        found = [row["score"] for row in json.loads(done.stdout)["texts"]]
        vectors = model.encode([source, *texts], normalize_embeddings=True)
        assert np.abs(vectors[1:] @ vectors[0] - found).max() < 1e-4
        assert len(found) == len(texts) and max(found) - min(found) > 0.005
