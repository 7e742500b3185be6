"""Token ids of texts, truncated at the encoder's limit, with the lengths before truncation.

``TextTokenizer`` is the reference. ``FastTokenizer`` gives the same ids many times faster, if nanotoken is installed.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from tokenizers import Tokenizer

from engine.encode.texts.probes import TOKEN_PROBES
from engine.errors import EncoderError

_log = logging.getLogger(__name__)
_BLOCK = 32_768  # characters that the reference tokenizer gets at once; it needs some 200 bytes of memory for each
_PER_TOKEN = 32  # characters of the first block for each token that the encoder reads; more where its tokens are longer
_GAP = re.compile(r"\s(?=\S)")


@dataclass(frozen=True, slots=True)
class Tokens:
    """Token ids of n texts, in one array."""

    ids: NDArray[np.int32]  # of all texts, one after the other; at most max_length each, special tokens included
    offsets: NDArray[np.int64]  # (n + 1,): text i has ids[offsets[i]:offsets[i + 1]]
    n_tokens: NDArray[np.int64]  # (n,) before truncation, special tokens included; 0 for a text without any word

    @property
    def lengths(self) -> NDArray[np.int64]:
        """Number of ids of each text after truncation, (n,)."""
        return np.diff(self.offsets)

    def get_row(self, i: int) -> NDArray[np.int32]:
        """Return the ids of one text."""
        return self.ids[self.offsets[i] : self.offsets[i + 1]]


class BatchTokenizer(Protocol):
    """Texts to Tokens. Implemented by TextTokenizer and FastTokenizer."""

    def tokenise(self, texts: Sequence[str]) -> Tokens:
        """Tokenise texts; ids are exactly those of the reference tokenizer with the same truncation."""
        ...


class TextTokenizer:
    """The tokenizer of an encoder, run by Hugging Face's own library."""

    def __init__(self, path: Path, max_length: int) -> None:
        """Load a tokenizer.json.

        Raises:
            EncoderError: the file is not a tokenizer.
        """
        try:
            self.tokenizer: Tokenizer = Tokenizer.from_str(path.read_text(encoding="utf-8"))
        except Exception as err:  # the library raises bare Exception
            raise EncoderError(
                f"{path} is not a tokenizer: {err}. Export the encoder again: engine index FILE -m MODEL"
            ) from err
        self.tokenizer.no_padding()
        self.tokenizer.enable_truncation(max_length)
        self._max_length = max_length
        self._counter: Tokenizer | None = None  # the same without truncation, for very long texts
        self.n_special: int = self.tokenizer.num_special_tokens_to_add(is_pair=False)

    def tokenise(self, texts: Sequence[str]) -> Tokens:
        """Tokenise texts, one after the other. A very long one is read in blocks, which end between words.

        So memory is bounded. Where it has no white space, its number of tokens may be off by one or two for a block.
        """
        rows = [self._tokenise_one(text) for text in texts]
        ids = np.array([i for row, _ in rows for i in row], dtype=np.int32)
        offsets = np.cumsum([0, *(len(row) for row, _ in rows)], dtype=np.int64)
        return Tokens(ids, offsets, np.array([n for _, n in rows], dtype=np.int64))

    def _tokenise_one(self, text: str) -> tuple[list[int], int]:
        """Return the ids of a text and its number of tokens before truncation."""
        size = max(_BLOCK, _PER_TOKEN * self._max_length)
        if len(text) > 2 * size:
            first, *others = _split_blocks(text, size)
            row, n = self._encode(first)
            if n > self._max_length:  # so nothing that follows can change the ids
                return row, n + sum(map(self._count_words, others))
        return self._encode(text)

    def _encode(self, text: str) -> tuple[list[int], int]:
        """Return the ids of a text and its number of tokens before truncation, all read at once."""
        encoding = self.tokenizer.encode(text)
        return encoding.ids, self._count_tokens([len(e.ids) for e in (encoding, *encoding.overflowing)])

    def _count_words(self, block: str) -> int:
        """Count the tokens of a block, without special ones; faster than to encode what is cut."""
        if self._counter is None:
            counter = Tokenizer.from_str(self.tokenizer.to_str())
            counter.no_truncation()
            self._counter = counter
        (encoding,) = self._counter.encode_batch_fast([block], add_special_tokens=False)
        return len(encoding)

    def _count_tokens(self, pieces: Sequence[int]) -> int:
        """Count the tokens of a text that was cut into pieces, each with its special tokens; 0 if it has no words."""
        words = sum(pieces) - self.n_special * len(pieces)
        return words + self.n_special if words > 0 else 0


def _split_blocks(text: str, size: int) -> Iterator[str]:
    """Yield a text in blocks of `size` to twice as many characters, cut before the last white space between two words.

    A block without any is cut after `size` characters.
    """
    start = 0
    while len(text) - start > size:
        found = _GAP.search(text, start + size, start + 2 * size)
        end = found.start() if found else start + size
        yield text[start:end]
        start = end
    yield text[start:]


class FastTokenizer:
    """The same tokenizer run by nanotoken, for WordPiece only. Releases the interpreter lock while it works."""

    def __init__(self, path: Path, max_length: int) -> None:
        """Load a tokenizer.json.

        Raises:
            ImportError: nanotoken is not installed.
            ValueError: nanotoken does not support this tokenizer.
        """
        import nanotoken

        self.tokenizer = nanotoken.Tokenizer.from_json(path.read_text(encoding="utf-8"))
        self.max_length = max_length
        self.suffix = np.array(self.tokenizer.backend.suffix_ids, dtype=np.int32)
        self.n_special = len(self.tokenizer.backend.prefix_ids) + len(self.suffix)

    def tokenise(self, texts: Sequence[str]) -> Tokens:
        """Tokenise texts on this thread."""
        uncut = self.tokenizer.encode_batch(list(texts), parallel=False)
        full = np.diff(uncut.offsets)
        lengths = np.minimum(full, self.max_length)
        offsets = np.concatenate([[0], np.cumsum(lengths)])
        # The position of every id of the result among the ids before truncation.
        places = np.arange(offsets[-1]) + np.repeat(uncut.offsets[:-1] - offsets[:-1], lengths)
        ids = uncut.ids[places].astype(np.int32)
        cut = np.flatnonzero(full > self.max_length)
        for back, token in enumerate(self.suffix[::-1], 1):
            ids[offsets[cut + 1] - back] = token
        return Tokens(ids, offsets, np.where(full > self.n_special, full, 0))


def load_tokenizer(path: Path, max_length: int) -> BatchTokenizer:
    """Load the faster tokenizer if it is installed and gives the same ids for every probe, else the reference.

    Raises:
        EncoderError: the file is not a tokenizer.
    """
    reference = TextTokenizer(path, max_length)
    try:
        fast = FastTokenizer(path, max_length)
        tokens = fast.tokenise(TOKEN_PROBES)
    except ImportError:
        return reference
    except Exception as err:  # its errors share no base but Exception
        _log.info("%s: nanotoken does not support this tokenizer (%s); using tokenizers", path, err)
        return reference
    expected = reference.tokenise(TOKEN_PROBES)
    if all(np.array_equal(getattr(tokens, name), getattr(expected, name)) for name in ("ids", "offsets", "n_tokens")):
        return fast
    _log.warning("%s: nanotoken and tokenizers differ on the probe texts; using tokenizers", path)
    return reference


class PromptedTokenizer:
    """A tokenizer that puts a prompt before every text. A text without a word still has none: its prompt is not its."""

    def __init__(self, tokenizer: BatchTokenizer, prompt: str) -> None:
        """Count the tokens of the prompt.

        Raises:
            EncoderError: the prompt is as long as the encoder reads.
        """
        self.tokenizer, self.prompt = tokenizer, prompt
        bare = tokenizer.tokenise([prompt.rstrip()]) if prompt else None
        self._n_bare = int(bare.n_tokens[0]) if bare else 0
        # Where a blank is a token, as in SentencePiece, one at the end of the prompt is no word of the text.
        self._blank = tokenizer.tokenise([prompt]).ids if prompt else np.empty(0, np.int32)
        if bare is not None and self._n_bare > len(bare.ids):
            raise EncoderError(
                f"the prompt {prompt[:60]!r} has {self._n_bare:,} tokens, but the encoder reads {len(bare.ids):,}, so "
                "no text would be read. Name a shorter one: --query-prompt, --document-prompt"
            )

    def tokenise(self, texts: Sequence[str]) -> Tokens:
        """Tokenise texts with the prompt, which counts as part of each; n_tokens is 0 for a text without a word."""
        if not self.prompt:
            return self.tokenizer.tokenise(texts)
        tokens = self.tokenizer.tokenise([self.prompt + text for text in texts])
        has_words = tokens.n_tokens > self._n_bare
        for i in np.flatnonzero(has_words & (tokens.lengths == len(self._blank))).tolist():
            has_words[i] = not np.array_equal(tokens.get_row(i), self._blank)
        return Tokens(tokens.ids, tokens.offsets, np.where(has_words, tokens.n_tokens, 0))


def count_prompt_tokens(tokenizer: TextTokenizer, prompt: str) -> int:
    """Return how many of the first tokens of a text belong to a prompt; 0 without one.

    As sentence-transformers counts them: all tokens of the prompt alone, less a special one at its end.
    """
    if not prompt:
        return 0
    encoding = tokenizer.tokenizer.encode(prompt)
    return len(encoding.ids) - int(bool(encoding.special_tokens_mask and encoding.special_tokens_mask[-1]))
