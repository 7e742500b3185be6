"""The benchmark of growth: its command line, its tables, and one whole run."""

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.conftest import ROOT

sys.path.insert(0, str(ROOT / "scripts"))
import bench_scale

USAGE = {"cpu_s": 1.0, "read": 5e6, "written": 2e6, "written_disk": 1e6, "anonymous": 3e6, "wall_s": 1.0}
PHASE = {name: USAGE[name] for name in bench_scale.COUNTERS}


def figures(n: int, nights: int = 1) -> bench_scale.Figures:
    """Costs in proportion to the size, but for the memory."""
    usage = {**{name: value * n for name, value in USAGE.items()}, "anonymous": 3e6}
    usage = {**usage, "phases": {"reading": {**{name: value * n for name, value in PHASE.items()}, "anonymous": 3e6}}}
    return {
        "operations": {"first build": usage, "night": usage, "night 2": usage, "rollback": usage},
        "nights": [usage] * nights,
        "questions": {"keyword, 8 words": {"cpu_ms": 0.01 * n, "wall_ms": 1, "read": 1}},
        "bytes": {
            "folder": 4000 * n,
            "folder_after_nights": 8000 * n,
            "kinds": {"abstracts.db": 3000 * n, "CURRENT": 20},
            "tables": {"abstracts": 2000 * n},
            "free_pages": 0,
            "unused_in_pages": 10 * n,
        },
    }


def test_tables_show_each_size_and_the_exponent() -> None:
    tables = bench_scale.list_tables({"100": figures(100), "20": figures(20)})
    assert "| Operation | 20 | 100 | exponent |" in tables[0]
    assert "| night | 20 | 100 | 1.0 |" in tables[0]
    assert "night 2" not in "".join(tables)
    assert "| night | 3 | 3 | 0.0 |" in tables[4]
    assert "| keyword, 8 words | 0.2 | 1 | 1.0 |" in tables[5]
    assert tables[7].startswith("Phases of the night, 100 records:")
    assert "| reading | 100 | 1.0 | 500 | 1.0 | 200 | 1.0 | 100 | 1.0 | 3 | 0.0 |" in tables[7]
    assert "| table abstracts | 2,000 | 2,000 | 0.0 |" in tables[8]
    assert "| free pages | 0 | 0 |  |" in tables[8]
    assert "CURRENT" not in tables[8]
    assert len(tables) == 9


def test_several_nights_have_a_table_of_their_own() -> None:
    tables = bench_scale.list_tables({"20": figures(20, nights=3)})
    assert "| 20 | 3 | 60 | 20 | 20 | 300 | 100 | 100 | 120 | 40 | 40 |" in tables[-1]


def test_questions_have_so_many_words_and_are_the_same_each_time() -> None:
    sentences = ("Pain and gout fell in the knee.", "Not all adults play with toys!")
    found = bench_scale.draw_questions(sentences, 8, 5)
    assert found == bench_scale.draw_questions(sentences, 8, 5)
    assert {len(text.split()) for text in found} == {8}
    assert not {"and", "not", "in"} & set(" ".join(found).split())


def test_settings_stand_above_those_of_the_template(tmp_path: Path) -> None:
    path = tmp_path / "index.toml"
    path.write_text("[[sources]]\n")
    bench_scale.configure(path, Path("/m"), ["one_segment_below = 0"])
    assert path.read_text() == (
        'model = "/m"\ndevice = "cpu"\nprecision = "fp32"\none_segment_below = 0\n[[sources]]\n'
    )


def test_nothing_to_measure_or_show_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="^2$"):
        bench_scale.parse([])
    assert "name at least one size N" in capsys.readouterr().err


def test_earlier_figures_are_shown_together(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    machine = {"load_1min": 0.0}
    for name, engine, n in (("a", "new", 20), ("b", "new", 100), ("c", "old", 100)):
        content = {"machine": machine, "engine": engine, "sizes": {str(n): figures(n)}}
        (tmp_path / name).write_text(f"{json.dumps(content)}\n\nAnd tables.\n")
    drawn: list[Sequence[bench_scale.Figures]] = []
    monkeypatch.setattr(bench_scale, "draw", lambda path, runs: drawn.append(runs))
    files = [str(tmp_path / name) for name in "abc"]
    monkeypatch.setattr(sys, "argv", ["bench_scale.py", "--with", *files, "--plot", "x.png"])
    bench_scale.main()
    first = json.loads(capsys.readouterr().out.splitlines()[0])
    assert (first["engine"], list(first["sizes"])) == ("new", ["20", "100"])
    assert [(run["engine"], list(run["sizes"])) for run in drawn[0]] == [("old", ["100"]), ("new", ["20", "100"])]


def test_sizes_are_short_on_an_axis() -> None:
    assert [bench_scale.bench.shorten(n) for n in (500, 2_000, 1_500_000)] == ["500", "2k", "1.5M"]


def test_the_engine_is_named_by_its_commit_or_its_folder(tmp_path: Path) -> None:
    assert bench_scale.name_engine(tmp_path) == tmp_path.name


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_whole_run(tmp_path: Path) -> None:
    """Two nights among 400 records, kept and asked again, without the first build."""
    script = [sys.executable, ROOT / "scripts" / "bench_scale.py", "400", "--keep", tmp_path / "kept"]
    runs = []
    for options in (["--nights", "2"], ["--set", "keep_generations = 2"]):
        done = subprocess.run(
            [*script, *options],
            capture_output=True,
            text=True,
            check=False,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
        )
        assert done.returncode == 0, done.stderr
        runs.append(json.loads(done.stdout.splitlines()[0])["sizes"]["400"])
    first, second = runs
    assert first["operations"].keys() - second["operations"].keys() == {"night 2"}
    assert (len(first["nights"]), len(second["nights"])) == (2, 1)
    assert first["operations"]["first build"] == second["operations"]["first build"]
    assert first["questions"].keys() == bench_scale.QUESTIONS.keys()
    for usage in first["operations"].values():
        assert usage["cpu_s"] > 0
        assert usage["read"] > 0
        assert usage["anonymous"] > 0
    assert "reading" in first["operations"]["night"]["phases"]
    assert first["bytes"]["folder_after_nights"] > first["bytes"]["folder"] > 0
