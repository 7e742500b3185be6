"""The open indexes. A background thread moves each to a newly published generation; no request waits for it."""

from __future__ import annotations

import contextlib
import logging
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from engine.config import Settings, count_cores
from engine.errors import ConfigError, UnknownIndexError, UsageError
from engine.index.generations.folder import IndexFolder
from engine.query.index import Index, get_generation
from engine.query.opening.flows import read_flow
from engine.scale.opening import open_index, share_cluster
from engine.serve.http.limits import FILTER_SECONDS, FOLLOW_SECONDS
from engine.serve.work.drawing import draw_map_of
from engine.serve.work.facets import read_facets
from engine.serve.work.regions import read_regions

_SENTENCES = ["a first page has so many sentences or more"] * 16  # enough to load the tokenizer for many texts
_EASE = 20  # wait before reopening a damaged generation, in multiples of the time of the last attempt
log = logging.getLogger("engine.serve")


class Shelf:
    """The open indexes by the names of their folders, in the order given."""

    def __init__(self, folders: Sequence[Path]) -> None:
        """Open the current generation of each, and load its encoder.

        Raises:
            UsageError: two folders have the same name.
            EngineError: an index can't be opened.
        """
        self.indexes: dict[str, Index] = {}
        self.problems: dict[str, str] = {}  # why what is on disk of an index can't be used
        self.failed: dict[str, bytes] = {}  # content of CURRENT at the last attempt to open a generation
        self.again: dict[str, float] = {}  # time.monotonic() of the next attempt
        self.stopped = threading.Event()
        for folder in folders:
            name = IndexFolder(folder).name
            if name in self.indexes:
                raise UsageError(f"two indexes are named {name}. Serve them from two servers")
            self.indexes[name] = open_index(folder, follow=False)
        for index in self.indexes.values():
            _warm_up(index)
        self._relays = [share_cluster(get_generation(index).vectors) for index in self.indexes.values()]

    @property
    def names(self) -> list[str]:
        """The names of the indexes, in the order given."""
        return list(self.indexes)

    def get_index(self, name: str = "") -> Index:
        """Return an index pinned to its current generation; the first index if name is "".

        Raises:
            UnknownIndexError: no index of that name is served.
        """
        if name and name not in self.indexes:
            raise UnknownIndexError(f"no index named {name[:80]!r}. Indexes served: {', '.join(self.names)}")
        return self.indexes[name or self.names[0]].pin()

    def find_fault(self, name: str) -> str | None:
        """Describe a file of an open index that was written to or cut off, or an index.toml that can't be used."""
        index = self.indexes[name]
        try:
            Settings.load(index.path)
        except ConfigError as err:
            return str(err)
        return get_generation(index).find_change()

    def look(self) -> None:
        """Move every index to its current generation; keep the old one if the new one can't be opened.

        An index.toml that can't be used is a problem, too: every search reads it.
        """
        for name, index in self.indexes.items():
            try:
                if self.move(name, index):
                    Settings.load(index.path)
                    self.problems.pop(name, None)
            except Exception as err:  # whatever it is, the next attempt may succeed
                if self.stopped.is_set():
                    return
                problem = str(err) or type(err).__name__
                if self.problems.get(name) != problem:
                    log.error("%s stays at generation %06d: %s", name, index.generation, problem)
                self.problems[name] = problem

    def move(self, name: str, index: Index) -> bool:
        """Move an index to its current generation, or open that again if one of its files has changed.

        Return whether it is there now. After a failure, it is tried again when CURRENT names another generation, or
        after _EASE times the duration of the failed attempt, which may hash gigabytes.

        Raises:
            EngineError: the current generation, its encoder or its map can't be used.
            OSError: CURRENT or a file of the generation can't be read.
        """
        pointer, began = IndexFolder(index.path).read_pointer_bytes(), time.monotonic()
        opened = get_generation(index)
        if pointer == opened.pointer and opened.files.find_change() is None and opened.find_change() is None:
            return True
        if pointer != self.failed.get(name) or began >= self.again.get(name, 0.0):
            self.failed[name] = pointer
            try:
                self.indexes[name] = fresh = _open_newer(index)
            finally:
                self.again[name] = time.monotonic() + _EASE * (time.monotonic() - began)
            log.info("%s: now at generation %06d", name, fresh.generation)
            return True
        return False

    def follow(self) -> None:
        """Prepare the first page, then check for newer generations until the shelf is closed."""
        for name, index in self.indexes.items():
            try:
                read_facets(index)
                read_flow(get_generation(index))
                index.encode(_SENTENCES)
                read_regions(index)
            except Exception as err:  # the request itself will report it
                if not self.stopped.is_set():
                    log.error("%s: the first page will be slow or fail: %s", name, err)
        while not self.stopped.wait(FOLLOW_SECONDS):
            self.look()

    @contextlib.contextmanager
    def follow_in_thread(self) -> Iterator[None]:
        """Run follow() in a thread, and close the shelf at the end."""
        thread = threading.Thread(target=self.follow, name="follow", daemon=True)
        thread.start()
        try:
            yield
        finally:
            self.close()
            thread.join(timeout=5)

    def close(self) -> None:
        """Stop the thread and close the indexes. Running requests finish."""
        self.stopped.set()
        for relay in filter(None, self._relays):
            relay.close()
        for index in self.indexes.values():
            index.close()


def _open_newer(index: Index) -> Index:
    """Open an index at its current generation, ready to answer.

    Raises:
        EngineError: the current generation, its encoder or its map can't be used.
    """
    fresh = open_index(index.path, follow=False)
    get_generation(fresh).adopt_encoder(get_generation(index))
    _warm_up(fresh)
    read_facets(fresh)
    read_flow(get_generation(fresh))
    return fresh


def _warm_up(index: Index) -> None:
    """Load what the first request needs, and files that may be deleted while the generation is still served.

    Also limit each query of its database to FILTER_SECONDS.

    Raises:
        EngineError: the encoder, the reranker or the map is damaged.
    """
    n_connections = count_cores() + max(1, count_cores() // 2) + 1  # workers, batches, and a spare one
    generation = get_generation(index)
    generation.prepare(patience=FILTER_SECONDS, n_connections=n_connections)
    _load_reranker(index)
    generation.may_export = False  # whoever asks names no folder of this machine, and downloads nothing
    draw_map_of(index)


def _load_reranker(index: Index) -> None:
    """Load the reranker that index.toml names; settings that can't be used are logged, and each request reports them.

    Raises:
        EngineError: the reranker is missing or damaged.
    """
    try:
        settings = Settings.load(index.path)
    except ConfigError as err:
        log.error("%s: every search will fail until index.toml is corrected: %s", index.name, err)
        return
    if settings.rerank_model is not None:
        get_generation(index).get_reranker(settings.rerank_model, settings.rerank_precision)
