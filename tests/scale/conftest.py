"""Three Ray nodes on this machine, for all tests of the stage."""

import os
import secrets
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest

from engine.config import prepare_ray

NODES = 3
_ROOT = Path(__file__).parent.parent.parent


def require_ray() -> None:
    """Skip the test if Ray is not installed. Ray is not imported: that reads the settings, once."""
    try:
        metadata.version("ray")
    except metadata.PackageNotFoundError:
        pytest.skip("needs the [ray] extra: ray is not installed")


@pytest.fixture(scope="session")
def nodes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """A cluster of NODES nodes of this machine, beside a head that holds nothing; or a skip that says what is missing."""
    require_ray()
    given = {"include_dashboard": False, "object_store_memory": 100_000_000}
    paths = os.pathsep.join(filter(None, [str(_ROOT), os.environ.get("PYTHONPATH")]))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", paths)
        patch.setenv("RAY_USAGE_STATS_ENABLED", "0")
        patch.setenv("RAY_AUTH_TOKEN", secrets.token_hex(32))
        patch.setenv("OMP_NUM_THREADS", "1")
        patch.setenv("ENGINE_CACHE", str(tmp_path_factory.mktemp("nodes")))
        prepare_ray(loopback=True)  # before Ray is imported
        from ray.cluster_utils import Cluster

        cluster = Cluster(initialize_head=True, head_node_args={**given, "num_cpus": 0})
        try:
            for _ in range(NODES):
                cluster.add_node(num_cpus=1, object_store_memory=80_000_000)
            cluster.wait_for_nodes()
            yield cluster
        finally:
            import ray

            ray.shutdown()
            cluster.shutdown()
