"""One generation for several questions: an index that stays where it is, so that one page is of one generation."""

from __future__ import annotations

import copy

from engine.query.searcher import Index


def pinned(index: Index) -> Index:
    """The same open index, staying at the generation that it holds now whatever is published meanwhile.

    Nothing is opened or read for it. Closing it leaves the index itself open.

    Raises:
        GenerationError: the index was closed.
    """
    still = copy.copy(index)
    still.held, still.follow, still.is_pinned = index.snapshot(), False, True
    return still
