"""`engine watch`: saved questions in index.toml, and what is new for them."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from xml.etree import ElementTree

import pytest

from engine.config import Settings
from engine.errors import ConfigError
from engine.index.generations.folder import IndexFolder
from engine.reindex.generation.order import Report
from engine.reindex.news.watchtable import add_table, change_table, remove_table
from tests.conftest import ROOT, jsonl

Run = Callable[..., subprocess.CompletedProcess[str]]
ROW = {"id": "z", "title": "Zorbing & <falls>\x01", "authors": ["A B", "C D", "E F", "G H"], "year": 2021, "pmid": "77"}


def test_a_note_says_what_of_a_saved_question_is_read_as_a_word(engine: Run, toy: IndexFolder) -> None:
    saved = engine("watch", "add", "gout", "gout SAME pain")
    assert saved.returncode == 0, saved.stderr
    note = "note: SAME was read as a word. If it is an operator, write gout NEAR/10 pain"
    assert saved.stderr.splitlines()[0] == note and len(saved.stderr.splitlines()) == 2


def test_a_question_is_saved_reported_and_removed(
    engine: Run, toy: IndexFolder, add: Callable[..., Report], tmp_path: Path
) -> None:
    saved = engine("watch", "add", "zorb", "zorbing[tiab] AND falls", "--year", "2015-", "--not-retracted", "-n", "5")
    assert saved.returncode == 0, saved.stderr
    assert saved.stderr == f"zorb saved in {toy.path / 'index.toml'}; records after generation 000001 are new\n"
    assert (toy.path / "index.toml").read_text() == (
        '[[watch]]\nname = "zorb"\nquestion = "zorbing[tiab] AND falls"\ntop_k = 5\nyear = ["2015-"]\nretracted = false\n'
    )
    assert engine("watch", "list").stdout == (
        "zorb: zorbing[tiab] AND falls (limited to publication years 2015 to present; records that are not retracted)\n"
    )
    add(ROW)
    mark = tmp_path / "reported.txt"
    report = f"{sys.executable} -c \"import sys; open('{mark}', 'w').write(sys.stdin.read())\""
    done = engine("watch", "run", "--notify-command", report)
    assert done.returncode == 0 and done.stderr == f"written to {toy.path / 'news' / '000001'}\n"
    assert done.stdout.splitlines()[1:] == [
        "",
        "zorb: zorbing[tiab] AND falls (limited to publication years 2015 to present; records that are not retracted)",
        "1 of 1 new or changed record",
        "",
        "- Zorbing & <falls>\ufffd",
        "  A B; C D; E F et al. 2021. z [added]",
        "  https://pubmed.ncbi.nlm.nih.gov/77/",
    ]
    assert mark.read_text() == done.stdout
    (entry,) = ElementTree.parse(toy.path / "news" / "feed.atom").findall("{http://www.w3.org/2005/Atom}entry")
    assert entry.findtext("{http://www.w3.org/2005/Atom}title") == "Zorbing & <falls>\ufffd"
    page = (toy.path / "news" / "000001" / "news.html").read_text(encoding="utf-8")
    assert '<a href="https://pubmed.ncbi.nlm.nih.gov/77/">Zorbing &amp; &lt;falls&gt;\ufffd</a>' in page
    mark.unlink()
    again = json.loads(engine("watch", "run", "--json", "--notify-command", report).stdout)
    assert again["number"] is None and again["watches"][0]["records"] == [] and not mark.exists()
    assert engine("watch", "remove", "zorb").returncode == 0
    assert (toy.path / "index.toml").read_text() == "" and engine("watch", "run").returncode == 1


def test_news_that_nobody_reads_reaches_the_command(
    engine: Run, toy: IndexFolder, add: Callable[..., Report], tmp_path: Path
) -> None:
    assert engine("watch", "add", "zorb", "zorbing").returncode == 0
    add(ROW)
    mark = tmp_path / "reported.txt"
    command = f"{sys.executable} -m engine watch run -i toy --notify-command 'cp /dev/stdin {mark}' 2>&1 | true"
    environment = {**os.environ, "ENGINE_INDEXES": str(toy.path.parent), "PYTHONPATH": str(ROOT)}
    shell = ["bash", "-c", f"{command}; exit ${{PIPESTATUS[0]}}"]
    assert subprocess.run(shell, env=environment, check=False).returncode == 141
    assert "Zorbing & <falls>" in mark.read_text()


def test_what_the_command_prints_is_no_part_of_the_report(toy: IndexFolder, add: Callable[..., Report]) -> None:
    environment = {**os.environ, "ENGINE_INDEXES": str(toy.path.parent), "PYTHONPATH": str(ROOT)}
    run = [sys.executable, "-m", "engine", "watch"]
    subprocess.run([*run, "add", "zorb", "zorbing"], env=environment, check=True)
    for command, code, printed in [("cat", 0, "Zorbing & <falls>"), (" ", 9, "--notify-command failed: it is blank")]:
        add(ROW | {"id": command, "pmid": None, "title": f"Zorbing & <falls>{command}"})
        done = subprocess.run(
            [*run, "run", "--json", "--notify-command", command],
            env=environment,
            check=False,
            capture_output=True,
            text=True,
        )
        assert (done.returncode, json.loads(done.stdout)["index"]) == (code, "toy") and printed in done.stderr


def test_a_run_that_ends_while_it_tells_says_where_the_news_is(toy: IndexFolder, add: Callable[..., Report]) -> None:
    environment = {**os.environ, "ENGINE_INDEXES": str(toy.path.parent), "PYTHONPATH": str(ROOT)}
    run = [sys.executable, "-m", "engine", "watch"]
    subprocess.run([*run, "add", "zorb", "zorbing"], env=environment, check=True)
    add(ROW)
    end = f"{sys.executable} -c 'import os; os.kill(os.getppid(), 15); import time; time.sleep(60)'"
    done = subprocess.run(
        [*run, "run", "--notify-command", end], env=environment, check=False, capture_output=True, text=True
    )
    assert done.returncode == 143
    assert (
        done.stderr == f"Error: terminated; the news is in {toy.path / 'news' / '000001'}, and is not reported again\n"
    )


def test_exit_codes_tell_cron_what_happened(engine: Run, toy: IndexFolder, add: Callable[..., Report]) -> None:
    bad = engine("watch", "add", "bad", "(gout[tiab] AND")
    assert bad.returncode == 2 and not (toy.path / "index.toml").exists()
    unnamed = engine("watch", "add", "g<x>", "gout")
    assert unnamed.returncode == 2 and "'g<x>' can't be the name of a watch" in unnamed.stderr
    assert "index.toml" not in unnamed.stderr
    (toy.path / "index.toml").write_text('[[watch]]\nname = "bad"\nquestion = "(gout[tiab] AND"\n')
    assert engine("watch", "add", "zorb", "zorbing", "--mode", "keyword").returncode == 0
    assert engine("watch", "add", "zorb", "zorbing").returncode == 1
    assert engine("watch", "run").returncode == 0  # the question bad begins now
    add(ROW)
    unanswered = engine("watch", "run", "--notify-command", "false")
    assert unanswered.returncode == 5 and "Error: bad: " in unanswered.stderr
    assert "--notify-command failed: it ended with exit code 1" in unanswered.stderr
    engine("watch", "remove", "bad")
    add({"id": "z2", "title": "Zorbing again"})
    assert engine("watch", "run", "--notify-command", "false").returncode == 9
    assert engine("watch", "remove", "bad").returncode == 1


def test_a_night_tells_what_is_new(engine: Run, toy: IndexFolder, tmp_path: Path) -> None:
    (toy.path / "in").mkdir()
    (toy.path / "index.toml").write_text(
        'device = "cpu"\nsources = ["in"]\n\n[[watch]]\nname = "zorb"\nquestion = "zorbing[tiab]"\n'
    )
    jsonl(toy.path / "in" / "a.jsonl", [ROW])
    mark = tmp_path / "news.txt"
    send = f"{sys.executable} -c \"import sys; open('{mark}', 'a').write(sys.stdin.read())\""
    done = engine("nightly", "toy", "--offline", "--news-command", send)
    assert done.returncode == 0, done.stderr
    assert (
        mark.read_bytes() == (toy.path / "news" / "000001" / "news.txt").read_bytes()
        and b"Zorbing" in mark.read_bytes()
    )
    assert "  zorb: 1 of 1 new or changed record\n" in done.stdout
    night = json.loads((toy.path / "nightly.jsonl").read_text().splitlines()[-1])
    assert night["news"] == {"folder": str(toy.path / "news" / "000001"), "reported": {"zorb": 1}}
    engine("nightly", "toy", "--offline", "--news-command", send)  # there are none
    assert mark.read_text().count("Zorbing") == 1
    jsonl(toy.path / "in" / "b.jsonl", [ROW | {"id": "z3", "title": "Zorbing again", "pmid": "78"}])
    unsent = engine("nightly", "toy", "--offline", "--news-command", "false")
    assert unsent.returncode == 9 and "--news-command failed: it ended with exit code 1" in unsent.stderr
    (toy.path / "watches.json").write_text("{")
    failed = engine("nightly", "toy", "--offline")
    assert failed.returncode == 5 and "saved questions:" in failed.stderr and "nothing new" in failed.stdout


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("watch = 1", r"expected \[\[watch\]\], in two brackets"),
        ("[watch]\nname = 'a'", "in two brackets"),
        (f"watch = {'[' * 5000}", "is not TOML: maximum recursion depth exceeded"),
        ("[[watch]]\nquestion = 'q'", "expected name = 'NAME' and question = 'TEXT'"),
        ("[[watch]]\nname = 'a'\nquestion = ' '", "expected name = 'NAME'"),
        ("[[watch]]\nname = 'a/b'\nquestion = 'q'", "can't be the name of a watch"),
        ("[[watch]]\nname = 'a'\nquestion = 'q'\nyaer = 1", "unknown key 'yaer'. Known keys: name, question, top_k, mode"),
        ("[[watch]]\nname = 'a'\nquestion = 'q'\nyear = 2015", "years is 2015, expected a list"),
        ("[[watch]]\nname = 'a'\nquestion = 'q'\ntop_k = 0", "top_k of the watch 'a' is 0, expected a whole number from 1"),
        ("[[watch]]\nname = 'a'\nquestion = 'q'\nmode = 'x'", "mode is 'x', expected one of semantic"),
        ("[[watch]]\nname = 'a'\nquestion = 'q'\nmin_score = 'x'", "min_score is 'x', expected a number"),
        ("[[watch]]\nname = 'a'\nquestion = 'q'\n[[watch]]\nname = 'a'\nquestion = 'r'", "two .* have the name 'a'"),
    ],
)  # fmt: skip
def test_a_wrong_table_is_refused(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "index.toml").write_text(text)
    with pytest.raises(ConfigError, match=message):
        Settings.load(tmp_path)


def test_tables_come_and_go_and_comments_stay(tmp_path: Path) -> None:
    path = tmp_path / "index.toml"
    first = '# mine\nsources = ["in"]\n\n[guard]  # careful\nmax_deleted_share = 0.2'
    path.write_text(first)
    entry = {
        "name": "a",
        "question": 'say "gout"\\\x7f\né',
        "mesh": ("Gout", "Knee"),
        "has_abstract": True,
        "min_score": 0.25,
    }
    add_table(path, entry)
    add_table(path, {"name": "b", "question": "q"})
    (watch, _) = Settings.load(tmp_path).watches
    assert watch.query.text == entry["question"] and watch.query.filters.mesh == ("Gout", "Knee")
    assert watch.query.filters.has_abstract is True and watch.query.min_score == 0.25
    with pytest.raises(ConfigError, match="two .* have the name 'a'"):
        add_table(path, entry)
    with pytest.raises(ConfigError, match="has no .* with the name 'c': found a, b"):
        remove_table(path, "c")
    remove_table(path, "a")
    remove_table(path, "b")
    assert path.read_text() == f"{first}\n\n"
    path.write_text("watch = [{ name = 'a', question = 'q' }]\n")
    with pytest.raises(ConfigError, match="can't be removed safely"):
        remove_table(path, "a")


def test_a_link_and_the_mode_of_the_file_stay(tmp_path: Path) -> None:
    kept = tmp_path / "kept.toml"
    kept.write_text("")
    kept.chmod(0o660)
    (tmp_path / "index.toml").symlink_to(kept)
    add_table(tmp_path / "index.toml", {"name": "a", "question": "q\udcff", "journal": ("\udcff",)})
    assert (tmp_path / "index.toml").is_symlink() and kept.stat().st_mode & 0o777 == 0o660
    assert kept.read_text() == '[[watch]]\nname = "a"\nquestion = "q?"\njournal = ["?"]\n'


def test_a_file_of_a_windows_editor_keeps_its_line_ends(tmp_path: Path) -> None:
    path = tmp_path / "index.toml"
    path.write_bytes(b'\xef\xbb\xbf[[watch]]\r\nname = "a"\r\nquestion = "q"\r\n[ray]  # nodes\r\ncopies = 2\r\n')
    add_table(path, {"name": "b", "question": "q"})
    change_table(path, {"name": "b", "question": "r"})
    remove_table(path, "a")
    assert [(one.name, one.query.text) for one in Settings.load(tmp_path).watches] == [("b", "r")]
    assert path.read_bytes().startswith(b"[ray]  # nodes\r\ncopies = 2\r\n")
    path.write_bytes(b"# M\xfcller\n")
    with pytest.raises(ConfigError, match="is not UTF-8"):
        add_table(path, {"name": "b", "question": "q"})
