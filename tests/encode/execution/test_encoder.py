from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
import pytest

from engine.encode.execution.encoder import check_canaries, encode_checked
from engine.errors import EncoderError
from engine.records.encoder import Encoded, EncoderIdentity, Vectors

IDENTITY = EncoderIdentity("stub", 4, 8, "mean", True, "r", "fp32", "w", "t", "c")


def letters(text: str) -> Vectors:
    """Counts of a, b, c and other letters, unit length: a vector that a person can check."""
    counts = np.array([text.count("a"), text.count("b"), text.count("c"), 1], dtype=np.float32)
    return (counts / np.linalg.norm(counts)).astype(np.float32)


@dataclass
class Stub:
    """Encodes letters; `spoil` may change what a call returns."""

    spoil: Callable[[list[str], Vectors], Vectors] = lambda texts, vectors: vectors
    identity: EncoderIdentity = IDENTITY
    page: int = 8
    ahead: int = 1
    calls: list[list[str]] = field(default_factory=list)

    def encode(self, texts: Sequence[str]) -> Encoded:
        self.calls.append(list(texts))
        vectors = np.array([letters(text) for text in texts], dtype=np.float32).reshape(len(texts), 4)
        return Encoded(self.spoil(list(texts), vectors), np.array([len(text) for text in texts], dtype=np.int64))

    encode_queries = encode


def row_spoiler(bad: str, value: object, *, forgiving: bool) -> Callable[[list[str], Vectors], Vectors]:
    """Spoil the row of one text; when forgiving, only in company."""

    def spoil(texts: list[str], vectors: Vectors) -> Vectors:
        if bad in texts and not (forgiving and len(texts) == 1):
            vectors[texts.index(bad)] = value
        return vectors

    return spoil


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (np.nan, "NaN or infinity"),
        (np.inf, "NaN or infinity"),
        (0, "zero vector"),
        (0.6, r"vector of length 1.2, expected 1"),
        (6e4, "vector of length 1.2e"),
    ],
)
def test_a_bad_vector_is_refused_with_a_reason_and_the_others_stay(value: float, reason: str) -> None:
    checked = encode_checked(Stub(row_spoiler("b", value, forgiving=False)), ["a", "b", "c"])
    assert list(checked.kept) == [0, 2]
    assert np.array_equal(checked.vectors, [letters("a"), letters("c")])
    ((position, found),) = checked.refused
    assert position == 1
    with pytest.raises(ValueError, match=reason):
        raise ValueError(found)


def test_a_vector_that_is_good_the_second_time_is_kept() -> None:
    stub = Stub(row_spoiler("b", np.nan, forgiving=True))
    checked = encode_checked(stub, ["a", "b", "c"])
    assert stub.calls == [["a", "b", "c"], ["b"]]
    assert not checked.refused
    assert np.array_equal(checked.vectors[1], letters("b"))


@pytest.mark.parametrize(
    "spoil",
    [
        lambda texts, vectors: vectors[:, :3],
        lambda texts, vectors: vectors[:-1],
        lambda texts, vectors: np.vstack([vectors, vectors]),
        lambda texts, vectors: vectors.astype(np.float64),
    ],
    ids=["wrong dim", "row missing", "rows too many", "float64"],
)
def test_a_wrong_shape_refuses_every_text_and_never_guesses(spoil: Callable[[list[str], Vectors], Vectors]) -> None:
    checked = encode_checked(Stub(spoil), ["a", "b"])
    assert [reason for _, reason in checked.refused] == ["the encoder returned a vector of the wrong shape"] * 2
    assert checked.vectors.shape == (0, 4)


def test_a_text_without_words_is_refused_without_a_second_try() -> None:
    stub = Stub()
    checked = encode_checked(stub, ["a", ""])
    assert checked.refused == ((1, "no word that the encoder can read"),)
    assert len(stub.calls) == 1


def test_shuffled_rows_are_noticed() -> None:
    shuffled = Stub(lambda texts, vectors: vectors[::-1].copy())
    texts = ["aaa", "bbb", "ccc"]
    with pytest.raises(EncoderError, match="different vectors alone and in a batch"):
        check_canaries(shuffled, texts, encode_checked(shuffled, texts).vectors, 4)
    check_canaries(Stub(), texts, encode_checked(Stub(), texts).vectors, 4)
    check_canaries(Stub(), [], np.empty((0, 4), np.float32), 4)
