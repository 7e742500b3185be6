"""An encoder that a person can follow: a text is how often it has the letters a, b, c and d."""

from collections.abc import Sequence

import numpy as np

from engine.records.encoder import Encoded, EncoderIdentity


class LettersEncoder:
    page = 3
    ahead = 1

    def __init__(self, max_length: int = 9) -> None:
        self.identity = EncoderIdentity(
            "letters", 4, max_length, "mean", True, "title. abstract/1", "fp32", "w" * 64, "t" * 64, "c" * 64
        )
        self.encoded: list[str] = []

    def encode(self, texts: Sequence[str]) -> Encoded:
        self.encoded += texts
        counts = np.array([[text.count(letter) for letter in "abcd"] for text in texts], np.float64).reshape(-1, 4)
        lengths = np.linalg.norm(counts, axis=1, keepdims=True)
        vectors = np.divide(counts, lengths, out=np.zeros_like(counts), where=lengths > 0)
        return Encoded(vectors.astype(np.float32), counts.sum(axis=1).astype(np.int64))

    encode_queries = encode

    def close(self) -> None: ...
