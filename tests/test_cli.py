"""The command line as a person or a script meets it: forms, exit codes, one clear line for every mistake."""

import csv
import gzip
import io
import json
import os
import pty
import re
import select
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner

from engine.cli import main
from engine.encode.models.folder import read_identity, write_receipt
from engine.index.generations.folder import IndexFolder
from engine.records.answer import Hit
from engine.references.values.fields import COLUMNS
from engine.terminal import dump_json, make_printable
from tests.conftest import ROOT, TOY, TOY_MODEL, copy_toy, jsonl, segment_of
from tests.warmprocess import find_warm_process

Run = Callable[..., subprocess.CompletedProcess[str]]
KEYS = ["rank", "id", "score", "title", "abstract", "year", "journal", "authors", "pmid", "doi", "retracted"]
COMMANDS = (
    "init", "index", "reindex", "config", "sources", "fetch", "nightly", "search", "similar", "show", "new", "watch", "export", "vectors", "status", "log", "diff",
    "verify", "rollback", "duplicates", "translate", "recall", "suggest", "chase", "rerun", "similarity", "compact", "backup", "restore", "tune", "scale", "evaluate", "compare", "known-items",
    "models", "screen", "simulate", "review", "flow", "serve", "mcp", "train", "promote", "explain-card",
)  # fmt: skip


def on_terminal(folder: Path, *args: str, columns: str = "100") -> str:
    """What a command prints on a terminal."""
    ours, theirs = pty.openpty()
    environment = {
        **os.environ,
        "COLUMNS": columns,
        "TERM": "xterm",
        "ENGINE_INDEXES": str(folder),
        "PYTHONPATH": str(ROOT),
    }
    terminal = Path(os.ttyname(theirs))
    running = find_warm_process().fork(args, (terminal, terminal), environment, input=terminal)
    read = b""
    has_ended = False
    while select.select([ours], [], [], 0.01)[0] or not has_ended:
        has_ended = running.poll() is not None
        if select.select([ours], [], [], 0)[0]:
            read += os.read(ours, 65536)
    os.close(theirs)
    os.close(ours)
    return read.decode()


@pytest.mark.parametrize(
    "args", [(), *((command,) for command in COMMANDS)], ids=lambda args: " ".join(args) or "engine"
)
def test_help_has_an_example_and_both_spellings(args: tuple[str, ...]) -> None:
    short, long = (CliRunner().invoke(main, [*args, flag]) for flag in ("-h", "--help"))
    assert short.exit_code == long.exit_code == 0
    assert short.output == long.output
    assert re.search(rf"^ +engine {' '.join(args)}", short.output.split("Usage", 1)[1].split("\n", 1)[1], re.MULTILINE)


def test_version_and_exit_codes_are_told() -> None:
    assert CliRunner().invoke(main, ["--version"]).output.startswith("engine, version ")
    assert "3  a file is damaged" in CliRunner().invoke(main, ["-h"]).output


def test_these_are_the_commands() -> None:
    assert tuple(main.commands) == COMMANDS


def test_completion_is_there(engine: Run) -> None:
    done = subprocess.run(
        [sys.executable, "-c", "from engine.cli import main; main(prog_name='engine')"],
        env={**os.environ, "_ENGINE_COMPLETE": "bash_source", "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
    )
    assert "_ENGINE_COMPLETE=bash_complete" in done.stdout


def test_json_lines_in_a_pipe_and_one_array_with_json(toy: IndexFolder, engine: Run) -> None:
    piped, lined, array = (
        engine("search", "gout", "-n", "3", "--mode", "semantic"),
        engine("search", "gout", "-n3", "--mode", "semantic", "--nl"),
        engine("search", "gout", "-n3", "--mode", "semantic", "--json"),
    )
    assert piped.stdout == lined.stdout
    hits = [json.loads(line) for line in piped.stdout.splitlines()]
    assert json.loads(array.stdout) == hits
    assert len(hits) == 3
    assert list(hits[0]) == KEYS
    assert hits[0]["authors"][1] == "Béla Example"
    assert -1 <= hits[0]["score"] <= 1
    assert piped.stderr == ""


def test_csv_and_tsv_read_back(toy: IndexFolder, engine: Run, tmp_path: Path) -> None:
    odd = {"id": "odd", "title": 'A "quoted", title\twith a tab', "abstract": "line\nbreak", "authors": ["A", "B"]}
    assert engine("index", jsonl(tmp_path / "odd.jsonl", [odd])).returncode == 0
    (row,) = [
        r for r in csv.DictReader(io.StringIO(engine("similar", "toy-01", "-n40", "--csv").stdout)) if r["id"] == "odd"
    ]
    assert (row["title"], row["abstract"], row["authors"], row["year"]) == (odd["title"], odd["abstract"], "A; B", "")
    lines = engine("similar", "toy-01", "-n40", "--tsv").stdout.splitlines()
    assert lines[0].split("\t")[: len(KEYS)] == KEYS == list(Hit.__dataclass_fields__)[: len(KEYS)]
    assert len(lines) == 41 and all(line.count("\t") == lines[0].count("\t") == len(COLUMNS) - 1 for line in lines)


def test_a_table_on_a_terminal(toy: IndexFolder) -> None:
    shown = on_terminal(toy.path.parent, "search", "gout", "-n", "2")
    assert "score" in shown and "toy-" in shown and "Invented Journal of Toys" in shown
    assert "{" not in shown


def test_known_records_on_a_narrow_terminal(toy: IndexFolder, tmp_path: Path) -> None:
    known = tmp_path / "known.txt"
    known.write_text("toy-01\ntoy-02\n", encoding="utf-8")
    rows = {
        columns: on_terminal(toy.path.parent, "recall", "gout", "--known", str(known), columns=columns).splitlines()[:3]
        for columns in ("50", "300")
    }
    assert max(map(len, rows["50"])) <= 50 < max(map(len, rows["300"]))
    assert rows["50"][2].rstrip().endswith("…")


@pytest.mark.parametrize("columns", [1, 20, 50])
def test_hits_on_a_narrow_terminal_are_blocks_of_lines(toy: IndexFolder, columns: int) -> None:
    shown = on_terminal(toy.path.parent, "search", "gout", "-n", "2", columns=str(columns))
    plain = re.sub(r"\x1b\[[0-9;]*m|\s", "", shown)
    assert "Ibuprofeningout" in plain and "1.toy-31" in plain
    assert max(len(line) for line in re.sub(r"\x1b\[[0-9;]*m", "", shown).splitlines()[1:]) <= max(columns, 2) + 1


def test_words_need_no_quotes_and_top_k_has_two_names(toy: IndexFolder, engine: Run) -> None:
    assert (
        engine("search", "gout", "and", "pain", "-n", "2").stdout
        == engine("search", "gout and pain", "--top-k", "2").stdout
    )


def test_show_gives_the_record_whole(toy: IndexFolder, engine: Run) -> None:
    record = json.loads(engine("show", "toy-01").stdout)
    assert record["id"] == "toy-01" and record["abstract"].endswith("(invented).") and record["mesh"] == []
    cited = json.loads(engine("show", "toy-01", "--json", "--cite", "apa").stdout)
    assert cited == record | {"citation": engine("show", "toy-01", "--cite", "apa").stdout.rstrip("\n")}
    assert cited["citation"] == "Ada Toy1, & Example, B. (1991). Colchicine in gout. Invented Journal of Toys."
    shown = on_terminal(toy.path.parent, "show", "toy-01")
    assert "Colchicine in gout" in shown and "authors:  Ada Toy1; Béla Example" in shown


def test_status_for_people_and_programs(toy: IndexFolder, engine: Run) -> None:
    text = engine("status").stdout
    assert "toy: generation 000001 of 20" in text and "40 abstracts" in text and "64 tokens, mean pooling" in text
    content = json.loads(engine("status", "--json").stdout)
    assert content["counts"]["abstracts"] == 40 and content["encoder"]["fingerprint"][:4] in text
    shutil.copytree(toy.path, toy.path.parent / "twin")
    assert [json.loads(line)["index"] for line in engine("status", "--json").stdout.splitlines()] == ["toy", "twin"]


def test_index_search_verify_rollback(engine: Run, engine_process: Run, toy: IndexFolder, tmp_path: Path) -> None:
    source = jsonl(tmp_path / "new.jsonl", [{"id": "n", "title": "New"}, {"id": "n", "title": "Newer"}, {"id": "bad"}])
    done = engine_process("index", source)
    assert done.returncode == 0
    assert "toy: generation 000002 published, 41 abstracts" in done.stdout
    assert "1 added, 1 encoded, 1 more than once in one file" in done.stdout
    assert "rejected: 1\n    new.jsonl, line 3: neither title nor abstract" in done.stdout
    assert "nothing new, generation 000002 stays" in engine("index", source).stdout
    assert engine("verify").stdout == "toy, generation 000002: files, ids and vectors agree, 41 abstracts\n"
    assert "vectors, texts and encoder agree" in engine_process("verify", "--deep").stdout
    assert engine("rollback").stdout.startswith("toy: now at generation 000001")
    assert engine("show", "n").returncode == 1


def mistakes(tmp_path: Path) -> dict[str, tuple[tuple[str | Path, ...], int, str]]:
    """What people do wrong: (arguments, exit code, what the one line says)."""
    source = tmp_path / "in"
    source.mkdir(exist_ok=True)
    (source / "empty").touch()
    (source / "text").write_text("hello\n")
    (source / "broken.gz").write_bytes(gzip.compress(b'{"id": 1, "title": "a"}\n' * 999, mtime=0)[:-9])
    (source / "broken.xml").write_text("<PubmedArticleSet>\n<PubmedArticle></b>")
    return {
        "missing file": (("index", source / "none"), 1, r"none: no such file"),
        "folder": (("index", source), 1, r"is a folder: name the files in it"),
        "empty file": (("index", source / "empty"), 1, r"empty is empty: expected records"),
        "other file": (("index", source / "text"), 1, r"its first line is 'hello'"),
        "broken gzip": (("index", source / "broken.gz"), 1, r"broken.gz: the gzip data ends early"),
        "malformed XML": (("index", source / "broken.xml"), 1, r"not well-formed XML at line 2, column \d+"),
        "no records": (("index", jsonl(source / "none.jsonl", [{"id": 1}]), "-i", "new", "-m", TOY_MODEL), 1, "no record that can be"),
        "unknown model": (("index", TOY, "-i", "new", "-m", "./nowhere"), 1, r"nowhere is not a folder with a sentence-tr"),
        "blank query": (("search", " "), 2, r"the query is blank"),
        "no query": (("search",), 2, r"the query is blank"),
        "no hits wanted": (("search", "gout", "-n", "0"), 2, r"0 is not in the range x>=1"),
        "unknown record": (("show", "nope"), 1, r"no record 'nope' in this index. Ids look like 'toy-01'"),
        "unknown similar": (("similar", "\x1b[2Jnope"), 1, r"no record '\\x1b\[2Jnope' in this index"),
        "unknown index": (("search", "gout", "-i", "nope"), 1, r"no index named 'nope' in .*: found toy. Make one with: engine index"),
        "impossible index": (("search", "gout", "-i", "../toy"), 2, r"'../toy' can't be the name of an index"),
        "no indexes": (("search", "gout", "--indexes", tmp_path / "nowhere"), 1, r"holds no index. Make one with"),
        "nothing before": (("rollback",), 2, r"no generation before 000001"),
        "unknown option": (("search", "gout", "--best", "2000"), 2, r"No such option"),
    }  # fmt: skip


MISTAKES = (
    "missing file", "folder", "empty file", "other file", "broken gzip", "malformed XML", "no records", "unknown model",
    "blank query", "no query", "no hits wanted", "unknown record", "unknown similar", "unknown index",
    "impossible index", "no indexes", "nothing before", "unknown option",
)  # fmt: skip


@pytest.mark.parametrize("name", MISTAKES)
def test_a_mistake_gets_one_clear_line_and_its_exit_code(
    toy: IndexFolder, engine: Run, tmp_path: Path, name: str
) -> None:
    assert tuple(mistakes(tmp_path)) == MISTAKES
    args, code, message = mistakes(tmp_path)[name]
    before = {path: path.read_bytes() for path in toy.path.rglob("*") if path.is_file() and path.name != "LOCK"}
    done = engine(*args)
    assert done.returncode == code, done.stderr
    assert done.stdout == ""
    (line,) = [line for line in done.stderr.splitlines() if line.startswith("Error: ")]
    assert re.search(message, line), line
    assert "Traceback" not in done.stderr and "\x1b" not in done.stderr
    assert {path: path.read_bytes() for path in toy.path.rglob("*") if path.is_file() and path.name != "LOCK"} == before


@pytest.mark.parametrize(
    "args",
    [
        ("search", "gout", "-n", "3"),
        ("search", "gout", "--csv"),
        ("search", " "),
        ("search", "gout", "--best", "2000"),
        ("show", "nope"),
        ("verify", "--help"),
    ],
)
def test_a_command_says_the_same_in_a_process_of_its_own(
    toy: IndexFolder, engine: Run, new_process: Run, args: tuple[str, ...]
) -> None:
    """Most tests run commands in their own process: this is what they rely on."""
    here, there = engine(*args), new_process(*args)
    assert (here.returncode, here.stdout, here.stderr) == (there.returncode, there.stdout, there.stderr)
    assert here.stdout or here.stderr


def test_several_indexes_must_be_told_apart(toy: IndexFolder, engine: Run) -> None:
    shutil.copytree(toy.path, toy.path.parent / "twin")
    done = engine("search", "gout")
    assert done.returncode == 1 and "holds several indexes: toy, twin. Name one: -i toy" in done.stderr
    assert engine("search", "gout", "-i", "twin").returncode == 0
    named = {**os.environ, "ENGINE_INDEXES": str(toy.path.parent), "ENGINE_INDEX": "twin", "PYTHONPATH": str(ROOT)}
    assert engine("search", "gout", env=named).returncode == 0


def test_a_huge_top_k_gives_all_there_is(toy: IndexFolder, engine: Run) -> None:
    assert len(engine("search", "gout", "-n", "100000000").stdout.splitlines()) == 40


def test_an_index_built_with_another_model_is_exit_6(
    toy: IndexFolder, engine: Run, engine_process: Run, tmp_path: Path
) -> None:
    other = Path(shutil.copytree(TOY_MODEL, tmp_path / "other"))
    path = other / "tokenizer_config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "model_max_length": 32}))
    done = engine("index", TOY, "-m", other)
    assert done.returncode == 6
    assert re.search(
        r"built with tests/data/toy-model \(fp32, 'title. abstract/1', fingerprint \w{12}.* is now .*other \(fp32, 't",
        done.stderr,
    )
    (folder,) = (toy.path / "encoders").iterdir()
    (folder / "encoder.json").chmod(0o644)
    write_receipt(folder, replace(read_identity(folder), max_length=32))
    done = engine_process("search", "gout")
    assert (done.returncode, done.stdout) == (6, "")
    assert engine("verify").returncode == 3
    assert engine("similar", "toy-01").returncode == 0


def test_a_locked_index_is_exit_4(toy: IndexFolder, engine: Run, engine_process: Run) -> None:
    from engine.index.files.lock import lock_for_writing

    with lock_for_writing(toy.lock):
        done = engine_process("index", TOY)
        assert done.returncode == 4 and "is being written by another process (pid" in done.stderr
        assert engine("rollback").returncode == 4
        assert engine("search", "gout").returncode == 0


def test_a_folder_that_cannot_be_written_is_said(toy: IndexFolder, engine: Run, tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.touch()
    done = engine("index", TOY, "-i", "new", "--indexes", blocked)
    assert done.returncode == 1 and "Traceback" not in done.stderr
    assert re.search(r"Error: .*file/new: Not a directory|Error: .*Not a directory", done.stderr)


def test_missing_and_forbidden_files_are_told_apart(toy: IndexFolder, engine: Run) -> None:
    """Permission is taken away by strace, since root may read everything."""
    path = segment_of(toy, 1).path / "vectors.faiss"
    if shutil.which("strace") and subprocess.run(["strace", "-o", "/dev/null", "true"]).returncode == 0:
        environment = {**os.environ, "ENGINE_INDEXES": str(toy.path.parent), "PYTHONPATH": str(ROOT)}
        command = [
            "strace",
            "-qq",
            "-o",
            "/dev/null",
            "-P",
            path,
            "-e",
            "inject=openat:error=EACCES",
            sys.executable,
            "-m",
            "engine",
            "search",
            "gout",
        ]
        done = subprocess.run(command, capture_output=True, text=True, env=environment)
        assert done.returncode == 3 and "vectors.faiss: no permission to read it" in done.stderr
    path.unlink()
    done = engine("search", "gout")
    assert done.returncode == 3 and "vectors.faiss is missing, expected 5,530 bytes" in done.stderr


ESCAPES = "\x1b[2J\x1b]52;c;aGk=\x07\x9b31m\u202eevil\u2066\x00\x7f[red]x[/red]"


def test_no_control_character_reaches_a_terminal_or_a_pipe(toy: IndexFolder, engine: Run, tmp_path: Path) -> None:
    row = {"id": "evil", "title": f"Gout {ESCAPES}", "abstract": ESCAPES, "journal": ESCAPES, "authors": [ESCAPES]}
    source = jsonl(tmp_path / "evil.jsonl", [row])
    assert engine("index", source).returncode == 0
    for args in (("search", "Gout evil red", "-n40"), ("show", "evil")):
        shown = on_terminal(toy.path.parent, *args)
        own = re.sub(r"\x1b\[[0-9;]*m", "", shown)  # colours that we set ourselves
        assert not re.search("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]", own)
        assert "[red]x[/red]" in own.replace("\r\n", "").replace(" ", "") or args[0] == "search"
        assert "\x1b[2J" not in on_terminal(toy.path.parent, "search", "Gout evil red", "-n40", "--csv")
    for form in ("--nl", "--json", "--table"):
        out = engine("search", "Gout evil red", "-n40", form).stdout
        assert "evil" in out
        assert not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]", out), form
    assert json.loads(engine("show", "evil", "--json").stdout)["abstract"] == ESCAPES
    rows = csv.DictReader(io.StringIO(engine("search", "Gout evil red", "-n40", "--csv").stdout))
    assert ESCAPES in {row["abstract"] for row in rows}  # a file gets what came in


@pytest.mark.parametrize("columns", ["40", "60", "80", "100"])
def test_a_table_folds_and_never_crops(toy: IndexFolder, engine: Run, tmp_path: Path, columns: str) -> None:
    row = {"id": "10.1016/j.semarthrit.2020.05.011-and-more", "title": "Baricitinib versus adalimumab in gout " * 2}
    assert engine("index", jsonl(tmp_path / "long.jsonl", [row])).returncode == 0
    shown = on_terminal(toy.path.parent, "similar", "toy-01", "-n", "40", columns=columns)
    letters = re.sub(r"\x1b\[[0-9;]*m|\s", "", shown)
    assert "…" not in shown and letters.count("adalimumab") + letters.count("Baricitinib") >= 2


def test_streams_that_cannot_show_everything(toy: IndexFolder) -> None:
    environment = {**os.environ, "ENGINE_INDEXES": str(toy.path.parent), "PYTHONPATH": str(ROOT)}
    command = f"{sys.executable} -m engine search gout"
    narrow = {**environment, "PYTHONIOENCODING": "ascii"}
    for shell, given in ((f"{command} -n 2", narrow), (f"{command} 2>&-", environment), (f"{command} -t", narrow)):
        done = subprocess.run(["bash", "-c", shell], capture_output=True, text=True, env=given, cwd=ROOT)
        assert done.returncode == 0 and "Traceback" not in done.stderr, shell
    done = subprocess.run(
        ["bash", "-c", f"{command} > /dev/full"], capture_output=True, text=True, env=environment, cwd=ROOT
    )
    assert done.returncode == 1 and done.stderr == "Error: No space left on device\n"


def test_printable_and_json_by_hand() -> None:
    assert make_printable("a\tb\nc\x1b[0m\u202e") == "a\tb\nc\ufffd[0m\ufffd"
    assert dump_json({"a": "\x9b\u202eö"}) == '{"a": "\\u009b\\u202eö"}'


@pytest.mark.parametrize("unbuffered", ["", "1"])
@pytest.mark.parametrize("arguments", ["search gout -n 40 --nl", "similar toy-01 -t", "status", "--help"])
def test_a_reader_that_has_enough_ends_a_command_as_it_ends_git(
    toy: IndexFolder, arguments: str, unbuffered: str
) -> None:
    command = f"trap '' PIPE; {sys.executable} -m engine {arguments} | true; exit ${{PIPESTATUS[0]}}"
    environment = {**os.environ, "ENGINE_INDEXES": str(toy.path.parent), "PYTHONUNBUFFERED": unbuffered}
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, cwd=ROOT, env=environment)
    assert (done.returncode, done.stderr) == (141, "")


@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_output_that_is_cut_off_is_an_error(toy: IndexFolder, tmp_path: Path, unbuffered: str) -> None:
    command = f"ulimit -f 4; {sys.executable} -m engine search gout -n 40 --csv > {tmp_path / 'hits.csv'}"
    environment = {**os.environ, "ENGINE_INDEXES": str(toy.path.parent), "PYTHONUNBUFFERED": unbuffered}
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, cwd=ROOT, env=environment)
    assert (done.returncode, done.stderr) == (1, "Error: File too large\n")


def test_messages_that_nobody_reads_end_a_command_too(toy: IndexFolder) -> None:
    command = f"{sys.executable} -m engine serach gout 2>&1 | true; exit ${{PIPESTATUS[0]}}"
    environment = {**os.environ, "ENGINE_INDEXES": str(toy.path.parent)}
    assert subprocess.run(["bash", "-c", command], cwd=ROOT, env=environment, check=False).returncode == 141


def test_another_broken_pipe_is_an_error(toy: IndexFolder, engine: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise BrokenPipeError(32, "Broken pipe")  # a process that helps was killed

    monkeypatch.setattr("engine.query.index.Index.ask", fail)
    done = engine("search", "gout")
    assert (done.returncode, done.stderr) == (1, "Error: Broken pipe\n")


@pytest.mark.parametrize("arguments", ["search gout", "status", "--help", "search --help"])
def test_a_closed_output_is_an_error(toy: IndexFolder, arguments: str) -> None:
    environment = {**os.environ, "ENGINE_INDEXES": str(toy.path.parent)}
    shell = ["bash", "-c", f"{sys.executable} -m engine {arguments} >&-"]
    done = subprocess.run(shell, capture_output=True, text=True, cwd=ROOT, env=environment)
    assert (done.returncode, done.stderr) == (1, "Error: standard output is closed, so nothing can be printed\n")
    both = subprocess.run(["bash", "-c", f"{shell[2]} 2>&-"], capture_output=True, cwd=ROOT, env=environment)
    assert (both.returncode, both.stderr) == (1, b"")


def test_a_closed_output_does_not_matter_where_nothing_is_printed(toy: IndexFolder, tmp_path: Path) -> None:
    environment = {**os.environ, "ENGINE_INDEXES": str(toy.path.parent)}
    shell = f"{sys.executable} -m engine search gout -o {tmp_path / 'hits.csv'} >&-"
    done = subprocess.run(["bash", "-c", shell], capture_output=True, text=True, cwd=ROOT, env=environment)
    assert done.returncode == 0 and (tmp_path / "hits.csv").read_text().count("\n") == 11


def test_progress_is_lines_in_a_log_and_a_bar_on_a_terminal(toy: IndexFolder, engine: Run, tmp_path: Path) -> None:
    source = jsonl(tmp_path / "new.jsonl", [{"id": f"n{n}", "title": f"New {n}"} for n in range(600)])
    lines = engine("index", source).stderr.splitlines()
    assert lines[:3] == ["reading: 500", "merging segments: 0 of 1", "encoding: 0 of 600"]
    shutil.rmtree(toy.path)
    copy_toy(toy.path)
    shown = on_terminal(toy.path.parent, "index", str(source))
    assert "600/600" in shown and "generation 000002 published, 640 abstracts" in shown
