"""A socket by which a server that is connected to a cluster lets commands of the same user ask the nodes.

A command that connects itself imports Ray first, which takes longer than its search. A server that takes a connection
says so by one byte, since the system lets a command connect to a server that is stopped, too. A message is the number
of its bytes, the number of bytes of its JSON, the JSON, and after it each array as NumPy writes it.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import socket
import struct
import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from engine import __version__
from engine.config import cache_folder
from engine.errors import BusyError, ClusterError, GenerationError
from engine.platform import is_private, open_local_socket
from engine.scale.ranking.cluster import Cluster, ClusterSettings, Traffic
from engine.scale.ranking.holder import OPERATIONS, GenerationKey

_TAKEN = b"\n"  # what a server says when it takes a connection
_LENGTHS = struct.Struct("!QQ")  # bytes of the message after this, and of its JSON
_LARGEST = 1 << 32  # bytes of a message
_CHUNK = 1 << 20  # bytes that are read at once; memory grows by what has come, not by what was announced
_CONNECTIONS = 16  # at once; more are closed, and those commands ask the cluster themselves
_QUEUE = 64  # connections that wait to be taken
_PATIENCE = 2.0  # seconds for a server to take a connection
_PAUSE = 0.5  # seconds after a connection could not be taken, such as while too many files are open
_SILENCE = 40.0  # seconds without a question or an answer, after which a connection is given up; a cluster may take 30
_ERRORS = {kind.__name__: kind for kind in (BusyError, ClusterError, GenerationError)}


def _find_path(settings: ClusterSettings) -> Path | None:
    """Return where servers of this version and machine listen for an index; None without a folder."""
    folder = cache_folder()
    if folder is None:
        return None
    names = [__version__, socket.gethostname(), settings.address, settings.storage, settings.copies]
    return folder / "relays" / hashlib.sha256(json.dumps(names).encode()).hexdigest()[:16]


def open_relay(cluster: Cluster | RelayedCluster) -> Relay | None:
    """Let commands of this user ask a cluster; None where another server does, or no socket can be made."""
    path = _find_path(cluster.settings)
    if path is None or isinstance(cluster, RelayedCluster):
        return None
    with contextlib.suppress(OSError):  # commands ask the cluster themselves then
        return Relay(cluster, path)
    return None


class Relay:
    """A thread that asks a cluster for the commands that connect to a socket. Only its user can connect."""

    def __init__(self, cluster: Cluster, path: Path) -> None:
        """Listen at a path, unless another server does.

        Raises:
            OSError: another server listens there, or no socket can be made there.
        """
        self._cluster, self._path = cluster, path
        self._free = threading.BoundedSemaphore(_CONNECTIONS)
        self._closed = threading.Event()
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not is_private(path.parent):
            raise OSError(f"{path.parent} can be changed by others")
        with contextlib.suppress(FileNotFoundError, ConnectionRefusedError), _connect(path):
            raise OSError(f"another server listens at {path}")
        path.unlink(missing_ok=True)
        self._listener = open_local_socket()
        try:
            self._listener.bind(str(path))
            self._listener.listen(_QUEUE)
            self._file = _identify(path)
        except OSError:
            self._listener.close()
            raise
        threading.Thread(target=self._take_connections, name="relay", daemon=True).start()

    def close(self) -> None:
        """Take no more connections. What is being asked is answered."""
        self._closed.set()
        with contextlib.suppress(OSError):
            if _identify(self._path) == self._file:  # not the socket of another server, which has taken the place
                self._path.unlink()
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)  # else accept waits on
        self._listener.close()

    def _take_connections(self) -> None:
        """Answer each connection in a thread of its own until the relay is closed."""
        while not self._closed.is_set():
            try:
                connection, _ = self._listener.accept()
            except OSError:
                self._closed.wait(_PAUSE)
            else:
                self._take(connection)

    def _take(self, connection: socket.socket) -> None:
        """Answer a connection in a thread of its own, or close it if there are too many."""
        if not self._free.acquire(blocking=False):
            connection.close()
            return
        try:
            threading.Thread(target=self._answer_all, args=(connection,), daemon=True).start()
        except RuntimeError:  # this process has all threads that it may have
            connection.close()
            self._free.release()

    def _answer_all(self, connection: socket.socket) -> None:
        """Answer questions until the other side closes the connection, says nonsense or is silent."""
        try:
            with connection, contextlib.suppress(OSError, ValueError, TypeError, LookupError):
                connection.settimeout(_SILENCE)
                connection.sendall(_TAKEN)
                while (question := _receive(connection)) is not None:
                    _send(connection, self._answer(*question))
        finally:
            self._free.release()

    def _answer(
        self, key: tuple[int, str], names: Sequence[str], operation: str, args: Sequence[Any]
    ) -> tuple[str, Any]:
        """Return "" and what the nodes answer, or the name of an error and its message."""
        if operation not in OPERATIONS:
            return ClusterError.__name__, f"nodes can't {operation!r}"
        try:
            return "", self._cluster.ask(GenerationKey(*key), names, operation, *args)
        except tuple(_ERRORS.values()) as err:
            return next(name for name, kind in _ERRORS.items() if isinstance(err, kind)), str(err)


@dataclass(slots=True)
class RelayedCluster:
    """A cluster that is asked through a server of this machine; without one that answers, it is asked directly."""

    settings: ClusterSettings
    _connection: socket.socket | None = None
    _direct: Cluster | None = None
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def __post_init__(self) -> None:
        """Connect to the server, or to the cluster.

        Raises:
            EngineError: as Cluster.
        """
        path = _find_path(self.settings)
        with contextlib.suppress(OSError):
            if path is not None and is_private(path.parent):
                self._connection = _connect(path)
        if self._connection is None:
            self._direct = Cluster(self.settings)

    def __del__(self) -> None:
        """Close the connection."""
        if self._connection is not None:
            self._connection.close()

    @property
    def traffic(self) -> Traffic:
        """What this process has asked of the cluster itself."""
        return Traffic() if self._direct is None else self._direct.traffic

    def keep_copies(self, owner: object, key: GenerationKey, names: Sequence[str]) -> None:
        """Let the nodes hold copies, as Cluster does; a server does so by itself."""
        if self._direct is not None:
            self._direct.keep_copies(owner, key, names)

    def ask(self, key: GenerationKey, names: Sequence[str], operation: str, *args: Any) -> list[Any]:
        """Return what an operation of a Holder gives for each segment, as Cluster does.

        Raises:
            GenerationError, ClusterError, BusyError: as Cluster.
        """
        answer = self._ask_server((key.number, key.sha256), list(names), operation, list(args))
        if answer is None:
            if self._direct is None:
                self._direct = Cluster(self.settings)
            return self._direct.ask(key, names, operation, *args)
        kind, value = answer
        if kind:
            raise _ERRORS[kind](value)
        answers: list[Any] = value
        return answers

    def _ask_server(
        self, key: tuple[int, str], names: list[str], operation: str, args: list[Any]
    ) -> tuple[str, Any] | None:
        """Return what the server answers; None if it does not, or says nonsense, and from then on."""
        with self._lock:
            if self._connection is None:
                return None
            with contextlib.suppress(OSError, ValueError, TypeError, LookupError):
                _send(self._connection, (key, names, operation, args))
                kind, value = _receive(self._connection)
                if kind in _ERRORS or (kind == "" and len(value) == len(names)):
                    return kind, value
            self._connection.close()
            self._connection = None
            return None


def _connect(path: Path) -> socket.socket:
    """Connect to a server.

    Raises:
        OSError: none listens there, or it takes no connection now.
    """
    connection = open_local_socket()
    connection.settimeout(_PATIENCE)
    try:
        connection.connect(str(path))
        if connection.recv(len(_TAKEN)) != _TAKEN:
            raise OSError(f"the server at {path} takes no connection")
    except OSError:
        connection.close()
        raise
    connection.settimeout(_SILENCE)
    return connection


def _identify(path: Path) -> tuple[int, int]:
    """Return what tells a file from another one that has its name later.

    Raises:
        OSError: there is none.
    """
    status = path.lstat()
    return status.st_dev, status.st_ino


def _send(connection: socket.socket, value: Any) -> None:
    """Send a value that consists of arrays, tuples, lists, numbers, texts and None.

    Raises:
        OSError: the other side does not take it.
        TypeError: there is something else in it.
    """
    arrays: list[Any] = []
    text = json.dumps(_simplify(value, arrays)).encode()
    body = io.BytesIO()
    for array in arrays:
        np.lib.format.write_array(body, np.asarray(array), allow_pickle=False)
    connection.sendall(_LENGTHS.pack(len(text) + body.tell(), len(text)) + text)
    connection.sendall(body.getbuffer())


def _receive(connection: socket.socket) -> Any:
    """Return the next value that was sent; None when the other side has closed the connection.

    Raises:
        OSError: the connection is broken, or silent for too long.
        ValueError: the message makes no sense.
    """
    first = connection.recv(_LENGTHS.size)
    if not first:
        return None
    length, n_text = _LENGTHS.unpack(first + _read(connection, _LENGTHS.size - len(first)))
    if not n_text <= length <= _LARGEST:
        raise ValueError("a message of an impossible length")
    text, body = _read(connection, n_text), io.BytesIO(_read(connection, length - n_text))
    arrays = []
    try:
        while body.tell() < length - n_text:
            arrays.append(np.lib.format.read_array(body, allow_pickle=False))
        return _restore(json.loads(text), arrays)
    except Exception as err:  # NumPy raises many types
        raise ValueError("a message that makes no sense") from err


def _read(connection: socket.socket, length: int) -> bytes:
    """Return so many bytes.

    Raises:
        OSError: the connection is broken, or silent for too long.
    """
    content = io.BytesIO()
    while (n := length - content.tell()) > 0:
        if not content.write(connection.recv(min(n, _CHUNK))):
            raise OSError("a message was cut off")
    return content.getvalue()


def _simplify(value: Any, arrays: list[Any]) -> Any:
    """Return a value as JSON has it: {"tuple": its items}, and for arrays {"array": their numbers}, which are added.

    Raises:
        TypeError: there is something else in it.
    """
    match value:
        case None | bool() | int() | float() | str():
            return value
        case tuple():
            return {"tuple": [_simplify(one, arrays) for one in value]}
        case list():
            return [_simplify(one, arrays) for one in value]
        case np.ndarray() | np.generic():
            arrays.append(value)
            return {"array": len(arrays) - 1}
    raise TypeError(f"a {type(value).__name__} can't be sent")


def _restore(value: Any, arrays: Sequence[Any]) -> Any:
    """Return the value that _simplify made JSON of."""
    match value:
        case {"tuple": items}:
            return tuple(_restore(one, arrays) for one in items)
        case {"array": int(n)}:
            return arrays[n] if arrays[n].ndim else arrays[n][()]
        case list():
            return [_restore(one, arrays) for one in value]
    return value
