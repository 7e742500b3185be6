"""Cosines of texts, with an encoder of two directions that a person can follow."""

from collections.abc import Sequence

import numpy as np
import pytest

from engine.encode.execution.similarity import measure_similarity
from engine.encode.models.model import identify
from engine.errors import EncoderError
from engine.records.encoder import Encoded, EncoderIdentity
from tests.conftest import TOY_MODEL


class Angles:
    """A text is an angle in degrees: "60" has the vector (0.5, 0.866); its tokens are its characters."""

    page = ahead = 1

    @property
    def identity(self) -> EncoderIdentity:
        return EncoderIdentity(**{**{f: getattr(TOY, f) for f in TOY.__dataclass_fields__}, "dim": 2, "max_length": 3})

    def encode(self, texts: Sequence[str]) -> Encoded:
        angles = np.radians([float(text) for text in texts])
        vectors = np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32)
        return Encoded(vectors, np.array([len(text) for text in texts]))

    encode_queries = encode

    def close(self) -> None: ...


TOY = identify(TOY_MODEL, "toy")


def test_the_first_text_is_compared_with_each_other_one() -> None:
    found = measure_similarity(Angles(), ["0", " 60 ", "180", "0", "0090"])
    assert found.scores == pytest.approx([0.5, -1, 1, 0], abs=1e-6)
    assert found.cut == (4,)
    assert max(found.scores) <= 1


def test_a_text_without_a_vector_is_named() -> None:
    with pytest.raises(EncoderError, match=r"^the text 'nan' can't be compared: the encoder returned NaN"):
        measure_similarity(Angles(), ["0", "nan"])
