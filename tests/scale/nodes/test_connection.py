"""How soon a command is told that it can't connect, and that a cluster which is only slow is waited for."""

import os
import secrets
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import Any

import pytest

from engine.config import prepare_ray
from tests.scale.conftest import OwnCluster, require_ray

CHILD = """
import sys, time
from engine.errors import EngineError
from engine.scale.nodes.connection import connect

import ray  # that takes a second, whatever answers
print("ready", flush=True)
sys.stdin.readline()
begin, said = time.monotonic(), "connected"
try:
    connect(sys.argv[1] or None)
except EngineError as err:
    said = f"{type(err).__name__}: {err}"
print(f"{time.monotonic() - begin} {said}")
"""
GOAL = 5.0  # seconds


def connect_anew(
    address: str, during: AbstractContextManager[None] | None = None, **environment: str
) -> tuple[float, str]:
    """Connect in a process of its own, within a block; return the seconds that it took, and the error."""
    given = {**os.environ, "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0", "RAY_AUTH_MODE": "token", **environment}
    pipes = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.PIPE)
    with subprocess.Popen([sys.executable, "-c", CHILD, address], text=True, env=given, **pipes) as child:
        assert child.stdout is not None
        ready = child.stdout.readline()
        with during or nullcontext():
            out, err = child.communicate("\n", timeout=130)
    assert ready == "ready\n", err
    seconds, _, said = out.strip().partition(" ")
    assert given["RAY_AUTH_TOKEN"] not in out + err
    return float(seconds), said


@pytest.fixture
def head_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The address of a head that has no node: only the process that would know the others runs."""
    require_ray()
    monkeypatch.setenv("RAY_AUTH_TOKEN", secrets.token_hex(32))
    prepare_ray(loopback=True)
    from ray._private.services import GCS_SERVER_EXECUTABLE, serialize_config

    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    command = [GCS_SERVER_EXECUTABLE, f"--log_dir={tmp_path}", f"--config_list={serialize_config({})}"]
    command += [f"--gcs_server_port={port}", "--node-ip-address=127.0.0.1", "--session-name=alone"]
    command += [f"--session-dir={tmp_path}", f"--node-id={secrets.token_hex(28)}", "--metrics-agent-port=1"]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        try:
            for _ in range(200):
                with socket.socket() as probe:
                    if probe.connect_ex(("127.0.0.1", port)) == 0:
                        break
                time.sleep(0.05)
            yield f"127.0.0.1:{port}"
        finally:
            process.kill()


def test_a_head_without_a_node_here_is_reported(head_alone: str) -> None:
    seconds, said = connect_anew(head_alone)
    assert seconds < GOAL
    assert said.startswith(f"ClusterError: no cluster answers at {head_alone}: none of its nodes runs on this machine")
    assert f"ray start --address={head_alone}" in said


def test_a_cluster_of_this_machine_that_is_gone_is_reported(head_alone: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        gone = f"127.0.0.1:{closed.getsockname()[1]}"
    seconds, said = connect_anew("", RAY_ADDRESS=gone)
    assert seconds < GOAL
    assert said.startswith(f"ClusterError: no cluster answers at {gone}: ") and "refused" in said


@pytest.mark.slow
def test_a_wrong_token_is_named(nodes: Any) -> None:
    seconds, said = connect_anew(nodes.address, RAY_AUTH_TOKEN=secrets.token_hex(32))
    assert seconds < GOAL
    assert said.startswith(f"ConfigError: the cluster at {nodes.address} refuses the token of this machine")
    assert connect_anew(nodes.address)[1] == "connected"


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["raylet", "gcs_server"])
def test_a_slow_cluster_is_waited_for(nodes: Any, kind: str) -> None:
    process = nodes.head_node.all_processes[kind][0].process.pid
    seconds, said = connect_anew(nodes.address, slowed(process, 6.0 if kind == "raylet" else 0.7))
    assert said == "connected"
    assert seconds > (GOAL if kind == "raylet" else 0.5)


@contextmanager
def slowed(process: int, pause: float) -> Iterator[None]:
    """Stop a process for so many seconds, again and again, with short times between in which it runs."""
    ended = threading.Event()

    def slow() -> None:
        while not ended.is_set():
            os.kill(process, signal.SIGSTOP)
            ended.wait(pause)
            os.kill(process, signal.SIGCONT)
            ended.wait(0.05 if pause < 1 else 60)

    os.kill(process, signal.SIGSTOP)  # before the block begins
    thread = threading.Thread(target=slow)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


@pytest.mark.slow
def test_a_head_whose_node_was_killed_is_reported(own_cluster: OwnCluster) -> None:
    own_cluster.kill("raylet")
    seconds, said = connect_anew(own_cluster.address)
    assert seconds < GOAL
    assert "none of its nodes runs on this machine" in said
