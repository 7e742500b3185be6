"""The encoder of the corpus on a CPU: when it measures, what it remembers, and what happens when a way fails."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from engine.encode.cpu import contest, encoder
from engine.encode.cpu.contest import DEFAULT
from engine.encode.cpu.contestants import Contestant
from engine.encode.cpu.encoder import CpuEncoder
from engine.encode.execution.onnx import OnnxEncoder
from engine.encode.texts.tokens import Tokens
from engine.records.encoder import Vectors
from tests.conftest import CURRENT, TOY_MODEL

(EXPORTED,) = (CURRENT / "encoders").iterdir()
TEXTS = ["knee pain", "gout in older people", "a", "lupus nephritis and pregnancy, " * 30]


class Fake:
    """A runner that does what ONNX Runtime does, and notes each call."""

    def __init__(self, exported: OnnxEncoder, spoil: Callable[[Vectors], Vectors] = lambda vectors: vectors) -> None:
        self.exported, self.spoil, self.n_calls, self.is_closed = exported, spoil, 0, False

    def encode(self, tokens: Tokens) -> Vectors:
        self.n_calls += 1
        return self.spoil(self.exported.run(tokens))

    def close(self) -> None:
        self.is_closed = True


@pytest.fixture
def exported() -> OnnxEncoder:
    return OnnxEncoder(EXPORTED)


@pytest.fixture
def make(exported: OnnxEncoder, monkeypatch: pytest.MonkeyPatch) -> Callable[..., CpuEncoder]:
    """An encoder with one contestant, which is five times as fast: make(runner)."""

    def build(runner: object, **given: bool) -> CpuEncoder:
        contestant = Contestant("fake", "numpy", lambda: runner)  # type: ignore[arg-type, return-value]
        monkeypatch.setattr(encoder, "list_contestants", lambda *_: [contestant])
        monkeypatch.setattr(encoder, "choose_layout", lambda *_: None)
        monkeypatch.setattr(
            contest, "_measure", lambda ways, tokens: {name: 5.0 if name == DEFAULT else 1.0 for name in ways}
        )
        monkeypatch.setattr(contest, "_find_slowness", lambda *_: None)
        return CpuEncoder(exported, lambda: TOY_MODEL, **given)

    return build


def test_the_winner_of_the_contest_encodes(make: Callable[..., CpuEncoder], exported: OnnxEncoder) -> None:
    runner = Fake(exported)
    cpu = make(runner)
    before = cpu.encode(TEXTS)
    assert (before.made_by, runner.n_calls, cpu.page) == (DEFAULT, 0, exported.page)
    cpu.settle(TEXTS, 1000)
    after = cpu.encode(TEXTS)
    assert after.made_by == "fake" and cpu.page >= 128
    assert np.array_equal(after.vectors, exported.encode(TEXTS).vectors)
    assert after.n_tokens.tolist() == before.n_tokens.tolist()
    assert cpu.encode([]).vectors.shape == (0, 32)
    assert cpu.identity == exported.identity
    cpu.close()
    assert runner.is_closed and cpu.encode(TEXTS).made_by == DEFAULT


def test_few_texts_are_not_worth_a_contest_but_use_a_remembered_winner(
    make: Callable[..., CpuEncoder], exported: OnnxEncoder
) -> None:
    cpu = make(Fake(exported))
    cpu.settle(TEXTS, 999)
    assert cpu.encode(TEXTS).made_by == DEFAULT
    cpu.settle(TEXTS, 1000)
    again = make(Fake(exported))
    again.settle(TEXTS, 999)
    assert again.encode(TEXTS).made_by == "fake"
    few = make(Fake(exported))
    few.settle(TEXTS, 0)
    assert few.encode(TEXTS).made_by == DEFAULT


def test_exact_means_fp32_whatever_is_faster(make: Callable[..., CpuEncoder], exported: OnnxEncoder) -> None:
    cpu = make(Fake(exported), exact=True)
    cpu.settle(TEXTS, 10**6)
    assert cpu.encode(TEXTS).made_by == DEFAULT


def test_a_way_that_crashes_later_is_given_up(
    make: Callable[..., CpuEncoder], exported: OnnxEncoder, caplog: pytest.LogCaptureFixture
) -> None:
    runner = Fake(exported)
    cpu = make(runner)
    cpu.settle(TEXTS, 1000)

    def crash(vectors: Vectors) -> Vectors:
        raise RuntimeError("out of memory\nmore")

    runner.spoil = crash
    found = cpu.encode(TEXTS)
    assert found.made_by == DEFAULT and np.array_equal(found.vectors, exported.encode(TEXTS).vectors)
    assert "fake failed (out of memory): using ONNX Runtime fp32 from now on" in caplog.text
    assert runner.is_closed and cpu.encode(TEXTS).made_by == DEFAULT


def test_a_vector_that_is_not_finite_is_computed_in_fp32(
    make: Callable[..., CpuEncoder], exported: OnnxEncoder
) -> None:
    runner = Fake(exported)
    cpu = make(runner)
    cpu.settle(TEXTS, 1000)

    def spoil(vectors: Vectors) -> Vectors:
        vectors[1] = np.inf
        return vectors

    runner.spoil = spoil
    assert np.allclose(cpu.encode(TEXTS).vectors, exported.encode(TEXTS).vectors, atol=1e-6)


def test_a_remembered_winner_that_fails_its_check_is_not_used(
    make: Callable[..., CpuEncoder], exported: OnnxEncoder, caplog: pytest.LogCaptureFixture
) -> None:
    make(Fake(exported)).settle(TEXTS, 1000)
    cpu = make(Fake(exported, lambda vectors: vectors[::-1].copy()))
    cpu.settle(TEXTS, 1000)
    assert cpu.encode(TEXTS).made_by == DEFAULT and "fake is not used: its vectors differ" in caplog.text


def test_an_encoder_without_a_contestant_is_measured_for_its_layout_alone(
    exported: OnnxEncoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[int] = []
    monkeypatch.setattr(encoder, "list_contestants", lambda *_: [])
    monkeypatch.setattr(encoder, "choose_layout", lambda found, texts: asked.append(len(texts)))
    cpu = CpuEncoder(exported, lambda: Path("/none"))
    cpu.settle(TEXTS, 999)
    assert asked == []
    cpu.settle(TEXTS, 1000)
    assert asked == [len(TEXTS)]
