"""The connection to a cluster of Ray, which is imported here and nowhere earlier."""

from __future__ import annotations

import socket
from typing import Any

from engine.config import forbid_telemetry, prepare_ray
from engine.errors import ClusterError, MissingExtraError

ADVICE = 'See which nodes are alive: ray status; or use this machine alone: backend = "local" in index.toml'
NAMESPACE = "abstract-engine"
_PATIENCE = 2.0  # seconds; Ray itself waits for a minute, then ends the process
_GREETING = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes((0, 0, 0, 4, 0, 0, 0, 0, 0))  # RFC 9113, 3.4: no settings
_SETTINGS = 4  # type of the first frame of an answer


def connect(address: str | None) -> Any:
    """Return Ray, connected to the cluster at HOST:PORT; None: to the one that runs on this machine.

    Telemetry is off, and the nodes ask for a token, which is read from the environment alone.

    Raises:
        MissingExtraError: Ray is not installed.
        ConfigError: there is no token.
        ClusterError: no cluster answers.
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
            ray.init(address or "auto", namespace=NAMESPACE, log_to_driver=False, logging_level="ERROR")
        except (ConnectionError, RuntimeError, ValueError) as err:
            raise ClusterError(_describe_silence(address, str(err).split("\n", 1)[0][:200])) from err
    return ray


def _silence() -> None:
    """Keep Ray from printing what happens on the nodes where answers are printed; it has no setting for that."""
    from ray._private import worker

    worker.print_to_stdstream = lambda *_, **__: None


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
