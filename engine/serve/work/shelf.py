"""The indexes that are served, open. Each moves to a newly published generation by itself; no request waits for it."""

from __future__ import annotations

import contextlib
import logging
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from engine.config import count_cores
from engine.errors import UnknownIndexError, UsageError
from engine.index.folder import IndexFolder
from engine.query.index import Index, get_generation, open_index
from engine.serve.http.limits import FILTER_SECONDS, FOLLOW_SECONDS
from engine.serve.work.drawing import draw_map_of
from engine.serve.work.facets import read_facets

_SENTENCES = ["a first page has so many sentences or more"] * 16  # so that the tokenizer for many texts is loaded
_EASE = 20  # times that an attempt took, between two to open a damaged generation
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
        self.failed: dict[str, bytes] = {}  # what CURRENT held when a generation was tried last
        self.again: dict[str, float] = {}  # time.monotonic() from which on it may be tried again
        self.stopped = threading.Event()
        for folder in folders:
            name = IndexFolder(folder).name
            if name in self.indexes:
                raise UsageError(f"two indexes are named {name}: serve them by two servers")
            self.indexes[name] = open_index(folder, follow=False)
        for index in self.indexes.values():
            _warm_up(index)

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
        return self.indexes[name or self.names[0]].pin()

    def look(self) -> None:
        """Move every index to its current generation. One that can't be opened leaves the index where it is."""
        for name, index in self.indexes.items():
            try:
                self.move(name, index)
            except Exception as err:  # whatever it is, the next look may go well
                if self.stopped.is_set():
                    return
                said = str(err) or type(err).__name__
                if self.problems.get(name) != said:
                    log.error("%s stays at generation %06d: %s", name, index.generation, said)
                self.problems[name] = said

    def move(self, name: str, index: Index) -> None:
        """Move an index to its current generation.

        One that could not be opened is tried again when another is current, or when EASE times as long has gone by as
        the attempt took, which may hash gigabytes.

        Raises:
            EngineError: the current generation, its encoder or its map can't be used.
            OSError: it can't be read.
        """
        pointer, began = IndexFolder(index.path).read_pointer_bytes(), time.monotonic()
        if pointer == get_generation(index).pointer:
            self.problems.pop(name, None)
        elif pointer != self.failed.get(name) or began >= self.again.get(name, 0.0):
            self.failed[name] = pointer
            try:
                self.indexes[name] = fresh = _open_newer(index)
            finally:
                self.again[name] = time.monotonic() + _EASE * (time.monotonic() - began)
            self.problems.pop(name, None)
            log.info("%s: now at generation %06d", name, fresh.generation)

    def follow(self) -> None:
        """Make ready for the first page, then look for newer generations until the shelf is closed."""
        for name, index in self.indexes.items():
            try:
                read_facets(index)
                index.encode(_SENTENCES)
            except Exception as err:  # the request that asks is told
                if not self.stopped.is_set():
                    log.error("%s: the first page will be slow or fail: %s", name, err)
        while not self.stopped.wait(FOLLOW_SECONDS):
            self.look()

    @contextlib.contextmanager
    def follow_in_thread(self) -> Iterator[None]:
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


def _open_newer(index: Index) -> Index:
    """The index at the current generation, ready to answer.

    Raises:
        EngineError: the current generation, its encoder or its map can't be used.
    """
    fresh = open_index(index.path, follow=False)
    get_generation(fresh).adopt_encoder(get_generation(index))
    _warm_up(fresh)
    read_facets(fresh)
    return fresh


def _warm_up(index: Index) -> None:
    """Load what the first request would wait for, and what may be deleted while the generation is still served.

    From now on no look into its database takes longer than FILTER_SECONDS.

    Raises:
        EngineError: the encoder or the map is damaged.
    """
    n_connections = count_cores() + max(1, count_cores() // 2) + 1  # workers, batches, and one to spare
    get_generation(index).prepare(patience=FILTER_SECONDS, n_connections=n_connections)
    draw_map_of(index)
