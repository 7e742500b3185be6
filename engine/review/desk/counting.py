"""The words of all records of a generation, counted in a process of its own.

Counting takes some 15 seconds for 40,000 records and as long the interpreter, which whoever decides needs meanwhile.
The process is started anew and not by fork: after FAISS has run, a forked process hangs.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
from contextlib import closing
from io import BufferedReader
from pathlib import Path
from typing import Any, BinaryIO, cast

import numpy as np
from numpy.typing import NDArray

from engine.errors import EngineError
from engine.index.generations.folder import IndexFolder
from engine.platform import lower_priority
from engine.query.opening.corpus import open_corpus
from engine.query.opening.generation import OpenGeneration
from engine.relevance.screening.ranking import Pool, load_words
from engine.relevance.screening.wordmodel import Terms, list_arrays, restore_features

_FEW = 2_000  # records that are counted in this process: that takes less time than to start another one
_NICENESS = 10  # of the process: whoever decides comes first
_START = f"import sys; sys.path[:] = sys.argv[3:]; from {__name__} import _send_words as run; run(*sys.argv[1:3])"


class WordCounter:
    """Counts the words of generations, one after another. `end` may be called by another thread."""

    def __init__(self, few: int | None = None) -> None:
        """Prepare; no process is started yet. few: the most records that are counted in this process."""
        self._few = _FEW if few is None else few
        self._lock = threading.Lock()
        self._running: subprocess.Popen[bytes] | None = None
        self._is_ended = False

    def count(self, snapshot: OpenGeneration) -> Pool:
        """Return all records of a generation with the features of their words, which takes a while.

        Where no process can be started, they are counted in this one.

        Raises:
            EngineError: there are too many records, a file can't be read, scikit-learn is not installed, or the process
                was ended.
        """
        running = self._start(snapshot) if len(snapshot.corpus.read_ids()) > self._few else None
        if running is None:
            return load_words(snapshot.corpus)
        try:
            return _receive_pool(cast(BinaryIO, running.stdout))
        except EOFError as err:
            running.kill()
            raise EngineError(_explain_end(running.wait())) from err
        finally:
            running.kill()
            running.wait()
            for stream in (running.stdin, running.stdout):
                cast(BinaryIO, stream).close()

    def end(self) -> None:
        """End the process that is counting, and start no other."""
        with self._lock:
            self._is_ended = True
            if self._running is not None:
                self._running.kill()

    def _start(self, snapshot: OpenGeneration) -> subprocess.Popen[bytes] | None:
        """Start a process that counts the words of a generation; None where none can be started.

        Raises:
            EngineError: the counter was ended.
        """
        given = [str(snapshot.folder.path.resolve()), str(snapshot.manifest.generation), *sys.path]
        flags = ["-P", "-X", f"utf8={sys.flags.utf8_mode}", "-c", _START]
        with self._lock:
            if self._is_ended:
                raise EngineError("the review was closed")
            try:
                self._running = subprocess.Popen(
                    [sys.executable, *flags, *given],
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.DEVNULL,
                )
            except (OSError, ValueError):
                self._running = None
            return self._running


def _explain_end(status: int) -> str:
    """Return the message for a process that ended before it had counted."""
    with contextlib.suppress(ValueError):
        return (
            f"the process that counts the words was ended by {signal.Signals(-status).name}. Is there enough memory? "
            "They are counted again after the next decision"
        )
    return f"the process that counts the words ended with status {status}"


def _send_pool(pool: Pool, out: BinaryIO) -> None:
    """Write a pool: a line of JSON with the types and lengths of its arrays, then their bytes."""
    words = list_arrays(pool.features, cast(Terms, pool.terms))
    arrays = [np.ascontiguousarray(each) for each in (pool.doc_ids, pool.has_text, *words)]
    head = {"error": "", "arrays": [(each.dtype.str, len(each)) for each in arrays]}
    out.write(json.dumps(head).encode() + b"\n")
    for each in arrays:
        out.write(each.data)


def _receive_pool(source: BinaryIO) -> Pool:
    """Return the pool that _send_pool wrote. The bytes come piece by piece, so that other threads go on.

    Raises:
        EngineError: the error that came in its place.
        EOFError: the writer ended too early.
    """
    if not (line := source.readline()).endswith(b"\n"):
        raise EOFError
    head = json.loads(line)
    if head["error"]:
        raise EngineError(head["error"])
    doc_ids, has_text, *rest = (_receive_array(source, *each) for each in head["arrays"])
    features, terms = restore_features(rest)
    return Pool(doc_ids, has_text, features, None, terms=terms)


def _receive_array(source: BinaryIO, kind: str, length: int) -> NDArray[Any]:
    """Return the next array (length,), of a type by its name.

    Raises:
        EOFError: it is not complete.
    """
    array: NDArray[Any] = np.empty(length, kind)
    if length and cast(BufferedReader, source).readinto(array.data.cast("B")) != array.nbytes:
        raise EOFError
    return array


def _send_words(path: str, number: str) -> None:
    """Run the process: count the words of a generation and send them by stdout. It ends when its parent does."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C goes to the whole group; the other process then ends this one
    lower_priority(_NICENESS)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    with open(os.dup(1), "wb") as out:
        os.dup2(2, 1)  # so that what a library prints is no part of an array
        try:
            with closing(open_corpus(IndexFolder(Path(path)).open_number(int(number), quick=True))) as corpus:
                pool = load_words(corpus)
        except Exception as err:
            message = str(err) if isinstance(err, EngineError) else f"{type(err).__name__}: {err}"
            out.write(json.dumps({"error": message or type(err).__name__}).encode() + b"\n")
        else:
            _send_pool(pool, out)


def _end_with_parent() -> None:
    """Wait until the process that started this one has ended, and end at once."""
    with contextlib.suppress(OSError):
        os.read(0, 1)
    os._exit(1)
