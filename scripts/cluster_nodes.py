"""Some nodes of Ray on this machine, for the cluster demo and its benchmark: on loopback, and with a token."""

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from engine.config import forbid_telemetry, prepare_ray
from engine.errors import ClusterError, MissingExtraError

ROOT = Path(__file__).resolve().parent.parent
MB = 1_000_000
WAIT = 60.0  # seconds for nodes to start


@contextmanager
def start_nodes(n: int) -> Iterator[Any]:
    """Start n nodes beside a head that holds nothing, and stop them at the end.

    Processes that are started meanwhile find the token in their environment.

    Raises:
        MissingExtraError: Ray is not installed.
    """
    paths = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
    os.environ |= {"PYTHONPATH": paths, "RAY_AUTH_TOKEN": secrets.token_hex(32)}
    os.environ.setdefault("OMP_NUM_THREADS", "1")  # of each node
    forbid_telemetry()
    prepare_ray(loopback=True)  # before Ray is imported, which reads the settings once
    try:
        import ray
        from ray.cluster_utils import Cluster
    except ImportError as err:
        raise MissingExtraError("ray", "[ray]") from err
    head = {"num_cpus": 0, "include_dashboard": False, "object_store_memory": 100 * MB}
    cluster = Cluster(initialize_head=True, head_node_args=head)
    try:
        for _ in range(n):
            add_node(cluster)
        cluster.wait_for_nodes(timeout=WAIT)
        yield cluster
    finally:
        ray.shutdown()
        cluster.shutdown()


def add_node(cluster: Any) -> Any:
    """Start one more node, and return it."""
    return cluster.add_node(num_cpus=1, object_store_memory=80 * MB)


def kill_node(cluster: Any, node: Any) -> None:
    """Kill all processes of a node, as a power cut would."""
    cluster.remove_node(node, allow_graceful=False)


def choose_node(cluster: Any, folder: Path, segment: str) -> Any:
    """Return the node that is asked first for a segment of the index in a folder.

    Raises:
        ClusterError: none of the nodes is.
    """
    from engine.scale.ranking.cluster import Cluster, ClusterSettings

    first = Cluster(ClusterSettings(cluster.address, str(folder))).choose_nodes(segment)[0]
    for node in cluster.worker_nodes:
        if node.node_id == first:
            return node
    raise ClusterError(f"node {first} holds segment {segment}, and is none of those that were started here")
