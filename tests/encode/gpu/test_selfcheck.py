"""Decisions of the self-check, with runners that do what the test says."""

import logging
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from engine.encode.gpu.selfcheck import choose_runner
from engine.encode.texts.probes import CHECK_TEXTS, find_difference
from engine.encode.texts.tokens import TextTokenizer, Tokens
from tests.conftest import TOY_MODEL

EXPECTED = np.eye(2, 4, dtype=np.float32)
TOKENS = Tokens(np.arange(5, dtype=np.int32), np.array([0, 3, 5]), np.array([3, 2]))


class Fake:
    """A runner that takes a while and gives vectors of one kind."""

    size = smallest = 1

    def __init__(self, seconds: float = 0.0, vectors: np.ndarray = EXPECTED, error: Exception | None = None) -> None:
        self.seconds, self.vectors, self.error = seconds, vectors, error
        self.n_calls = 0

    def encode(self, texts: Any, tokens: Any) -> np.ndarray:
        self.n_calls += 1
        if self.error:
            raise self.error
        time.sleep(self.seconds)
        return self.vectors

    def close(self) -> None: ...


def choose(library: Fake, build: Callable[[], Any]) -> Any:
    return choose_runner(library, build, ["a b c", "d e"], TOKENS, EXPECTED)


def test_the_same_vectors_faster_mean_the_packed_model(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    library, packed = Fake(0.01), Fake()
    assert choose(library, lambda: packed) is packed
    assert (library.n_calls, packed.n_calls) == (7, 8)  # both did the same work, after the vectors were compared
    (line,) = caplog.messages
    assert line.startswith("using the packed model: ")


@pytest.mark.parametrize(
    ("packed", "reason"),
    [
        (Fake(0.02), "it is not faster: "),
        (Fake(vectors=EXPECTED[::-1]), "its vectors differ from those in fp32: cosine 0.000000, expected 0.9999"),
        (Fake(vectors=EXPECTED * np.float32(0.9998)), "cosine 0.999800"),
        (Fake(vectors=EXPECTED * np.float32("nan")), "cosine nan"),
        (Fake(error=RuntimeError("no kernel image is available\nfor this device")), "no kernel image is available"),
        (Fake(error=KeyError()), "KeyError()"),
    ],
)
def test_anything_else_means_the_library_and_one_line(
    packed: Fake, reason: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    library = Fake(0.005)
    assert choose(library, lambda: packed) is library
    (line,) = caplog.messages
    assert line.startswith("using sentence-transformers, not the packed model: ")
    assert reason in line
    assert "\n" not in line


def test_a_model_that_can_not_be_built_means_the_library(caplog: pytest.LogCaptureFixture) -> None:
    def build() -> Any:
        raise ImportError("no module named varlen")

    caplog.set_level(logging.INFO)
    library = Fake()
    assert choose(library, build) is library
    assert caplog.messages == ["using sentence-transformers, not the packed model: no module named varlen"]


def test_the_smallest_cosine_decides() -> None:
    assert find_difference(EXPECTED, EXPECTED) is None
    assert find_difference(EXPECTED * np.float32(0.99991), EXPECTED) is None
    one = EXPECTED * np.array([[1], [0.9998]], np.float32)
    assert find_difference(one, EXPECTED) is not None


def test_the_texts_have_some_thousand_tokens_of_all_lengths() -> None:
    lengths = TextTokenizer(TOY_MODEL / "tokenizer.json", 256).tokenise(CHECK_TEXTS).lengths
    assert 2000 < lengths.sum() < 10_000
    assert (lengths.min(), lengths.max()) == (3, 256)
