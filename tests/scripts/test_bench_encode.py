"""The benchmark of encoders: its command line, and its GPU part on a CPU."""

import sys
from pathlib import Path

import pytest

torch = pytest.importorskip("torch", reason="needs the [cpu] extra")

from tests.conftest import ROOT, TOY_MODEL  # noqa: E402

sys.path.insert(0, str(ROOT / "scripts"))
import bench_encode  # noqa: E402

NO_GPU = pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device")


@pytest.fixture(autouse=True)
def unpinned(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep the script from starting itself again without the variables it does not want."""
    monkeypatch.setattr("bench_machine.PINNED", set())


@NO_GPU
def test_cuda_without_a_gpu_ends_with_one_line_and_code_2(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="^2$"):
        bench_encode.options(["corpus.jsonl", "--device", "cuda"])
    captured = capsys.readouterr()
    assert captured.err == "bench_encode.py: no GPU that torch can use; run without --device cuda\n"
    assert not captured.out


def test_a_plot_with_a_gpu_is_refused(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    with pytest.raises(SystemExit, match="^2$"):
        bench_encode.options(["corpus.jsonl", "--device", "cuda", "--plot", "x.png"])
    assert "--plot draws rates on the CPU" in capsys.readouterr().err


def test_defaults() -> None:
    given = bench_encode.options(["corpus.jsonl"])
    assert (given.corpus, given.device, given.texts, given.rounds) == (Path("corpus.jsonl"), "cpu", 300, 3)


def test_both_ways_are_measured_side_by_side(monkeypatch: pytest.MonkeyPatch) -> None:
    """The toy model on a CPU, where both run in fp32."""
    monkeypatch.setattr(bench_encode, "locate", lambda name: TOY_MODEL)
    figures = bench_encode.on_gpu("cpu", ["knee pain", "gout " * 30, "a"], rounds=1)
    assert list(figures["gpu"]) == ["engine, packed", "sentence-transformers fp16", "sentence-transformers fp32"]
    assert all(row["min_cosine_fp32"] >= 0.9999 for row in figures["gpu"].values())
    table, ratio = bench_encode.gpu_tables(figures)
    assert table.count("\n") == 4
    assert ratio == f"packed / library: {figures['packed_times_library']}"
