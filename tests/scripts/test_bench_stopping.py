"""The count of kept promises: by hand on small orders, and over a few simulations of real reviews."""

import sys
from pathlib import Path

import numpy as np
import pytest

sys.path.append(str(Path(__file__).parent.parent.parent / "scripts"))
import bench_stopping as bench

TEST, RANDOM = "95 % recall, 95 % sure", "random draws after 50 excluded in a row"


def test_the_interval_of_a_share() -> None:
    assert bench.interval(0, 20) == (0.0, pytest.approx(1 - 0.025 ** (1 / 20)))
    assert bench.interval(20, 20) == (pytest.approx(0.025 ** (1 / 20)), 1.0)
    assert bench.interval(5, 100) == (pytest.approx(0.0164, abs=1e-4), pytest.approx(0.1128, abs=1e-4))


def test_the_cells_of_a_rule() -> None:
    stops = [bench.Stop(0.5, 0.9), bench.Stop(0.95, 1.0), bench.Stop(1.0, 1.0)]
    assert list(bench.describe(stops)) == ["2", "1", "1 [1.3 to 98.7 %]", "0.725", "0.967", "0.183"]


def test_the_rules_on_a_small_order() -> None:
    labels = np.arange(300) < 60
    stops = bench.stop_each(labels, 0)
    assert stops["50 excluded in a row"] == bench.Stop(110 / 300, 1.0)
    assert stops["half of the records"] == bench.Stop(0.5, 1.0)
    assert (stops[TEST].recall, stops[RANDOM].recall) == (1.0, 1.0)
    assert 0.5 < stops[TEST].read < stops[RANDOM].read < 0.9
    drawn, end = bench.draw_tail(labels, 0)
    assert (int(drawn.sum()), round(300 * stops[RANDOM].read)) == (60, end)


@pytest.mark.slow
def test_the_promise_is_kept_on_real_reviews(
    shared: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    names = ["Nelson_2002", "Sep_2021", "Donners_2021"]
    command = ["bench_stopping.py", str(shared), str(tmp_path), "--seeds", "5", "--reviews", *names]
    for more in ([], ["--report"]):  # the second time, nothing is simulated again
        monkeypatch.setattr(sys, "argv", [*command, *more])
        bench.main()
    assert len(list(tmp_path.glob("*.npy"))) == 15
    shown = capsys.readouterr().out
    half = len(shown) // 2
    assert shown[:half] == shown[half:]
    together = shown[shown.index("### all reviews, 15 simulations") :]
    cells = next(line for line in together.splitlines() if line.startswith(f"| {TEST} |")).split(" | ")
    assert cells[3].startswith("0 [")  # it never stopped too early
