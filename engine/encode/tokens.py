"""Texts to token ids, cut at the encoder's limit, with the length before the cut."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from tokenizers import Tokenizer

from engine.errors import EncoderError


@dataclass(frozen=True, slots=True)
class Tokens:
    """Token ids of n texts."""

    ids: tuple[list[int], ...]  # each at most max_length long, special tokens included
    n_tokens: NDArray[np.int64]  # (n,) before the cut, special tokens included; 0 for a text without any word


class TextTokenizer:
    """The tokenizer of one encoder."""

    def __init__(self, path: Path, max_length: int) -> None:
        """Load a tokenizer.json.

        Raises:
            EncoderError: not a tokenizer.
        """
        try:
            self.tokenizer: Tokenizer = Tokenizer.from_str(path.read_text(encoding="utf-8"))
        except Exception as err:  # the library raises bare Exception
            raise EncoderError(
                f"{path} is not a tokenizer: {err}. Export the encoder again: engine index FILE -m MODEL"
            ) from err
        self.tokenizer.no_padding()
        self.tokenizer.enable_truncation(max_length)
        self.n_special: int = self.tokenizer.num_special_tokens_to_add(is_pair=False)

    def tokenise(self, texts: Sequence[str]) -> Tokens:
        """Tokenise texts; ids are exactly those of the reference tokenizer with the same truncation."""
        found = [self.tokenizer.encode(text) for text in texts]
        lengths = [self.full_length([len(e.ids), *(len(rest.ids) for rest in e.overflowing)]) for e in found]
        return Tokens(tuple(e.ids for e in found), np.array(lengths, dtype=np.int64))

    def full_length(self, pieces: Sequence[int]) -> int:
        """Tokens of a text that was cut into pieces, each with its own special tokens; 0 when it has no words."""
        words = sum(pieces) - self.n_special * len(pieces)
        return words + self.n_special if words > 0 else 0
