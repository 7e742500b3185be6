"""What opens an index whose segments are ranked in this process, or by the nodes of a cluster, as index.toml says."""

from __future__ import annotations

import contextlib
import threading
from dataclasses import dataclass, field
from functools import partial
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING
from weakref import WeakValueDictionary

from engine.config import Settings
from engine.errors import ConfigError
from engine.query.index import Index, find_folder
from engine.query.index import open_index as _open_index

if TYPE_CHECKING:
    from engine.encode.execution.encoder import Encoder
    from engine.index.generations.folder import Generation
    from engine.index.generations.placement import Placement
    from engine.index.generations.vectors import OpenRanker
    from engine.index.search.ranker import Ranker
    from engine.reindex.encoding.encoders import Choice, OpenEncoder
    from engine.scale.ranking.cluster import Cluster, ClusterSettings, Traffic
    from engine.scale.ranking.relay import Relay, RelayedCluster


_CONNECTING = threading.Lock()
_CLUSTERS: WeakValueDictionary[ClusterSettings, Cluster] = WeakValueDictionary()  # that open indexes use


def open_index(
    folder: str | PathLike[str], *, follow: bool = True, device: str = "cpu", generation: int | None = None
) -> Index:
    """Open the index in a folder, for example "indexes/rheumatology".

    Every file is checked against its manifest; the encoder is loaded by the first search of a text. With follow, each
    call first moves to a newer generation if one was published; without, the index stays at the current generation
    until refresh() is called. With generation, that one is opened instead, and the index stays at it. On the device
    "cuda" the vectors are copied to a GPU, which pays for many queries to one open index; unfiltered rankings are exact
    there, and filtered searches stay on the CPU. With backend = "ray" in index.toml, the nodes of a cluster rank the
    vectors; the answers are the same.

    Raises:
        UsageError: no path, or a device that is neither "cpu" nor "cuda".
        ConfigError: there is no GPU for FAISS, or no token for the cluster.
        ClusterError: no cluster answers.
        MissingExtraError: index.toml names a cluster, and Ray is not installed.
        NoGenerationError: there is no such folder, or no index in it.
        GenerationError: the given generation is not kept.
        CorruptError: a file was changed or damaged since it was published.
    """
    path = find_folder(folder)
    ranker = _choose_ranker(path)
    return _open_index(path, follow=follow, device=device, generation=generation, ranker=ranker)


def open_for_command(folder: Path, device: str = "cpu") -> Index:
    """Open an index at its current generation for one command, which asks a cluster through a server if one runs here.

    Raises:
        EngineError: as open_index.
    """
    return _open_index(folder, follow=False, device=device, ranker=_choose_ranker(folder, is_relayed=True))


def share_cluster(ranker: Ranker) -> Relay | None:
    """Let commands of this user ask the cluster that ranks an index; None: there is none, or no socket for it."""
    from engine.scale.ranking.remoteindex import RemoteIndex

    if isinstance(ranker, RemoteIndex):
        from engine.scale.ranking.relay import open_relay

        return open_relay(ranker.cluster)
    return None


def _choose_ranker(folder: Path, *, is_relayed: bool = False) -> OpenRanker | None:
    """Return what opens the vectors of a generation on the cluster that index.toml names; None: this process does.

    An index.toml that can't be used is reported by what needs its settings; this process gives the same answers.
    """
    with contextlib.suppress(ConfigError):
        cluster = load_cluster_settings(folder)
        return None if cluster is None else _Opener(cluster, is_relayed)
    return None


def choose_placement(folder: Path) -> Placement | None:
    """Return what places the generations of an index on the cluster that index.toml names; None: they are used here.

    Raises:
        ConfigError: index.toml can't be used.
    """
    cluster = load_cluster_settings(folder)
    if cluster is None:
        return None
    from engine.scale.placement.clusterplacement import ClusterPlacement

    return ClusterPlacement(cluster)


def choose_encoder(folder: Path) -> OpenEncoder | None:
    """Return what opens the encoder of the corpus on the cluster that index.toml names; None: texts are encoded here.

    With an object store they are, since the nodes have no folder with an encoder that was just exported.

    Raises:
        ConfigError: index.toml can't be used.
    """
    cluster = load_cluster_settings(folder)
    if cluster is None:
        return None
    from engine.scale.nodes.nodefiles import is_remote

    return None if is_remote(cluster.storage) else partial(_open_encoder, cluster)


def _open_encoder(cluster: ClusterSettings, choice: Choice, exported: Path, device: str) -> Encoder:
    """Open the encoder on the nodes, which find its folder in their storage.

    Raises:
        EngineError: as ClusterEncoder.
    """
    from engine.scale.encoding.clusterencoder import ClusterEncoder, ClusterEncoderSettings
    from engine.scale.encoding.nodeencoder import NodeSetup

    there = Path(cluster.storage, *exported.parts[-2:])
    setup = NodeSetup(str(there), choice.identity, exact=choice.is_exact)
    return ClusterEncoder(ClusterEncoderSettings(cluster.address, device), setup)


def read_traffic(ranker: Ranker) -> Traffic | None:
    """Return what this process has asked of the cluster that ranks an index; None: it ranks itself."""
    from engine.scale.ranking.remoteindex import RemoteIndex

    return ranker.cluster.traffic if isinstance(ranker, RemoteIndex) else None


def load_cluster_settings(folder: Path) -> ClusterSettings | None:
    """Return the cluster of an index; None: it has none.

    Raises:
        ConfigError: index.toml can't be used.
    """
    settings = Settings.load(folder)
    if settings.backend == "local":
        return None
    from engine.scale.ranking.cluster import ClusterSettings

    storage = settings.ray_storage or str(folder.absolute())
    cache_bytes = int(settings.ray_cache_gb * 1e9)
    return ClusterSettings(settings.ray_address, storage, settings.ray_copies, cache_bytes)


def _connect(settings: ClusterSettings) -> Cluster:
    """Return the connection of this process to a cluster, made unless an open index uses it.

    So a server that opens one generation after another connects once, and its counts go on.

    Raises:
        EngineError: as Cluster.
    """
    from engine.scale.ranking.cluster import Cluster

    with _CONNECTING:
        cluster = _CLUSTERS.get(settings)
        if cluster is None:
            _CLUSTERS[settings] = cluster = Cluster(settings)
        return cluster


@dataclass(slots=True)
class _Opener:
    """Opens generations of one index over one connection, which is made on first use."""

    settings: ClusterSettings
    is_relayed: bool = False  # through a server of this machine, if there is one
    clusters: list[Cluster | RelayedCluster] = field(default_factory=list)  # one, once connected

    def __call__(self, generation: Generation, before: Ranker | None) -> Ranker:
        from engine.scale.ranking.relay import RelayedCluster
        from engine.scale.ranking.remoteindex import RemoteIndex

        if not self.clusters:
            self.clusters.append(RelayedCluster(self.settings) if self.is_relayed else _connect(self.settings))
        return RemoteIndex(generation, self.clusters[0])

    def __reduce__(self) -> tuple[type[_Opener], tuple[ClusterSettings, bool]]:
        """Pickle the settings, not the connection."""
        return _Opener, (self.settings, self.is_relayed)
