"""What a process used: counters by phase, the peak of its memory, and the exponent of growth."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import ROOT

sys.path.insert(0, str(ROOT / "scripts"))
import scale_child
import scale_usage

ENVIRONMENT = {"PYTHONPATH": str(ROOT)}


def mark(phase: str, at: float, used: int) -> dict[str, object]:
    return {"phase": phase, "at": at, **dict.fromkeys(scale_child.COUNTERS, used)}


def test_phases_have_what_was_used_while_they_ran() -> None:
    marks = [
        mark("start", 0, 1),
        mark("reading", 1, 3),
        mark("encoding", 2, 6),
        mark("reading", 3, 10),
        mark("end", 4, 15),
    ]
    found = scale_usage.summarise(marks, [(0.5, 7), (1.5, 100), (2.5, 40), (3.5, 90), (9.0, 5)])
    assert (found.cpu_s, found.read, found.written, found.anonymous) == (15, 15, 15, 100)
    assert {name: phase["read"] for name, phase in found.phases.items()} == {"start": 2, "reading": 8, "encoding": 4}
    assert {name: phase["anonymous"] for name, phase in found.phases.items()} == {
        "start": 7,
        "reading": 100,
        "encoding": 40,
    }


def test_counters_grow_by_what_is_written_and_read(tmp_path: Path) -> None:
    path, before = tmp_path / "file", scale_child.read_counters()
    path.write_bytes(b"x" * 300_000)
    path.read_bytes()
    after = scale_child.read_counters()
    used = {name: after[name] - before[name] for name in scale_child.COUNTERS}
    assert 300_000 <= used["written"] < 310_000
    assert 300_000 <= used["read"] < 350_000  # and /proc/self/io itself


def test_counters_include_children_that_have_ended(tmp_path: Path) -> None:
    before = scale_child.read_counters()
    program = "from pathlib import Path; import sys; Path(sys.argv[1]).write_bytes(bytes(10**6))"
    subprocess.run([sys.executable, "-c", program, tmp_path / "file"], check=True)
    assert scale_child.read_counters()["written"] - before["written"] >= 10**6


def test_marks_join_what_belongs_to_one_phase() -> None:
    marks = scale_child.Marks()
    with marks.listen() as progress:
        progress("reading", 0, None)
        progress("reading", 5, None)
        progress("encoding (ONNX)", 0, 5)
        progress("reading", 6, None)
    assert [each["phase"] for each in marks.found] == ["start", "reading", "encoding", "reading"]


def test_a_command_of_the_engine_is_measured() -> None:
    found = scale_usage.measure(["--version"], ENVIRONMENT)
    assert found.cpu_s > 0
    assert found.anonymous > 1_000_000
    assert list(found.phases) == ["start"]
    assert "question" not in found.show()


def test_a_command_that_fails_says_what_it_said() -> None:
    with pytest.raises(SystemExit, match=r"(?s)verify -i nothing ended with \d:.*nothing"):
        scale_usage.measure(["verify", "-i", "nothing"], ENVIRONMENT)


def test_questions_are_measured_one_by_one(toy: object, tmp_path: Path) -> None:
    asked = {"index": str(tmp_path / "indexes" / "toy"), "method": "new", "options": {"since": "last night"}, "warm": 1}
    questions = [["gout", {}], ["lupus", {"years": ["1990-"]}], ["pain", {}]]
    (tmp_path / "asked.json").write_text(json.dumps({**asked, "questions": questions}))
    found = scale_usage.measure([str(tmp_path / "asked.json")], ENVIRONMENT, "ask")
    assert found.question.keys() == {"cpu_ms", "wall_ms", "read"}
    assert list(found.phases) == ["start", "opening", "warming up", "asking"]


@pytest.mark.parametrize(
    ("points", "exponent"),
    [
        ([(10, 5), (1000, 5)], 0.0),
        ([(10, 5), (1000, 500)], 1.0),
        ([(1, 1), (10, 100), (100, 10_000)], 2.0),
        ([(1, 1), (4, 2)], 0.5),
        ([(10, 5)], None),
        ([(10, 5), (10, 6)], None),
        ([(10, 0), (20, 6)], None),
    ],
)
def test_exponents(points: list[tuple[float, float]], exponent: float | None) -> None:
    assert scale_usage.fit_exponent(points) == exponent
