"""The indexes that are served, open. Each moves to a newly published generation by itself; no request waits for it."""

from __future__ import annotations

import contextlib
import logging
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path

from engine.errors import EngineError, UnknownIndexError, UsageError
from engine.index.folder import IndexFolder
from engine.query.pinned import pinned
from engine.query.searcher import Index, open_index
from engine.serve.drawing import drawn_map
from engine.serve.facets import facets_of
from engine.serve.limits import FILTER_SECONDS, FOLLOW_SECONDS

SENTENCES = ["a first page has so many sentences or more"] * 16  # so that the tokenizer for many texts is loaded
log = logging.getLogger("engine.serve")


class Shelf:
    """Open indexes by the names of their folders, in the order given."""

    def __init__(self, folders: Sequence[Path]) -> None:
        """Open the current generation of each, and load its encoder.

        Raises:
            UsageError: two folders have the same name.
            EngineError: one can't be opened.
        """
        self.indexes: dict[str, Index] = {}
        self.problems: dict[str, str] = {}  # why an index is not at the newest generation
        self.stopped = threading.Event()
        for folder in folders:
            name = IndexFolder(folder).name
            if name in self.indexes:
                raise UsageError(f"two indexes are named {name}: serve them by two servers")
            self.indexes[name] = open_index(folder, follow=False)
        for index in self.indexes.values():
            warm(index)

    @property
    def names(self) -> list[str]:
        """Names of the indexes, in the order given."""
        return list(self.indexes)

    def index(self, name: str = "") -> Index:
        """An index that stays at the generation it has now; the first one for no name.

        Raises:
            UnknownIndexError: no such index is served.
        """
        if name and name not in self.indexes:
            raise UnknownIndexError(f"no index named {name[:80]!r} is served here: found {', '.join(self.names)}")
        return pinned(self.indexes[name or self.names[0]])

    def look(self) -> None:
        """Move every index to its current generation. One that can't be opened leaves the index where it is."""
        for name, index in self.indexes.items():
            try:
                if (fresh := newer(index)) is not None:
                    self.indexes[name] = fresh
                    log.info("%s: now at generation %06d", name, fresh.generation)
                self.problems.pop(name, None)
            except (EngineError, OSError) as err:
                if self.problems.get(name) != str(err):
                    log.error("%s stays at generation %06d: %s", name, index.generation, err)
                self.problems[name] = str(err)

    def follow(self) -> None:
        """Make ready for the first page, then look for newer generations until the shelf is closed."""
        with contextlib.suppress(EngineError):  # closed already, or damaged: the request that asks is told
            for index in self.indexes.values():
                facets_of(index)
                index.encode(SENTENCES)
        while not self.stopped.wait(FOLLOW_SECONDS):
            self.look()

    @contextlib.contextmanager
    def following(self) -> Iterator[None]:
        """Follow in a thread; close everything at the end."""
        thread = threading.Thread(target=self.follow, name="follow", daemon=True)
        thread.start()
        try:
            yield
        finally:
            self.close()
            thread.join(timeout=5)

    def close(self) -> None:
        """Stop following and let go of the files. Answers under way finish."""
        self.stopped.set()
        for index in self.indexes.values():
            index.close()


def newer(index: Index) -> Index | None:
    """The index at the current generation, ready to answer; None where it is at it already.

    Raises:
        EngineError: the current generation, its encoder or its map can't be used.
    """
    held = index.snapshot()
    if index.folder.pointer_bytes() == held.pointer:
        return None
    fresh = open_index(index.folder.path, follow=False)
    if fresh.manifest.encoder.fingerprint == held.manifest.encoder.fingerprint:
        fresh.snapshot().loaded = held.loaded
    warm(fresh)
    facets_of(fresh)
    return fresh


def warm(index: Index) -> None:
    """Load what the first request would wait for, and what may be deleted while the generation is still served.

    From now on no look into its database takes longer than FILTER_SECONDS.

    Raises:
        EngineError: the encoder or the map is damaged.
    """
    index.snapshot().encoder()
    index.snapshot().corpus.patience = FILTER_SECONDS
    drawn_map(index)
