"""The contest with runners that do what the test says."""

import json
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from engine.encode.cpu import contest
from engine.encode.cpu.contest import DEFAULT, ContestTexts, _Outcome, open_checked, recall, run_contest
from engine.encode.cpu.contestants import Contestant
from engine.encode.execution import processor
from engine.encode.models.model import identify
from engine.encode.texts.tokens import Tokens
from tests.conftest import TOY_MODEL

EXPECTED = np.eye(2, 4, dtype=np.float32)
TOKENS = Tokens(np.arange(5, dtype=np.int32), np.array([0, 3, 5]), np.array([3, 2]))
TRIAL = ContestTexts(TOKENS, TOKENS, EXPECTED, TOKENS)
TOY = identify(TOY_MODEL, "toy")


class Fake:
    """A runner that takes a while and gives vectors of one kind."""

    def __init__(self, seconds: float = 0.0, vectors: np.ndarray = EXPECTED) -> None:
        self.seconds, self.vectors, self.is_closed, self.n_calls = seconds, vectors, False, 0

    def encode(self, tokens: Tokens) -> np.ndarray:
        self.n_calls += 1
        time.sleep(self.seconds)
        return self.vectors

    def close(self) -> None:
        self.is_closed = True


def offer(runner: Fake, name: str = "fake") -> Contestant:
    return Contestant(name, "numpy", lambda: runner)


def turned(cosine: float) -> np.ndarray:
    """Vectors with these cosines to the expected ones."""
    found = np.zeros((2, 4), np.float32)
    found[[0, 1], [0, 1]], found[:, 3] = cosine, np.sqrt(1 - cosine**2)
    return found


def test_the_fastest_way_with_the_right_vectors_wins_and_the_others_are_closed(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level("INFO")
    fast, slow, default = Fake(0.001), Fake(0.004), Fake(0.01)
    outcome, runner = run_contest(TOY, [offer(slow, "slow"), offer(fast, "fast")], default.encode, TRIAL)
    assert outcome.winner == "fast" and runner is fast
    assert slow.is_closed and not fast.is_closed
    assert set(outcome.texts_per_s) == {DEFAULT, "slow", "fast"} and set(outcome.start_s) == {"slow", "fast"}
    assert caplog.messages[-1].startswith("encoding with fast; texts a second on this machine: ONNX Runtime fp32 ")


def test_a_little_faster_is_noise(monkeypatch: pytest.MonkeyPatch) -> None:
    runner = Fake()
    monkeypatch.setattr(contest, "_measure", lambda ways, tokens: {DEFAULT: 1.0, "fake": 0.96})
    outcome, found = run_contest(TOY, [offer(runner)], Fake().encode, TRIAL)
    assert (outcome.winner, found, runner.is_closed) == (DEFAULT, None, True)


def fail() -> Fake:
    raise RuntimeError("no such instruction\nsecond line")


def lack() -> Fake:
    raise ImportError("No module named 'fake'")


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: Fake(vectors=turned(0.9998)), "cosine 0.999800, expected 0.9999 or more"),
        (lambda: Fake(vectors=turned(0.99993)), "mean cosine 0.999930, expected 0.99995 or more"),
        (lambda: Fake(vectors=np.full((2, 4), np.nan, np.float32)), "cosine nan, expected 0.9999 or more"),
        (lambda: Fake(0.05), "times as slow as ONNX Runtime fp32"),
        (fail, "no such instruction"),
        (lack, "No module named 'fake'"),
    ],
)
def test_a_way_that_fails_is_out_with_one_line(
    build: Callable[[], Fake], message: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    outcome, runner = run_contest(TOY, [Contestant("odd", "numpy", build)], Fake(0.001).encode, TRIAL)
    assert (outcome.winner, runner) == (DEFAULT, None)
    (line,) = (line for line in caplog.messages if line.startswith("odd is not used: "))
    assert message in line and "second line" not in line
    assert "odd" not in outcome.texts_per_s


def test_an_outcome_is_remembered_by_encoder_processor_and_libraries(
    cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    contestants = [offer(Fake())]
    assert recall(TOY, contestants) is None
    outcome, _ = run_contest(TOY, contestants, Fake(0.003).encode, TRIAL)
    assert recall(TOY, contestants) == outcome
    assert recall(identify(TOY_MODEL, "toy", "int8"), contestants) is None
    assert recall(TOY, []) is None
    for name, value in (("_read_processor", lambda: "x"), ("read_flags", lambda: {"y"}), ("count_cores", lambda: 99)):
        with monkeypatch.context() as patch:
            patch.setattr(processor, name, value)
            assert recall(TOY, contestants) is None
    monkeypatch.setattr(contest, "read_library_version", lambda library: "0.0")
    assert recall(TOY, contestants) is None
    assert len(json.loads((cache / "cpu-contest.json").read_text())) == 1


@pytest.mark.parametrize("entry", [1, {}, {"winner": "x"}, {"winner": "x", "texts_per_s": [], "start_s": {}}])
def test_a_damaged_memory_is_no_memory(monkeypatch: pytest.MonkeyPatch, entry: object) -> None:
    monkeypatch.setattr(contest.stamps, "load_entries", lambda name: {contest._hash_machine(TOY, []): entry})
    assert recall(TOY, []) is None


def test_for_few_texts_the_time_to_start_counts() -> None:
    outcome = _Outcome("fast", {DEFAULT: 30.0, "fast": 120.0}, {"fast": 3.0})
    assert outcome.choose(100) == DEFAULT  # 3.3 s, or 3 + 0.8 s
    assert outcome.choose(200) == "fast"  # 6.7 s, or 3 + 1.7 s
    assert _Outcome().choose(10**6) == DEFAULT


def test_a_remembered_winner_is_checked_again(caplog: pytest.LogCaptureFixture) -> None:
    good, bad = Fake(), Fake(vectors=turned(0.5))
    assert open_checked(offer(good), TRIAL) is good
    assert open_checked(offer(bad, "bad"), TRIAL) is None and bad.is_closed
    assert "bad is not used: its vectors differ" in caplog.text
