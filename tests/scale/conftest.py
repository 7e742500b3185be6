"""Three Ray nodes on this machine, for all tests of the stage."""

import os
import secrets
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest

from engine.config import prepare_ray

NODES = 3
_ROOT = Path(__file__).parent.parent.parent
_OWN = """
import sys
from ray._private.services import psutil
from ray.cluster_utils import Cluster
given = {"include_dashboard": False, "object_store_memory": 80_000_000}
cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, **given})
print(cluster.address, flush=True)
for line in sys.stdin:
    if line.strip() == "all":
        victims = psutil.Process().children(recursive=True)
    else:
        victims = [one.process for one in cluster.head_node.all_processes[line.strip()]]
    for victim in victims:
        victim.kill()
    print("killed", flush=True)
cluster.shutdown()
"""


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


@dataclass(frozen=True)
class OwnCluster:
    """A cluster of one node for one test, which may kill it."""

    process: subprocess.Popen[str]
    address: str
    token: str

    def kill(self, kind: str = "all") -> None:
        """Kill all its processes, or one kind of those of its node."""
        assert self.process.stdin is not None and self.process.stdout is not None
        print(kind, file=self.process.stdin, flush=True)
        assert self.process.stdout.readline() == "killed\n"


@pytest.fixture
def own_cluster(monkeypatch: pytest.MonkeyPatch) -> Iterator[OwnCluster]:
    """A cluster of one node, with a token of its own in the environment."""
    require_ray()
    token = secrets.token_hex(32)
    monkeypatch.setenv("RAY_AUTH_TOKEN", token)
    monkeypatch.setenv("PYTHONPATH", str(_ROOT))
    prepare_ray(loopback=True)
    command = [sys.executable, "-c", _OWN]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        yield OwnCluster(process, process.stdout.readline().strip(), token)


@pytest.fixture
def short_cache(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A cache folder whose path is short enough for a socket."""
    with tempfile.TemporaryDirectory(dir="/tmp") as folder:
        monkeypatch.setenv("ENGINE_CACHE", folder)
        yield Path(folder)
