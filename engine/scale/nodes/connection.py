"""The connection to a cluster of Ray, which is imported here and nowhere earlier."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from typing import Any

from engine.config import forbid_telemetry, prepare_ray
from engine.errors import ClusterError, ConfigError, MissingExtraError
from engine.platform import open_local_socket

ADVICE = 'See which nodes are alive: ray status; or use this machine alone: backend = "local" in index.toml'
NAMESPACE = "abstract-engine"
_PATIENCE = 2.0  # seconds for a head node to answer; Ray itself waits for a minute, then ends the process
_APPEARING = 2.5  # seconds in which a node of this machine may still appear; Ray itself waits for a minute
_PAUSE = 0.2  # seconds between two looks for it
_GREETING = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes((0, 0, 0, 4, 0, 0, 0, 0, 0))  # RFC 9113, 3.4: no settings
_SETTINGS = 4  # type of the first frame of an answer


def connect(address: str | None) -> Any:
    """Return Ray, connected to the cluster at HOST:PORT; None: to the one that runs on this machine.

    Telemetry is off, and the nodes ask for a token, which is read from the environment alone.

    Raises:
        MissingExtraError: Ray is not installed.
        ConfigError: there is no token, or the cluster refuses it.
        ClusterError: no cluster answers, or no node of it runs on this machine.
    """
    forbid_telemetry()
    prepare_ray(loopback=address is not None and _split(address)[0] in ("127.0.0.1", "localhost", "::1"))
    if address is not None:
        _check_answers(address)
    try:
        import ray
    except ImportError as err:
        raise MissingExtraError("ray", "[ray]") from err
    if not ray.is_initialized():
        _silence()
        try:
            _check_node(address or _find_here())
            ray.init(address or "auto", namespace=NAMESPACE, log_to_driver=False, logging_level="ERROR")
        except (ConnectionError, RuntimeError, ValueError) as err:
            raise ClusterError(_describe_silence(address, str(err).split("\n", 1)[0][:200])) from err
    return ray


def _silence() -> None:
    """Keep Ray from printing what happens on the nodes where answers are printed; it has no setting for that."""
    from ray._private import worker

    worker.print_to_stdstream = lambda *_, **__: None


def _find_here() -> str:
    """Return the address of the cluster that runs on this machine.

    Raises:
        ConnectionError: there is none.
        ClusterError: it does not answer.
    """
    from ray._private.services import canonicalize_bootstrap_address

    address = str(canonicalize_bootstrap_address("auto"))
    _check_answers(address)
    return address


def _check_node(address: str) -> None:
    """Check that a node of a cluster runs on this machine, as Ray needs. One that is slow to say so is waited for.

    Raises:
        ConfigError: the cluster refuses the token.
        ClusterError: no node runs here.
    """
    from ray.exceptions import AuthenticationError, RayError

    latest = time.monotonic() + _APPEARING
    try:
        while not any(map(_is_here, _list_sockets(address))):
            if time.monotonic() > latest:
                raise ClusterError(
                    f"no cluster answers at {address}: none of its nodes runs on this machine. Start one: "
                    f'ray start --address={address}; or use this machine alone: backend = "local" in index.toml'
                )
            time.sleep(_PAUSE)
    except AuthenticationError as err:
        raise ConfigError(
            f"the cluster at {address} refuses the token of this machine, expected that of its nodes in RAY_AUTH_TOKEN "
            "or a file with it in RAY_AUTH_TOKEN_PATH"
        ) from err
    except RayError:
        return  # it answered before, so it is slow


def _list_sockets(address: str) -> Iterator[str]:
    """Yield where each node of a cluster listens on its own machine.

    Raises:
        RayError: the cluster refuses the token, or does not say in time.
    """
    from ray import _raylet
    from ray.core.generated.gcs_pb2 import GcsNodeInfo

    raylet: Any = _raylet  # whose types leave the client out
    nodes = raylet.GcsClient(address=address).get_all_node_info(timeout=_PATIENCE, state_filter=GcsNodeInfo.ALIVE)
    yield from (node.raylet_socket_name for node in nodes.values())


def _is_here(path: str) -> bool:
    """Return whether a node listens at a path of this machine; one that takes nobody for a while does."""
    try:
        with open_local_socket() as probe:
            probe.settimeout(_PAUSE)
            probe.connect(path)
    except (FileNotFoundError, ConnectionRefusedError):
        return False
    except OSError:
        return True
    return True


def name_place(address: str | None) -> str:
    """Return where a cluster is, for messages."""
    return f"at {address}" if address else "on this machine"


def _check_answers(address: str) -> None:
    """Check that what listens at an address speaks HTTP/2, as a head node does.

    Raises:
        ClusterError: nothing listens, or it does not.
    """
    host, port = _split(address)
    try:
        with socket.create_connection((host, int(port)), timeout=_PATIENCE) as connection:
            connection.sendall(_GREETING)
            answer = connection.recv(9)
    except (OSError, ValueError) as err:
        raise ClusterError(_describe_silence(address, str(err))) from err
    if answer[3:4] != bytes((_SETTINGS,)):
        raise ClusterError(_describe_silence(address, "what listens there is no head node"))


def _split(address: str) -> tuple[str, str]:
    """Return the host and the port of HOST:PORT."""
    host, _, port = address.rpartition(":")
    return host.strip("[]"), port


def _describe_silence(address: str | None, problem: str) -> str:
    """Return the message for a cluster that does not answer."""
    return f"no cluster answers {name_place(address)}: {problem}. {ADVICE}"
