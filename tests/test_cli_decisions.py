"""`engine review` on the command line."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from engine.cli import main
from engine.corpus.storage.journal import DecisionKind, Journal, NewDecision, RecordIdentity
from engine.index.generations.folder import IndexFolder

Run = Callable[..., Result]


@pytest.fixture
def run(toy: IndexFolder, monkeypatch: pytest.MonkeyPatch) -> Run:
    monkeypatch.setenv("ENGINE_INDEXES", str(toy.path.parent))

    def invoke(line: str, code: int = 0) -> Result:
        result = CliRunner().invoke(main, ["review", *line.split("|")])
        assert result.exit_code == code, result.output
        return result

    return invoke


def test_a_review_from_its_start_to_a_settled_conflict(run: Run, tmp_path: Path) -> None:
    criteria = tmp_path / "criteria.txt"
    criteria.write_text("Colchicine in gout", encoding="utf-8")
    started = run(f"start|--review|main|--criteria-file|{criteria}|--reason|wrong drug|--reason|no gout|--who|ann")
    assert started.output == "review main of toy started\n"
    assert run("start|--review|main|--reason|no gout|--who|ann").output == "review main of toy changed\n"
    assert run("decide|toy-01|include|--who|ann|--note|the first").output == "1 record included (decision 3)\n"
    done = run("decide|toy-02|toy-03|exclude|--who|ann|--reason|no gout")
    assert done.output == "2 records excluded (decisions 4 to 5)\n"
    run("decide|toy-01|exclude|--who|bob")
    run("decide|toy-02|exclude|--who|bob|--reason|no gout|--label|second")
    assert run("status").output.splitlines() == [
        "review main of toy: 3 of 40 records decided, 37 left",
        "  included: 0",
        "  excluded: 2",
        "    no gout: 2",
        "  maybe: 0",
        "  in conflict: 1",
        "    toy-01: ann include, bob exclude",
        "    to settle one: engine review decide ID include|exclude --for-all",
        "  ann and bob: 2 records decided by both, 1 equally; Cohen's kappa 0.00",
        "  stopping: can't tell yet. Nothing is included yet, so nothing tells how many inclusions there are.",
        "    if nothing more is found, it allows stopping after 37 more records",
    ]
    run("decide|toy-01|include|--who|cyd|--for-all")
    found = json.loads(run("status|--json").output)
    assert (found["include"], found["exclude"], found["conflict"], found["left"]) == (1, 2, 0, 37)
    assert (found["criteria"], found["offered_reasons"], found["conflicts"]) == ("Colchicine in gout", ["no gout"], [])


def test_the_status_tells_whether_reading_may_stop(run: Run, toy: IndexFolder, tmp_path: Path) -> None:
    run("start|--review|main|--who|ann")
    journal, order = Journal(toy.decisions, "main"), {"name": "learned", "rank": 1}
    for n in range(1, 39):
        kind = DecisionKind.INCLUDE if n < 20 else DecisionKind.EXCLUDE
        record = RecordIdentity((f"toy-{n:02d}",))
        journal.append("ann", [NewDecision(kind, (record,), {"order": order, "seconds": 30.0})])
    assert run("status").output.splitlines()[4:] == [
        "  maybe: 0",
        "  stopping: may stop. At most 1 of 2 unread records belong in the review; 95 % recall allows 1.",
        "    p 0.005, expected 0.05 or less: the chance to find so few if more are left",
        "  30 s for a record (median of 38): 1 min for all that are left",
    ]
    picture = tmp_path / "curve.svg"
    assert run(f"status|--curve|{picture}").stderr == f"curve in {picture}\n"
    assert "<title>19 inclusions found in 38 of 40 records read</title>" in picture.read_text(encoding="utf-8")
    assert "exists" in run(f"status|--curve|{picture}", 2).output
    assert "Name a file that ends with .svg or .png" in run("status|--curve|curve.pdf", 2).output
    run("undo|--who|ann")
    run("decide|toy-38|exclude|--who|ann")
    progress = json.loads(run("status|--json").output)["progress"]
    assert (progress["n_read"], progress["n_ordered"], progress["found_after"]) == (38, 37, list(range(1, 20)))
    assert (progress["advice"]["verdict"], progress["advice"]["most_left"]) == ("may stop", 1)
    assert progress["seconds"] == {"median": 30.0, "timed": 37, "left": 60.0, "more": None}


def test_the_log_keeps_what_was_undone(run: Run) -> None:
    run("start|--review|main|--who|ann")
    run("decide|toy-01|include|--who|ann|--note|a\nb")
    assert run("undo|--who|ann").output == "1 decision undone (decision 2)\n"
    lines = [line.split("  ", 2) for line in run("log").output.splitlines()]
    assert [(line[0], line[2]) for line in lines] == [
        ("1", "ann  start"),
        ("2", "ann  include  toy-01 Colchicine in gout  note: a b"),
        ("3", "ann  undo 2"),
    ]
    events = [json.loads(line) for line in run("log|--json").output.splitlines()]
    assert [event["kind"] for event in events] == ["start", "include", "undo"]


def test_the_only_review_needs_no_name(run: Run) -> None:
    assert "toy has no review. Start one: engine review start -i toy --review main" in run("status", 2).output
    run("start|--review|one")
    run("decide|toy-01|maybe")
    run("start|--review|two")
    assert "toy has 2 reviews: one, two. Name one: --review" in run("status", 2).output
    assert "1 of 40 records decided" in run("status|--review|one").output
    assert "0 of 40 records decided" in run("status|--review|two").output


def test_decisions_come_in_and_out(run: Run, tmp_path: Path) -> None:
    run("start|--review|main|--who|ann")
    included, out = tmp_path / "in.txt", tmp_path / "out.csv"
    included.write_text("toy-01\ntoy-02\nnope\n")
    done = run(f"import|{included}|--as|include|--who|ann")
    assert done.output.splitlines() == [
        "3 records read, 2 decided (decisions 2 to 3)",
        "  recognised by id 2",
        "  not in the index: 1",
        "    in.txt: nope",
    ]
    assert run(f"export|-o|{out}").stderr == f"2 records to {out}\n"
    lines = out.read_text(encoding="utf-8").splitlines()
    assert lines[0].startswith("decision,label_included,exclusion_reason,decision_note,decision_labels,reviewer,id,")
    assert lines[1].startswith("include,1,,,,ann,toy-01,")
    assert run(f"import|{out}|--who|zoe").output.splitlines()[-1] == "  decided so before: 2"
    assert json.loads(run(f"import|{out}|--json").output)["unchanged"] == 2
    whole = tmp_path / "all.ris"
    assert run(f"export|--all|-o|{whole}").stderr.startswith(f"40 records to {whole}\n")
    assert whole.read_text(encoding="utf-8").count("N1  - ASReview_relevant") == 2
    assert "exists" in run(f"export|-o|{out}", 2).output


def test_long_lists_are_cut_and_say_how_to_see_all(run: Run, tmp_path: Path) -> None:
    run("start|--review|main|--who|ann")
    names = [f"toy-{n:02}" for n in range(1, 26)]
    run("decide|" + "|".join(names) + "|include|--who|ann")
    run("decide|" + "|".join(names) + "|exclude|--who|bob")
    lines = run("status").output.splitlines()
    place = lines.index("  in conflict: 25")
    assert lines[place + 20 : place + 22] == [
        "    toy-20: ann include, bob exclude",
        "    and 5 more; all of them: --json",
    ]
    conflicts = json.loads(run("status|--json").output)["conflicts"]
    assert len(conflicts) == 25
    assert conflicts[24] == {"id": "toy-25", "decisions": {"ann": "include", "bob": "exclude"}}
    ids = tmp_path / "ids.txt"
    ids.write_text("\n".join(f"absent-{n}" for n in range(23)), encoding="utf-8")
    lines = run(f"import|{ids}|--as|include|--who|ann").output.splitlines()
    assert lines[-2:] == ["    ids.txt: absent-19", "    and 3 more; all of them: --json"]
    assert len(json.loads(run(f"import|{ids}|--as|include|--who|ann|--json").output)["unmatched"]) == 23


def test_a_list_of_one_kind_for_another_tool(run: Run, tmp_path: Path) -> None:
    run("start|--review|main|--who|ann")
    run("decide|toy-01|toy-02|exclude|--reason|wrong drug|--who|ann")
    run("decide|toy-03|include|--who|ann")
    path = tmp_path / "out.ris"
    done = run(f"export|--only|exclude|--tags|-o|{path}")
    assert "2 records to" in done.output
    assert path.read_text(encoding="utf-8").count("KW  - excluded: wrong drug") == 2
    assert "KW  - " not in Path(run_export(run, tmp_path / "plain.ris")).read_text(encoding="utf-8")
    both = run(f"export|--only|exclude|--all|-o|{tmp_path / 'no.ris'}", code=2)
    assert "--all and --only were given" in both.output


def run_export(run: Run, path: Path) -> Path:
    """A file of the decided records."""
    run(f"export|-o|{path}")
    return path
