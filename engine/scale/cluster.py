"""The connection to a cluster of Ray. Ray is imported nowhere else at the start."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from engine.config import forbid_telemetry, require_ray_token
from engine.errors import ConfigError, MissingExtraError

_START = "ray start --head --node-ip-address ADDRESS"


@contextmanager
def connect(address: str | None) -> Iterator[Any]:
    """Yield Ray, connected to the cluster at HOST:PORT; None: to the one that runs on this machine.

    Telemetry is off, and the nodes ask for a token, which is read from the environment alone.

    Raises:
        MissingExtraError: Ray is not installed.
        ConfigError: there is no token, or no cluster answers.
    """
    forbid_telemetry()
    require_ray_token()
    try:
        import ray
    except ImportError as err:
        raise MissingExtraError("ray", "[ray]") from err
    try:
        ray.init(address or "auto", log_to_driver=False, logging_level="error")
    except (ConnectionError, RuntimeError, ValueError) as err:
        problem = str(err).split("\n", 1)[0]
        where = address or "on this machine"
        raise ConfigError(f"no cluster answers at {where}: {problem}. Start one: {_START}") from err
    try:
        yield ray
    finally:
        ray.shutdown()
