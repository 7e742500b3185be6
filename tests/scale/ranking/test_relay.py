"""Commands ask the cluster through a server of this machine: the same answers, without Ray."""

import errno
import json
import os
import socket
import struct
import subprocess
import sys
import threading
import time
import tracemalloc
from collections.abc import Callable
from contextlib import closing, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import numpy as np
import pytest

from engine.errors import BusyError, ClusterError, GenerationError
from engine.index.generations.folder import IndexFolder
from engine.options import Query
from engine.query.index import get_generation
from engine.query.index import open_index as open_locally
from engine.scale.opening import open_for_command, open_index, share_cluster
from engine.scale.ranking import relay
from engine.scale.ranking.cluster import Cluster, ClusterSettings
from engine.scale.ranking.holder import GenerationKey
from engine.scale.ranking.relay import Relay, RelayedCluster, _find_path, open_relay
from engine.scale.ranking.remoteindex import RemoteIndex
from tests.conftest import Lasting
from tests.scale.ranking.test_cluster import wait_for, write_settings

SETTINGS = ClusterSettings(None, "/indexes/toy")
KEY = GenerationKey(7, "ab" * 32)
VALUES: list[Any] = [
    [(3, 0.1), (1, float(np.float32(1 / 3)))],
    [[], [(2**62, -1.0)]],
    (np.arange(3), np.zeros((0, 4), np.float32), np.array([True, False])),
    [np.float32(0.3), np.int64(9), None, True, "gout", 1e-300],
]


class Answering(Cluster):
    """A cluster whose nodes give what they were asked, or an error."""

    def __init__(self, error: Exception | None = None) -> None:
        self.settings, self.error, self.n_asked = SETTINGS, error, 0

    def ask(self, key: GenerationKey, names: Any, operation: str, *args: Any) -> list[Any]:
        self.n_asked += 1
        if self.error:
            raise self.error
        return [((key.number, key.sha256), name, operation, *args) for name in names]


@pytest.fixture
def alone(monkeypatch: pytest.MonkeyPatch) -> Answering:
    """What a command connects to by itself."""
    own = Answering()
    monkeypatch.setattr(relay, "Cluster", lambda settings: own)
    return own


def wait_until(condition: Callable[[], bool]) -> None:
    for _ in range(1000):
        if condition():
            return
        time.sleep(0.005)
    raise AssertionError


def share(cluster: Cluster) -> closing[Relay]:
    path = _find_path(cluster.settings)
    assert path is not None
    return closing(Relay(cluster, path))


def test_questions_and_answers_pass_unchanged(short_cache: Path, alone: Answering) -> None:
    with share(Answering()) as server:
        asking = RelayedCluster(SETTINGS)
        for value in VALUES:
            found = asking.ask(KEY, ["one", "two"], "search", value, 5)
            assert [one[:3] for one in found] == [((7, "ab" * 32), name, "search") for name in ("one", "two")]
            for _, _, _, same, number in found:
                np.testing.assert_equal((same, number), (value, 5))
                assert [type(one) for one in same] == [type(one) for one in value]
        assert (server._path.parent.stat().st_mode & 0o777, alone.n_asked) == (0o700, 0)
    assert not server._path.exists()


@pytest.mark.parametrize("error", [GenerationError("gone"), ClusterError("no node"), BusyError("behind")])
def test_an_error_of_the_cluster_is_raised_here(short_cache: Path, alone: Answering, error: Exception) -> None:
    with share(Answering(error)):
        with pytest.raises(type(error), match=f"^{error}$"):
            RelayedCluster(SETTINGS).ask(KEY, ["one"], "search")
        with pytest.raises(ClusterError, match="nodes can't 'format'"):
            RelayedCluster(SETTINGS).ask(KEY, ["one"], "format")


def test_a_server_that_ends_is_replaced_by_the_cluster(short_cache: Path, alone: Answering) -> None:
    with share(Answering()):
        asking, other = RelayedCluster(SETTINGS), RelayedCluster(SETTINGS)
        asking.ask(KEY, ["one"], "count")
        assert asking._connection is not None
        asking._connection.shutdown(socket.SHUT_RDWR)
        assert asking.ask(KEY, ["one"], "count") == asking.ask(KEY, ["one"], "count")
        assert alone.n_asked == 2
        assert other.ask(KEY, ["one"], "count")
        assert alone.n_asked == 2
    assert RelayedCluster(SETTINGS).ask(KEY, ["one"], "count")
    assert alone.n_asked == 3


def listen(answer: bytes) -> Callable[[Path], None]:
    """A false server that answers each question with some bytes and goes."""

    def serve(path: Path) -> None:
        path.parent.mkdir(mode=0o700)
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(str(path))
        listener.listen()

        def run() -> None:
            connection, _ = listener.accept()
            connection.sendall(b"\n")
            relay._receive(connection)  # all of it, so that what follows is no reset
            connection.sendall(answer)
            connection.close()
            listener.close()

        threading.Thread(target=run, daemon=True).start()

    return serve


def frame(text: str, arrays: bytes = b"") -> bytes:
    """A message whose lengths are right."""
    return struct.pack("!QQ", len(text) + len(arrays), len(text)) + text.encode() + arrays


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"HTTP/1.1 400 Bad Request\r\n\r\n",
        struct.pack("!QQ", 2**40, 2),
        struct.pack("!QQ", 9, 2) + b"[]",
        struct.pack("!QQ", 2, 2) + b"[]",
        struct.pack("!QQ", 2, 2) + b"{]",
        struct.pack("!QQ", 11, 11) + b'{"array":5}',
        struct.pack("!QQ", 6, 2) + b"[]\x93NUM",
        frame("5"),
        frame('["gone", "away"]'),
        frame('[["gone"], "away"]'),
        frame('["", []]'),  # an answer for no segment
        frame('["", {"array": 0}]', b"\x93NUMPY\x01\0\x03\0(3\n"),
        frame('["", ' + "[" * 10_000),
    ],
)
def test_a_server_that_makes_no_sense_is_not_used(short_cache: Path, alone: Answering, answer: bytes) -> None:
    path = _find_path(SETTINGS)
    assert path is not None
    listen(answer)(path)
    assert RelayedCluster(SETTINGS).ask(KEY, ["one"], "count") == [((7, "ab" * 32), "one", "count")]
    assert alone.n_asked == 1


@pytest.mark.parametrize("question", [b"", b"x" * 99, struct.pack("!QQ", 2, 2) + b"[]", struct.pack("!QQ", 3, 9)])
def test_a_client_that_makes_no_sense_costs_no_place(
    short_cache: Path, alone: Answering, question: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(relay, "_CONNECTIONS", 2)
    with share(Answering()) as server:
        for _ in range(5):
            with socket.socket(socket.AF_UNIX) as client:
                client.connect(str(server._path))
                client.sendall(question)
                client.shutdown(socket.SHUT_WR)
                with suppress(ConnectionResetError):
                    client.recv(1)
            wait_until(lambda: server._free._value == 2)


def test_more_commands_than_a_server_takes_ask_the_cluster(
    short_cache: Path, alone: Answering, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(relay, "_CONNECTIONS", 2)
    with share(Answering()):
        commands = [RelayedCluster(SETTINGS) for _ in range(4)]
        assert all(one.ask(KEY, ["one"], "count") for one in commands)
        assert alone.n_asked == 2


def test_one_server_listens_and_one_that_died_is_replaced(short_cache: Path, alone: Answering) -> None:
    path = _find_path(SETTINGS)
    assert path is not None
    path.parent.mkdir(mode=0o700)
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(path))
    first = open_relay(Answering())
    assert first is not None
    assert open_relay(Answering()) is None
    first.close()
    assert _find_path(ClusterSettings(None, "/indexes/other")) != path


def test_a_server_that_ends_leaves_the_socket_of_another(short_cache: Path, alone: Answering) -> None:
    path = _find_path(SETTINGS)
    assert path is not None
    with share(Answering()) as first:
        path.unlink()  # as by one who empties the cache
        with share(Answering()):
            first.close()
            assert RelayedCluster(SETTINGS).ask(KEY, ["one"], "count")
        assert (path.exists(), alone.n_asked) == (False, 0)


def test_a_server_takes_commands_again_after_too_many_open_files(
    short_cache: Path, alone: Answering, monkeypatch: pytest.MonkeyPatch
) -> None:
    failures, accept = [OSError(errno.EMFILE, "Too many open files")] * 2, socket.socket.accept

    def fail_at_first(listener: socket.socket) -> Any:
        if failures:
            raise failures.pop()
        return accept(listener)

    monkeypatch.setattr(socket.socket, "accept", fail_at_first)
    monkeypatch.setattr(relay, "_PAUSE", 0.01)
    with share(Answering()):
        assert RelayedCluster(SETTINGS).ask(KEY, ["one"], "count")
        assert (failures, alone.n_asked) == ([], 0)


def test_a_server_that_is_stopped_is_not_waited_for(
    short_cache: Path, alone: Answering, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(relay, "_PATIENCE", 0.2)
    monkeypatch.setattr(relay, "_SILENCE", 5.0)
    path = _find_path(SETTINGS)
    assert path is not None
    path.parent.mkdir(mode=0o700)
    with socket.socket(socket.AF_UNIX) as stopped:
        stopped.bind(str(path))
        stopped.listen()
        began = time.monotonic()
        assert RelayedCluster(SETTINGS).ask(KEY, ["one"], "count")
        assert (alone.n_asked, time.monotonic() - began < 4) == (1, True)
        assert open_relay(Answering()) is None
    assert path.exists()


def test_a_server_without_a_thread_for_a_command_takes_the_next(
    short_cache: Path, alone: Answering, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(relay, "_CONNECTIONS", 1)
    with share(Answering()):
        with monkeypatch.context() as full:
            full.setattr(threading.Thread, "start", Mock(side_effect=RuntimeError("can't start new thread")))
            assert RelayedCluster(SETTINGS).ask(KEY, ["one"], "count")
            assert alone.n_asked == 1
        assert RelayedCluster(SETTINGS).ask(KEY, ["one"], "count")
        assert alone.n_asked == 1


def test_a_silent_client_loses_its_place(short_cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(relay, "_SILENCE", 0.2)
    with share(Answering()) as server, relay._connect(server._path):
        assert server._free._value == relay._CONNECTIONS - 1
        wait_until(lambda: server._free._value == relay._CONNECTIONS)


def test_a_closed_server_leaves_no_thread(short_cache: Path) -> None:
    with share(Answering()):
        assert "relay" in [one.name for one in threading.enumerate()]
    wait_until(lambda: "relay" not in [one.name for one in threading.enumerate()])


def test_each_cluster_index_and_machine_has_a_place_of_its_own(
    short_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = (
        SETTINGS,
        replace(SETTINGS, address="h:1"),
        replace(SETTINGS, storage="/x"),
        replace(SETTINGS, copies=3),
    )
    places = {_find_path(one) for one in settings}
    monkeypatch.setattr(socket, "gethostname", lambda: "another")
    assert len(places | {_find_path(SETTINGS)}) == 5


@pytest.mark.parametrize("lengths", [(relay._LARGEST + 1, 2), (2, 9)])
def test_an_impossible_length_is_refused(lengths: tuple[int, int]) -> None:
    one, other = socket.socketpair()
    with one, other:
        one.sendall(struct.pack("!QQ", *lengths))
        one.shutdown(socket.SHUT_WR)
        with pytest.raises(ValueError, match="impossible length"):
            relay._receive(other)


def test_an_announced_length_takes_no_memory() -> None:
    one, other = socket.socketpair()
    with one, other:
        one.sendall(struct.pack("!QQ", relay._LARGEST, relay._LARGEST) + b"[]")
        one.shutdown(socket.SHUT_WR)
        tracemalloc.start()
        try:
            with pytest.raises(OSError, match="cut off"):
                relay._receive(other)
            assert tracemalloc.get_traced_memory()[1] < 1 << 23
        finally:
            tracemalloc.stop()


def test_a_folder_that_others_can_use_is_not_used(short_cache: Path, alone: Answering) -> None:
    with share(Answering()):
        (short_cache / "relays").chmod(0o750)
        assert RelayedCluster(SETTINGS).ask(KEY, ["one"], "count")
        assert alone.n_asked == 1
    assert open_relay(Answering()) is None


def test_no_socket_can_be_there(monkeypatch: pytest.MonkeyPatch, alone: Answering, tmp_path: Path) -> None:
    monkeypatch.setenv("ENGINE_CACHE", str(tmp_path / ("long" * 30)))
    assert open_relay(Answering()) is None
    monkeypatch.delattr(socket, "AF_UNIX")
    assert open_relay(Answering()) is None
    assert RelayedCluster(SETTINGS).ask(KEY, ["one"], "count")


def test_a_command_asks_the_server_and_loads_no_ray(nodes: Any, short_cache: Path, lasting: Lasting) -> None:
    folder: IndexFolder = lasting()[0]
    with open_locally(folder.path) as here:
        expected = here.ask(Query("gout")), here.ask(Query("gout", mode="semantic", sort="year"))
        assert share_cluster(get_generation(here).vectors) is None
    write_settings(folder.path, nodes.address, folder.path)
    script = f"import sys; from engine.cli import main; main({['search', 'gout', '--json']!r}, standalone_mode=False)"
    command = [sys.executable, "-c", f"{script}; print('ray' in sys.modules, file=sys.stderr)"]
    environment = {**os.environ, "ENGINE_INDEXES": str(folder.path.parent)}
    with wait_for(lambda: open_index(folder.path)) as served:
        shared = share_cluster(get_generation(served).vectors)
        assert shared is not None
        with closing(shared), open_for_command(folder.path) as asking:
            ranker = get_generation(asking).vectors
            assert isinstance(ranker, RemoteIndex)
            assert isinstance(ranker.cluster, RelayedCluster)
            assert (asking.ask(Query("gout")), asking.ask(Query("gout", mode="semantic", sort="year"))) == expected
            assert ranker.cluster._direct is None
            done = subprocess.run(command, capture_output=True, text=True, env=environment)
    assert (done.returncode, done.stderr) == (0, "False\n")
    assert [hit["id"] for hit in json.loads(done.stdout)] == [hit.id for hit in expected[0].hits]
