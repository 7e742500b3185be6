"""FAISS factory strings: parsing them, and choosing one for the size of an index."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass

from engine.errors import ConfigError
from engine.index.search.layout import FACTORY
from engine.phrases import pluralize

AUTO = "auto"
_EXACT_BELOW = 1_000_000  # vectors; an exhaustive scan of this many takes 0.1 s on one core
HNSW_FROM = 16_384  # lists; with more, a graph finds the nearest ones faster than comparing all of them
_IVF = re.compile(r"IVF([1-9]\d{0,6})(_HNSW([2-9]|[1-9]\d))?,RaBitQfs")
_KNOWN = f"{AUTO}, {FACTORY}, IVF<lists>,RaBitQfs or IVF<lists>_HNSW32,RaBitQfs"


@dataclass(frozen=True, slots=True)
class Factory:
    """A FAISS factory string that the engine can build, update and search.

    HNSW over the records and IndexRefine are not supported: neither can delete a record.
    """

    n_lists: int = 0  # lists of the inverted file; 0: exact
    n_links: int = 0  # links of the HNSW graph over the lists; 0: all lists are compared

    @property
    def exact(self) -> bool:
        """Whether every vector is compared."""
        return self.n_lists == 0

    def __str__(self) -> str:
        graph = f"_HNSW{self.n_links}" if self.n_links else ""
        return FACTORY if self.exact else f"IVF{self.n_lists}{graph},RaBitQfs"


def parse_factory(text: str) -> Factory:
    """Parse a factory string.

    Raises:
        ConfigError: not a factory string that the engine supports.
    """
    if text == FACTORY:
        return Factory()
    if match := _IVF.fullmatch(text):
        return Factory(int(match[1]), int(match[3] or 0))
    raise ConfigError(
        f"factory {text!r} can't be used: expected {_KNOWN}. Types that can't delete a record (HNSW, Refine) or have "
        "no exact scores are not supported"
    )


def choose_factory(
    requested: str | None, n: int, current: Factory | None, *, in_passages: bool = False
) -> tuple[Factory, str]:
    """Choose the factory for n records and say why; `current` is the factory of the current generation.

    in_passages: records have several vectors, which the codes don't support.

    Between half of the limit and the limit, an index keeps its type. The number of lists is kept until it is off by
    more than a factor of two. So a corpus that grows and shrinks a little is not rebuilt by every update.

    Raises:
        ConfigError: the requested factory can't be used.
    """
    if requested not in (None, AUTO):
        factory = parse_factory(str(requested))
        if in_passages and not factory.exact:
            raise ConfigError(
                f"factory {requested!r} does not support passages, which are always compared exhaustively. Use {AUTO!r}"
            )
        if n < factory.n_lists:
            raise ConfigError(f"factory {requested!r} has more lists than there are abstracts ({n:,}). Use {AUTO!r}")
        return factory, "as index.toml says"
    if in_passages:
        return Factory(), f"{pluralize(n, 'abstract')} in passages: every vector is compared"
    was_ivf = current is not None and not current.exact
    if n < (_EXACT_BELOW // 2 if was_ivf else _EXACT_BELOW):
        return Factory(), f"{pluralize(n, 'abstract')}, fewer than {_EXACT_BELOW:,}: every vector is compared"
    n_lists = choose_n_lists(n)
    reason = f"{n:,} abstracts, {_EXACT_BELOW:,} or more: candidates by compressed codes, then exact scores"
    if current is not None and was_ivf and n_lists / 2 <= current.n_lists <= n_lists * 2:
        return current, reason
    return Factory(n_lists, 32 if n_lists >= HNSW_FROM else 0), reason


def choose_n_lists(n: int) -> int:
    """Return the number of lists for n vectors: the power of two nearest to 4 √n, the low end of FAISS's guidelines."""
    return int(2 ** round(math.log2(4 * math.sqrt(max(n, 1)))))
