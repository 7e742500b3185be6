"""The texts that the encoder gets of a record, by the recipe of an index."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

from engine.encode.passages import Count, passages
from engine.encode.recipe import RECIPES, cleaned, prepared
from engine.encode.saved import TOKENIZER
from engine.encode.tokens import fastest
from engine.records import EncoderIdentity

Texts = Callable[[str, str], list[str]]  # title and abstract as stored -> prepared texts; none where there is no word


def whole(title: str, abstract: str) -> list[str]:
    """One text."""
    text = prepared(title, abstract)
    return [text] if text else []


def in_passages(title: str, abstract: str, *, count: Count, limit: int) -> list[str]:
    """The texts of passages of at most `limit` tokens. They depend on nothing that the digest of a text leaves out."""
    return [passage.text for passage in passages(cleaned(title), cleaned(abstract), count, limit)]


def texts_by(identity: EncoderIdentity, folder: Path) -> Texts:
    """How records become texts for an encoder, whose folder holds its tokenizer."""
    limit = RECIPES.get(identity.recipe)
    if limit is None:
        return whole
    tokenizer = fastest(folder / TOKENIZER, identity.max_length)
    most = min(limit, identity.max_length)
    return partial(in_passages, count=lambda texts: tokenizer.tokenise(texts).n_tokens, limit=most)
