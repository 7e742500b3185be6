"""Sentence-transformers' own way to run a model, on "cpu" instead of GPUs; one process is killed."""

import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="needs the [cpu] extra")

from engine.encode.gpu.library import LibraryRunner, open_library  # noqa: E402
from engine.encode.models.model import identify  # noqa: E402
from engine.encode.original.transformer import TransformerEncoder  # noqa: E402
from engine.encode.texts.probes import CHECK_TEXTS  # noqa: E402
from engine.encode.texts.tokens import Tokens  # noqa: E402
from tests.conftest import TOY_MODEL  # noqa: E402

NO_TOKENS = Tokens(np.zeros(0, np.int32), np.zeros(1, np.int64), np.zeros(0, np.int64))


def load(folder: Path = TOY_MODEL) -> TransformerEncoder:
    return TransformerEncoder(folder, identify(folder, "toy"), "cpu")


def open_half(loaded: TransformerEncoder, expected: np.ndarray | None = None) -> Any:
    expected = loaded.encode_reference(CHECK_TEXTS) if expected is None else expected
    return open_library(loaded.model, ["cpu"], torch.float16, CHECK_TEXTS, expected)


def test_vectors_are_those_of_the_library(texts: list[str], wanted: np.ndarray) -> None:
    vectors = LibraryRunner(load().model, ["cpu"]).encode(texts, NO_TOKENS)
    assert vectors.dtype == np.float32
    assert np.abs(vectors - wanted).max() < 1e-6


def test_half_precision_is_used_where_it_is_good_enough(
    texts: list[str], wanted: np.ndarray, caplog: pytest.LogCaptureFixture
) -> None:
    loaded = load()
    runner = open_half(loaded)
    vectors = runner.encode(texts, NO_TOKENS)
    assert (vectors * wanted).sum(axis=1).min() >= 0.9999
    assert np.abs(vectors - wanted).max() > 1e-6  # so it is not fp32
    assert np.abs(np.linalg.norm(vectors, axis=1) - 1).max() < 1e-6  # fp16 alone misses this by 5e-4
    assert loaded.model.dtype is torch.float32
    assert not caplog.messages


def test_a_model_that_overflows_half_precision_runs_in_full(
    changed: Callable[..., Path], caplog: pytest.LogCaptureFixture
) -> None:
    loaded = load(changed({}, {"embeddings.word_embeddings": 1e6}))
    expected = loaded.encode_reference(CHECK_TEXTS)
    runner = open_half(loaded, expected)
    (line,) = caplog.messages
    assert line.startswith("the model runs in fp32, not in float16: its vectors differ from those in fp32: cosine nan")
    assert np.abs(runner.encode(CHECK_TEXTS, NO_TOKENS) - expected).max() < 1e-6


def test_half_precision_that_fails_means_full(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    loaded = load()
    expected = loaded.encode_reference(CHECK_TEXTS)

    def fail(*args: Any) -> Any:
        raise RuntimeError("not implemented for 'Half'\nat line 3")

    monkeypatch.setattr(LibraryRunner, "run", fail)
    open_half(loaded, expected)
    assert caplog.messages == ["the model runs in fp32, not in float16: not implemented for 'Half'"]


class Pool:
    """A model whose pool loses its processes at the first call, or fails in another way."""

    def __init__(self, error: str, alive: bool) -> None:
        self.error, self.alive = error, alive
        self.calls: list[str] = []

    def start_multi_process_pool(self, devices: list[str]) -> Any:
        self.calls.append(f"start {' '.join(devices)}")
        return {"processes": [self]}

    def stop_multi_process_pool(self, pool: Any) -> None:
        self.calls.append("stop")

    def is_alive(self) -> bool:
        return self.alive

    def encode(self, texts: list[str], **given: Any) -> Any:
        self.calls.append(f"encode {texts} in batches of {given['batch_size']}")
        if self.calls.count("stop") == 0:
            raise RuntimeError(self.error)
        return np.array([[3, 4]], np.float16)


def test_a_pool_that_lost_a_process_is_started_again(caplog: pytest.LogCaptureFixture) -> None:
    model = Pool("1 worker(s) died", alive=False)
    vectors = LibraryRunner(model, ["cuda:0", "cuda:1"]).encode(["a"], NO_TOKENS)  # type: ignore[arg-type]
    assert np.allclose(vectors, [[0.6, 0.8]])
    encode = "encode ['a'] in batches of 256"
    assert model.calls == ["start cuda:0 cuda:1", encode, "stop", "start cuda:0 cuda:1", encode]
    assert caplog.messages == ["1 worker(s) died; starting the processes again"]


def test_an_error_of_a_pool_that_is_alive_is_raised() -> None:
    model = Pool("no kernel", alive=True)
    with pytest.raises(RuntimeError, match="no kernel"):
        LibraryRunner(model, ["cuda:0", "cuda:1"]).encode(["a"], NO_TOKENS)  # type: ignore[arg-type]
    assert "stop" not in model.calls


@pytest.mark.slow  # four processes load torch
def test_two_processes_give_the_same_vectors_and_one_that_dies_is_replaced(
    texts: list[str], wanted: np.ndarray, caplog: pytest.LogCaptureFixture
) -> None:
    runner = LibraryRunner(load().model, ["cpu", "cpu"])
    try:
        assert np.abs(runner.encode(texts, NO_TOKENS) - wanted).max() < 1e-5
        processes = runner._pool["processes"]
        for process in processes:
            os.kill(process.pid, signal.SIGKILL)
        assert np.abs(runner.encode(texts, NO_TOKENS) - wanted).max() < 1e-5
        assert "2 multi-process pool worker(s) died unexpectedly" in caplog.text
        assert "starting the processes again" in caplog.text
        again = runner._pool["processes"]
        assert len(again) == 2
        with pytest.raises(ValueError, match="Unsupported input type: NoneType"):
            runner.encode([None, "a"], NO_TOKENS)  # type: ignore[list-item]
    finally:
        runner.close()
    assert runner._pool is None
